//! Reading ahead: a sweep asks for memory while it computes.
//!
//! The first loop over a block waits for memory and computes little; the loops after it compute and leave memory idle.
//! So every loop over rows asks, row by row, for a cache line or two of the block to come. Measured for eleven
//! statistics of 20 M float64, one worker: 17.2 ms without, 17.2 ms into the first-level cache, which a block fills,
//! 12.2 ms into the second. To ask for a whole block at once, or for all of it in the first loop (14.5 ms), gains less:
//! a processor has only so many requests under way, and waits with the next one.

use std::cell::Cell;
use std::ops::Range;

use crate::simd::prefetch;

/// Bytes that come from memory together.
pub const LINE: usize = 64;

/// The memory that one worker will read next, and how far it has been asked for.
#[derive(Debug, Default)]
pub struct Prefetch {
    next: Cell<usize>,
    end: Cell<usize>,
}

impl Prefetch {
    /// What comes next lies at these addresses, or cannot be told: an empty range.
    pub fn expect(&self, memory: Range<usize>) {
        self.next.set(memory.start);
        self.end.set(memory.end);
    }

    /// Asks for so many more lines.
    #[inline(always)]
    pub(crate) fn ask<const LINES: usize>(&self) {
        let next = self.next.get();
        if next < self.end.get() {
            for line in 0..LINES {
                prefetch(next.wrapping_add(line * LINE));
            }
            self.next.set(next.wrapping_add(LINES * LINE));
        }
    }
}
