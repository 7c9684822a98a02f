//! Floats and complex numbers as items: which of them are missing or infinite and, for floats, their order and their
//! keys.
//!
//! This file implements only what NumPy means by NaN, infinities and zeros. It rounds nothing, except when it converts
//! a number to a float.

use num_complex::Complex;

use super::item::{Item, Number, Ordered};

macro_rules! floats {
    ($($item:ty => $bits:ty;)*) => { $(
        impl Item for $item {
            #[inline(always)]
            #[allow(clippy::eq_op)]
            fn is_missing(self) -> bool {
                self != self
            }

            #[inline(always)]
            fn is_infinite(self) -> bool {
                self.abs() == <$item>::INFINITY
            }

            #[inline(always)]
            fn is_nonzero(self) -> bool {
                self != 0.0
            }

            fn number(self) -> Number {
                Number::Float(self.into())
            }

            #[allow(clippy::cast_possible_truncation)] // the nearest float is what is wanted
            fn of_number(number: Number) -> Self {
                number.float() as Self
            }
        }

        impl Ordered for $item {
            const LOWEST: Self = <$item>::NEG_INFINITY;
            const HIGHEST: Self = <$item>::INFINITY;

            #[inline(always)]
            fn below(self, other: Self) -> bool {
                self < other
            }

            const KEY_BITS: u32 = <$bits>::BITS;
            const IS_FLOAT: bool = true;

            #[inline(always)]
            fn canonical(self) -> Self {
                self + 0.0
            }

            #[inline(always)]
            fn float(self) -> f64 {
                self.into()
            }

            #[inline(always)]
            #[allow(clippy::cast_lossless)]
            fn key(self) -> u64 {
                let bits = self.to_bits();
                // All bits of a negative number are turned over, and the sign of every other.
                let turned = ((bits.cast_signed() >> (<$bits>::BITS - 1)).cast_unsigned()) | (1 << (<$bits>::BITS - 1));
                (if self.is_missing() { <$bits>::MAX } else { bits ^ turned }) as u64
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)]
            fn of_key(key: u64) -> Self {
                let key = key as $bits;
                let sign = 1 << (<$bits>::BITS - 1);
                match key {
                    <$bits>::MAX => <$item>::NAN,
                    _ if key & sign == 0 => <$item>::from_bits(!key),
                    _ => <$item>::from_bits(key ^ sign),
                }
            }
        }

        impl Item for Complex<$item> {
            #[inline(always)]
            fn is_missing(self) -> bool {
                self.re.is_missing() | self.im.is_missing()
            }

            #[inline(always)]
            fn is_infinite(self) -> bool {
                self.re.is_infinite() | self.im.is_infinite()
            }

            #[inline(always)]
            fn is_nonzero(self) -> bool {
                self.re.is_nonzero() | self.im.is_nonzero()
            }

            fn number(self) -> Number {
                Number::Complex(Complex::new(self.re.into(), self.im.into()))
            }

            #[allow(clippy::cast_possible_truncation)] // the nearest float is what is wanted
            fn of_number(number: Number) -> Self {
                match number {
                    Number::Complex(value) => Complex::new(value.re as $item, value.im as $item),
                    other => Complex::new(other.float() as $item, 0.0),
                }
            }
        }
    )* };
}

floats! {
    f32 => u32;
    f64 => u64;
}
