//! Monotone maps from elements to bins: the larger of two elements is never in a lower bin.
//!
//! No other property is required. The possible keys of a bin's elements are computed from the map itself. NaN, which
//! sorts last, is in the last bin.

use std::marker::PhantomData;

use crate::dtype::Ordered;
use crate::kernel::Words;
use crate::memory;
use crate::prefetch::Prefetch;

/// The number of bins of a map fitted to floats or integers: large enough that few elements share a bin, and small
/// enough that both tables of counts fit in a first-level cache of 32 KiB.
const BINS: usize = 4096;

/// The number of splitters for data that no simple map suits: a bisection takes ten steps.
const SPLITTERS: usize = 1023;

/// A map is good enough if, according to a sample, an element shares its bin with at most this fraction of the others.
const GOOD: f64 = 1.0 / 256.0;

/// A value that makes up at least 1/256 of a sample is a pivot: it is not collected.
const HEAVY: usize = 256;

/// The number of equal key ranges into which a sample is divided first, as a power of two.
const CELLS: u32 = 10;

/// The number of bits for an exponent below 64.
const CELL_SHIFT: u32 = 6;

/// 2⁵²: the last bit of a float of this size is worth 1.
const UNITS: f64 = 4_503_599_627_370_496.0;

/// A monotone map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map<T> {
    rule: Rule,
    /// The keys of frequent values in the sample, and their counts.
    pivots: Vec<(u64, usize)>,
    item: PhantomData<fn(T)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    /// Equal ranges of keys. For integers these are equal ranges of values, for floats nearly those of their
    /// logarithms.
    Keys { low: u64, shift: u32, last: u64 },
    /// Equal ranges of values: x × scale + offset, starting at [`UNITS`].
    Values { scale: f64, offset: f64, last: f64 },
    /// Equal ranges of keys (cells) of 2^`width` keys each, and each cell is divided again. An entry holds the cell's
    /// first bin and, in the lower [`CELL_SHIFT`] bits, the number of keys per bin as a power of two. `last` is the
    /// last key minus `low`.
    Cells { low: u64, width: u32, last: u64, cells: Box<[u64; 1 << CELLS]> },
    /// Ranges between splitters: the bin is the number of splitters at or below the key. The number of splitters is a
    /// power of two minus 1.
    Splitters(Vec<u64>),
}

impl<T: Ordered> Map<T> {
    fn new(rule: Rule) -> Map<T> {
        Map { rule, pivots: Vec::new(), item: PhantomData }
    }

    /// The map with one bin per key, if there are few enough keys.
    pub(super) fn of_every_key() -> Option<Map<T>> {
        let rule = Rule::Keys { low: 0, shift: 0, last: (1_u64 << T::KEY_BITS.min(16)) - 1 };
        (T::KEY_BITS <= 16).then(|| Map::new(rule))
    }

    /// Whether every bin except the first and the last has a single key.
    pub(super) fn has_single_keys(&self) -> bool {
        self.single_key(0).is_some()
    }

    /// The only key of a bin, if bins have single keys.
    pub(super) fn single_key(&self, bin: usize) -> Option<u64> {
        match self.rule {
            Rule::Keys { low, shift: 0, .. } => low.checked_add(bin as u64),
            _ => None,
        }
    }

    /// The map with one bin for everything.
    pub(super) fn one_bin() -> Map<T> {
        Map::new(Rule::Keys { low: 0, shift: 0, last: 0 })
    }

    /// A map that divides each of these ascending ranges of keys into parts, and keeps this map's pivots in separate
    /// bins.
    pub(super) fn divided(&self, ranges: impl ExactSizeIterator<Item = (u64, u64)>) -> Map<T> {
        let parts = (SPLITTERS / ranges.len().max(1)).max(4) as u64;
        let pivots = self.pivots.iter().flat_map(|&(key, _)| [Some(key), key.checked_add(1)]);
        let mut splitters: Vec<u64> = memory::collected(pivots.flatten());
        for (first, last) in ranges {
            let width = ((last - first) / parts).max(1);
            let mut next = Some(first);
            while let Some(key) = next.filter(|&key| key <= last) {
                memory::push(&mut splitters, key);
                next = key.checked_add(width);
            }
            memory::extend(&mut splitters, last.checked_add(1));
        }
        splitters.sort_unstable();
        splitters.dedup();
        Map::between(splitters)
    }

    fn between(mut splitters: Vec<u64>) -> Map<T> {
        let len = (splitters.len() + 1).next_power_of_two() - 1;
        memory::lengthen(&mut splitters, len, u64::MAX);
        Map::new(Rule::Splitters(splitters))
    }

    /// Whether the map that suits keys from the first to the last has a bin for each.
    pub(super) fn has_a_bin_for_each(first: u64, last: u64) -> bool {
        first == last || (!T::IS_FLOAT && last - first < BINS as u64 / 2)
    }

