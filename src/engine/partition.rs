//! Runs over parts of arrays: what is read, which elements are taken together, and what is written.
//!
//! Every part is a row: rows are in the arrays, and the elements of a label are put one behind the other, in every array once.

use std::sync::Arc;

use crate::dtype::Buffer;
use crate::engine::control::Control;
use crate::engine::groups::{Groups, Labels};
use crate::engine::pool::Workers;
use crate::engine::rows::{Table, run_rows};
use crate::error::Error;
use crate::memory;
use crate::plan::{Given, Plan, Subjects};
use crate::source::{OutputRows, Rows, Source, View};

/// What is read. All of it has as many rows, each as long as that of the first source.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The arrays that functions go over.
    pub sources: Vec<Source<'a>>,
    /// Bools that are true where elements count.
    pub mask: Option<Rows<'a>>,
    /// What elements weigh.
    pub weights: Option<Rows<'a>>,
}

/// Which elements are taken together.
#[derive(Debug, Clone, Copy)]
pub enum Partition<'a> {
    /// Those of a row.
    Rows,
    /// Those of a label, of sources that are one row.
    Labels {
        /// A label for each element.
        numbers: &'a View<'a>,
        /// Labels from this one on make groups; those below do not.
        low: i128,
        /// So many of them do.
        range: usize,
        /// Whether the elements' positions are wanted.
        positions: bool,
    },
}

/// What a run over parts gave.
#[derive(Debug)]
pub struct Parts {
    /// The answers, unless the run failed.
    pub table: Result<Table, Error>,
    /// What the labels made.
    pub groups: Option<Grouped>,
}

/// The groups that labels made.
#[derive(Debug)]
pub struct Grouped {
    /// The labels that occur, counted from the lowest one.
    pub present: Vec<i64>,
    /// Where each group starts among the elements in the order of groups, and where the last one ends.
    pub offsets: Vec<i64>,
    /// The elements' positions in that order, if they were wanted.
    pub positions: Option<Buffer>,
}

impl<'a> Inputs<'a> {
    /// What is known of them before any element is read.
    pub fn given(&self) -> Given {
        Given {
            dtypes: self.sources.iter().map(|source| source.elements.dtype()).collect(),
            present: self.sources.iter().map(|source| Some(source.present.as_ref()?.value)).collect(),
            mask: self.mask.is_some(),
            weights: self.weights.as_ref().map(Rows::dtype),
        }
    }

    /// The rows of everything, in the order that subjects number them in.
    fn rows(&self) -> Vec<Rows<'a>> {
        let elements = self.sources.iter().map(|source| &source.elements);
        let present = self.sources.iter().filter_map(|source| Some(&source.present.as_ref()?.bools));
        elements.chain(present).chain(&self.mask).chain(&self.weights).cloned().collect()
    }
}

/// Runs each function of the plan over those of the sources whose numbers `over` says, for every part. Arrays of items are written to
/// `outputs`, which are by the functions' numbers: to their rows, or, of groups, one behind the other in their only row.
///
/// # Errors
///
/// If the run is stopped, or groups cannot be made.
pub fn run_parts(
    plan: &Plan,
    over: &[Vec<usize>],
    mut inputs: Inputs<'_>,
    partition: Partition<'_>,
    outputs: Vec<(usize, OutputRows)>,
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Parts, Error> {
    let Partition::Labels { numbers, low, range, positions } = partition else {
        let subjects = Subjects::new(plan, &inputs.given(), over);
        let table = run_rows(plan, &subjects, &inputs.rows(), &outputs, workers, control);
        return Ok(Parts { table, groups: None });
    };
    plan.whole(|| {
        // The elements of no group are left out when these are put together.
        let mask = inputs.mask.take().map(|rows| rows.row(0));
        let subjects = Subjects::new(plan, &inputs.given(), over);
        let groups = Groups::new(Labels { numbers, low, range, mask: mask.as_ref() }, workers, control)?;
        let arranged = |rows: &Rows<'_>| groups.arranged(&rows.row(0), workers, control);
        let arranged = inputs.rows().iter().map(arranged).collect::<Result<Vec<_>, _>>()?;
        let positions = positions.then(|| groups.positions(workers, control)).transpose()?;
        let offsets = groups.offsets();
        let rows: Vec<Rows<'_>> = arranged.iter().map(|items| Rows::ragged(View::of_buffer(items), offsets)).collect();
        let shared = Arc::new(memory::collected(offsets.iter().copied()));
        let behind = |(call, rows): (usize, OutputRows)| (call, rows.ragged(Arc::clone(&shared)));
        let outputs: Vec<(usize, OutputRows)> = outputs.into_iter().map(behind).collect();
        let table = run_rows(plan, &subjects, &rows, &outputs, workers, control);
        let present = memory::collected(groups.present().iter().map(|&code| i64::from(code)));
        let offsets = memory::collected(offsets.iter().map(|&start| (start as u64).cast_signed()));
        Ok(Parts { table, groups: Some(Grouped { present, offsets, positions }) })
    })
}
