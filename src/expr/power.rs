//! Integer powers of floats, by multiplications of pairs of floats.
//!
//! x² = p + e with p = fl(x·x) and e = fma(x, x, −p) exactly (Dekker 1971; with a fused multiply-add as in Ogita, Rump
//! and Oishi 2005), and the error is carried through the further products. The result is the exact power rounded once,
//! but for an error of about 1e-31 of it: it is at least as near as that of `pow`, in a fraction of its time. float32 is
//! computed in float64.

use crate::dtype::{Block, Buffer, Sealed};
use crate::expr::flags::Flags;
use crate::simd::Level;

/// The exponents that there are loops for.
pub const EXPONENTS: std::ops::RangeInclusive<u8> = 2..=8;

/// Raises floats to an integer power, one of [`EXPONENTS`], and returns the floating-point exceptions that `pow` raises.
pub(super) fn powers(level: Level, exponent: u8, input: Block<'_>, output: &mut Buffer) -> Flags {
    match exponent {
        2 => raised::<2>(level, input, output),
        3 => raised::<3>(level, input, output),
        4 => raised::<4>(level, input, output),
        5 => raised::<5>(level, input, output),
        6 => raised::<6>(level, input, output),
        7 => raised::<7>(level, input, output),
        _ => raised::<8>(level, input, output),
    }
}

#[allow(clippy::cast_possible_truncation)] // rounded to the dtype of the elements
fn raised<const N: usize>(level: Level, input: Block<'_>, output: &mut Buffer) -> Flags {
    match (input, output) {
        (Block::Float64(input), Buffer::Float64(output)) => each(level, input, output, power::<N>, f64::MIN_POSITIVE),
        (Block::Float32(input), Buffer::Float32(output)) => {
            let narrow = |x: f32| power::<N>(f64::from(x)) as f32;
            each(level, input, output, narrow, f32::MIN_POSITIVE)
        }
        _ => Flags::default(),
    }
}

#[inline(always)]
fn each<T: Sealed + Float>(level: Level, input: &[T], output: &mut [T], power: impl Fn(T) -> T, least: T) -> Flags {
    level.run(
        #[inline(always)]
        || {
            let (mut over, mut under) = (false, false);
            for (y, &x) in output.iter_mut().zip(input) {
                *y = power(x);
                over |= y.magnitude().is_infinite() & !x.magnitude().is_infinite();
                under |= (y.magnitude() < least) & (x.magnitude() > T::default());
            }
            let mut flags = Flags::default();
            flags.add(if over { Flags::OVERFLOW } else { Flags::default() });
            flags.add(if under { Flags::UNDERFLOW } else { Flags::default() });
            flags
        },
    )
}

/// xᴺ, rounded once.
#[inline(always)]
fn power<const N: usize>(x: f64) -> f64 {
    let square = Pair { high: x, low: 0.0 }.times_float(x);
    let pair = match N {
        2 => square,
        3 => square.times_float(x),
        4 => square.times(square),
        5 => square.times(square).times_float(x),
        6 => square.times(square).times(square),
        7 => square.times(square).times(square).times_float(x),
        _ => {
            let fourth = square.times(square);
            fourth.times(fourth)
        }
    };
    // No error of an infinity or NaN is a number, and −0 is not to become 0.
    if pair.high.is_finite() & (pair.low != 0.0) { pair.high + pair.low } else { pair.high }
}

/// The unevaluated sum of a float and a much smaller one.
#[derive(Clone, Copy)]
struct Pair {
    high: f64,
    low: f64,
}

impl Pair {
    #[inline(always)]
    fn times_float(self, x: f64) -> Pair {
        let high = self.high * x;
        Pair { high, low: self.low.mul_add(x, self.high.mul_add(x, -high)) }
    }

    #[inline(always)]
    fn times(self, other: Pair) -> Pair {
        let high = self.high * other.high;
        let crossed = self.high.mul_add(other.low, self.low * other.high);
        Pair { high, low: self.high.mul_add(other.high, -high) + crossed }
    }
}

/// What the loop asks of a float.
trait Float: Copy + Default + PartialOrd {
    fn magnitude(self) -> Self;
    fn is_infinite(self) -> bool;
}

impl Float for f64 {
    #[inline(always)]
    fn magnitude(self) -> f64 {
        self.abs()
    }

    #[inline(always)]
    fn is_infinite(self) -> bool {
        self.is_infinite()
    }
}

impl Float for f32 {
    #[inline(always)]
    fn magnitude(self) -> f32 {
        self.abs()
    }

    #[inline(always)]
    fn is_infinite(self) -> bool {
        self.is_infinite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::ItemType;

    fn powers_of(exponent: u8, x: &[f64]) -> (Vec<f64>, Flags) {
        let mut output = Buffer::new(ItemType::Float64, x.len());
        let flags = powers(Level::best(), exponent, Block::Float64(x), &mut output);
        let Buffer::Float64(found) = output else { unreachable!("the buffer was made so") };
        (found, flags)
    }

    #[test]
    fn a_power_is_rounded_once() {
        // 3 * 2⁻⁵³ above 1: the products of rounded products are one unit in the last place off.
        let x = 1.0 + 3.0 * f64::EPSILON;
        let (found, flags) = powers_of(8, &[x, -2.0, 10.0]);
        assert_eq!(found, [1.0 + 24.0 * f64::EPSILON, 256.0, 1e8]);
        assert_eq!(flags, Flags::default());
    }

    #[test]
    fn special_values_are_those_of_pow() {
        let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-200, -1e-200];
        for exponent in EXPONENTS {
            let (found, flags) = powers_of(exponent, &special);
            for (y, x) in found.iter().zip(special) {
                assert_eq!(y.to_bits(), x.powi(exponent.into()).to_bits(), "{x} to {exponent}");
            }
            assert_eq!(flags, Flags::UNDERFLOW);
        }
        assert!(powers_of(3, &[f64::NAN]).0[0].is_nan());
        assert_eq!(powers_of(3, &[1e200]), (vec![f64::INFINITY], Flags::OVERFLOW));
    }
}
