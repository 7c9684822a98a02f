//! Conversions between items, with the same values as NumPy's `astype`.
//!
//! For a float outside an integer's range, C does not define the result. As in NumPy, it is the result of the
//! processor's conversion: the smallest integer on x86, the nearest one elsewhere. NumPy warns of this
//! ([`Flags::INVALID`]), and of finite numbers that become infinite ([`Flags::OVERFLOW`]).

use num_complex::Complex;

use crate::dtype::{Block, Bool8, Buffer, ItemType, Sealed, Wider, nearest_half, overflows, underflows};
use crate::expr::flags::Flags;
use crate::simd::Level;

/// Whether there is a conversion between these item types.
pub fn can_cast(from: ItemType, to: ItemType) -> bool {
    let float = |item| matches!(item, ItemType::Float32 | ItemType::Float64);
    let complex = |item| matches!(item, ItemType::Complex64 | ItemType::Complex128);
    if from == ItemType::Time || to == ItemType::Time {
        false
    } else if complex(from) {
        complex(to)
    } else if float(from) {
        float(to) || complex(to) || matches!(to, ItemType::Bool | ItemType::Int32 | ItemType::Int64)
    } else {
        true
    }
}

/// An item that can be converted to another type.
trait Cast<U>: Copy {
    /// The converted item.
    fn cast(self) -> U;

    /// Whether the item did not fit the other type.
    #[inline(always)]
    fn misfit(self, _: U) -> bool {
        false
    }
}

macro_rules! cast_as {
    ($($from:ty => $($to:ty)*;)*) => { $($(
        impl Cast<$to> for $from {
            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                clippy::cast_lossless,
                trivial_numeric_casts,
                reason = "integers that wrap and floats that round are what `astype` gives"
            )]
            fn cast(self) -> $to {
                self as $to
            }
        }
    )*)* };
}

cast_as! {
    i8 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    i16 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    i32 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    i64 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    u8 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    u16 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    u32 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    u64 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    f32 => f32 f64;
    f64 => f64;
}

impl Cast<f32> for f64 {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "it rounds, as `astype` does")]
    fn cast(self) -> f32 {
        self as f32
    }

    #[inline(always)]
    fn misfit(self, to: f32) -> bool {
        to.is_infinite() && self.is_finite()
    }
}

macro_rules! cast_whole {
    ($($from:ty => $to:ty, above $least:literal, below $end:literal;)*) => { $(
        impl Cast<$to> for $from {
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "what does not fit is told by `misfit`")]
            fn cast(self) -> $to {
                if cfg!(any(target_arch = "x86", target_arch = "x86_64")) && self.misfit(0) { <$to>::MIN } else { self as $to }
            }

            #[inline(always)]
            fn misfit(self, _: $to) -> bool {
                // NaN is not inside the bounds either.
                !(self > $least && self < $end)
            }
        }
    )* };
}

// The bounds are floats just outside the integers' range.
cast_whole! {
    f64 => i64, above -9_223_372_036_854_777_856.0, below 9_223_372_036_854_775_808.0;
    f64 => i32, above -2_147_483_649.0, below 2_147_483_648.0;
    f32 => i64, above -9_223_373_136_366_403_584.0, below 9_223_372_036_854_775_808.0;
    f32 => i32, above -2_147_483_904.0, below 2_147_483_648.0;
}

macro_rules! cast_truth {
    ($($from:ty)*) => { $(
        impl Cast<Bool8> for $from {
            #[inline(always)]
            fn cast(self) -> Bool8 {
                Bool8(u8::from(self != <$from>::default()))
            }
        }
    )* };
}

cast_truth!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

macro_rules! cast_bool {
    ($($to:ty)*) => { $(
        impl Cast<$to> for Bool8 {
            #[inline(always)]
            fn cast(self) -> $to {
                u8::from(self.0 != 0).cast()
            }
        }
    )* };
}

cast_bool!(Bool8 i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Complex<f32> Complex<f64>);