    /// The map that suits a sample of keys in ascending order.
    pub(super) fn fitted(keys: &[u64]) -> Map<T> {
        let (Some(&first), Some(&last)) = (keys.first(), keys.last()) else { return Map::one_bin() };
        if Map::<T>::has_a_bin_for_each(first, last) {
            // There is room on both sides for values that the sample has missed.
            let low = first.saturating_sub(BINS as u64 / 4);
            return Map::new(Rule::Keys { low, shift: 0, last: BINS as u64 - 1 });
        }
        // The fastest map is tried first.
        let good = |map: &Map<T>| map.crowding(keys) <= GOOD;
        let fitted = Map::of_values(keys).filter(good);
        let fitted = fitted.or_else(|| Map::of_keys(keys).filter(good)).or_else(|| Map::of_cells(keys).filter(good));
        let heavy = runs(keys).filter(|run| run.len() > keys.len() / HEAVY);
        let pivots = memory::collected(heavy.filter_map(|run| run.first().map(|&key| (key, run.len()))));
        Map { pivots, ..fitted.unwrap_or_else(|| Map::split(keys)) }
    }

    /// The ends of the sample without a thousandth on each side, so that outliers do not use up bins.
    fn ends(keys: &[u64]) -> Option<(u64, u64)> {
        let outside = keys.len() / 1000;
        keys.get(outside).copied().zip(keys.get(keys.len() - 1 - outside).copied())
    }

    fn of_values(keys: &[u64]) -> Option<Map<T>> {
        let (low, high) = Map::<T>::ends(keys).map(|(low, high)| (T::of_key(low).float(), T::of_key(high).float()))?;
        let scale = (BINS - 2) as f64 / (high - low);
        // With larger products, the offset would have no bits left for the bins.
        let largest = low.abs().max(high.abs()) * scale;
        let fits = T::IS_FLOAT && scale.is_finite() && scale > 0.0 && largest < UNITS / 4.0;
        let rule = Rule::Values { scale, offset: UNITS + (1.0 - low * scale), last: UNITS + (BINS - 1) as f64 };
        fits.then(|| Map::new(rule))
    }

    fn of_keys(keys: &[u64]) -> Option<Map<T>> {
        let (low, high) = Map::<T>::ends(keys)?;
        let width = high - low;
        let shift = (u64::BITS - width.leading_zeros()).saturating_sub((BINS / 2).ilog2() + 1);
        Some(Map::new(Rule::Keys { low, shift, last: BINS as u64 - 1 }))
    }

    fn of_cells(keys: &[u64]) -> Option<Map<T>> {
        let (low, high) = (*keys.first()?, *keys.last()?);
        let width = (u64::BITS - (high - low).leading_zeros()).saturating_sub(CELLS);
        let cell_of = |key: u64| usize::try_from((key - low) >> width).unwrap_or(0) % (1 << CELLS);
        let mut held = [0_usize; 1 << CELLS];
        for &key in keys {
            held[cell_of(key)] += 1;
        }
        let mut first = 0;
        let cells = held.map(|held| {
            // The number of bins follows from the cell's fraction of all elements.
            let bins = (held * BINS / keys.len()).next_power_of_two().ilog2().min(width);
            let cell = first << CELL_SHIFT | u64::from(width - bins);
            first += 1_u64 << bins;
            cell
        });
        let last = (cell_of(high) as u64) << width | ((1 << width) - 1);
        Some(Map::new(Rule::Cells { low, width, last, cells: memory::array(memory::copied(&cells)) }))
    }

    /// Bins of about equally many elements.
    fn split(keys: &[u64]) -> Map<T> {
        let regular = SPLITTERS.min(runs(keys).count());
        let places = (1..=regular).map(|i| i * keys.len() / (regular + 1));
        let mut splitters: Vec<u64> = memory::collected(places.filter_map(|place| keys.get(place).copied()));
        splitters.dedup();
        Map::between(splitters)
    }

    /// The average fraction of the sample that shares a bin with an element.
    fn crowding(&self, keys: &[u64]) -> f64 {
        let bins = keys.chunk_by(|&left, &right| self.place(T::of_key(left)) == self.place(T::of_key(right)));
        let collected = bins.map(|bin| {
            let longest = runs(bin).map(<[u64]>::len).max().unwrap_or(0);
            let pivot = if longest > keys.len() / HEAVY { longest } else { 0 };
            bin.len() as f64 * (bin.len() - pivot) as f64
        });
        collected.sum::<f64>() / (keys.len() as f64).powi(2)
    }

    /// The pivot in a bin: a frequent value that is not collected.
    pub(super) fn pivot(&self, bin: usize) -> Option<u64> {
        let within = self.pivots.iter().filter(|(key, _)| self.place(T::of_key(*key)) == bin);
        within.max_by_key(|(_, weight)| *weight).map(|(key, _)| *key)
    }

