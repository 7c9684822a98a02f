//! The logarithm of a sum of exponentials, without overflow: log Σ eˣ = m + log Σ eˣ⁻ᵐ, where m is the largest element.
//!
//! m is the largest element so far; when a block raises it, the sum is rescaled by e^(old − new). e^y for y ≤ 0 is
//! computed by a loop that vectorises and uses no fused operations, so that its bits are the same on every processor: y
//! = k ln 2 + r with |r| ≤ ln 2 / 2 (Cody & Waite's two-part ln 2, Software Manual for the Elementary Functions, 1980,
//! chapter 6), then the Taylor series of eʳ to the 13th power, whose remainder is below 2⁻⁵⁷, then the exponent.

use crate::kernel::{Accumulator, Entry, Items, Request, Takes};
use crate::lanes::Double;
use crate::simd::Simd;
use crate::value::Value;

/// The largest element and the sum of exponentials relative to it.
#[derive(Debug, Clone, Copy)]
struct ExponentialSum;

#[derive(Debug, Clone, Copy)]
struct ExponentialSumState {
    largest: f64,
    sum: Double,
    nan: bool,
}

impl Accumulator for ExponentialSum {
    const NAME: &'static str = "sum of exponentials";

    type Item = f64;
    type State = ExponentialSumState;

    fn init(&self) -> ExponentialSumState {
        ExponentialSumState { largest: f64::NEG_INFINITY, sum: Double::default(), nan: false }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut ExponentialSumState, block: Items<'_, f64>) {
        let largest = block.iter().fold(f64::NEG_INFINITY, |best, &x| if x > best { x } else { best });
        let nan = block.iter().fold(false, |nan, &x| nan | x.is_nan());
        let sum = if largest.is_finite() && !nan {
            Double::sum_of(simd, &block, block.ahead, |x| exp(x - largest))
        } else {
            Double::default()
        };
        self.combine(state, ExponentialSumState { largest, sum, nan });
    }

    #[inline(always)]
    fn combine(&self, state: &mut ExponentialSumState, next: ExponentialSumState) {
        let largest = if next.largest > state.largest { next.largest } else { state.largest };
        // Without a finite element there is nothing to scale, and inf − inf would give NaN.
        let scaled = |state: &ExponentialSumState| {
            let scale = if state.largest.is_finite() { exp(state.largest - largest) } else { 0.0 };
            state.sum.scaled(scale)
        };
        let mut sum = scaled(state);
        sum.merge(scaled(&next));
        *state = ExponentialSumState { largest, sum, nan: state.nan | next.nan };
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

/// eʸ for y ≤ 0. Below −708, where eʸ would be subnormal, it is 0: the largest element contributes 1 to the same sum.
#[inline(always)]
fn exp(y: f64) -> f64 {
    // Adding and subtracting 1.5 × 2⁵² rounds to an integer and leaves it in the lower bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let inside = y >= -708.0;
    let y = if inside { y } else { 0.0 };
    let rounded = y * std::f64::consts::LOG2_E + ROUND;
    let k = rounded - ROUND;
    let r = (y - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut series = 1.0;
    for divisor in [13.0, 12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        series = 1.0 + series * r * (1.0 / divisor);
    }
    let power = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
    if inside { series * power } else { 0.0 }
}

pub(super) static LOGSUMEXP: Entry = Entry {
    name: "logsumexp",
    doc: "The logarithm of the sum of exponentials, without overflow; ``-inf`` for an empty array.\n\n\
          The same as SciPy's ``special.logsumexp``, in one pass: the largest element so far is factored out of the \
          sum.",
    numpy: "special.logsumexp(x)",
    takes: Takes::Reals,
    resolve: |_, input| {
        let dtype = input.dtype.mean_type();
        Ok(Request::new(input.floats(), ExponentialSum, move |state| {
            let value = match state {
                ExponentialSumState { nan: true, .. } => f64::NAN,
                ExponentialSumState { largest, .. } if largest.is_infinite() => *largest,
                ExponentialSumState { largest, sum, .. } => largest + sum.value().ln(),
            };
            Ok(Value::float(value, dtype))
        }))
    },
    ..Entry::USUAL
};

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for i in 0..100_000 {
            let y = -f64::from(i) * 0.00708;
            let (ours, theirs) = (exp(y), y.exp());
            assert!((ours - theirs).abs() <= 2.0 * f64::EPSILON * theirs, "exp({y}) = {ours}, not {theirs}");
        }
        assert_eq!((exp(0.0), exp(-709.0), exp(f64::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }
}
