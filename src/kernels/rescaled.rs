//! Statistics that square or cube do not depend on scale.
//!
//! Squares leave float64 where elements are beyond 1e±154, fourth powers beyond 1e±77. A state then has sums that are infinite
//! or all but vanish. The kernel asks for the largest magnitude, and once more for the same state, of elements in the [`Scale`]
//! in which that is near 1. Ordinary elements cost nothing more, and have the bits that they would have without all this.
//!
//! Whether sums say so follows from the sums and from what was [noticed](Noticed) of the elements, block by block: an element
//! that is infinite or NaN is no matter of scale, and neither are elements that are all 0. (LAPACK's `nrm2` accumulates in three
//! scales at once: Blue, ACM Transactions on Mathematical Software 4 (1978), 15–23. Here that would cost every sweep what few
//! need, and fourth powers would take five.)

use std::marker::PhantomData;
use std::ops::Range;

use num_complex::Complex;

use crate::dtype::Item;
use crate::expr::{Expression, Step};
use crate::kernel::{Accumulator, Answer, Items, Request};
use crate::scale::Scale;
use crate::simd::Simd;

/// 2^exponent.
const fn power(exponent: i64) -> f64 {
    f64::from_bits((1023 + exponent).cast_unsigned() << 52)
}

/// Below these a mean of squares may have lost digits, or that of fourth powers has, were they weighted by [`WEIGHTS`].
const LEAST_SQUARE: f64 = power(-700);
const LEAST_FOURTH: f64 = power(-350);

/// Deviations from means beyond these are 0 or large enough, as neighbouring floats are so far apart.
const FAR_SQUARE: f64 = power(-290);
const FAR_FOURTH: f64 = power(-120);

/// Sums of weights that leave products of a weight and a power of a deviation within float64.
pub(super) const WEIGHTS: Range<f64> = power(-300)..power(300);

/// What is seen of elements whose sums are infinite or small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// One is infinite or NaN.
    infinite: bool,
    /// One is not 0, and the squares of deviations are small.
    small: bool,
}

impl Noticed {
    /// Looks at a block's elements if their mean, or the mean of the squares of their deviations, is a reason to.
    #[inline(always)]
    pub(super) fn of(mean: f64, variance: f64, elements: impl Iterator<Item = f64> + Clone) -> Noticed {
        let small = variance < LEAST_FOURTH && mean.abs() < FAR_FOURTH;
        if mean.is_finite() && !small { Noticed::default() } else { Noticed::look(small, elements) }
    }

    /// Of elements whose sums are so only if they are.
    #[inline(always)]
    pub(super) fn infinite(infinite: bool) -> Noticed {
        Noticed { infinite, small: false }
    }

    #[cold]
    #[inline(never)]
    fn look(small: bool, elements: impl Iterator<Item = f64> + Clone) -> Noticed {
        // All of them, so that it vectorises.
        Noticed {
            infinite: elements.clone().fold(false, |any, x| any | !x.is_finite()),
            small: small && elements.fold(false, |any, x| any | (x != 0.0)),
        }
    }

    /// Takes in what was noticed elsewhere.
    #[inline(always)]
    pub(super) fn merge(&mut self, next: Noticed) {
        self.infinite |= next.infinite;
        self.small |= next.small;
    }

    /// Whether an element is infinite or NaN: then sums are right to be.
    pub(super) fn is_infinite(self) -> bool {
        self.infinite
    }

    /// Whether scaled elements would have other sums: those of powers up to 2 or 4, `finite` if all of them are.
    pub(super) fn asks_for_scale(self, order: u8, mean: f64, variance: f64, finite: bool) -> bool {
        let (least, far) = if order > 2 { (LEAST_FOURTH, FAR_FOURTH) } else { (LEAST_SQUARE, FAR_SQUARE) };
        let is_small = self.small && variance < least && mean.abs() < far;
        !self.infinite && (!finite || is_small)
    }
}

/// Which magnitudes of an item are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// That of an element, or those of both elements of a pair.
    Elements,
    /// That of an element which weighs something, and that of its weight.
    Weighted,
    /// That of a pair's difference.
    Differences,
}

/// An element or a pair of elements.
pub(super) trait Magnitudes: Item {
    fn magnitudes(self, of: Of) -> [f64; 2];
}

impl Magnitudes for f64 {
    #[inline(always)]
    fn magnitudes(self, _: Of) -> [f64; 2] {
        [self.abs(), 0.0]
    }
}

impl Magnitudes for Complex<f64> {
    #[inline(always)]
    fn magnitudes(self, of: Of) -> [f64; 2] {
        match of {
            Of::Elements => [self.re.abs(), self.im.abs()],
            Of::Weighted => [if self.im == 0.0 { 0.0 } else { self.re.abs() }, self.im.abs()],
            Of::Differences => {
                let distance = (self.re - self.im).abs();
                // Of finite elements it is at least near to the largest number.
                [if self.re.is_finite() && self.im.is_finite() { distance.min(f64::MAX) } else { distance }, 0.0]
            }
        }
    }
}

/// The larger of two magnitudes; NaN if there is one.
#[inline(always)]
pub(super) fn larger(best: f64, other: f64) -> f64 {
    if best.is_nan() || other <= best { best } else { other }
}

/// The largest magnitudes.
#[derive(Debug, Clone, Copy)]
struct Largest<T> {
    of: Of,
    item: PhantomData<fn(T)>,
}

impl<T: Magnitudes> Accumulator for Largest<T> {
    const NAME: &'static str = "largest magnitudes";

    type Item = T;
    type State = [f64; 2];

    const ORDER_FREE: bool = true;

    fn init(&self) -> [f64; 2] {
        [0.0; 2]
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut [f64; 2], block: Items<'_, T>) {
        for item in block.iter() {
            self.combine(state, item.magnitudes(self.of));
        }
    }

    #[inline(always)]
    fn combine(&self, state: &mut [f64; 2], next: [f64; 2]) {
        *state = [larger(state[0], next[0]), larger(state[1], next[1])];
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self.of == other.of).then_some(*self)
    }
}

/// Asks for the largest magnitudes, and then for what `next` says of the scales in which they are near 1.
pub(super) fn rescaled<T: Magnitudes>(
    expression: Expression,
    of: Of,
    next: impl Fn([Scale; 2]) -> Request + Send + Sync + 'static,
) -> Answer {
    let largest = Largest::<T> { of, item: PhantomData };
    let finish = move |largest: &[f64; 2]| Ok(Answer::Next(next(largest.map(Scale::of))));
    Answer::Next(Request::chain(expression, largest, Vec::new(), finish))
}

/// The elements, or both elements of pairs, in these scales.
pub(super) fn scaled(expression: Expression, [first, second]: [Scale; 2]) -> Expression {
    if first == Scale::ONE && second == Scale::ONE {
        return expression;
    }
    expression.then(Step::Scaled(first, second))
}
