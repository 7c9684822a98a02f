//! Short rows, and rows of several lengths, most of which are short. Many rows are evaluated as one block, whose items
//! are then divided among them. So besides its elements, a row costs only a few calls for each function.

use std::ops::Range;
use std::sync::atomic::Ordering;

use crate::column::Column;
use crate::engine::latch::lock;
use crate::engine::pool::Workers;
use crate::engine::rows::sweep::Worker;
use crate::engine::rows::{Answers, Run, guarded_on};
use crate::error::Error;
use crate::grid::{BLOCK, CHUNK, SAMPLE};
use crate::kernel::{Answer, AnyState};
use crate::memory;
use crate::plan::{RequestId, Stage};
use crate::source::View;

impl<'a> Run<'a> {
    /// Computes results for rows of several lengths. Short rows are combined to a block; long rows are processed one by
    /// one.
    pub(super) fn ragged(
        &self,
        worker: &mut Worker<'_, 'a>,
        rows: Range<usize>,
        answers: &mut Answers,
    ) -> Result<(), Error> {
        let Some(source) = self.sources.first() else { return Ok(()) };
        let len = |row: usize| source.elements(row..row + 1).len();
        let mut row = rows.start;
        while row < rows.end && !self.control.is_stopped() {
            // A request that samples must take the same sample as for the row alone, unless the sample is the whole
            // row.
            let at_once = len(row) <= SAMPLE || (len(row) <= CHUNK && !self.stage.is_sampled());
            if at_once && (len(row) > BLOCK || self.units.batch.is_none()) {
                self.sweep(worker, row..row + 1, 0);
                self.finish(row..row + 1, &mut worker.states, answers)?;
                row += 1;
                continue;
            }
            if len(row) > BLOCK {
                let views: Vec<View<'_>> = self.sources.iter().map(|source| source.row(row)).collect();
                if len(row) > source.elements(0..source.count()).len() / 8 && len(row) > CHUNK {
                    // All workers go on with it.
                    self.hand_over(answers, row + 1);
                    memory::push(&mut lock(&self.waiting), (row, self.by_itself(row, self.all.clone())));
                } else {
                    let all = self.by_itself(row, self.all.clone());
                    self.ask(row, all, &views, &Workers::Caller, &self.control.of_worker(), &mut answers.columns)?;
                }
                row += 1;
                continue;
            }
            let mut end = row + 1;
            while end < rows.end && source.elements(row..end + 1).len() <= BLOCK {
                end += 1;
            }
            self.batch(worker, &(row..end), row..end, &mut answers.columns)?;
            row = end;
        }
        Ok(())
    }

    /// Copies the rows of each source that are not contiguous in memory into its tile.
    pub(super) fn pack(&self, worker: &mut Worker<'_, 'a>, rows: Range<usize>) {
        for (source, tile) in self.sources.iter().zip(&mut worker.tiles) {
            if source.joined(rows.clone()).is_some() {
                continue;
            }
            let mut row = rows.start;
            while row < rows.end {
                let count = (rows.end - row).min(source.inner() - row % source.inner());
                source.load_from(self.level, row, count, 0..source.len(), tile, row - rows.start);
                row += count;
            }
        }
    }

