//! Powers of two by which elements are scaled, where their squares and higher powers would leave float64.
//!
//! Scaling by a power of two changes no digit. A statistic f of *degree* p, f(c x) = cᵖ f(x), is that of the scaled
//! elements, scaled back: a standard deviation has degree 1, a variance 2, a skewness 0.

const MANTISSA: u64 = (1 << 52) - 1;
const BIAS: i64 = 1023;

/// What elements are divided by: the square of a power of two, as the power itself need not be a float64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scale {
    root: i16,
}

impl Scale {
    /// Elements stay as they are.
    pub const ONE: Scale = Scale { root: 0 };

    /// The scale in which a magnitude is at least 1 and below 4. Zero, infinity and NaN stay as they are.
    #[allow(clippy::cast_possible_truncation)] // exponents are short
    pub(crate) fn of(magnitude: f64) -> Scale {
        if magnitude == 0.0 || !magnitude.is_finite() {
            return Scale::ONE;
        }
        let (_, exponent) = parts(magnitude);
        Scale { root: exponent.div_euclid(2) as i16 }
    }

    /// What an element is multiplied by, twice.
    #[inline(always)]
    pub(crate) fn factor(self) -> f64 {
        power((-self.root).into())
    }

    /// An element in this scale.
    #[inline(always)]
    pub(crate) fn scaled(self, x: f64) -> f64 {
        x * self.factor() * self.factor()
    }

    /// Whether elements become smaller.
    pub(crate) fn shrinks(self) -> bool {
        self.root > 0
    }

    /// The product of statistics of two arrays from that of the scaled ones, with the degree in each.
    pub(crate) fn back(value: f64, degrees: &[(Scale, i64)]) -> f64 {
        if value == 0.0 || !value.is_finite() {
            return value;
        }
        let of = |(scale, degree): &(Scale, i64)| degree.saturating_mul(2 * i64::from(scale.root));
        let power = degrees.iter().map(of).fold(0, i64::saturating_add);
        let (mantissa, exponent) = parts(value);
        compose(mantissa, exponent.saturating_add(power))
    }

    /// The statistic of this degree from that of the scaled elements.
    pub(crate) fn undo(self, value: f64, degree: i64) -> f64 {
        Scale::back(value, &[(self, degree)])
    }
}

/// 2^exponent, if that is a normal number.
#[inline(always)]
fn power(exponent: i64) -> f64 {
    f64::from_bits((exponent + BIAS).cast_unsigned() << 52)
}

/// The exponent in the bits of a normal number.
#[inline(always)]
pub(crate) fn exponent(bits: u64) -> i64 {
    ((bits >> 52) & 0x7ff).cast_signed() - BIAS
}

/// The mantissa, at least 1 and below 2, in the bits of a normal number.
#[inline(always)]
pub(crate) fn mantissa(bits: u64) -> f64 {
    f64::from_bits((bits & MANTISSA) | (BIAS.cast_unsigned() << 52))
}

/// The mantissa, with the sign, and the exponent of a finite number that is not 0.
#[inline(always)]
pub(crate) fn parts(x: f64) -> (f64, i64) {
    // Subnormals are made normal first.
    let (x, shift) = if x.is_normal() { (x, 0) } else { (x * power(64), 64) };
    (mantissa(x.to_bits()).copysign(x), exponent(x.to_bits()) - shift)
}

/// mantissa × 2^exponent, rounded once: the last step alone may be subnormal.
pub(crate) fn compose(mantissa: f64, exponent: i64) -> f64 {
    let exponent = exponent.clamp(-1100, 1100);
    let first = exponent.clamp(-1000, 1000);
    mantissa * power(first) * power(exponent - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_magnitudes_are_near_one() {
        for magnitude in [5e-324, 1e-310, 1e-200, 0.3, 1.0, 7.0, 1e200, f64::MAX] {
            let scale = Scale::of(magnitude);
            let scaled = scale.scaled(magnitude);
            assert!((1.0..4.0).contains(&scaled), "{magnitude}: {scaled}");
            assert_eq!(scale.undo(scaled, 1), magnitude);
            assert_eq!(scale.undo(-scaled, 1), -magnitude);
        }
        for other in [0.0, f64::INFINITY, f64::NAN] {
            assert_eq!(Scale::of(other), Scale::ONE);
        }
    }

    #[test]
    fn degrees_of_several_scales_meet() {
        let (large, small) = (Scale::of(1e200), Scale::of(1e-200));
        assert_eq!(Scale::back(1.5, &[(large, 1), (small, 1)]), 1.5 * large.undo(1.0, 1) * small.undo(1.0, 1));
        assert_eq!(large.undo(1.0, 2), f64::INFINITY);
        assert_eq!(small.undo(1.0, 2), 0.0);
        assert_eq!(large.undo(1.0, i64::MAX), f64::INFINITY);
        assert_eq!(large.undo(1.0, 0), 1.0);
    }
}
