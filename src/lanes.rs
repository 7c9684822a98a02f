//! The hottest loops, over explicit vectors: sums with their errors, powers of deviations, extrema.
//!
//! Written with `fearless_simd`'s vectors because the compiler's own vectors come and go with the code around them. Measured
//! on blocks in cache with AVX-512, in elements per nanosecond, explicit and (in parentheses) as plain loops over lanes:
//! sum 17.7 (1.8 to 17.3), powers 9.5 (1.8 to 10.8), extrema 22.5 (2.1 to 12.5). A row is [`LANES`] floats on every
//! processor, in as many registers as it takes, so the bits do not depend on the processor.

use fearless_simd::{f32x16, f64x8, prelude::*};

use crate::ahead::Ahead;
use crate::rounding::quotient;
pub(crate) use crate::rounding::two_sum;
use crate::simd::Simd;

/// Floats in a row. Part of a result's identity.
pub(crate) const LANES: usize = 32;

/// Rows that are added among themselves before a total takes them in.
const GROUP: usize = 8;

/// A row of floats in vectors.
type Row<S> = [f64x8<S>; 4];

/// A float of about twice the precision: the unevaluated sum of two.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Double {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Double {
    /// Rounded to one float. Overflow and infinities leave nonsense in the lower part, which is then not used.
    #[inline(always)]
    pub(crate) fn value(self) -> f64 {
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }

    /// Adds a float.
    #[inline(always)]
    pub(crate) fn add(&mut self, x: f64) {
        let (high, error) = two_sum(self.high, x);
        self.high = high;
        self.low += error;
    }

    /// Adds another.
    #[inline(always)]
    pub(crate) fn merge(&mut self, other: Double) {
        self.add(other.high);
        self.low += other.low;
    }

    /// Times a float.
    #[inline(always)]
    pub(crate) fn scaled(self, factor: f64) -> Double {
        Double { high: self.high * factor, low: self.low * factor }
    }

    /// Over a number: the nearest float, and what that lacks.
    #[inline(always)]
    pub(crate) fn over(self, n: f64) -> Double {
        if !self.high.is_finite() {
            return Double { high: self.high / n, low: 0.0 };
        }
        let (high, low) = two_sum(self.high, self.low);
        let (high, low) = quotient(high, low, n, 1.0 / n);
        Double { high, low }
    }

    /// The sum of floats, each of which is taken in with Knuth's TwoSum, so that no rounding error is lost: what is added up
    /// is the errors, as in T. Ogita, S. Rump and S. Oishi, SIAM Journal on Scientific Computing 26 (2005), 1955–1988,
    /// algorithm 4.4. The error is as if all had been added with twice the digits and then been rounded.
    ///
    /// TwoSum for every eight vectors, of which a tree of additions makes one, costs as much for eleven statistics (0.57 and
    /// 0.58 ns per element in cache) and three quarters for the sum alone; where large numbers cancel it loses all digits.
    #[inline(always)]
    pub(crate) fn sum<S: Simd, T: Wide>(simd: S, items: &[T], ahead: &Ahead) -> Double {
        let mut sums = [[f64x8::splat(simd, 0.0); 4]; 2];
        let (rows, rest) = items.as_chunks::<LANES>();
        for group in rows.chunks(GROUP) {
            ahead.ask::<GROUP>();
            for row in group {
                for half in 0..2 {
                    add_exactly(&mut sums, half, T::half(simd, row, half));
                }
            }
        }
        Double::of_rows(sums, rest)
    }

    /// The sum of what is in lanes, and of floats that fill none.
    #[inline(always)]
    fn of_rows<S: Simd, T: Wide>([mut high, mut low]: [Row<S>; 2], rest: &[T]) -> Double {
        for (i, j) in [(0, 2), (1, 3), (0, 1)] {
            let (sum, error) = two_sum(high[i], high[j]);
            low[i] += low[j] + error;
            high[i] = sum;
        }
        let mut total = Double::default();
        for (&high, &low) in high[0].to_array().iter().zip(&low[0].to_array()) {
            total.merge(Double { high, low });
        }
        for &x in rest {
            total.add(x.into());
        }
        total
    }

    /// The sum of a function of items.
    #[inline(always)]
    pub(crate) fn sum_of<S: Simd, T: Copy>(simd: S, items: &[T], ahead: &Ahead, float: impl Fn(T) -> f64) -> Double {
        let mut total = Double::default();
        let mut floats = [0.0; GROUP * LANES];
        for part in items.chunks(GROUP * LANES) {
            for (place, &item) in floats.iter_mut().zip(part) {
                *place = float(item);
            }
            total.merge(Double::sum(simd, floats.get(..part.len()).unwrap_or_default(), ahead));
        }
        total
    }
}

