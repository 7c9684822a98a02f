//! A sample of elements from the whole array, in order, and the map fitted to it.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dtype::Ordered;
use crate::grid::SAMPLE;
use crate::kernel::{Accumulator, Items, Seals, Team};
use crate::memory;
use crate::selection::map::Map;
use crate::simd::Simd;

/// Up to this number of ranks, finding them one by one is faster than sorting.
const FEW: usize = 8;

/// Keeps the elements that it gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<T> {
    item: PhantomData<fn(T)>,
}

impl<T> Default for Sample<T> {
    fn default() -> Sample<T> {
        Sample { item: PhantomData }
    }
}

/// The sampled elements.
#[derive(Debug, Clone)]
pub(super) struct Sampled<T> {
    /// In order, unless these are all elements: then a kernel that needs few ranks does not sort them.
    pub(super) items: Vec<T>,
    /// The map fitted to the elements; `None` if these are all elements.
    pub(super) map: Option<Arc<Map<T>>>,
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

    /// The elements at some ranks; the ranks are in order.
    pub(super) fn at(&self, ranks: &[u64]) -> Vec<(u64, T)> {
        let mut keys = self.keys();
        if ranks.len() > FEW {
            keys.sort_unstable();
        }
        let (mut rest, mut below) = (keys.as_mut_slice(), 0);
        let mut found = memory::with_room(ranks.len());
        for &rank in ranks {
            let Some(place) = usize::try_from(rank - below).ok().filter(|place| *place < rest.len()) else { break };
            if ranks.len() > FEW {
                found.push((rank, T::of_key(rest[place])));
                continue;
            }
            // Elements below a rank cannot have one of the next ranks.
            let (_, &mut key, above) = rest.select_nth_unstable(place);
            found.push((rank, T::of_key(key)));
            (rest, below) = (above, rank + 1);
        }
        found
    }

    /// The number of distinct values.
    pub(super) fn values(&self) -> usize {
        self.items.chunk_by(|left, right| left.key() == right.key()).count()
    }

    /// Whether a mask left out the elements at most of the sampled positions.
    pub(super) fn is_thin(&self) -> bool {
        self.items.len() < SAMPLE / 64
    }
}

impl<T: Ordered> Accumulator for Sample<T> {
    const NAME: &'static str = "sample";

    type Item = T;
    type State = Vec<T>;

    const ORDER_FREE: bool = true;
    const SAMPLED: bool = true;

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

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

impl<T: Ordered> Seals for Sample<T> {
    type Sealed = Sampled<T>;

    fn seal(&self, items: Vec<T>, whole: bool, _: &Team<'_>) -> Sampled<T> {
        let mut sampled = Sampled { items, map: None };
        if whole {
            return sampled;
        }
        let keys = sampled.keys_in_order();
        for (item, &key) in sampled.items.iter_mut().zip(&keys) {
            *item = T::of_key(key);
        }
        sampled.map = Some(Arc::new(Map::fitted(&keys)));
        sampled
    }
}