    /// The number of bins.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn bins(&self) -> usize {
        match &self.rule {
            Rule::Keys { last, .. } => *last as usize + 1,
            Rule::Values { last, .. } => (last - UNITS) as usize + 1,
            Rule::Cells { width, last, cells, .. } => {
                let cell = cells[(last >> width) as usize % (1 << CELLS)];
                (cell >> CELL_SHIFT) as usize + (1 << (width - (cell % (1 << CELL_SHIFT)) as u32))
            }
            Rule::Splitters(splitters) => splitters.len() + 1,
        }
    }

    /// The bin of an element.
    pub(super) fn place(&self, item: T) -> usize {
        let mut place = [0; 1];
        self.places_of(&[item], &mut place, &Prefetch::default());
        place[0] as usize
    }

    /// The bins of a block's elements.
    #[inline(always)]
    pub(super) fn places(&self, block: &[T], places: &mut Words, ahead: &Prefetch) {
        self.places_of(block, places.as_mut_slice(), ahead);
    }

    /// The only code that computes bins, so a single element gets the same bin as a lane of a vector.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn places_of(&self, items: &[T], places: &mut [u32], ahead: &Prefetch) {
        match &self.rule {
            &Rule::Keys { low, shift, last } => each(
                items,
                places,
                ahead,
                #[inline(always)]
                |item| ((item.key().max(low) - low) >> shift).min(last),
                #[inline(always)]
                |place| place as u32,
            ),
            &Rule::Values { scale, offset, last } => each(
                items,
                places,
                ahead,
                #[inline(always)]
                |item| {
                    let guess = item.float() * scale + offset;
                    // Written so that NaN, for which every comparison is false, gets the last bin.
                    let guess = if guess < UNITS { UNITS } else { guess };
                    if guess < last { guess } else { last }
                },
                #[inline(always)]
                |guess| guess.to_bits() as u32,
            ),
            Rule::Cells { low, width, last, cells } => {
                let (low, width, last, within) = (*low, *width, *last, (1_u64 << width) - 1);
                each(
                    items,
                    places,
                    ahead,
                    #[inline(always)]
                    |item| (item.key().max(low) - low).min(last),
                    #[inline(always)]
                    |above| {
                        let cell = cells[(above >> width) as usize % (1 << CELLS)];
                        (cell >> CELL_SHIFT) as u32 + ((above & within) >> (cell % (1 << CELL_SHIFT))) as u32
                    },
                );
            }
            Rule::Splitters(splitters) => each(
                items,
                places,
                ahead,
                Ordered::key,
                #[inline(always)]
                |key| {
                    let (mut found, mut step) = (0, splitters.len().div_ceil(2));
                    while step > 0 {
                        let splitter = splitters.get(found + step - 1).copied().unwrap_or(u64::MAX);
                        found += step * usize::from(splitter <= key);
                        step /= 2;
                    }
                    found as u32
                },
            ),
        }
    }

    /// The smallest and the largest key that a non-missing element of a bin can have. They are equal if no element can
    /// be in the bin.
    pub(super) fn keys(&self, bin: usize) -> (u64, u64) {
        let (lowest, highest) = (T::LOWEST.key(), T::HIGHEST.key());
        // The first key at or above a bin, by bisection; the one after the highest key if there is none.
        let first_from = |bin: usize| {
            let (mut low, mut high) = (u128::from(lowest), u128::from(highest) + 1);
            while low < high {
                let middle = low.midpoint(high);
                if self.place(T::of_key(u64::try_from(middle).unwrap_or(highest))) < bin {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        let (first, next) = (first_from(bin), first_from(bin + 1));
        let last = next.saturating_sub(1).max(first);
        let key = |key: u128| u64::try_from(key).unwrap_or(highest).min(highest);
        (key(first), key(last))
    }
}

/// Computes a block's bins row by row, in two loops: one that vectorises, and one for table look-ups, which do not.
#[inline(always)]
fn each<T: Copy, U: Copy + Default>(
    items: &[T],
    places: &mut [u32],
    ahead: &Prefetch,
    prepare: impl Fn(T) -> U,
    place: impl Fn(U) -> u32,
) {
    /// Items in a row.
    const ROW: usize = 32;

    let (rows, rest) = items.as_chunks::<ROW>();
    let (place_rows, _) = places.as_chunks_mut::<ROW>();
    for (row, places) in rows.iter().zip(place_rows) {
        ahead.ask::<4>();
        let mut prepared = [U::default(); ROW];
        for i in 0..ROW {
            prepared[i] = prepare(row[i]);
        }
        for i in 0..ROW {
            places[i] = place(prepared[i]);
        }
    }
    let done = rows.len() * ROW;
    for (place_of, &item) in places.get_mut(done..).unwrap_or_default().iter_mut().zip(rest) {
        *place_of = place(prepare(item));
    }
}

/// Splits sorted keys into runs of equal keys.
fn runs(keys: &[u64]) -> impl Iterator<Item = &[u64]> {
    keys.chunk_by(|left, right| left == right)
}
