//! The division of rows into units of work: tiles of short rows, one chunk of long rows, or a portion of rows of
//! several lengths. The workers take the units in turn.
//!
//! The division depends on the rows, the pass and the number of workers. Results do not depend on it, because a row
//! always has the blocks and chunks of an array of its own. Nothing here reads an element or computes a result.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::pass::Pass;
use crate::engine::pool::Workers;
use crate::grid::{BLOCK, CHUNK};
use crate::memory;
use crate::source::Rows;

/// The work that a worker takes at a time.
pub(super) enum Unit {
    /// One chunk of each row of these tiles.
    Tiles { tiles: Range<usize>, chunk: usize },
    /// Rows of several lengths.
    Portion(Range<usize>),
}

/// How the rows of a run are divided, and how much of them is taken.
pub(super) struct Units {
    /// Whether rows are read as tiles, and the largest number of rows in a tile.
    pub(super) tiled: bool,
    pub(super) across: usize,
    /// The number of whole rows in a block; `None` if elements must be filtered first.
    pub(super) batch: Option<usize>,
    /// The number of tiles, and the chunks of each.
    tiles: usize,
    chunks: usize,
    /// The number of neighbouring rows at regular distances.
    inner: usize,
    /// The number of tiles that a worker takes at a time.
    per_unit: usize,
    /// The ranges of rows of several lengths that a worker takes at a time.
    portions: Option<Vec<Range<usize>>>,
    count: usize,
    next: AtomicUsize,
}

impl Units {
    /// Divides rows for a pass over elements up to `len` of each row.
    pub(super) fn new(sources: &[Rows<'_>], len: usize, pass: &Pass, workers: &Workers) -> Units {
        let first = sources.first();
        let count = first.map_or(0, Rows::count);
        let across = first.map_or(1, Rows::across);
        let inner = first.map_or(1, Rows::inner);
        let tiled = across > 1 || !sources.iter().all(Rows::are_borrowed);
        let tiles = count / inner * inner.div_ceil(across);
        // If all functions sample, or write arrays, there is nothing to sweep for.
        let is_swept = !pass.sinks().is_empty();
        let chunks = if is_swept { Pass::chunks(len).max(1) } else { 1 };
        let portions = first.filter(|rows| !rows.are_regular()).map(portions);
        let batch = (is_swept && len > 0 && len <= BLOCK && pass.program().keeps_all()).then(|| {
            // Long rows of a tile would compete for the same cache lines if they were directly adjacent.
            if tiled && len > 256 { 1 } else { BLOCK / len }
        });
        let per_unit = if chunks > 1 { 1 } else { (CHUNK / (across * len.max(16))).max(1) };
        // Enough units per worker so that all workers end at about the same time.
        let per_unit = per_unit.min(tiles.div_ceil(8 * workers.count())).max(1);
        let count = match &portions {
            // A single row is an array, and all workers sweep over it together.
            _ if count == 1 => 0,
            Some(portions) => portions.len(),
            None => tiles.div_ceil(per_unit) * chunks,
        };
        let next = AtomicUsize::new(0);
        Units { tiled, across, batch, tiles, chunks, inner, per_unit, portions, count, next }
    }

    /// The number of units.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The number of chunks of each tile whose states have to be combined.
    pub(super) fn trees(&self) -> impl Iterator<Item = usize> {
        std::iter::repeat_n(self.chunks, if self.chunks > 1 { self.tiles } else { 0 })
    }

    /// The next unit, if one is left.
    pub(super) fn take(&self) -> Option<Unit> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.count {
            return None;
        }
        if let Some(portions) = &self.portions {
            return portions.get(number).cloned().map(Unit::Portion);
        }
        let (number, chunk) = (number / self.chunks, number % self.chunks);
        let tiles = number * self.per_unit..self.tiles.min((number + 1) * self.per_unit);
        Some(Unit::Tiles { tiles, chunk })
    }

    /// The rows of a tile.
    pub(super) fn rows_of(&self, tile: usize) -> Range<usize> {
        let per_line = self.inner.div_ceil(self.across);
        let start = tile / per_line * self.inner + tile % per_line * self.across;
        let end = (start + self.across).min((tile / per_line + 1) * self.inner);
        start..end
    }
}

/// Divides rows of several lengths into portions of about a chunk.
fn portions(rows: &Rows<'_>) -> Vec<Range<usize>> {
    let mut portions = Vec::new();
    let mut start = 0;
    for end in 1..=rows.count() {
        if rows.elements(start..end).len() >= CHUNK || end == rows.count() {
            memory::push(&mut portions, start..end);
            start = end;
        }
    }
    portions
}
