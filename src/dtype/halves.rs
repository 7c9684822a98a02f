//! float16: how its elements become `f32`, and how floats are rounded to it.
//!
//! The crate `half` is the type of Rust callers only. It rounds a float64 twice where the processor has F16C, and once
//! where it has not, and its conversions do not vectorise.

use std::ops::{Add, Mul, Sub};

/// A float of more than twice the digits of float16, and of a wider range.
pub(crate) trait Wider:
    Copy + PartialOrd + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// The smallest normal float16: 2⁻¹⁴.
    const LEAST: Self;
    /// What this and everything above is rounded to is infinite: half a unit above the largest float16.
    const BEYOND: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// 2 to the number of binary digits that this type has more than float16.
    const MORE_DIGITS: Self;

    /// |x|.
    fn magnitude(self) -> Self;
    /// The largest power of two that |x| reaches; 0 for a subnormal number, infinity for what is not finite.
    fn power_of_two(self) -> Self;
    /// The same with another number's sign.
    fn with_sign_of(self, other: Self) -> Self;
    /// As `f32`, which can hold it.
    fn narrow(self) -> f32;
}

impl Wider for f32 {
    const LEAST: f32 = 6.103_515_6e-5;
    const BEYOND: f32 = 65_520.0;
    const INFINITY: f32 = f32::INFINITY;
    const MORE_DIGITS: f32 = 8_192.0;

    #[inline(always)]
    fn magnitude(self) -> f32 {
        self.abs()
    }

    #[inline(always)]
    fn power_of_two(self) -> f32 {
        f32::from_bits(self.to_bits() & 0x7f80_0000)
    }

    #[inline(always)]
    fn with_sign_of(self, other: f32) -> f32 {
        self.copysign(other)
    }

    #[inline(always)]
    fn narrow(self) -> f32 {
        self
    }
}

impl Wider for f64 {
    const LEAST: f64 = 6.103_515_625e-5;
    const BEYOND: f64 = 65_520.0;
    const INFINITY: f64 = f64::INFINITY;
    const MORE_DIGITS: f64 = 4_398_046_511_104.0;

    #[inline(always)]
    fn magnitude(self) -> f64 {
        self.abs()
    }

    #[inline(always)]
    fn power_of_two(self) -> f64 {
        f64::from_bits(self.to_bits() & 0x7ff0_0000_0000_0000)
    }