/// Floats that are computed with as float64, into which they widen exactly.
pub(crate) trait Wide: Copy + Into<f64> {
    /// The first (0) or second (1) half of a row.
    fn half<S: Simd>(simd: S, row: &[Self; LANES], half: usize) -> [f64x8<S>; 2];
}

impl Wide for f64 {
    #[inline(always)]
    fn half<S: Simd>(simd: S, row: &[f64; LANES], half: usize) -> [f64x8<S>; 2] {
        let (vectors, _) = row.as_chunks::<8>();
        [f64x8::load_array_ref(simd, &vectors[2 * half]), f64x8::load_array_ref(simd, &vectors[2 * half + 1])]
    }
}

impl Wide for f32 {
    #[inline(always)]
    fn half<S: Simd>(simd: S, row: &[f32; LANES], half: usize) -> [f64x8<S>; 2] {
        let (vectors, _) = row.as_chunks::<16>();
        let (low, high) = simd.widen_f32x16(f32x16::load_array_ref(simd, &vectors[half]));
        [low, high]
    }
}

/// Adds half a row to sums, and the rounding errors to sums of these.
#[inline(always)]
fn add_exactly<S: Simd>([high, low]: &mut [Row<S>; 2], half: usize, x: [f64x8<S>; 2]) {
    for i in 0..2 {
        let (sum, error) = two_sum(high[2 * half + i], x[i]);
        high[2 * half + i] = sum;
        low[2 * half + i] += error;
    }
}

/// Σ (x − m)ᵖ for p = 2 … `ORDER` (2 or 4); the others are 0.
///
/// Eight rows have a sum of their own before the total takes it in: a block's 128 rows then round 24 times one upon the
/// other, not 128 times, which is what NumPy's pairwise sums do to so many.
#[inline(always)]
pub(crate) fn powers<S: Simd, T: Wide, const ORDER: u8>(simd: S, items: &[T], ahead: &Ahead, m: f64) -> [f64; 3] {
    sum_and_powers::<S, T, ORDER, false>(simd, items, ahead, m).1
}

/// The same and, if it is asked for, the sum as [`Double::sum`] finds it.
#[inline(always)]
pub(crate) fn sum_and_powers<S: Simd, T: Wide, const ORDER: u8, const SUM: bool>(
    simd: S,
    items: &[T],
    ahead: &Ahead,
    m: f64,
) -> (Double, [f64; 3]) {
    let zero = [f64x8::splat(simd, 0.0); 4];
    let (mut sums, mut totals) = ([zero; 2], [zero; 3]);
    let (rows, rest) = items.as_chunks::<LANES>();
    for group in rows.chunks(GROUP) {
        // The slowest of the loops here asks for the most.
        ahead.ask::<{ 2 * GROUP }>();
        add_powers::<S, T, ORDER, SUM>(simd, &mut sums, &mut totals, group, m);
    }
    // Lanes that the last row does not fill deviate by nothing; from an infinite mean, as much as an element that is there.
    let filler = items.first().filter(|_| !m.is_finite()).map_or(m, |&item| item.into());
    let mut last = [filler; LANES];
    last.iter_mut().zip(rest).for_each(|(place, &item)| *place = item.into());
    add_powers::<S, f64, ORDER, false>(simd, &mut sums, &mut totals, &[last], m);
    let [squares, cubes, fourths] = totals;
    (Double::of_rows(sums, rest), [total(squares), total(cubes), total(fourths)])
}

