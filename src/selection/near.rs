//! Collects the elements near the wanted ranks, and counts those below: order statistics in a single sweep.
//!
//! Of a sample of m elements, the number that are below the element at rank r = f n has mean f m and at most the
//! standard deviation √(f (1 − f) m). So the wanted element lies between the sampled elements that are [`DEVIATIONS`]
//! of these below and above f m, in all but one of 370 cases: in a *range* of elements. One sweep counts the elements
//! below each range and collects those within; then the wanted one is known for certain, or known to be elsewhere. In
//! the latter case the way by counts of bins follows ([`super::Count`]). This is the selection of Floyd and Rivest
//! (Communications of the ACM 18 (1975), 165–172) with all ranks in one sweep.

use crate::dtype::Ordered;
use crate::kernel::{Accumulator, Items};
use crate::memory;
use crate::prefetch::Prefetch;
use crate::selection::sample::{Sampled, picked};
use crate::selection::{NEAR, NOMINAL};
use crate::simd::Simd;

/// Standard deviations on each side of the expected place.
const DEVIATIONS: f64 = 3.0;

/// The most ranges: each takes two comparisons of every element, while counts of bins take the same for any number.
/// Measured for 20 M float64 on two cores: the median 33 ms by counts and 18 ms here, but `describe`, which takes three
/// quartiles, 48 and 57 ms.
const MOST_RANGES: usize = 2;

/// The most ranks. Many that lie close together need one range only, but a wide one.
const MOST_RANKS: usize = 8;

/// The most elements in all ranges, as far as the sample tells.
const MOST_EXPECTED: f64 = 700_000.0;

/// The most elements that a worker collects: 8 MiB of float64.
const MOST_ELEMENTS: usize = 1 << 20;

/// Elements that are compared with all ranges while they are in the first-level cache.
const PART: usize = 1024;

/// Elements that are tested together for being within a range.
const ROW: usize = 8;

/// Where the wanted elements probably are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Near<T> {
    /// The first and the last element of each range, in order; no two overlap.
    ranges: Vec<(T, T)>,
}

/// Whether ranks among [`NOMINAL`] elements, which are in order, are few enough for ranges.
pub(super) fn are_few(ranks: &[u64]) -> bool {
    let apart = ranks.chunk_by(|rank, next| next - rank <= NOMINAL / 4096).count();
    (1..=MOST_RANGES).contains(&apart) && ranks.len() <= MOST_RANKS
}

impl<T: Ordered> Near<T> {
    /// The ranges for the ranks of all who share a sample; `None` if there are no ranks, or too many, or too many
    /// elements near them.
    pub(super) fn shown_by(sample: &Sampled<T>) -> Option<Near<T>> {
        let (items, ranks, last) = (&sample.items, &sample.ranks, (NOMINAL - 1) as f64);
        let ends = ranks.iter().map(|&rank| {
            let fraction = rank as f64 / last;
            let (place, most) = (fraction * items.len() as f64, items.len() as f64);
            let aside = DEVIATIONS * (place * (1.0 - fraction)).max(1.0).sqrt();
            let (low, high) = (place - aside, place + aside);
            let low = if low < 0.0 { T::LOWEST } else { at(items, low) };
            (low, if high >= most { T::HIGHEST } else { at(items, high) })
        });
        let ranges = joined(memory::collected(ends));
        let within = |&(low, high): &(T, T)| {
            let first = items.partition_point(|item| item.below(low));
            items.partition_point(|item| !high.below(*item)) - first
        };
        let sampled: usize = ranges.iter().map(within).sum();
        let expected = sampled as f64 / items.len().max(1) as f64 * sample.expected_len();
        (are_few(ranks) && expected <= MOST_EXPECTED).then_some(Near { ranges })
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn at<T: Ordered>(items: &[T], place: f64) -> T {
    items.get(place as usize).copied().unwrap_or(T::HIGHEST)
}

/// Ranges in order, those that overlap as one.
fn joined<T: Ordered>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable_by_key(|(low, _)| low.key());
    let mut apart: Vec<(T, T)> = memory::with_room(ranges.len());
    for (low, high) in ranges {
        match apart.last_mut() {
            Some((_, end)) if !end.below(low) => *end = if end.below(high) { high } else { *end },
            _ => apart.push((low, high)),
        }
    }
    apart
}

/// The elements of a range, and the number of those below it.
#[derive(Debug, Clone)]
struct Within<T> {
    below: u64,
    items: Vec<T>,
}

impl<T: Ordered> Within<T> {
    /// Takes at most [`PART`] elements. Counts of both sides are sums, which vectorise; whether a row has an element
    /// within follows from them. Nothing branches: with a branch for each such row, mispredictions took as long as the
    /// counting.
    #[inline(always)]
    fn take(&mut self, part: &[T], low: T, high: T, ahead: &Prefetch) {
        let (rows, rest) = part.as_chunks::<ROW>();
        let (mut wanted, mut len) = ([0_u32; PART / ROW], 0);
        for (number, row) in (0..).zip(rows) {
            ahead.ask::<1>();
            let (mut below, mut above) = (0, 0);
            for &item in row {
                below += u64::from(item.below(low));
                above += u64::from(high.below(item));
            }
            self.below += below;
            // The next place is only moved past what is wanted.
            wanted[len % (PART / ROW)] = number;
            len += usize::from(below + above < ROW as u64);
        }
        let (mut within, mut found) = ([T::default(); PART], 0);
        // The same is written out twice: in a closure, a median took a third longer.
        let hits = wanted.get(..len).unwrap_or_default();
        for row in hits.iter().filter_map(|&number| rows.get(number as usize)) {
            for &item in row {
                within[found % PART] = item;
                found += usize::from(!item.below(low) & !high.below(item));
            }
        }
        for &item in rest {
            self.below += u64::from(item.below(low));
            within[found % PART] = item;
            found += usize::from(!item.below(low) & !high.below(item));
        }
        let within = within.get(..found).unwrap_or_default();
        memory::reserve(&mut self.items, within.len());
        self.items.extend_from_slice(within);
    }
}

/// What was found near the ranks.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    /// The number of all elements.
    pub(super) len: u64,
    /// Whether an element is missing. Then nothing was searched.
    pub(super) missing: bool,
    /// Whether there were too many elements to collect.
    is_over: bool,
    ranges: Vec<Within<T>>,
}