macro_rules! cast_complex {
    ($($from:ty)*) => { $(
        impl Cast<Complex<f32>> for $from {
            #[inline(always)]
            fn cast(self) -> Complex<f32> {
                Complex::new(self.cast(), 0.0)
            }

            #[inline(always)]
            fn misfit(self, to: Complex<f32>) -> bool {
                self.misfit(to.re)
            }
        }

        impl Cast<Complex<f64>> for $from {
            #[inline(always)]
            fn cast(self) -> Complex<f64> {
                Complex::new(self.cast(), 0.0)
            }
        }
    )* };
}

cast_complex!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

impl<F: Cast<G>, G: Copy> Cast<Complex<G>> for Complex<F> {
    #[inline(always)]
    fn cast(self) -> Complex<G> {
        Complex { re: self.re.cast(), im: self.im.cast() }
    }

    #[inline(always)]
    fn misfit(self, to: Complex<G>) -> bool {
        self.re.misfit(to.re) | self.im.misfit(to.im)
    }
}

/// Converts each item of a block to the output's type.
pub(super) fn cast(level: Level, input: Block<'_>, output: &mut Buffer) -> Flags {
    // From bools and integers, and from other types with a conversion, together with the flag for an item that does not
    // fit.
    macro_rules! from {
        ($to:ty $(, $variant:ident: $misfit:ident)*) => {
            from!(@ $to, Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64; $($variant: $misfit)*)
        };
        (@ $to:ty, $($whole:ident),*; $($variant:ident: $misfit:ident)*) => {
            match input {
                $(Block::$whole(items) => each::<_, $to>(level, items, output, Flags::default()),)*
                $(Block::$variant(items) => each::<_, $to>(level, items, output, Flags::$misfit),)*
                _ => unreachable!("can_cast was asked"),
            }
        };
    }
    match output {
        Buffer::Bool(_) => from!(Bool8, Float32: INVALID, Float64: INVALID),
        Buffer::Int8(_) => from!(i8),
        Buffer::Int16(_) => from!(i16),
        Buffer::Int32(_) => from!(i32, Float32: INVALID, Float64: INVALID),
        Buffer::Int64(_) => from!(i64, Float32: INVALID, Float64: INVALID),
        Buffer::UInt8(_) => from!(u8),
        Buffer::UInt16(_) => from!(u16),
        Buffer::UInt32(_) => from!(u32),
        Buffer::UInt64(_) => from!(u64),
        Buffer::Float32(_) => from!(f32, Float32: OVERFLOW, Float64: OVERFLOW),
        Buffer::Float64(_) => from!(f64, Float32: OVERFLOW, Float64: OVERFLOW),
        Buffer::Complex64(_) => {
            from!(Complex<f32>, Float32: OVERFLOW, Float64: OVERFLOW, Complex64: OVERFLOW, Complex128: OVERFLOW)
        }
        Buffer::Complex128(_) => {
            from!(Complex<f64>, Float32: OVERFLOW, Float64: OVERFLOW, Complex64: OVERFLOW, Complex128: OVERFLOW)
        }
        Buffer::Time(_) => unreachable!("can_cast was asked"),
    }
}

#[inline(always)]
fn each<T: Cast<U>, U: Sealed>(level: Level, input: &[T], output: &mut Buffer, misfit: Flags) -> Flags {
    let Some(output) = U::of_mut(output) else { unreachable!("the caller looked") };
    let any = level.run(
        #[inline(always)]
        || {
            let mut any = false;
            for (y, &x) in output.iter_mut().zip(input) {
                *y = x.cast();
                any |= x.misfit(*y);
            }
            any
        },
    );
    if any { misfit } else { Flags::default() }
}

/// Rounds floats to float16, whose items are float32.
pub(super) fn halve(level: Level, input: Block<'_>, output: &mut Buffer) -> Flags {
    match (input, f32::of_mut(output)) {
        (Block::Float32(items), Some(output)) => halves(level, items.iter().copied().zip(output)),
        (Block::Float64(items), Some(output)) => halves(level, items.iter().copied().zip(output)),
        _ => unreachable!("other items are float32 by now"),
    }
}

/// Rounds float32 to float16 where they are.
pub fn halve_in_place(level: Level, items: &mut [f32]) -> Flags {
    halves(level, items.iter_mut().map(|item| (*item, item)))
}

