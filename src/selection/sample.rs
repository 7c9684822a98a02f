//! Elements from all over the array, in order, and the map that was fitted to them.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dtype::Ordered;
use crate::grid::SAMPLE;
use crate::kernel::{Accumulator, Items, Seals, Team};
use crate::memory;
use crate::selection::map::Map;
use crate::simd::Simd;

/// Ranks that are found faster one by one than by sorting.
const FEW: usize = 8;

/// Keeps what it is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<T> {
    item: PhantomData<fn(T)>,
}

impl<T> Default for Sample<T> {
    fn default() -> Sample<T> {
        Sample { item: PhantomData }
    }
}

/// The elements that were given.
#[derive(Debug, Clone)]
pub(super) struct Sampled<T> {
    /// In order, unless they are all there are: who wants few of those need not sort them.
    pub(super) items: Vec<T>,
    /// Fitted to the elements; none if they are all there are.
    pub(super) map: Option<Arc<Map<T>>>,
}

impl<T: Ordered> Sampled<T> {
    /// Their keys: numbers sort faster than what has to be turned into one at every comparison.
    fn keys(&self) -> Vec<u64> {
        memory::collected(self.items.iter().map(|item| item.key()))
    }

    pub(super) fn keys_in_order(&self) -> Vec<u64> {
        let mut keys = self.keys();
        keys.sort_unstable();
        keys
    }

    /// Those of some ranks, which are in order.
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
            // What is below a rank is none of the next ones.
            let (_, &mut key, above) = rest.select_nth_unstable(place);
            found.push((rank, T::of_key(key)));
            (rest, below) = (above, rank + 1);
        }
        found
    }

    /// How many distinct values there are.
    pub(super) fn values(&self) -> usize {
        self.items.chunk_by(|left, right| left.key() == right.key()).count()
    }

    /// Whether most of the places that were looked at have no element: a mask has left it out.
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