/// Adds a few rows.
#[inline(always)]
fn add_powers<S: Simd, T: Wide, const ORDER: u8, const SUM: bool>(
    simd: S,
    sums: &mut [Row<S>; 2],
    totals: &mut [Row<S>; 3],
    rows: &[[T; LANES]],
    m: f64,
) {
    let (zero, mean) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, m));
    for half in 0..2 {
        let mut parts = [[zero; 2]; 3];
        for row in rows {
            let x = T::half(simd, row, half);
            if SUM {
                add_exactly(sums, half, x);
            }
            for i in 0..2 {
                let d = x[i] - mean;
                let square = d * d;
                parts[0][i] += square;
                if ORDER >= 4 {
                    parts[1][i] += square * d;
                    parts[2][i] += square * square;
                }
            }
        }
        for (total, part) in totals.iter_mut().zip(parts) {
            total[2 * half] += part[0];
            total[2 * half + 1] += part[1];
        }
    }
}

/// The row's sum, halves first.
#[inline(always)]
fn total<S: Simd>(row: Row<S>) -> f64 {
    let [a, b, c, d, e, f, g, h] = ((row[0] + row[2]) + (row[1] + row[3])).to_array();
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The smallest and the largest of floats, and how many are NaN; without any other the two are inf and -inf. `None` of no
/// floats.
///
/// Processors disagree on the smaller of NaN and a number, and on that of two zeros. The first is why a block with a NaN is
/// gone through again, with comparisons; the second does not matter to a caller who searches for an equal.
macro_rules! extrema {
    ($name:ident, $float:ty, $vector:ident, $width:literal, $row:literal) => {
        #[inline(always)]
        pub(crate) fn $name<S: Simd>(simd: S, items: &[$float], ahead: &Ahead) -> Option<($float, $float, u32)> {
            let lowest = $vector::splat(simd, <$float>::NEG_INFINITY);
            let highest = $vector::splat(simd, <$float>::INFINITY);
            let (mut min, mut max) = ([highest; 4], [lowest; 4]);
            let mut ordered = [lowest.simd_eq(lowest); 4];
            let (rows, rest) = items.as_chunks::<$row>();
            // The last row is filled up with an element that is there anyway.
            let mut last = [*items.first()?; $row];
            last[..rest.len()].copy_from_slice(rest);
            for row in rows.iter().chain([&last]) {
                ahead.ask::<1>();
                let (vectors, _) = row.as_chunks::<$width>();
                for i in 0..4 {
                    let x = $vector::load_array_ref(simd, &vectors[i]);
                    min[i] = x.min(min[i]);
                    max[i] = x.max(max[i]);
                    ordered[i] &= x.simd_eq(x);
                }
            }
            let mut absent = 0.0;
            if !(ordered[0] & ordered[1] & ordered[2] & ordered[3]).all_true() {
                let (zero, one) = ($vector::splat(simd, 0.0), $vector::splat(simd, 1.0));
                let mut present = [zero; 4];
                (min, max) = ([highest; 4], [lowest; 4]);
                for row in rows.iter().chain([&last]) {
                    let (vectors, _) = row.as_chunks::<$width>();
                    for i in 0..4 {
                        let x = $vector::load_array_ref(simd, &vectors[i]);
                        min[i] = x.simd_lt(min[i]).select(x, min[i]);
                        max[i] = x.simd_gt(max[i]).select(x, max[i]);
                        present[i] += x.simd_eq(x).select(one, zero);
                    }
                }
                // A block is short: its float counts exactly. What filled up the last row is no element.
                let present: $float =
                    ((present[0] + present[1]) + (present[2] + present[3])).to_array().into_iter().sum();
                let filled = if items.first()?.is_nan() { 0.0 } else { ($row - rest.len()) as $float };
                absent = items.len() as $float - (present - filled);
            }
            let min = min[0].min(min[1]).min(min[2].min(min[3])).to_array();
            let max = max[0].max(max[1]).max(max[2].max(max[3])).to_array();
            let min = min.into_iter().fold(<$float>::INFINITY, |best, x| if x < best { x } else { best });
            let max = max.into_iter().fold(<$float>::NEG_INFINITY, |best, x| if x > best { x } else { best });
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Some((min, max, absent as u32))
        }
    };
}

extrema!(extrema_f64, f64, f64x8, 8, 32);
extrema!(extrema_f32, f32, f32x16, 16, 64);
