//! A sample of elements from the whole array, in order, and the map that is fitted to it where bins are counted.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use crate::dtype::Ordered;
use crate::grid::SAMPLE;
use crate::kernel::{Accumulator, Items, Seals, Team};
use crate::memory;
use crate::selection::map::Map;
use crate::selection::near::are_few;
use crate::selection::{BY_COUNTS, NEAR};
use crate::simd::Simd;

/// Up to this number of ranks, finding them one by one is faster than sorting.
const FEW: usize = 8;

/// Keeps the elements that it gets.
#[derive(Debug, Clone)]
pub(super) struct Sample<T> {
    /// The ranks among [`NOMINAL`](super::NOMINAL) elements near which all who share the sample want elements, in
    /// order.
    ranks: Vec<u64>,
    item: PhantomData<fn(T)>,
}

/// Elements in the largest sample.
const LARGE: usize = 4 * SAMPLE;

impl<T> Sample<T> {
    /// The sample for elements near these ranks; without ranks, it is only there for its map.
    pub(super) fn near(ranks: Vec<u64>) -> Sample<T> {
        Sample { ranks, item: PhantomData }
    }

    /// Whether ranges of elements follow from it, rather than a map.
    fn tells_ranges(&self) -> bool {
        are_few(&self.ranks)
    }

    /// The larger it is, the fewer elements are near a rank; for a map, [`SAMPLE`] elements are enough.
    fn size(&self, len: usize) -> usize {
        if self.tells_ranges() { (len / 256).clamp(SAMPLE, LARGE) } else { SAMPLE }
    }
}

/// The sampled elements.
#[derive(Debug, Clone)]
pub(super) struct Sampled<T> {
    /// In order, unless these are all elements: then a kernel that needs few ranks does not sort them.
    pub(super) items: Vec<T>,
    /// The number of elements in the array, and that of the positions that were looked at: a mask leaves out some of
    /// both. `None` if these are all elements.
    taken: Option<(usize, usize)>,
    /// The ranks near which all who share the sample want elements; see [`Sample`].
    pub(super) ranks: Vec<u64>,
    map: OnceLock<Arc<Map<T>>>,
}

impl<T: Ordered> Sampled<T> {
    /// The keys of the elements: sorting keys is faster than converting elements to keys at every comparison.
    fn keys(&self) -> Vec<u64> {
        memory::collected(self.items.iter().map(|item| item.key()))
    }

    pub(super) fn keys_in_order(&self) -> Vec<u64> {
        let mut keys = self.keys();
        keys.sort_unstable();
        keys
    }

    /// Whether these are all elements.
    pub(super) fn is_whole(&self) -> bool {
        self.taken.is_none()
    }

    /// The map fitted to the elements; `None` if these are all.
    pub(super) fn map(&self) -> Option<Arc<Map<T>>> {
        self.taken.map(|_| Arc::clone(self.map.get_or_init(|| Arc::new(Map::fitted(&self.keys())))))
    }

    /// Whether the map has a bin for each key, so that counts of bins say all.
    pub(super) fn has_few_keys(&self) -> bool {
        let ends = self.items.first().zip(self.items.last());
        ends.is_some_and(|(first, last)| Map::<T>::has_a_bin_for_each(first.key(), last.key()))
    }

    /// The elements at some ranks; the ranks are in order.
    pub(super) fn at(&self, ranks: &[u64]) -> Vec<(u64, T)> {
        memory::collected(ranks.iter().copied().zip(picked(self.keys(), ranks)))
    }

    /// About how many elements a mask keeps.
    pub(super) fn expected_len(&self) -> f64 {
        self.taken.map_or(1.0, |(of, size)| of as f64 / size as f64) * self.items.len() as f64
    }

    /// The number of distinct values.
    pub(super) fn values(&self) -> usize {
        self.items.chunk_by(|left, right| left.key() == right.key()).count()
    }

    /// Whether a mask left out the elements at most of the sampled positions.
    pub(super) fn is_thin(&self) -> bool {
        self.taken.is_some_and(|(_, size)| self.items.len() < size / 64)
    }
}

/// The elements at some ranks among these keys; the ranks are in order. Ends with the first rank that does not exist.
pub(super) fn picked<T: Ordered>(mut keys: Vec<u64>, ranks: &[u64]) -> Vec<T> {
    if ranks.len() > FEW {
        keys.sort_unstable();
    }
    let (mut rest, mut below) = (keys.as_mut_slice(), 0);
    let mut found = memory::with_room(ranks.len());
    for &rank in ranks {
        let Some(place) = usize::try_from(rank - below).ok().filter(|place| *place < rest.len()) else { break };
        if ranks.len() > FEW {
            found.push(T::of_key(rest[place]));
            continue;
        }
        // Elements below a rank cannot have one of the next ranks.
        let (_, &mut key, above) = rest.select_nth_unstable(place);
        found.push(T::of_key(key));
        (rest, below) = (above, rank + 1);
    }
    found
}

impl<T: Ordered> Accumulator for Sample<T> {
    const NAME: &'static str = "sample";

    type Item = T;
    type State = Vec<T>;

    const ORDER_FREE: bool = true;

    fn sample(&self, len: usize) -> Option<usize> {
        Some(self.size(len))
    }

    fn told(&self, step: &'static str) -> Vec<&'static str> {
        if step == NEAR && !self.tells_ranges() { memory::copied(&BY_COUNTS) } else { vec![step] }
    }

    fn init(&self) -> Vec<T> {
        Vec::new()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Vec<T>, block: Items<'_, T>) {
        memory::extend(state, block.iter().copied());
    }

    fn combine(&self, state: &mut Vec<T>, next: Vec<T>) {
        memory::extend(state, next);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        let mut ranks = memory::joined(&[memory::copied(&self.ranks), memory::copied(&other.ranks)]);
        ranks.sort_unstable();
        ranks.dedup();
        Some(Sample::near(ranks))
    }
}

impl<T: Ordered> Seals for Sample<T> {
    /// Shared with the requests that follow from it.
    type Sealed = Arc<Sampled<T>>;

    fn seal(&self, items: Vec<T>, of: Option<usize>, _: &Team<'_>) -> Arc<Sampled<T>> {
        let taken = of.map(|of| (of, self.size(of)));
        let mut sampled = Sampled { items, taken, ranks: memory::copied(&self.ranks), map: OnceLock::new() };
        if !sampled.is_whole() {
            let keys = sampled.keys_in_order();
            for (item, &key) in sampled.items.iter_mut().zip(&keys) {
                *item = T::of_key(key);
            }
        }
        Arc::new(sampled)
    }
}
