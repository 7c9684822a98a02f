//! Counts each value, for arrays with few distinct values.

use std::marker::PhantomData;

use crate::dtype::Ordered;
use crate::kernel::{Accumulator, Items};
use crate::memory;
use crate::simd::Simd;

/// The number of places in the table, as a power of two; the table is at most half full.
const PLACES: u32 = 13;

/// The number of values that fit in the table.
pub(super) const ROOM: usize = 1 << (PLACES - 1);

/// Counts the elements of each value.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountValues<T> {
    item: PhantomData<fn(T)>,
}

impl<T> Default for CountValues<T> {
    fn default() -> CountValues<T> {
        CountValues { item: PhantomData }
    }
}

/// Keys and their counts: a table with open addressing (Knuth, The Art of Computer Programming, vol. 3, §6.4, algorithm
/// L).
#[derive(Debug, Clone)]
pub(super) struct ValueTable {
    places: Vec<(u64, u64)>,
    used: usize,
    is_over: bool,
}

impl ValueTable {
    /// Whether there are more values than fit in the table; then the counts are meaningless.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The keys and their counts, in order.
    pub(super) fn in_order(&self) -> Vec<(u64, u64)> {
        let mut found: Vec<(u64, u64)> = memory::collected(self.places.iter().copied().filter(|(_, count)| *count > 0));
        found.sort_unstable();
        found
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn add(&mut self, key: u64, count: u64) {
        let mask = (1_usize << PLACES) - 1;
        // Multiplication by 2⁶⁴ over the golden ratio scatters neighbours (§6.4 there).
        let mut place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES)) as usize;
        while let Some((known, total)) = self.places.get_mut(place & mask) {
            if *total == 0 {
                if self.used == ROOM {
                    self.is_over = true;
                    return;
                }
                self.used += 1;
                *known = key;
            }
            if *known == key {
                *total += count;
                return;
            }
            place += 1;
        }
    }
}

impl<T: Ordered> Accumulator for CountValues<T> {
    const NAME: &'static str = "counts of values";

    type Item = T;
    type State = ValueTable;

    const ORDER_FREE: bool = true;

    fn init(&self) -> ValueTable {
        ValueTable { places: memory::filled((0, 0), 1 << PLACES), used: 0, is_over: false }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, table: &mut ValueTable, block: Items<'_, T>) {
        if !table.is_over {
            for item in block.iter() {
                table.add(item.canonical().key(), 1);
            }
        }
    }

    fn combine(&self, table: &mut ValueTable, next: ValueTable) {
        table.is_over |= next.is_over;
        if !table.is_over {
            next.places.iter().filter(|(_, count)| *count > 0).for_each(|&(key, count)| table.add(key, count));
        }
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}