    #[inline(always)]
    fn with_sign_of(self, other: f64) -> f64 {
        self.copysign(other)
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // nothing is lost
    fn narrow(self) -> f32 {
        self as f32
    }
}

/// The nearest float16, ties to even.
///
/// The sum with 2^(e + d), where 2^e is the number's power of two and d the digits that this type has more, has its last
/// digit where float16 has it, and is rounded by the processor. float16 has no smaller power of two than [`Wider::LEAST`].
#[inline(always)]
pub(crate) fn nearest_half<F: Wider>(x: F) -> f32 {
    let (magnitude, power) = (x.magnitude(), x.power_of_two());
    let shift = if power > F::LEAST { power } else { F::LEAST } * F::MORE_DIGITS;
    let rounded = (magnitude + shift) - shift;
    let rounded = if magnitude >= F::BEYOND { F::INFINITY } else { rounded };
    rounded.with_sign_of(x).narrow()
}

/// Whether rounding to float16 makes a finite number infinite.
#[inline(always)]
pub(crate) fn overflows<F: Wider>(x: F) -> bool {
    (x.magnitude() >= F::BEYOND) & (x.magnitude() < F::INFINITY)
}

/// Whether a number below float16's normal ones is rounded to this other one.
#[inline(always)]
pub(crate) fn underflows<F: Wider>(x: F, rounded: f32) -> bool {
    (x.magnitude() < F::LEAST) & (F::from(rounded) != x)
}

/// The bits of the nearest float16.
#[inline(always)]
pub(crate) fn half_bits<F: Wider>(x: F) -> u16 {
    bits_of_half(nearest_half(x))
}

/// The bits of a float16, whose item this is. A signalling NaN stays one, of which NumPy's loops tell.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // both parts have 16 bits
pub fn bits_of_half(item: f32) -> u16 {
    let magnitude = item.to_bits() & 0x7fff_ffff;
    // A subnormal float16 is a multiple of the last digit of one half.
    let small = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    let normal = (magnitude >> 13).wrapping_sub((127 - 15) << 10);
    let special = (magnitude >> 13) & 0x7fff;
    let word = if magnitude < f32::LEAST.to_bits() { small } else { normal };
    let word = if magnitude >= 0x7f80_0000 { special } else { word };
    (word | (item.to_bits() >> 16) & 0x8000) as u16
}

/// float16 to `f32`, exactly, in a form that vectorises: the exponent is rebased by a multiplication, which also
/// normalises subnormals; infinities and NaN get their exponent back.
#[inline(always)]
pub(crate) fn widen_half(word: u16) -> f32 {
    const REBASE: f32 = f32::from_bits((127 + 127 - 15) << 23);
    let magnitude = f32::from_bits(u32::from(word & 0x7fff) << 13) * REBASE;
    let special = if word & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | special | (u32::from(word & 0x8000) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_widens_exactly_and_has_its_bits() {
        for word in 0..=u16::MAX {
            let (ours, theirs) = (widen_half(word), half::f16::from_bits(word).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{word:#06x}");
            assert!(nearest_half(ours).to_bits() == ours.to_bits() || ours.is_nan(), "{word:#06x}");
            let (single, double) = (half_bits(ours), half_bits(f64::from(ours)));
            let quiet = if ours.is_nan() { word | 0x0200 } else { word };
            assert_eq!((single, double), (quiet, quiet), "{word:#06x}");
            assert_eq!(bits_of_half(ours), word);
        }
    }

    #[test]
    fn halfway_between_two_halves_the_even_one_is_nearest() {
        for word in 0..0x7c00_u16 {
            // The largest is followed by what would be the next one.
            let low = f64::from(widen_half(word));
            let high = if word == 0x7bff { 65_536.0 } else { f64::from(widen_half(word + 1)) };
            let middle = low.midpoint(high);
            for (sign, bit) in [(1.0, 0), (-1.0, 0x8000)] {
                let even = word + (word & 1);
                let rounded = [middle.next_down(), middle, middle.next_up()].map(|x| half_bits(sign * x));
                assert_eq!(rounded, [word, even, word + 1].map(|word| word | bit), "{word:#06x}");
                let middle = middle.narrow();
                let rounded = [middle.next_down(), middle, middle.next_up()].map(|x| half_bits(sign.narrow() * x));
                assert_eq!(rounded, [word, even, word + 1].map(|word| word | bit), "{word:#06x}");
            }
        }
    }

    #[test]
    fn a_float64_is_rounded_once() {
        // Just above halfway between 1 and the next float16, and as float32 halfway.
        let x = 1.0 + f64::powi(2.0, -11) + f64::powi(2.0, -40);
        assert_eq!((half_bits(x), half_bits(x.narrow())), (0x3c01, 0x3c00));
    }

    #[test]
    fn what_leaves_the_range_is_told() {
        for (x, over) in [(65_504.0, false), (65_519.99, false), (65_520.0, true), (f64::MAX, true)] {
            assert_eq!((overflows(x), overflows(-x)), (over, over), "{x}");
            assert_eq!(nearest_half(x).is_infinite(), over, "{x}");
        }
        assert!(!overflows(f64::INFINITY) && !overflows(f64::NAN) && nearest_half(f32::MAX) == f32::INFINITY);
        let least = f64::powi(2.0, -24);
        for (x, under) in [(0.0, false), (least, false), (1.5 * least, true), (1e-300, true), (f64::LEAST, false)] {
            assert_eq!(underflows(x, nearest_half(x)), under, "{x}");
        }
        // It is below the normal numbers before it is rounded to one.
        let below = f64::LEAST * (1.0 - f64::EPSILON);
        assert!(nearest_half(below) == f32::LEAST && underflows(below, nearest_half(below)));
        assert!(!underflows(1.0 + 1e-9, nearest_half(1.0 + 1e-9)) && !underflows(f64::NAN, f32::NAN));
    }
}
