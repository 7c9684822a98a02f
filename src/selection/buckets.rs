//! Sorts all elements: a map puts them into buckets, and each bucket is sorted separately, in cache.
//!
//! This is sample sort (W. D. Frazer and A. C. `McKellar`, Journal of the ACM 17 (1970), 496–507) with a fitted [`Map`]
//! in place of splitters. It needs memory for all elements as 64-bit keys.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dtype::Ordered;
use crate::grid::BLOCK;
use crate::kernel::{Accumulator, Items, Seals, Team};
use crate::memory;
use crate::selection::map::Map;
use crate::simd::Simd;

/// The largest number of buckets: so many can be written at a time within the second-level cache.
const BUCKETS: usize = 512;

/// The sorted item of each element.
pub(crate) trait Sorts: Ord + Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Whether the element's position is part of the item.
    const POSITIONS: bool;
    /// Creates the item from an element's key and position.
    fn of(key: u64, position: u64) -> Self;
}

/// The key alone.
impl Sorts for u64 {
    const POSITIONS: bool = false;

    #[inline(always)]
    fn of(key: u64, _: u64) -> u64 {
        key
    }
}

/// The key and, among equal ones, the position: the order of a stable sort.
impl Sorts for (u64, u64) {
    const POSITIONS: bool = true;

    #[inline(always)]
    fn of(key: u64, position: u64) -> (u64, u64) {
        (key, position)
    }
}

/// Sorts the elements.
#[derive(Debug, Clone)]
pub(super) struct Sort<T, E> {
    map: Arc<Map<T>>,
    /// The number of bins per bucket, as a power of two.
    shift: u32,
    /// Whether NaN (or NaT) is left out.
    omits: bool,
    entry: PhantomData<fn(E)>,
}

impl<T: Ordered, E> Sort<T, E> {
    pub(super) fn new(map: Arc<Map<T>>, omits: bool) -> Sort<T, E> {
        let shift = map.bins().div_ceil(BUCKETS).next_power_of_two().ilog2();
        Sort { map, shift, omits, entry: PhantomData }
    }
}

/// The elements in buckets. Each bucket has one part per worker.
pub(super) type Buckets<E> = Vec<Vec<Vec<E>>>;

/// The elements in sorted buckets.
#[derive(Debug, Clone)]
pub(super) struct Sorted<E> {
    /// The buckets; equal elements are in the same bucket.
    pub(super) buckets: Vec<Vec<E>>,
}

impl<E: Copy> Sorted<E> {
    /// All elements in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = E> + Clone {
        self.buckets.iter().flatten().copied()
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }
}

impl<T: Ordered, E: Sorts> Accumulator for Sort<T, E> {
    const NAME: &'static str = "order";

    type Item = T;
    type State = Buckets<E>;

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        E::POSITIONS
    }

    fn init(&self) -> Buckets<E> {
        let buckets = (self.map.bins() >> self.shift) + 1;
        memory::collected((0..buckets).map(|_| memory::collected([Vec::new()])))
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Buckets<E>, block: Items<'_, T>) {
        let (mut places, mut buffer) = (block.scratch.take_words(), block.scratch.take_items::<T>());
        let mut position = block.start;
        for part in block.chunks(BLOCK) {
            // Zeros lose their sign here.
            let items = T::of_mut(&mut buffer).and_then(|items| items.get_mut(..part.len())).unwrap_or_default();
            items.iter_mut().zip(part).for_each(|(item, own)| *item = own.canonical());
            self.map.places(items, &mut places, block.ahead);
            for (item, place) in items.iter().zip(places.iter()) {
                let bucket = state.get_mut((place >> self.shift) as usize).and_then(|parts| parts.first_mut());
                if let Some(bucket) = bucket
                    && !(self.omits && item.is_missing())
                {
                    memory::push(bucket, E::of(item.key(), position));
                }
                position += 1;
            }
        }
        block.scratch.keep_words(places);
        block.scratch.keep_items(buffer);
    }

    fn combine(&self, state: &mut Buckets<E>, next: Buckets<E>) {
        for (bucket, parts) in state.iter_mut().zip(next) {
            memory::extend(bucket, parts);
        }
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self.map == other.map && self.omits == other.omits).then(|| self.clone())
    }
}

impl<T: Ordered, E: Sorts> Seals for Sort<T, E> {
    type Sealed = Sorted<E>;

    fn seal(&self, mut state: Buckets<E>, _: Option<usize>, team: &Team<'_>) -> Sorted<E> {
        team.each(&mut state, |_, parts| {
            let mut all = memory::joined(parts);
            all.sort_unstable();
            parts.truncate(1);
            if let Some(first) = parts.first_mut() {
                *first = all;
            }
        });
        // If the run was stopped, some buckets are still in parts; they are never read.
        Sorted { buckets: memory::collected(state.into_iter().map(|mut parts| parts.pop().unwrap_or_default())) }
    }
}
