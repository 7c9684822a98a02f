//! Sums, products and quotients with what their rounding has left over: of floats, or of those in the lanes of a
//! vector.

use std::ops::{Add, Div, Mul, Sub};

use fearless_simd::{f64x8, prelude::*};

use crate::simd::Simd;

/// One float, or one in each lane of a vector: what is written once is computed with either.
pub(crate) trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// How many.
    const COUNT: usize;

    /// As many in memory.
    type Floats: Copy + AsRef<[f64]> + AsMut<[f64]>;

    /// What a vector cannot be made without.
    type Token: Copy;

    /// The same float in every lane.
    fn splat(token: Self::Token, x: f64) -> Self;

    /// The same float in every lane, as here.
    fn all(self, x: f64) -> Self;

    /// From memory.
    fn load(token: Self::Token, floats: &Self::Floats) -> Self;

    /// To memory.
    fn floats(self) -> Self::Floats;

    /// One lane further: `first` comes into the first one, and what was in the last is gone.
    fn moved(self, first: f64) -> Self;

    /// Without the sign.
    fn size(self) -> Self;

    /// The square root.
    fn root(self) -> Self;

    /// The product with a second float and the difference from a third, rounded once.
    fn product_less(self, factor: Self, other: Self) -> Self;

    /// Whether all of them are this float.
    fn are(self, x: f64) -> bool;

    /// `yes` where this is less than the other, `no` elsewhere; NaN is not less than anything.
    fn less(self, other: Self, yes: Self, no: Self) -> Self;
}

impl Lanes for f64 {
    const COUNT: usize = 1;

    type Floats = [f64; 1];

    type Token = ();

    #[inline(always)]
    fn splat((): (), x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn all(self, x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn load((): (), &[float]: &[f64; 1]) -> f64 {
        float
    }

    #[inline(always)]
    fn floats(self) -> [f64; 1] {
        [self]
    }

    #[inline(always)]
    fn moved(self, first: f64) -> f64 {
        first
    }

    #[inline(always)]
    fn size(self) -> f64 {
        self.abs()
    }

    #[inline(always)]
    fn root(self) -> f64 {
        self.sqrt()
    }

    #[inline(always)]
    fn product_less(self, factor: f64, other: f64) -> f64 {
        self.mul_add(factor, -other)
    }

    #[inline(always)]
    fn are(self, x: f64) -> bool {
        self == x
    }

    #[inline(always)]
    fn less(self, other: f64, yes: f64, no: f64) -> f64 {
        if self < other { yes } else { no }
    }
}

impl<S: Simd> Lanes for f64x8<S> {
    const COUNT: usize = 8;

    type Floats = [f64; 8];

    type Token = S;

    #[inline(always)]
    fn splat(simd: S, x: f64) -> f64x8<S> {
        <f64x8<S> as SimdBase<S>>::splat(simd, x)
    }

    #[inline(always)]
    fn all(self, x: f64) -> f64x8<S> {
        <f64x8<S> as SimdBase<S>>::splat(self.simd, x)
    }

    #[inline(always)]
    fn load(simd: S, floats: &[f64; 8]) -> f64x8<S> {
        f64x8::load_array_ref(simd, floats)
    }

    #[inline(always)]
    fn floats(self) -> [f64; 8] {
        self.to_array()
    }

    #[inline(always)]
    fn moved(self, first: f64) -> f64x8<S> {
        self.all(first).slide::<7>(self)
    }

    #[inline(always)]
    fn size(self) -> f64x8<S> {
        self.abs()
    }

    #[inline(always)]
    fn root(self) -> f64x8<S> {
        self.sqrt()
    }

    #[inline(always)]
    fn product_less(self, factor: f64x8<S>, other: f64x8<S>) -> f64x8<S> {
        self.mul_sub_precise(factor, other)
    }

    #[inline(always)]
    fn are(self, x: f64) -> bool {
        self.simd_eq(self.all(x)).all_true()
    }

    #[inline(always)]
    fn less(self, other: f64x8<S>, yes: f64x8<S>, no: f64x8<S>) -> f64x8<S> {
        self.simd_lt(other).select(yes, no)
    }
}

/// The rounded sum and its exact error, without a branch.
///
/// Knuth's TwoSum (The Art of Computer Programming, vol. 2, §4.2.2, theorem B).
#[inline(always)]
pub(crate) fn two_sum<V: Copy + Add<Output = V> + Sub<Output = V>>(a: V, b: V) -> (V, V) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// The rounded product and its exact error, of which a float may hold too little below 2⁻⁹⁶⁹.
///
/// A fused operation is rounded once, on every processor: the few that have none compute it step by step, which takes
/// them long. (Dekker's product, which needs none, is 17 operations everywhere.)
#[inline(always)]
pub(crate) fn two_product<V: Lanes>(a: V, b: V) -> (V, V) {
    let product = a * b;
    (product, a.product_less(b, product))
}

/// A number that is mostly divided by, and its rounded inverse.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divisor {
    n: f64,
    inverse: f64,
}

impl Divisor {
    pub(crate) fn new(n: f64) -> Divisor {
        Divisor { n, inverse: 1.0 / n }
    }

    /// The rounded inverses of numbers. A division takes as long as some ten other operations.
    #[inline(always)]
    pub(crate) fn inverse<V: Lanes>(self, n: V) -> V {
        if n.are(self.n) { n.all(self.inverse) } else { n.all(1.0) / n }
    }
}

/// An unevaluated sum of two floats over a whole number, of which the rounded inverse is known: the quotient to the
/// nearest float, and what that lacks.
#[inline(always)]
pub(crate) fn quotient<V: Lanes>(high: V, low: V, n: V, inverse: V) -> (V, V) {
    let (first, second) = times_inverse(high, low, n, inverse);
    let rounded = first + second;
    (rounded, (first - rounded) + second)
}

/// The same, but for the first float, which need not be the nearest.
#[inline(always)]
pub(crate) fn times_inverse<V: Lanes>(high: V, low: V, n: V, inverse: V) -> (V, V) {
    let first = high * inverse;
    (first, (low - first.product_less(n, high)) * inverse)
}

#[cfg(test)]
mod tests {
    use super::{quotient, two_product};

    #[test]
    fn errors_of_products_are_exact() {
        // (2⁵² + 1)² = 2¹⁰⁴ + 2⁵³ + 1.
        let x = 2_f64.powi(52) + 1.0;
        let (product, error) = two_product(x, x);
        assert_eq!((product, error), (2_f64.powi(104) + 2_f64.powi(53), 1.0));
    }

    #[test]
    fn quotients_are_the_nearest_however_large() {
        for scale in [2_f64.powi(-1000), 1.0, 2_f64.powi(960)] {
            // (3 × 2⁵³ + 4 + 1) / 3 = 2⁵³ + 5/3, of which the nearest is 2⁵³ + 2.
            let (high, low) = (3.0 * 2_f64.powi(53) + 4.0, 1.0);
            let (rounded, rest) = quotient(high * scale, low * scale, 3.0, 1.0 / 3.0);
            assert_eq!(rounded, (2_f64.powi(53) + 2.0) * scale);
            assert!(rest <= 0.0 && (rest / scale + 1.0 / 3.0).abs() < 0.34);
        }
    }
}
