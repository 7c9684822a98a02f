//! Runs kernels that answer with an array over many rows: each row's items are written to a row of the outputs.
//!
//! Each row is a run of its own, by one worker if there are rows for all of them, else by all workers together; so the items
//! are those of the row alone, to the last bit.

use std::sync::Mutex;

use crate::engine::control::Control;
use crate::engine::latch::lock;
use crate::engine::pool::Workers;
use crate::engine::run::{Outcome, Prepared, run};
use crate::engine::team::each;
use crate::error::Error;
use crate::memory;
use crate::plan::Plan;
use crate::view::{Output, OutputRows, Rows};

/// Runs the plan over each row, and writes the arrays to the rows of `outputs`, which are by the functions' numbers. The
/// failures by these numbers: that of the first row that has one.
///
/// # Errors
///
/// If the run is stopped.
pub fn run_each(
    plan: &Plan,
    rows: &Rows<'_>,
    outputs: &[(usize, OutputRows)],
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Vec<(usize, Error)>, Error> {
    plan.whole(|| row_by_row(plan, rows, outputs, workers, control))
}

fn row_by_row(
    plan: &Plan,
    rows: &Rows<'_>,
    outputs: &[(usize, OutputRows)],
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Vec<(usize, Error)>, Error> {
    let prepared = Prepared::new(plan, rows.dtype());
    let failures: Mutex<Vec<(usize, usize, Error)>> = Mutex::default();
    let stops = Mutex::new(None);
    let one = |row: usize, workers: &Workers, control: &Control<'_>| {
        let own: Vec<(usize, Output)> = outputs.iter().map(|(index, rows)| (*index, rows.row(row))).collect();
        match run(plan, &prepared, &rows.row(row), &own, workers, control) {
            Ok(Outcome { values, .. }) => {
                let failed =
                    values.into_iter().enumerate().filter_map(|(index, value)| Some((index, row, value.err()?)));
                memory::extend(&mut lock(&failures), failed);
            }
            Err(error @ Error::FoundNan { .. }) => {
                let failed = (0..plan.calls().len()).map(|index| (index, row, error.clone()));
                memory::extend(&mut lock(&failures), failed);
            }
            Err(error) => {
                lock(&stops).get_or_insert(error);
            }
        }
    };
    if rows.count() >= 2 * workers.count() {
        each(workers, rows.count(), control, &|row| one(row, &Workers::Caller, &control.of_worker()))?;
    } else {
        for row in 0..rows.count() {
            one(row, workers, control);
            control.check()?;
        }
    }
    control.check()?;
    if let Some(error) = lock(&stops).take() {
        return Err(error);
    }
    let mut failures = std::mem::take(&mut *lock(&failures));
    failures.sort_unstable_by_key(|(index, row, _)| (*index, *row));
    failures.dedup_by_key(|(index, ..)| *index);
    Ok(failures.into_iter().map(|(index, _, error)| (index, error)).collect())
}
