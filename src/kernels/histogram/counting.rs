//! Counts elements per place: one count, or one sum of weights, for each bin and for each side outside of the bins.
//!
//! A vectorised loop writes the guesses of a block into a buffer; then the elements are counted one by one, because
//! counting cannot be vectorised. If rounding could have moved a guess across a whole number, it is corrected by
//! comparison with the true edges. So the counts do not depend on how places are guessed.

use std::sync::Arc;

use fearless_simd::{f64x8, prelude::*, u32x16};
use num_complex::Complex;

use super::bins::{Bins, FRACTION, Guess, MASK};
use crate::bin_counts::{BYTE_PLACES, BinCounts};
use crate::grid::BLOCK;
use crate::kernel::{Accumulator, Items};
use crate::lanes::Double;
use crate::memory;
use crate::prefetch::Prefetch;
use crate::simd::Simd;

/// Counts of elements per place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    pub(super) bins: Arc<Bins>,
}

/// The number of a place, in the integer type of the buffer.
trait Place: Copy + Into<u64> + TryFrom<usize> {
    const ZERO: Self;
    /// The places of guesses, which are passed as 64-bit numbers and as their lower halves.
    fn of<S: Simd>(guesses: &[u64; ROW], lower: &[u32x16<S>; ROW / 16], places: &mut [Self; ROW]);
}

impl Place for u8 {
    const ZERO: u8 = 0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn of<S: Simd>(_: &[u64; ROW], lower: &[u32x16<S>; ROW / 16], places: &mut [u8; ROW]) {
        let (places, _) = places.as_chunks_mut::<16>();
        for (places, lower) in places.iter_mut().zip(lower) {
            *places = (*lower >> FRACTION).to_array().map(|place| place as u8);
        }
    }
}

impl Place for u32 {
    const ZERO: u32 = 0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn of<S: Simd>(guesses: &[u64; ROW], _: &[u32x16<S>; ROW / 16], places: &mut [u32; ROW]) {
        // Removes the exponent and the bit that `ROUND` sets.
        *places = guesses.map(|guess| (guess >> FRACTION) as u32 & ((1 << (51 - FRACTION)) - 1));
    }
}

/// The number of places computed at a time.
const ROW: usize = 32;

impl Histogram {
    /// The places of a block in bins of equal width.
    #[inline(always)]
    fn place<S: Simd, P: Place>(
        &self,
        simd: S,
        block: &[f64],
        ahead: &Prefetch,
        guess: &Guess,
        places: &mut [P; BLOCK],
    ) {
        let vector = |x: f64| f64x8::splat(simd, x);
        let (scale, offset) = (vector(guess.scale), vector(guess.offset));
        let (lowest, highest) = (vector(guess.lowest), vector(guess.highest));
        let (margin, mask) = (u32x16::splat(simd, guess.margin), u32x16::splat(simd, MASK));
        let mut nearest = [mask; ROW / 16];
        let (rows, rest) = block.as_chunks::<ROW>();
        // NaN is below all bins and near no edge.
        let mut last_row = [f64::NAN; ROW];
        last_row[..rest.len()].copy_from_slice(rest);
        let (place_rows, _) = places.as_chunks_mut::<ROW>();
        for (row, place_row) in rows.iter().chain([&last_row]).zip(place_rows) {
            ahead.ask::<1>();
            let (vectors, _) = row.as_chunks::<8>();
            let mut guesses = [0_u64; ROW];
            let (guess_vectors, _) = guesses.as_chunks_mut::<8>();
            for i in 0..ROW / 8 {
                let guess = f64x8::load_array_ref(simd, &vectors[i]) * scale + offset;
                // Not `max`: its result for NaN differs between processors.
                let guess = guess.simd_ge(lowest).select(guess, lowest).min(highest);
                guess_vectors[i] = guess.to_array().map(f64::to_bits);
            }
            #[allow(clippy::cast_possible_truncation)]
            let lower = guesses.map(|guess| guess as u32);
            let (lower, _) = lower.as_chunks::<16>();
            let lower = [u32x16::load_array_ref(simd, &lower[0]), u32x16::load_array_ref(simd, &lower[1])];
            for i in 0..ROW / 16 {
                nearest[i] = ((lower[i] + margin) & mask).min(nearest[i]);
            }
            P::of(&guesses, &lower, place_row);
        }
        let nearest = nearest[0].min(nearest[1]).to_array();
        if nearest.into_iter().fold(false, |any, distance| any | (distance <= 2 * guess.margin)) {
            self.correct(block, places);
        }
    }

