//! The hottest loops, over explicit vectors: sums with their errors, powers of deviations, extrema.
//!
//! Written with `fearless_simd`'s vectors because the compiler's own vectors come and go with the code around them.
//! Measured on blocks in cache with AVX-512, in elements per nanosecond, explicit and (in parentheses) as plain loops
//! over lanes: sum (then with a TwoSum for eight vectors) 17.7 (1.8 to 17.3), powers 9.5 (1.8 to 10.8), extrema 22.5
//! (2.1 to 12.5). A row is [`LANES`] floats on every processor, in as many registers as it takes, so the bits do not
//! depend on the processor.

use fearless_simd::{f32x8, f32x16, f64x8, prelude::*};

use crate::grid::LANES;
use crate::prefetch::Prefetch;
pub(crate) use crate::rounding::two_sum;
use crate::simd::Simd;

/// Floats in a vector.
const WIDTH: usize = 8;

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

    /// The sum of two floats.
    #[inline(always)]
    pub(crate) fn of_sum(a: f64, b: f64) -> Double {
        let (high, low) = two_sum(a, b);
        Double { high, low }
    }

    /// How far it is above another, rounded.
    #[inline(always)]
    pub(crate) fn minus(self, other: Double) -> f64 {
        (self.high - other.high) + (self.low - other.low)
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

    /// Over a number: the nearest float, and what that lacks. By division, as what is a float is then found to be one:
    /// with the inverse, 49 ones over 49 lacked 1e-33, and their variance was below 0.
    #[inline(always)]
    pub(crate) fn over(self, n: f64) -> Double {
        if !self.high.is_finite() {
            return Double { high: self.high / n, low: 0.0 };
        }
        let (high, low) = two_sum(self.high, self.low);
        let first = high / n;
        let second = (low - first.mul_add(n, -high)) / n;
        let rounded = first + second;
        Double { high: rounded, low: (first - rounded) + second }
    }

    /// The sum of floats, each of which is taken in with Knuth's TwoSum, so that no rounding error is lost: what is
    /// added up is the errors, as in T. Ogita, S. Rump and S. Oishi, SIAM Journal on Scientific Computing 26 (2005),
    /// 1955–1988, algorithm 4.4. The error is as if all had been added with twice the digits and then been rounded.
    /// Float32 needs that for every eight vectors only ([`Wide::SPARE`]). So would float64, were it not for large
    /// numbers that cancel and take all digits with them: it would save a third of the time of a sum in cache, and of
    /// eleven statistics nothing.
    #[inline(always)]
    pub(crate) fn sum<S: Simd, T: Wide>(simd: S, items: &[T], ahead: &Prefetch) -> Double {
        sum_and_powers::<S, T, 1, true>(simd, items, ahead, 0.0).0
    }

    /// The sum of a function of items.
    #[inline(always)]
    pub(crate) fn sum_of<S: Simd, T: Copy>(simd: S, items: &[T], ahead: &Prefetch, float: impl Fn(T) -> f64) -> Double {
        let mut sums = Sums::<S>::new(simd, 0.0);
        let mut floats = [0.0; GROUP * LANES];
        let mut rest: &[f64] = &[];
        for part in items.chunks(GROUP * LANES) {
            for (place, &item) in floats.iter_mut().zip(part) {
                *place = float(item);
            }
            rest = sums.add::<f64, 1, true>(simd, floats.get(..part.len()).unwrap_or_default(), ahead);
        }
        sums.sum(rest)
    }
}

/// Floats that are computed with as float64, into which they widen exactly.
pub(crate) trait Wide: Copy + Into<f64> {
    /// Whether float64 has so many more digits that eight of them add up exactly, unless they differ by more than 2²⁶.
    const SPARE: bool;

    /// A vector of them.
    fn load<S: Simd>(simd: S, items: &[Self; WIDTH]) -> f64x8<S>;
}

impl Wide for f64 {
    const SPARE: bool = false;

    #[inline(always)]
    fn load<S: Simd>(simd: S, items: &[f64; WIDTH]) -> f64x8<S> {
        f64x8::load_array_ref(simd, items)
    }
}

impl Wide for f32 {
    const SPARE: bool = true;

    #[inline(always)]
    fn load<S: Simd>(simd: S, items: &[f32; WIDTH]) -> f64x8<S> {
        let (low, high) = simd.widen_f32x8(f32x8::load_array_ref(simd, items));
        simd.combine_f64x4(low, high)
    }
}

/// Σ (x − m)ᵖ for p = 2 … `ORDER` (2 or 4); the others are 0.
#[inline(always)]
pub(crate) fn powers<S: Simd, T: Wide, const ORDER: u8>(simd: S, items: &[T], ahead: &Prefetch, m: f64) -> [f64; 3] {
    sum_and_powers::<S, T, ORDER, false>(simd, items, ahead, m).1
}

/// The same (of `ORDER` 1 nothing) and, if it is asked for, the sum as [`Double::sum`] finds it.
#[inline(always)]
pub(crate) fn sum_and_powers<S: Simd, T: Wide, const ORDER: u8, const SUM: bool>(
    simd: S,
    items: &[T],
    ahead: &Prefetch,
    m: f64,
) -> (Double, [f64; 3]) {
    let mut sums = Sums::<S>::new(simd, m);
    let rest = sums.add::<T, ORDER, SUM>(simd, items, ahead);
    if ORDER > 1 {
        // Lanes that the last row does not fill deviate by nothing; from an infinite mean, as much as an element that
        // is there.
        let filler = items.first().filter(|_| !m.is_finite()).map_or(m, |&item| item.into());
        let mut last = [filler; LANES];
        last.iter_mut().zip(rest).for_each(|(place, &item)| *place = item.into());
        sums.add::<f64, ORDER, false>(simd, &last, ahead);
    }
    let [squares, cubes, fourths] = sums.powers;
    (sums.sum(rest), [total(squares), total(cubes), total(fourths)])
}

