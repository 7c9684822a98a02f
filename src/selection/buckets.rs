//! All elements, sorted: they are put into buckets by a map, and each bucket is sorted by itself, in cache.
//!
//! This is sample sort (W. D. Frazer and A. C. `McKellar`, Journal of the ACM 17 (1970), 496–507) with a fitted [`Map`] in place of
//! splitters. It takes as much memory as the elements, as keys of 64 bits.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dtype::Ordered;
use crate::kernel::{Accumulator, Items, Team};
use crate::memory;
use crate::selection::map::{Map, Places, no_places};
use crate::simd::Simd;
use crate::view::BLOCK;

/// Buckets at most: so many can be written to at a time without leaving the second-level cache.
const BUCKETS: usize = 512;

/// What is sorted for each element.
pub(crate) trait Sorts: Ord + Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Whether the element's position counts.
    const POSITIONS: bool;
    /// Of an element's key and its position.
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
    /// Bins to a bucket, as a power of two.
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

/// The elements in buckets, each of several parts until they are sorted.
#[derive(Debug, Clone)]
pub(super) struct Buckets<T, E> {
    parts: Vec<Vec<Vec<E>>>,
    /// Scratch: a block's elements with zeros of one sign, and their bins.
    items: Vec<T>,
    places: Places,
}

impl<T, E: Copy> Buckets<T, E> {
    /// All of them in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = E> + Clone {
        self.parts.iter().flatten().flatten().copied()
    }

    /// The elements of each bucket, in parts: a single one once they are sorted.
    pub(super) fn parts_mut(&mut self) -> &mut [Vec<Vec<E>>] {
        &mut self.parts
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().flatten().map(Vec::len).sum()
    }
}

impl<T: Ordered, E: Sorts> Accumulator for Sort<T, E> {
    const NAME: &'static str = "order";

    type Item = T;
    type State = Buckets<T, E>;

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        E::POSITIONS
    }

    fn init(&self) -> Buckets<T, E> {
        let buckets = (self.map.bins() >> self.shift) + 1;
        let parts = memory::collected((0..buckets).map(|_| memory::collected([Vec::new()])));
        Buckets { parts, items: Vec::new(), places: no_places() }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Buckets<T, E>, block: Items<'_, T>) {
        let mut position = block.start;
        for part in block.chunks(BLOCK) {
            state.items.clear();
            memory::extend(&mut state.items, part.iter().map(|item| item.canonical()));
            self.map.places(&state.items, &mut state.places, block.ahead);
            for (item, place) in state.items.iter().zip(state.places.iter()) {
                let bucket = state.parts.get_mut((place >> self.shift) as usize).and_then(|parts| parts.first_mut());
                if let Some(bucket) = bucket
                    && !(self.omits && item.is_missing())
                {
                    memory::push(bucket, E::of(item.key(), position));
                }
                position += 1;
            }
        }
    }

    fn combine(&self, state: &mut Buckets<T, E>, next: Buckets<T, E>) {
        for (bucket, parts) in state.parts.iter_mut().zip(next.parts) {
            memory::extend(bucket, parts);
        }
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self.map == other.map && self.omits == other.omits).then(|| self.clone())
    }

    fn settle(&self, state: &mut Buckets<T, E>, _: bool, team: &Team<'_>) {
        team.each(&mut state.parts, |_, parts| {
            let mut all = memory::joined(parts);
            all.sort_unstable();
            parts.truncate(1);
            if let Some(first) = parts.first_mut() {
                *first = all;
            }
        });
    }
}