/// Rounds the first of each pair to the second, and tells what NumPy tells: it asks whether a number is small before it
/// rounds it.
#[inline(always)]
fn halves<'a, F: Wider>(level: Level, pairs: impl Iterator<Item = (F, &'a mut f32)>) -> Flags {
    let (over, under) = level.run(
        #[inline(always)]
        || {
            let (mut over, mut under) = (false, false);
            for (x, y) in pairs {
                *y = nearest_half(x);
                over |= overflows(x);
                under |= underflows(x, *y);
            }
            (over, under)
        },
    );
    let mut flags = if over { Flags::OVERFLOW } else { Flags::default() };
    flags.add(if under { Flags::UNDERFLOW } else { Flags::default() });
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn casted(from: &Buffer, to: ItemType) -> (Buffer, Flags) {
        let len = from.len();
        let mut output = Buffer::new(to, len);
        let flags = cast(Level::current(), from.block(len), &mut output);
        (output, flags)
    }

    #[test]
    fn integers_wrap_and_floats_round() {
        assert_eq!(casted(&Buffer::Int64(vec![-1, 256, 300]), ItemType::UInt8).0, Buffer::UInt8(vec![255, 0, 44]));
        let (floats, flags) = casted(&Buffer::Float64(vec![0.1, 1e300, f64::INFINITY]), ItemType::Float32);
        assert_eq!(floats, Buffer::Float32(vec![0.1, f32::INFINITY, f32::INFINITY]));
        assert_eq!(flags, Flags::OVERFLOW);
    }

    #[test]
    fn floats_outside_an_integers_range_are_flagged() {
        let edges = vec![-2_147_483_648.9, 2_147_483_647.9, -0.5, 1.0];
        assert_eq!(
            casted(&Buffer::Float64(edges), ItemType::Int32),
            (Buffer::Int32(vec![i32::MIN, i32::MAX, 0, 1]), Flags::default())
        );
        for outside in [f64::NAN, f64::INFINITY, -2_147_483_649.0, 2_147_483_648.0] {
            assert_eq!(casted(&Buffer::Float64(vec![outside]), ItemType::Int32).1, Flags::INVALID, "{outside}");
        }
        assert_eq!(casted(&Buffer::Float64(vec![-9.223_372_036_854_776e18]), ItemType::Int64).1, Flags::default());
        assert_eq!(casted(&Buffer::Float32(vec![-9.223_372e18]), ItemType::Int64).1, Flags::default());
        assert_eq!(casted(&Buffer::Float32(vec![9.223_372e18]), ItemType::Int64).1, Flags::INVALID);
    }

    #[test]
    fn floats_are_rounded_to_float16_once_and_what_leaves_its_range_is_flagged() {
        let halved = |from: &Buffer| {
            let mut output = Buffer::new(ItemType::Float32, from.len());
            let flags = halve(Level::current(), from.block(from.len()), &mut output);
            (output, flags)
        };
        let x = vec![0.1, -2049.0, 1.0 + 2_f64.powi(-11) + 2_f64.powi(-40), f64::INFINITY];
        let want = Buffer::Float32(vec![0.099_975_586, -2048.0, 1.000_976_6, f32::INFINITY]);
        assert_eq!(halved(&Buffer::Float64(x)), (want, Flags::default()));
        for (x, want, flag) in [(70_000.0, f32::INFINITY, Flags::OVERFLOW), (1e-8, 0.0, Flags::UNDERFLOW)] {
            assert_eq!(halved(&Buffer::Float32(vec![x])), (Buffer::Float32(vec![want]), flag));
            let mut items = [1.0, x];
            assert_eq!((halve_in_place(Level::current(), &mut items), items), (flag, [1.0, want]));
        }
    }

    #[test]
    fn every_cast_that_is_offered_exists() {
        let all = [
            ItemType::Bool,
            ItemType::Int8,
            ItemType::Int16,
            ItemType::Int32,
            ItemType::Int64,
            ItemType::UInt8,
            ItemType::UInt16,
            ItemType::UInt32,
            ItemType::UInt64,
            ItemType::Float32,
            ItemType::Float64,
            ItemType::Complex64,
            ItemType::Complex128,
            ItemType::Time,
        ];
        for from in all {
            for to in all.into_iter().filter(|&to| can_cast(from, to)) {
                assert_eq!(casted(&Buffer::new(from, 3), to), (Buffer::new(to, 3), Flags::default()));
            }
        }
    }
}
