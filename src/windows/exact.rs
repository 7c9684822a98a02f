//! Sums without rounding: integers, in units of the smallest float.
//!
//! A float is a whole multiple of 2⁻¹⁰⁷⁴. A sum of floats in this unit, with as many digits as it needs, is exact in
//! any order, and a float can be subtracted from it exactly. (U. Kulisch, Computer Arithmetic and Validity, 2008,
//! chapter 8; the digits carry late, as in R. Neal, arXiv:1505.05571.)

use crate::lanes::Double;

/// Bits in a digit; the others of its 64 are for what is carried later.
const BITS: usize = 32;
const DIGIT: i64 = (1 << BITS) - 1;
/// All floats and as many sums of theirs as there can be: 2⁻¹⁰⁷⁴ to 2¹⁰²⁴ times 2⁶⁴.
const DIGITS: usize = 68;
/// As many floats may come before something has to be carried.
const LATEST: u32 = 1 << 30;

/// A sum of finite floats.
#[derive(Debug, Clone)]
pub(super) struct Exact {
    digits: [i64; DIGITS],
    /// How many floats have come since all was carried.
    uncarried: u32,
}

impl Exact {
    pub(super) const ZERO: Exact = Exact { digits: [0; DIGITS], uncarried: 0 };

    /// Adds a finite float.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn add(&mut self, x: f64) {
        const MANTISSA: u64 = (1 << 52) - 1;
        let (mantissa, exponent) = (x.to_bits() & MANTISSA, (x.to_bits() >> 52) & 0x7ff);
        let mantissa = if exponent == 0 { mantissa } else { mantissa | (MANTISSA + 1) };
        // Places from the lowest one, which the smallest normal floats share with those below.
        let place = exponent.saturating_sub(1) as usize;
        let mut parts = i128::from(mantissa) << (place % BITS);
        for digit in self.digits.iter_mut().skip(place / BITS).take(3) {
            let part = parts as i64 & DIGIT;
            *digit += if x.is_sign_negative() { -part } else { part };
            parts >>= BITS;
        }
        self.uncarried += 1;
        if self.uncarried == LATEST {
            self.carry();
        }
    }

    /// Leaves no digit below 0 or above 2³² but the highest, which has the sign.
    fn carry(&mut self) {
        let Some((highest, others)) = self.digits.split_last_mut() else { return };
        let mut carried = 0;
        for digit in others {
            let whole = *digit + carried;
            *digit = whole & DIGIT;
            carried = whole >> BITS;
        }
        *highest += carried;
        self.uncarried = 0;
    }

    /// The nearest float.
    fn rounded(&mut self) -> f64 {
        self.carry();
        let mut size = self.clone();
        let sign = if self.digits.last().is_some_and(|highest| *highest < 0) { -1.0 } else { 1.0 };
        if sign < 0.0 {
            for digit in &mut size.digits {
                *digit = -*digit;
            }
            size.carry();
        }
        let Some(top) = size.digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
        let digit = |place: Option<usize>| place.and_then(|place| size.digits.get(place)).copied().unwrap_or(0);
        let mantissa = (0..3).fold(0, |sum, back| sum << BITS | i128::from(digit(top.checked_sub(back))));
        // More than 64 bits, unless there are none below them: the last one says on which side of a tie they are.
        let below = size.digits.iter().take(top.saturating_sub(2)).any(|digit| *digit != 0);
        let mantissa = (mantissa | i128::from(below)) as f64;
        // In two steps, as 2⁻¹⁰⁷⁴ and less is no factor.
        let exponent = 32 * (i32::try_from(top).unwrap_or(i32::MAX) - 2) - 1074;
        sign * mantissa * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2)
    }

    /// The nearest float, and the nearest to what that lacks.
    pub(super) fn value(&mut self) -> Double {
        let high = self.rounded();
        if !high.is_finite() {
            return Double { high, low: 0.0 };
        }
        self.add(-high);
        let low = self.rounded();
        self.add(high);
        Double { high, low }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Exact;

    fn sum(items: &[f64]) -> f64 {
        let mut exact = Exact::ZERO;
        for &item in items {
            exact.add(item);
        }
        exact.value().high
    }

    #[test]
    fn all_sizes_add_up() {
        let smallest = f64::from_bits(1);
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[smallest, f64::MAX, -f64::MAX]), smallest);
        assert_eq!(sum(&[f64::MIN_POSITIVE, -smallest]), f64::MIN_POSITIVE - smallest);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX, f64::MAX]), -f64::MAX);
    }

    #[test]
    fn ties_are_decided_by_the_smallest() {
        let (one, tie, smallest) = (1.0, f64::EPSILON / 2.0, f64::from_bits(1));
        assert_eq!(sum(&[one, tie]), one);
        assert_eq!(sum(&[one, tie, smallest]), one + f64::EPSILON);
        assert_eq!(sum(&[-one, -tie, -smallest]), -one - f64::EPSILON);
        assert_eq!(sum(&[one + f64::EPSILON, tie]), one + 2.0 * f64::EPSILON);
        assert_eq!(sum(&[one + f64::EPSILON, tie, -smallest]), one + f64::EPSILON);
    }

    proptest! {
        #[test]
        fn whole_numbers_of_any_unit_add_up(items in prop::collection::vec(any::<i64>(), 0..50), place in -1074..900_i32) {
            // As few bits as fit a float.
            let items: Vec<i64> = items.into_iter().map(|item| item >> 11).collect();
            let unit = 2_f64.powi(place / 2) * 2_f64.powi(place - place / 2);
            let mut exact = Exact::ZERO;
            for &item in &items {
                exact.add(item as f64 * unit);
            }
            let whole: i128 = items.iter().map(|&item| i128::from(item)).sum();
            prop_assert_eq!(exact.value().high, whole as f64 * unit);
            for item in items {
                exact.add(-(item as f64 * unit));
            }
            prop_assert_eq!(exact.value().high, 0.0);
        }
    }
}