    /// Computes results for whole rows that make a block, from the packed rows.
    pub(super) fn batch(
        &self,
        worker: &mut Worker<'_, 'a>,
        packed: &Range<usize>,
        rows: Range<usize>,
        columns: &mut [Column],
    ) -> Result<(), Error> {
        let Some(source) = self.sources.first() else { return Ok(()) };
        let elements = source.elements(rows.clone());
        self.elements.fetch_add(elements.len() as u64, Ordering::Relaxed);
        let Worker { evaluator, tiles, states, lens, beside, .. } = worker;
        let len = self.len();
        lens.clear();
        memory::extend(lens, rows.clone().map(|row| source.elements(row..row + 1).len()));
        let in_tile = rows.start - packed.start..rows.end - packed.start;
        let views: Vec<View<'_>> = (self.sources.iter().enumerate())
            .filter_map(|(number, source)| {
                let in_tile = || tiles.get(number).map(|tile| tile.rows(in_tile.clone(), len));
                source.joined(rows.clone()).or_else(in_tile)
            })
            .collect();
        if states.is_empty() {
            self.renew(states, 1);
        }
        let Some(states) = states.first_mut() else { return Ok(()) };
        // Each call gets its results in the order of rows: if a row makes a further request, later rows of that call
        // wait too.
        let mut later: Vec<(usize, RequestId, Result<Answer, Error>)> = Vec::new();
        let mut waits = vec![false; columns.len()];
        evaluator.evaluate(&views, 0, elements.len(), |instruction, block| {
            for &index in self.readers.get(instruction).into_iter().flatten() {
                let (Some(place), Some(sink)) = (states.get_mut(index), self.pass.sinks().get(index)) else { continue };
                let mut each = |row: usize, state: &mut AnyState| {
                    for waiting in self.waiting(index) {
                        let call = if let RequestId::Call(call) = waiting.who() { Some(call) } else { None };
                        let behind = call.and_then(|call| waits.get_mut(call));
                        let is_behind = behind.as_ref().is_some_and(|behind| **behind);
                        let is_told = is_behind || call.is_some_and(|call| !self.counting(call).is_empty());
                        if let (Some(call), Some((number, dtype)), false) = (call, waiting.number(state), is_told) {
                            if let Some(column) = columns.get_mut(call) {
                                column.push_number(number, dtype);
                            }
                            continue;
                        }
                        let answer = waiting.answer(state);
                        if is_behind || matches!(answer, Ok(Answer::Next(_))) {
                            if let Some(behind) = behind {
                                *behind = true;
                            }
                            memory::push(&mut later, (row, waiting.who(), answer));
                        } else {
                            self.take(rows.start + row, waiting.who(), answer, columns);
                        }
                    }
                };
                guarded_on(place, |state| {
                    sink.accumulator.rows(self.level, state, block, lens, &beside.scratch, &mut each);
                });
                if let Err(error) = place {
                    for waiting in self.waiting(index) {
                        self.take(rows.start, waiting.who(), Err(error.clone()), columns);
                    }
                }
            }
        });
        for (row, &len) in rows.clone().zip(lens.iter()) {
            for (who, value) in self.stage.known(len as u64) {
                self.place(row, who, Ok(value), columns);
            }
        }
        if later.is_empty() && self.written.is_empty() && self.sampled.is_empty() {
            return Ok(());
        }
        // The sort is stable: the rows of a call stay in their order.
        later.sort_by_key(|(row, ..)| *row);
        let mut later = later.into_iter().peekable();
        let control = self.control.of_worker();
        let mut start = 0;
        for (row, &len) in lens.iter().enumerate() {
            let mut stage = Stage::default();
            while let Some((_, who, answer)) = later.next_if(|(own, ..)| *own == row) {
                match answer {
                    Ok(Answer::Next(request)) => stage.add(who, request),
                    answer => self.take(rows.start + row, who, answer, columns),
                }
            }
            let stage = self.by_itself(rows.start + row, stage);
            if !stage.is_empty() {
                let views: Vec<View<'_>> = views.iter().map(|view| view.part(start..start + len)).collect();
                self.ask(rows.start + row, stage, &views, &Workers::Caller, &control, columns)?;
            }
            start += len;
        }
        Ok(())
    }

    /// Stores an answer that is not a further request.
    fn take(&self, row: usize, who: RequestId, answer: Result<Answer, Error>, columns: &mut [Column]) {
        match answer {
            Ok(Answer::Value(value)) => self.place(row, who, Ok(value), columns),
            Err(error) => self.place(row, who, Err(error), columns),
            Ok(Answer::Next(_)) => unreachable!("further requests wait"),
        }
    }
}