impl<T: Ordered> Found<T> {
    /// The elements at ranks, which are in order; `None` if one of them is not within a range.
    pub(super) fn at(&self, ranks: &[u64]) -> Option<Vec<(u64, T)>> {
        if self.is_over {
            return None;
        }
        let mut found = memory::with_room(ranks.len());
        let mut rest = ranks;
        for Within { below, items } in &self.ranges {
            let end = below + items.len() as u64;
            // Ranks in front of this range, and behind those before, are in none.
            let (own, later) = rest.split_at(rest.partition_point(|&rank| rank < end));
            if own.first().is_some_and(|first| first < below) {
                return None;
            }
            let places: Vec<u64> = memory::collected(own.iter().map(|rank| rank - below));
            if !places.is_empty() {
                let items = picked(memory::collected(items.iter().map(|item| item.key())), &places);
                memory::extend(&mut found, own.iter().copied().zip(items));
            }
            rest = later;
        }
        rest.is_empty().then_some(found)
    }

    fn drop_items(&mut self) {
        for range in &mut self.ranges {
            range.items = Vec::new();
        }
    }

    fn keep_to_limit(&mut self) {
        if self.ranges.iter().map(|range| range.items.len()).sum::<usize>() > MOST_ELEMENTS {
            self.is_over = true;
            self.drop_items();
        }
    }
}

impl<T: Ordered> Accumulator for Near<T> {
    const NAME: &'static str = NEAR;

    type Item = T;
    type State = Found<T>;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Found<T> {
        let ranges = self.ranges.iter().map(|_| Within { below: 0, items: Vec::new() });
        Found { len: 0, missing: false, is_over: false, ranges: memory::collected(ranges) }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Found<T>, block: Items<'_, T>) {
        state.len += block.len() as u64;
        if state.missing || state.is_over {
            return;
        }
        for part in block.chunks(PART) {
            if part.iter().fold(false, |any, item| any | item.is_missing()) {
                state.missing = true;
                state.drop_items();
                return;
            }
            for (&(low, high), found) in self.ranges.iter().zip(&mut state.ranges) {
                found.take(part, low, high, block.ahead);
            }
        }
        state.keep_to_limit();
    }

    fn combine(&self, state: &mut Found<T>, next: Found<T>) {
        state.len += next.len;
        state.missing |= next.missing;
        state.is_over |= next.is_over;
        for (own, next) in state.ranges.iter_mut().zip(next.ranges) {
            own.below += next.below;
            memory::extend(&mut own.items, next.items);
        }
        if state.missing || state.is_over {
            state.drop_items();
        }
        state.keep_to_limit();
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}