/// What is accumulated in lanes: the sum, its errors, and powers of deviations from m.
struct Sums<S: Simd> {
    m: f64x8<S>,
    high: Row<S>,
    low: Row<S>,
    powers: [Row<S>; 3],
}

impl<S: Simd> Sums<S> {
    #[inline(always)]
    fn new(simd: S, m: f64) -> Sums<S> {
        let row = [f64x8::splat(simd, 0.0); 4];
        Sums { m: f64x8::splat(simd, m), high: row, low: row, powers: [row; 3] }
    }

    /// Adds items; the last few, which fill no row, are left.
    #[inline(always)]
    fn add<'a, T: Wide, const ORDER: u8, const SUM: bool>(
        &mut self,
        simd: S,
        items: &'a [T],
        ahead: &Prefetch,
    ) -> &'a [T] {
        let (groups, rest) = items.as_chunks::<{ GROUP * LANES }>();
        for group in groups {
            if ORDER == 1 {
                ahead.ask::<GROUP>();
            } else {
                // The slowest of the loops here asks for the most.
                ahead.ask::<{ 2 * GROUP }>();
            }
            // Neighbours in memory go to the same lanes: a processor foresees loads that go on where the last ones
            // were.
            let (parts, _) = group.as_chunks::<WIDTH>().0.as_chunks::<GROUP>();
            for (i, part) in parts.iter().enumerate() {
                self.add_vectors::<T, ORDER, SUM>(simd, i, part);
            }
        }
        let (rows, rest) = rest.as_chunks::<LANES>();
        for row in rows {
            for (i, vector) in row.as_chunks().0.iter().enumerate() {
                self.add_vectors::<T, ORDER, SUM>(simd, i, std::slice::from_ref(vector));
            }
        }
        rest
    }

    /// Adds vectors to the i-th of a row.
    ///
    /// Powers of eight have a sum of their own before the total takes it in: a block's 128 rows then round 24 times one
    /// upon the other, not 128 times, which is what NumPy's pairwise sums do to so many.
    ///
    /// One vector of the row at a time, so that AVX2's sixteen registers hold all that is added to. (Two at a time, as
    /// AVX-512 has room for, are no faster there.)
    #[inline(always)]
    fn add_vectors<T: Wide, const ORDER: u8, const SUM: bool>(&mut self, simd: S, i: usize, vectors: &[[T; WIDTH]]) {
        let zero = f64x8::splat(simd, 0.0);
        let (mut high, mut low) = (self.high[i], self.low[i]);
        let (mut plain, mut powers) = (zero, [zero; 3]);
        for vector in vectors {
            let x = T::load(simd, vector);
            if SUM && T::SPARE {
                plain += x;
            } else if SUM {
                let (sum, error) = two_sum(high, x);
                high = sum;
                low += error;
            }
            if ORDER >= 2 {
                let d = x - self.m;
                let square = d * d;
                powers[0] += square;
                if ORDER >= 4 {
                    powers[1] += square * d;
                    powers[2] += square * square;
                }
            }
        }
        if SUM && T::SPARE {
            let (sum, error) = two_sum(high, plain);
            high = sum;
            low += error;
        }
        if SUM {
            (self.high[i], self.low[i]) = (high, low);
        }
        if ORDER >= 2 {
            self.powers[0][i] += powers[0];
        }
        if ORDER >= 4 {
            self.powers[1][i] += powers[1];
            self.powers[2][i] += powers[2];
        }
    }

    /// The sum, with that of floats that fill no row.
    #[inline(always)]
    fn sum<T: Wide>(self, rest: &[T]) -> Double {
        let Sums { mut high, mut low, .. } = self;
        for (i, j) in [(0, 2), (1, 3), (0, 1)] {
            let (sum, error) = two_sum(high[i], high[j]);
            low[i] += low[j] + error;
            high[i] = sum;
        }
        let (mut high, mut low) = (high[0].to_array(), low[0].to_array());
        for lanes in [4, 2, 1] {
            for i in 0..lanes {
                let (sum, error) = two_sum(high[i], high[lanes + i]);
                low[i] += low[lanes + i] + error;
                high[i] = sum;
            }
        }
        let mut total = Double { high: high[0], low: low[0] };
        for &x in rest {
            total.add(x.into());
        }
        total
    }
}

/// The row's sum, halves first.
#[inline(always)]
fn total<S: Simd>(row: Row<S>) -> f64 {
    let [a, b, c, d, e, f, g, h] = ((row[0] + row[2]) + (row[1] + row[3])).to_array();
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The smallest and the largest of floats, and how many are NaN; without any other the two are inf and -inf. `None` of
/// no floats.
///
/// Processors disagree on the smaller of NaN and a number, and on that of two zeros. The first is why a block with a
/// NaN is gone through again, with comparisons; the second does not matter to a caller who searches for an equal.
macro_rules! extrema {
    ($name:ident, $float:ty, $vector:ident, $width:literal, $row:literal) => {
        #[inline(always)]
        pub(crate) fn $name<S: Simd>(simd: S, items: &[$float], ahead: &Prefetch) -> Option<($float, $float, u32)> {
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
