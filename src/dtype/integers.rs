//! Integers, bools and times as items: their order, their keys and their exact sums.
//!
//! A sum may not depend on the order of its terms, so no partial sum may overflow.

use super::item::{Bool8, Integer, Item, Number, Ordered, Time};

macro_rules! integers {
    ($($item:ty => $variant:ident, $sum:ident, $key:ty;)*) => { $(
        impl Item for $item {
            #[inline(always)]
            fn is_nonzero(self) -> bool {
                self != 0
            }

            fn number(self) -> Number {
                Number::$variant(self.into())
            }

            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
            fn of_number(number: Number) -> Self {
                match number {
                    Number::Int(value) => value as Self,
                    Number::UInt(value) => value as Self,
                    other => other.float() as Self,
                }
            }
        }

        impl Ordered for $item {
            const LOWEST: Self = <$item>::MIN;
            const HIGHEST: Self = <$item>::MAX;

            #[inline(always)]
            fn below(self, other: Self) -> bool {
                self < other
            }

            const KEY_BITS: u32 = <$item>::BITS;

            #[inline(always)]
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless)]
            fn key(self) -> u64 {
                // The smallest item has key 0.
                let sign = <$key>::from(<$item>::MIN != 0) << (<$key>::BITS - 1);
                ((self as $key) ^ sign) as u64
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
            fn of_key(key: u64) -> Self {
                let sign = <$key>::from(<$item>::MIN != 0) << (<$key>::BITS - 1);
                ((key as $key) ^ sign) as Self
            }
        }

        impl Integer for $item {
            #[inline(always)]
            fn sum(items: &[Self]) -> i128 {
                $sum(items, |item| item.into())
            }

            #[inline(always)]
            fn wide(self) -> i128 {
                self.into()
            }
        }
    )* };
}

/// Exact for up to 2^31 items of at most 32 bits.
#[inline(always)]
fn narrow_sum<T: Copy>(items: &[T], widen: impl Fn(T) -> i64) -> i128 {
    items.iter().map(|&item| widen(item)).sum::<i64>().into()
}

/// Exact for up to 2^31 items: the halves of each item are summed apart, so that no 64-bit lane can overflow.
#[inline(always)]
fn signed_sum(items: &[i64], _: impl Fn(i64) -> i128) -> i128 {
    halves(items.iter().copied())
}

/// The exact sum of up to 2^31 items, as [`signed_sum`] takes it.
#[inline(always)]
fn halves(items: impl Iterator<Item = i64>) -> i128 {
    let (mut low, mut high) = (0_i64, 0_i64);
    for item in items {
        low += item & 0xffff_ffff;
        high += item >> 32;
    }
    (i128::from(high) << 32) + i128::from(low)
}

/// [`signed_sum`] for items without a sign.
#[inline(always)]
fn unsigned_sum(items: &[u64], _: impl Fn(u64) -> i128) -> i128 {
    let (mut low, mut high) = (0_u64, 0_u64);
    for &item in items {
        low += item & 0xffff_ffff;
        high += item >> 32;
    }
    (i128::from(high) << 32) + i128::from(low)
}

integers! {
    i8 => Int, narrow_sum, u8;
    i16 => Int, narrow_sum, u16;
    i32 => Int, narrow_sum, u32;
    i64 => Int, signed_sum, u64;
    u8 => UInt, narrow_sum, u8;
    u16 => UInt, narrow_sum, u16;
    u32 => UInt, narrow_sum, u32;
    u64 => UInt, unsigned_sum, u64;
}

impl Item for Bool8 {
    #[inline(always)]
    fn is_nonzero(self) -> bool {
        self.0 != 0
    }

    fn number(self) -> Number {
        Number::Bool(self.0 != 0)
    }

    fn of_number(number: Number) -> Self {
        Bool8(u8::from(number.float() != 0.0))
    }
}

impl Ordered for Bool8 {
    const LOWEST: Self = Bool8(0);
    const HIGHEST: Self = Bool8(1);

    #[inline(always)]
    fn below(self, other: Self) -> bool {
        (self.0 == 0) & (other.0 != 0)
    }

    const KEY_BITS: u32 = 1;

    #[inline(always)]
    fn key(self) -> u64 {
        u64::from(self.0 != 0)
    }

    #[inline(always)]
    fn of_key(key: u64) -> Self {
        Bool8(u8::from(key != 0))
    }
}

impl Integer for Bool8 {
    #[inline(always)]
    fn sum(items: &[Self]) -> i128 {
        narrow_sum(items, |item| i64::from(item.0 != 0))
    }

    #[inline(always)]
    fn wide(self) -> i128 {
        i128::from(self.0 != 0)
    }
}

impl Item for Time {
    #[inline(always)]
    fn is_missing(self) -> bool {
        self == Time::NAT
    }

    #[inline(always)]
    fn is_nonzero(self) -> bool {
        self.0 != 0
    }

    fn number(self) -> Number {
        Number::Int(self.0)
    }

    fn of_number(number: Number) -> Self {
        if let Number::Int(ticks) = number { Time(ticks) } else { Time::NAT }
    }
}

impl Ordered for Time {
    const LOWEST: Self = Time(i64::MIN + 1);
    const HIGHEST: Self = Time(i64::MAX);

    #[inline(always)]
    fn below(self, other: Self) -> bool {
        // An unsigned comparison of shifted values would save the second test, but not for NaT on the right.
        (self.0 < other.0) & (self.0 != i64::MIN) & (other.0 != i64::MIN)
    }

    const KEY_BITS: u32 = 64;

    #[inline(always)]
    fn key(self) -> u64 {
        // NaT, the smallest, wraps around to the end.
        (self.0 ^ i64::MIN).cast_unsigned().wrapping_sub(1)
    }

    #[inline(always)]
    fn of_key(key: u64) -> Self {
        Time(key.wrapping_add(1).cast_signed() ^ i64::MIN)
    }
}

impl Integer for Time {
    #[inline(always)]
    fn sum(items: &[Self]) -> i128 {
        halves(items.iter().map(|&time| if time == Time::NAT { 0 } else { time.0 }))
    }

    #[inline(always)]
    fn wide(self) -> i128 {
        if self == Time::NAT { 0 } else { self.0.into() }
    }
}
