//! Collects the elements of some bins of a map.

use std::sync::Arc;

use fearless_simd::{prelude::*, u32x16};

use crate::dtype::Ordered;
use crate::error::guarded;
use crate::grid::BLOCK;
use crate::kernel::{Accumulator, Items, Seals, Team};
use crate::memory;
use crate::selection::map::Map;
use crate::simd::Simd;

/// Collects the elements of some bins.
#[derive(Debug, Clone)]
pub(super) struct Collect<T> {
    map: Arc<Map<T>>,
    /// The largest expected number of elements in each bin; 0 for bins that are not collected.
    wanted: Vec<u64>,
    /// The collected bins as ranges: the first bin, and how many more follow.
    ranges: Vec<(u32, u32)>,
    /// The keys that are not collected; see [`Map::pivot`].
    pivots: Vec<u64>,
}

impl<T: Ordered> Collect<T> {
    pub(super) fn new(map: Arc<Map<T>>, wanted: Vec<u64>) -> Collect<T> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (bin, _) in (0..).zip(&wanted).filter(|(_, expected)| **expected > 0) {
            match ranges.last_mut() {
                Some((first, more)) if bin == *first + *more + 1 => *more += 1,
                _ => memory::push(&mut ranges, (bin, 0)),
            }
        }
        let wanted_bins = wanted.iter().enumerate().filter(|(_, expected)| **expected > 0);
        let pivots = memory::collected(wanted_bins.filter_map(|(bin, _)| map.pivot(bin)));
        Collect { map, wanted, ranges, pivots }
    }

    /// Whether one of these is a collected bin. Uses explicit SIMD: a plain loop takes three times as long as the rest
    /// of the pass, unless the compiler vectorises it, which is not reliable.
    #[inline(always)]
    fn any<S: Simd>(&self, simd: S, places: &[u32; ROW]) -> bool {
        let (halves, _) = places.as_chunks::<16>();
        let [low, high] = [u32x16::load_array_ref(simd, &halves[0]), u32x16::load_array_ref(simd, &halves[1])];
        let mut hits = low.simd_lt(u32x16::splat(simd, 0));
        for &(first, more) in &self.ranges {
            let (first, more) = (u32x16::splat(simd, first), u32x16::splat(simd, more));
            hits |= (low - first).simd_le(more) | (high - first).simd_le(more);
        }
        hits.any_true()
    }

    fn limit(&self) -> usize {
        usize::try_from(self.wanted.iter().sum::<u64>()).unwrap_or(usize::MAX)
    }
}

/// Elements that are tested together.
const ROW: usize = 32;

/// The collected elements. Collecting stops when there are more than expected.
#[derive(Debug, Clone)]
pub(super) struct Collected<T> {
    items: Vec<T>,
    is_over: bool,
}

impl<T> Collected<T> {
    fn keep_to(&mut self, limit: usize) {
        if self.items.len() > limit {
            self.is_over = true;
            self.items = Vec::new();
        }
    }
}

impl<T: Ordered> Accumulator for Collect<T> {
    const NAME: &'static str = "elements";

    type Item = T;
    type State = Collected<T>;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Collected<T> {
        Collected { items: Vec::new(), is_over: false }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut Collected<T>, block: Items<'_, T>) {
        if state.is_over {
            return;
        }
        let mut places = block.scratch.take_words();
        for part in block.chunks(BLOCK) {
            self.map.places(part, &mut places, block.ahead);
            let (place_rows, _) = places.as_chunks::<ROW>();
            for (places, row) in place_rows.iter().zip(part.chunks(ROW)) {
                if !self.any(simd, places) {
                    continue;
                }
                let mut hits = [0_u32; ROW];
                for &(first, more) in &self.ranges {
                    for i in 0..ROW {
                        hits[i] |= u32::from(places[i].wrapping_sub(first) <= more);
                    }
                }
                for &pivot in &self.pivots {
                    for (hit, item) in hits.iter_mut().zip(row) {
                        *hit &= u32::from(item.key() != pivot);
                    }
                }
                let wanted = row.iter().zip(hits).filter(|(_, hit)| *hit != 0);
                memory::extend(&mut state.items, wanted.map(|(item, _)| *item));
            }
        }
        block.scratch.keep_words(places);
        state.keep_to(self.limit());
    }

    fn combine(&self, state: &mut Collected<T>, next: Collected<T>) {
        state.is_over |= next.is_over;
        if state.is_over {
            state.items = Vec::new();
        } else {
            memory::extend(&mut state.items, next.items);
            state.keep_to(self.limit());
        }
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        let wanted = self.wanted.iter().zip(&other.wanted).map(|(&left, &right)| left.max(right));
        let cover = || Collect::new(Arc::clone(&self.map), memory::collected(wanted));
        // If memory for the shared state cannot be allocated, the states stay separate.
        (self.map == other.map).then(|| guarded(cover).ok()).flatten()
    }
}

impl<T: Ordered> Seals for Collect<T> {
    /// The elements in order; `None` if there are more than expected.
    type Sealed = Option<Vec<T>>;

    fn seal(&self, state: Collected<T>, _: Option<usize>, _: &Team<'_>) -> Option<Vec<T>> {
        let Collected { mut items, is_over } = state;
        items.sort_unstable_by_key(|item| item.key());
        (!is_over).then_some(items)
    }
}
