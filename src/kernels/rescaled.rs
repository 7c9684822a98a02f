//! Scaling, so that statistics with squares, cubes and fourth powers are correct for elements of any magnitude.
//!
//! Squares leave the range of float64 if elements are beyond 1e±154, fourth powers if they are beyond 1e±77. The sums
//! in a state are then infinite or almost 0. In that case the kernel requests the largest magnitude, and then the same
//! state again, from elements in a [`Scale`] that brings this magnitude near 1. For ordinary elements this costs no
//! time and changes no bit of the result.
//!
//! The decision to scale follows from the sums and from what was [noticed](Noticed) about the elements, block by block.
//! Scaling does not help if an element is infinite or NaN, or if all elements are 0. (LAPACK's `nrm2` accumulates in
//! three scales at once: Blue, ACM Transactions on Mathematical Software 4 (1978), 15–23. Here every sweep would pay
//! for that, although few need it, and fourth powers would need five scales.)

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

/// Below this limit, a mean of squares, or the corresponding mean of fourth powers, may have lost digits, even if
/// elements are weighted within [`WEIGHTS`].
const LEAST_SQUARE: f64 = power(-700);
const LEAST_FOURTH: f64 = power(-350);

/// If the mean is beyond this limit, deviations from it are either 0 or large enough, because neighbouring floats are
/// far apart.
const FAR_SQUARE: f64 = power(-290);
const FAR_FOURTH: f64 = power(-120);

/// The range for sums of weights in which the product of a weight and a power of a deviation fits float64.
pub(super) const WEIGHTS: Range<f64> = power(-300)..power(300);

/// What is noticed about elements whose sums are infinite or small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// An element is infinite or NaN.
    infinite: bool,
    /// An element is not 0, and the squares of deviations are small.
    small: bool,
}

impl Noticed {
    /// Checks a block's elements if their mean, or the mean of their squared deviations, gives a reason to.
    #[inline(always)]
    pub(super) fn of(mean: f64, variance: f64, elements: impl Iterator<Item = f64> + Clone) -> Noticed {
        let small = variance < LEAST_FOURTH && mean.abs() < FAR_FOURTH;
        if mean.is_finite() && !small { Noticed::default() } else { Noticed::look(small, elements) }
    }

    /// Notices only whether an element is infinite or NaN.
    #[inline(always)]
    pub(super) fn infinite(infinite: bool) -> Noticed {
        Noticed { infinite, small: false }
    }

    #[cold]
    #[inline(never)]
    fn look(small: bool, elements: impl Iterator<Item = f64> + Clone) -> Noticed {
        // All elements are checked, so that the loop vectorises.
        Noticed {
            infinite: elements.clone().fold(false, |any, x| any | !x.is_finite()),
            small: small && elements.fold(false, |any, x| any | (x != 0.0)),
        }
    }

    /// Merges what was noticed about other elements.
    #[inline(always)]
    pub(super) fn merge(&mut self, next: Noticed) {
        self.infinite |= next.infinite;
        self.small |= next.small;
    }

    /// Whether an element is infinite or NaN, so that infinite or NaN sums are correct.
    pub(super) fn is_infinite(self) -> bool {
        self.infinite
    }

    /// Whether the sums must be computed again from scaled elements. The sums are of powers up to 2 or 4; `finite` says
    /// whether all of them are finite.
    pub(super) fn asks_for_scale(self, order: u8, mean: f64, variance: f64, finite: bool) -> bool {
        let (least, far) = if order > 2 { (LEAST_FOURTH, FAR_FOURTH) } else { (LEAST_SQUARE, FAR_SQUARE) };
        let is_small = self.small && variance < least && mean.abs() < far;
        !self.infinite && (!finite || is_small)
    }
}

/// Which magnitudes of an item are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The magnitude of an element, or of both elements of a pair.
    Elements,
    /// The magnitude of an element with a nonzero weight, and of its weight.
    Weighted,
    /// The magnitude of a pair's difference.
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
                // The difference of finite elements may overflow; it then counts as the largest float.
                [if self.re.is_finite() && self.im.is_finite() { distance.min(f64::MAX) } else { distance }, 0.0]
            }
        }
    }
}

/// The larger of two magnitudes; NaN if one is NaN.
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

/// Requests the largest magnitudes, and then the request that `next` returns for the scales that bring them near 1.
pub(super) fn rescaled<T: Magnitudes>(
    expression: Expression,
    of: Of,
    next: impl Fn([Scale; 2]) -> Request + Send + Sync + 'static,
) -> Answer {
    let largest = Largest::<T> { of, item: PhantomData };
    let finish = move |largest: &[f64; 2]| Ok(Answer::Next(next(largest.map(Scale::of))));
    Answer::Next(Request::chain(expression, largest, Vec::new(), finish))
}

/// The elements, or both elements of each pair, in these scales.
pub(super) fn scaled(expression: Expression, [first, second]: [Scale; 2]) -> Expression {
    if first == Scale::ONE && second == Scale::ONE {
        return expression;
    }
    expression.then(Step::Scaled(first, second))
}