    /// Corrects the places on the wrong side of an edge. A guess is wrong by at most one place.
    #[inline(never)]
    fn correct<P: Place>(&self, block: &[f64], places: &mut [P; BLOCK]) {
        let edges = self.bins.edges.as_slice();
        for (place, &x) in places.iter_mut().zip(block) {
            let guess = usize::try_from((*place).into()).map_or(edges.len(), |guess| guess.min(edges.len()));
            // The edge at the upper end of the place and the one before it; the last edge belongs to the last bin.
            let too_low = edges.get(guess).is_some_and(|&edge| x > edge || (x == edge && guess + 1 < edges.len()));
            let too_high = guess
                .checked_sub(1)
                .and_then(|below| edges.get(below))
                .is_some_and(|&edge| if guess == edges.len() { x <= edge } else { x < edge });
            let mended = guess + usize::from(too_low) - usize::from(too_high);
            *place = P::try_from(mended).unwrap_or(*place);
        }
    }
}

impl Accumulator for Histogram {
    const NAME: &'static str = "histogram";

    type Item = f64;
    type State = BinCounts;

    const ORDER_FREE: bool = true;

    fn init(&self) -> BinCounts {
        BinCounts::new(self.bins.count() + 2)
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, tally: &mut BinCounts, block: Items<'_, f64>) {
        let Some(guess) = &self.bins.uniform else {
            return block.iter().for_each(|&x| tally.count_one(self.bins.bisect(x)));
        };
        for part in block.chunks(BLOCK) {
            if self.bins.count() + 2 <= BYTE_PLACES {
                let mut places = [u8::ZERO; BLOCK];
                self.place(simd, part, block.ahead, guess, &mut places);
                tally.count_bytes(places.get(..part.len()).unwrap_or_default());
            } else {
                let mut places = [u32::ZERO; BLOCK];
                self.place(simd, part, block.ahead, guess, &mut places);
                tally.count_words(places.get(..part.len()).unwrap_or_default());
            }
        }
    }

    fn combine(&self, tally: &mut BinCounts, next: BinCounts) {
        tally.merge(next);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}

/// Sums of the weights of the elements in each place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weighing(pub(super) Histogram);

impl Accumulator for Weighing {
    const NAME: &'static str = "weighted histogram";

    type Item = Complex<f64>;
    type State = Vec<Double>;

    fn init(&self) -> Vec<Double> {
        memory::filled(Double::default(), self.0.bins.count() + 2)
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, sums: &mut Vec<Double>, block: Items<'_, Complex<f64>>) {
        for part in block.chunks(BLOCK / 4) {
            let (mut places, mut elements) = ([u32::ZERO; BLOCK], [f64::NAN; BLOCK / 4]);
            elements.iter_mut().zip(part).for_each(|(element, pair)| *element = pair.re);
            let elements = elements.get(..part.len()).unwrap_or_default();
            if let Some(guess) = &self.0.bins.uniform {
                self.0.place(simd, elements, block.ahead, guess, &mut places);
            } else {
                for (place, &x) in places.iter_mut().zip(elements) {
                    *place = u32::try_from(self.0.bins.bisect(x)).unwrap_or(u32::ZERO);
                }
            }
            for (&place, pair) in places.iter().zip(part) {
                if let Some(sum) = sums.get_mut(place as usize) {
                    sum.add(pair.im);
                }
            }
        }
    }

    fn combine(&self, sums: &mut Vec<Double>, next: Vec<Double>) {
        sums.iter_mut().zip(next).for_each(|(sum, next)| sum.merge(next));
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}
