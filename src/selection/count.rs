//! Counts the elements in each bin of a map.

use std::sync::Arc;

use crate::bin_counts::BinCounts;
use crate::dtype::Ordered;
use crate::grid::BLOCK;
use crate::kernel::{Accumulator, Items};
use crate::selection::map::Map;
use crate::simd::Simd;

/// Counts the elements of each bin.
#[derive(Debug, Clone)]
pub(super) struct Count<T> {
    map: Arc<Map<T>>,
}

impl<T> Count<T> {
    pub(super) fn new(map: Arc<Map<T>>) -> Count<T> {
        Count { map }
    }
}

/// The number of elements in each bin, and the number of NaN.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    tally: BinCounts,
    missing: u64,
}

impl Counts {
    /// The number of elements in each bin.
    pub(super) fn totals(&self) -> Vec<u64> {
        self.tally.totals()
    }

    /// The number of NaN; they are in the last bin.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }
}

impl<T: Ordered> Accumulator for Count<T> {
    const NAME: &'static str = "counts";

    type Item = T;
    type State = Counts;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Counts {
        Counts { tally: BinCounts::new(self.map.bins()), missing: 0 }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Counts, block: Items<'_, T>) {
        let mut places = block.scratch.take_words();
        for part in block.chunks(BLOCK) {
            self.map.places(part, &mut places, block.ahead);
            state.tally.count_words(places.get(..part.len()).unwrap_or_default());
            // Most blocks have no NaN, and testing that is faster than counting.
            if part.iter().fold(false, |any, item| any | item.is_missing()) {
                state.missing += part.iter().filter(|item| item.is_missing()).count() as u64;
            }
        }
        block.scratch.keep_words(places);
    }

    fn combine(&self, state: &mut Counts, next: Counts) {
        state.tally.merge(next.tally);
        state.missing += next.missing;
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self.map == other.map).then(|| self.clone())
    }
}
