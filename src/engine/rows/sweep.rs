//! The sweep over rows: a worker takes units, and passes the blocks of their rows to every sink.
//!
//! What the units are is decided in [`units`](super::units). What becomes of the states is up to [`Run::finish`];
//! nothing here turns a state into a result.

use std::ops::Range;

use crate::engine::parallel::Between;
use crate::engine::pass::States;
use crate::engine::rows::units::Unit;
use crate::engine::rows::{Run, guarded_on};
use crate::error::{Error, guarded};
use crate::expr::Evaluator;
use crate::grid::{BLOCK, CHUNK};
use crate::kernel::Beside;
use crate::memory;
use crate::source::{Rows, Tile, View};

/// A worker's scratch.
pub(super) struct Worker<'w, 'a> {
    pub(super) evaluator: Evaluator<'w>,
    pub(super) beside: Beside,
    pub(super) views: Vec<View<'a>>,
    pub(super) tiles: Vec<Tile>,
    /// The states of a tile's rows, for reuse.
    pub(super) states: Vec<States>,
    /// The lengths of rows that make a block.
    pub(super) lens: Vec<usize>,
}

impl<'a> Run<'a> {
    /// The scratch of one worker.
    fn worker(&self) -> Worker<'_, 'a> {
        let longest = self.len().min(BLOCK);
        let views: Vec<View<'a>> = self.sources.iter().map(|rows| rows.row(0)).collect();
        let tile = |rows: &Rows<'a>| match self.units.batch {
            Some(count) if count > 1 => rows.packed(count.max(self.units.across)),
            _ => rows.tile(self.units.across, longest),
        };
        let even = self.sources.iter().all(Rows::are_regular);
        let needs = even && (self.units.tiled || self.units.batch.is_some());
        let tiles: Vec<Tile> = if needs { self.sources.iter().map(tile).collect() } else { Vec::new() };
        // The scratch has the size of what is evaluated at a time: whole rows, a block of one row, or a block of many
        // rows if they have several lengths.
        let joined = |rows: &Rows<'a>| rows.joined(0..rows.count());
        let evaluated: Vec<View<'_>> = match self.units.batch {
            _ if !even => self.sources.iter().filter_map(joined).collect(),
            Some(count) => tiles.iter().map(|tile| tile.rows(0..count, self.len())).collect(),
            None => views.clone(),
        };
        let evaluator = Evaluator::new(&evaluated, self.pass.program(), self.level);
        Worker { evaluator, beside: Beside::default(), views, tiles, states: Vec::new(), lens: Vec::new() }
    }

    /// One worker: takes units until none is left.
    pub(super) fn work(&self, between: Between<'_>) -> Result<(), Error> {
        let mut worker = self.worker();
        while !self.control.is_stopped() {
            match self.units.take() {
                None => break,
                Some(Unit::Tiles { tiles, chunk }) => self.tiles(&mut worker, tiles, chunk)?,
                Some(Unit::Portion(rows)) => {
                    let mut answers = self.answers(rows.start);
                    self.ragged(&mut worker, rows.clone(), &mut answers)?;
                    self.hand_over(&mut answers, rows.end);
                }
            }
            between()?;
        }
        Ok(())
    }

    /// Computes one chunk of each row of these tiles.
    fn tiles(&self, worker: &mut Worker<'_, 'a>, tiles: Range<usize>, chunk: usize) -> Result<(), Error> {
        let (first_row, end) = (self.units.rows_of(tiles.start).start, self.units.rows_of(tiles.end - 1).end);
        let mut answers = self.answers(first_row);
        if let Some(batch) = self.units.batch {
            let held = batch.max(self.units.across);
            for start in (first_row..end).step_by(held) {
                let rows = start..end.min(start + held);
                self.pack(worker, rows.clone());
                for first in rows.clone().step_by(batch) {
                    let own = first..rows.end.min(first + batch);
                    self.batch(worker, &rows, own, &mut answers.columns)?;
                }
            }
        } else {
            for tile in tiles {
                let rows = self.units.rows_of(tile);
                self.sweep(worker, rows.clone(), chunk);
                let Some(tree) = self.trees.get(tile) else {
                    self.finish(rows, &mut worker.states, &mut answers)?;
                    continue;
                };
                tree.hand_in(chunk, std::mem::take(&mut worker.states), |left, right| self.combine(left, right));
                if let Some(mut states) = tree.take_root() {
                    self.finish(rows, &mut states, &mut answers)?;
                }
            }
        }
        self.hand_over(&mut answers, end);
        Ok(())
    }

    /// Computes the worker's states for one chunk of each of these rows.
    pub(super) fn sweep(&self, worker: &mut Worker<'_, 'a>, rows: Range<usize>, chunk: usize) {
        self.renew(&mut worker.states, rows.len());
        if self.pass.sinks().is_empty() {
            return;
        }
        let elements = chunk * CHUNK..self.len_of(rows.start).min((chunk + 1) * CHUNK);
        for start in elements.clone().step_by(BLOCK) {
            if self.control.is_stopped() {
                break;
            }
            let block = start..elements.end.min(start + BLOCK);
            let Worker { evaluator, beside, views, tiles, states, .. } = worker;
            if self.units.tiled {
                for (source, tile) in self.sources.iter().zip(tiles.iter_mut()) {
                    source.load(self.level, rows.start, rows.len(), block.clone(), tile);
                }
                for (place, states) in states.iter_mut().enumerate() {
                    let views: Vec<View<'_>> = tiles.iter().map(|tile| tile.row(place, block.len())).collect();
                    self.update(evaluator, beside, &views, 0, block.len(), start, states);
                }
            } else {
                for (row, states) in rows.clone().zip(states.iter_mut()) {
                    for (source, view) in self.sources.iter().zip(views.iter_mut()) {
                        source.go_to(view, row);
                    }
                    self.update(evaluator, beside, views, start, elements.end, start, states);
                }
            }
        }
    }

    /// Resets these to new states for this number of rows.
    pub(super) fn renew(&self, states: &mut Vec<States>, rows: usize) {
        states.truncate(rows);
        for states in states.iter_mut() {
            for (place, sink) in states.iter_mut().zip(self.pass.sinks()) {
                match place {
                    Ok(_) => guarded_on(place, |state| sink.accumulator.renew(state)),
                    Err(_) => *place = guarded(|| sink.accumulator.init()),
                }
            }
        }
        let fresh = || memory::collected(self.pass.sinks().iter().map(|sink| guarded(|| sink.accumulator.init())));
        memory::reserve(states, rows - states.len());
        states.resize_with(rows, fresh);
    }

    /// Passes a block of a row to every sink.
    #[allow(clippy::too_many_arguments)] // a block is three numbers, and its worker's scratch two
    fn update(
        &self,
        evaluator: &mut Evaluator<'_>,
        beside: &Beside,
        views: &[View<'_>],
        start: usize,
        end: usize,
        number: usize,
        states: &mut States,
    ) {
        evaluator.evaluate(views, start, end, |instruction, block| {
            for &index in self.readers.get(instruction).into_iter().flatten() {
                let (Some(place), Some(sink)) = (states.get_mut(index), self.pass.sinks().get(index)) else { continue };
                guarded_on(place, |state| sink.accumulator.update(self.level, state, block, number as u64, beside));
            }
        });
    }

    /// Combines the states of each row with those of the chunk that follows.
    fn combine(&self, mut left: Vec<States>, right: Vec<States>) -> Vec<States> {
        for (left, right) in left.iter_mut().zip(right) {
            for ((left, right), sink) in left.iter_mut().zip(right).zip(self.pass.sinks()) {
                match right {
                    Ok(right) => guarded_on(left, |left| sink.accumulator.combine(left, right)),
                    Err(error) => *left = Err(error),
                }
            }
        }
        left
    }
}
