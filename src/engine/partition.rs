//! Runs over rows or groups of arrays: what is read, which elements belong together, and what is written.
//!
//! Every part is a row. Rows exist in the arrays; the elements of each label are copied to contiguous memory, once per
//! array.

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

/// The input. Everything has the same number of rows, each as long as that of the first source.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The arrays that functions take.
    pub sources: Vec<Source<'a>>,
    /// Bools that are true where elements count.
    pub mask: Option<Rows<'a>>,
    /// The weights of elements.
    pub weights: Option<Rows<'a>>,
}

/// Which elements belong together.
#[derive(Debug, Clone, Copy)]
pub enum Partition<'a> {
    /// The elements of a row.
    Rows,
    /// The elements of a label; the sources have one row.
    Labels {
        /// A label for each element.
        numbers: &'a View<'a>,
        /// The lowest label that makes a group.
        low: i128,
        /// The number of labels, starting from the lowest.
        range: usize,
        /// Whether the elements' positions are requested.
        positions: bool,
    },
}

/// The result of a run over rows or groups.
#[derive(Debug)]
pub struct Parts {
    /// The results, unless the run failed.
    pub table: Result<Table, Error>,
    /// The groups, if there are labels.
    pub groups: Option<Grouped>,
}

/// The groups of a run with labels.
#[derive(Debug)]
pub struct Grouped {
    /// The labels that occur, counted from the lowest one.
    pub present: Vec<i64>,
    /// The offset of each group among the elements sorted by group, and the end of the last group.
    pub offsets: Vec<i64>,
    /// The elements' positions in that order, if requested.
    pub positions: Option<Buffer>,
}

impl<'a> Inputs<'a> {
    /// The properties of the arrays that are known before any element is read.
    pub fn given(&self) -> Given {
        Given {
            dtypes: self.sources.iter().map(|source| source.elements.dtype()).collect(),
            present: self.sources.iter().map(|source| Some(source.present.as_ref()?.value)).collect(),
            mask: self.mask.is_some(),
            weights: self.weights.as_ref().map(Rows::dtype),
        }
    }

    /// The rows of all sources, in the order of the subjects' numbers.
    fn rows(&self) -> Vec<Rows<'a>> {
        let elements = self.sources.iter().map(|source| &source.elements);
        let present = self.sources.iter().filter_map(|source| Some(&source.present.as_ref()?.bools));
        elements.chain(present).chain(&self.mask).chain(&self.weights).cloned().collect()
    }
}

/// Runs each function of the plan over the sources given by `over`, for every row or group. Arrays of items are written
/// to `outputs`, given by the functions' numbers: to their rows or, for groups, one after the other to their only row.
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
        // Elements without a group are left out when the groups are made.
        let mask = inputs.mask.take().map(|rows| rows.row(0));
        let subjects = Subjects::new(plan, &inputs.given(), over);
        let groups = Groups::new(Labels { numbers, low, range, mask: mask.as_ref() }, workers, control)?;
        let arranged = |rows: &Rows<'_>| groups.arranged(&rows.row(0), workers, control);
        let arranged = inputs.rows().iter().map(arranged).collect::<Result<Vec<_>, _>>()?;
        let positions = positions.then(|| groups.positions(workers, control)).transpose()?;
        let offsets = groups.offsets();
        let rows: Vec<Rows<'_>> = arranged.iter().map(|items| Rows::ragged(View::of_buffer(items), offsets)).collect();
        let shared = Arc::new(memory::collected(offsets.iter().copied()));
        let ragged = |(call, rows): (usize, OutputRows)| (call, rows.ragged(Arc::clone(&shared)));
        let outputs: Vec<(usize, OutputRows)> = outputs.into_iter().map(ragged).collect();
        let table = run_rows(plan, &subjects, &rows, &outputs, workers, control);
        let present = memory::collected(groups.present().iter().map(|&code| i64::from(code)));
        let offsets = memory::collected(offsets.iter().map(|&start| (start as u64).cast_signed()));
        Ok(Parts { table, groups: Some(Grouped { present, offsets, positions }) })
    })
}
