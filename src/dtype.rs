//! The closed list of element types: what an array may hold ([`DType`]) and what a block holds once loaded ([`Item`]).
//!
//! The two differ in few places: float16 is loaded as `f32`, and both kinds of time are loaded as [`Time`]. The list
//! of items is written once, in `for_each_item!`; blocks, buffers and the one dispatch macro follow from it.

use std::fmt;
use std::hash::{Hash, Hasher};

use num_complex::Complex;

/// The element type of an array, as NumPy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    Float32,
    Float64,
    Complex64,
    Complex128,
    Datetime64,
    Timedelta64,
}

impl DType {
    /// Every dtype, in NumPy's order.
    pub const ALL: [DType; 16] = [
        DType::Bool,
        DType::Int8,
        DType::Int16,
        DType::Int32,
        DType::Int64,
        DType::UInt8,
        DType::UInt16,
        DType::UInt32,
        DType::UInt64,
        DType::Float16,
        DType::Float32,
        DType::Float64,
        DType::Complex64,
        DType::Complex128,
        DType::Datetime64,
        DType::Timedelta64,
    ];

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::Int8 => "int8",
            DType::Int16 => "int16",
            DType::Int32 => "int32",
            DType::Int64 => "int64",
            DType::UInt8 => "uint8",
            DType::UInt16 => "uint16",
            DType::UInt32 => "uint32",
            DType::UInt64 => "uint64",
            DType::Float16 => "float16",
            DType::Float32 => "float32",
            DType::Float64 => "float64",
            DType::Complex64 => "complex64",
            DType::Complex128 => "complex128",
            DType::Datetime64 => "datetime64",
            DType::Timedelta64 => "timedelta64",
        }
    }

    /// Bytes of one element in memory.
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::Int8 | DType::UInt8 => 1,
            DType::Int16 | DType::UInt16 | DType::Float16 => 2,
            DType::Int32 | DType::UInt32 | DType::Float32 => 4,
            DType::Complex128 => 16,
            _ => 8,
        }
    }

    /// float16, float32 or float64.
    pub fn is_float(self) -> bool {
        matches!(self, DType::Float16 | DType::Float32 | DType::Float64)
    }

    /// complex64 or complex128.
    pub fn is_complex(self) -> bool {
        matches!(self, DType::Complex64 | DType::Complex128)
    }

    /// datetime64 or timedelta64.
    pub fn is_time(self) -> bool {
        matches!(self, DType::Datetime64 | DType::Timedelta64)
    }

    /// What an element that is no value is called.
    pub fn missing(self) -> &'static str {
        if self.is_time() { "NaT" } else { "NaN" }
    }

    /// Whether an element can be NaN (or NaT).
    pub fn has_missing(self) -> bool {
        self.is_float() || self.is_complex() || self.is_time()
    }

    /// The nearest number of a float dtype; other dtypes leave it as it is.
    ///
    /// An operation in float64 followed by this gives what the operation in the narrower dtype gives, because float64 has
    /// more than twice its digits (Figueroa, SIGNUM Newsletter 30 (1995), 21-26).
    #[allow(clippy::cast_possible_truncation)]
    pub fn round(self, x: f64) -> f64 {
        match self {
            DType::Float16 => half::f16::from_f32(to_odd(x)).to_f64(),
            DType::Float32 => f64::from(x as f32),
            _ => x,
        }
    }

    /// The dtype of a mean: NumPy keeps floats as they are and gives float64 for integers.
    #[must_use]
    pub fn mean_type(self) -> DType {
        if self.is_float() || self.is_complex() { self } else { DType::Float64 }
    }

    /// The narrowest float that NumPy's promotion takes for elements of this type.
    #[must_use]
    pub fn least_float(self) -> DType {
        match self {
            DType::Bool | DType::Int8 | DType::UInt8 | DType::Float16 => DType::Float16,
            DType::Int16 | DType::UInt16 | DType::Float32 => DType::Float32,
            _ => DType::Float64,
        }
    }

    /// The dtype of a sum or product: NumPy widens integers to 64 bits and keeps their sign.
    #[must_use]
    pub fn sum_type(self) -> DType {
        match self {
            DType::Bool | DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => DType::Int64,
            DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => DType::UInt64,
            other => other,
        }
    }
}

/// A float64 as float32, rounded so that rounding that once more to float16 gives the nearest: to the neighbour whose
/// last bit is odd if it is not exact (Boldo & Melquiond, IEEE Transactions on Computers 57 (2008), theorem 2).
///
/// `half` rounds twice to nearest where the processor has F16C, and once where it has not, so results would depend on it.
#[allow(clippy::cast_possible_truncation)]
fn to_odd(x: f64) -> f32 {
    let near = x as f32;
    let error = x - f64::from(near);
    if error == 0.0 || !error.is_finite() || near.to_bits() & 1 == 1 {
        return near;
    }
    // The other neighbour: away from zero if x lies beyond what it was rounded to.
    let beyond = (error > 0.0) == (x > 0.0);
    f32::from_bits(if beyond { near.to_bits() + 1 } else { near.to_bits() - 1 })
}

impl ItemType {
    /// The dtype whose elements are such items as they are.
    pub fn dtype(self) -> DType {
        let same = |dtype: &&DType| dtype.item() == self && dtype.size() == self.size();
        DType::ALL.iter().find(same).copied().unwrap_or(DType::Float64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One byte of a bool array. Any non-zero byte is true, as in NumPy.
#[derive(Debug, Clone, Copy, Default)]
#[repr(transparent)]
pub struct Bool8(pub u8);

impl PartialEq for Bool8 {
    #[inline(always)]
    fn eq(&self, other: &Bool8) -> bool {
        (self.0 == 0) == (other.0 == 0)
    }
}

/// One datetime64 or timedelta64: a count of units, or [`Time::NAT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Time(pub i64);

impl Time {
    /// "Not a time": the smallest 64-bit integer, as in NumPy.
    pub const NAT: Time = Time(i64::MIN);
}

/// The list of items. `$go` is called with pairs of a variant's name and its type.
macro_rules! for_each_item {
    ($go:ident) => {
        $go! {
            Bool: $crate::dtype::Bool8,
            Int8: i8,
            Int16: i16,
            Int32: i32,
            Int64: i64,
            UInt8: u8,
            UInt16: u16,
            UInt32: u32,
            UInt64: u64,
            Float32: f32,
            Float64: f64,
            Complex64: num_complex::Complex<f32>,
            Complex128: num_complex::Complex<f64>,
            Time: $crate::dtype::Time,
        }
    };
}

pub(crate) use for_each_item;

macro_rules! define_blocks {
    ($($variant:ident: $item:ty,)*) => {
        /// What a block holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum ItemType { $($variant,)* }

        /// A block: contiguous, native, aligned items that stay in cache while every sink visits them.
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs)]
        pub enum Block<'a> { $($variant(&'a [$item]),)* }

        /// The owner of a block that is not borrowed from the array.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub enum Buffer { $($variant(Vec<$item>),)* }

        impl Block<'_> {
            /// How many items.
            pub fn len(&self) -> usize {
                match self { $(Block::$variant(items) => items.len(),)* }
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// What it holds.
            pub fn item(&self) -> ItemType {
                match self { $(Block::$variant(_) => ItemType::$variant,)* }
            }

            /// The items, owned.
            pub fn to_buffer(&self) -> Buffer {
                match self { $(Block::$variant(items) => Buffer::$variant($crate::memory::copied(items)),)* }
            }

            /// Where its items lie.
            pub fn as_ptr(&self) -> *const u8 {
                match self { $(Block::$variant(items) => items.as_ptr().cast(),)* }
            }
        }

        impl ItemType {
            /// Bytes of one.
            pub fn size(self) -> usize {
                match self { $(ItemType::$variant => size_of::<$item>(),)* }
            }
        }

        impl Default for Buffer {
            fn default() -> Buffer {
                Buffer::new(ItemType::Bool, 0)
            }
        }

        impl Buffer {
            /// A buffer of `len` zeros.
            pub fn new(item: ItemType, len: usize) -> Buffer {
                match item { $(ItemType::$variant => Buffer::$variant($crate::memory::filled(<$item as Default>::default(), len)),)* }
            }

            /// How many items.
            pub fn len(&self) -> usize {
                match self { $(Buffer::$variant(items) => items.len(),)* }
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// What it holds.
            pub fn item(&self) -> ItemType {
                match self { $(Buffer::$variant(_) => ItemType::$variant,)* }
            }

            /// Adds the nearest item to a number.
            pub fn push(&mut self, number: Number) {
                match self { $(Buffer::$variant(items) => $crate::memory::push(items, <$item as Item>::of_number(number)),)* }
            }

            /// Adds the items of a buffer that holds the same; those of another are left out.
            pub fn append(&mut self, next: Buffer) {
                match (self, next) {
                    $((Buffer::$variant(items), Buffer::$variant(next)) => $crate::memory::extend(items, next),)*
                    _ => {}
                }
            }

            /// The items as numbers.
            pub fn numbers(&self) -> Vec<Number> {
                match self { $(Buffer::$variant(items) => $crate::memory::collected(items.iter().map(|item| Item::number(*item))),)* }
            }

            /// Where its items lie.
            pub fn as_mut_ptr(&mut self) -> *mut u8 {
                match self { $(Buffer::$variant(items) => items.as_mut_ptr().cast(),)* }
            }

            /// Puts a block's items in the place from number `at` on, as far as they are of its type and fit.
            pub fn put(&mut self, at: usize, block: Block<'_>) {
                match (self, block) {
                    $((Buffer::$variant(items), Block::$variant(new)) => {
                        if let Some(place) = items.get_mut(at..at.saturating_add(new.len())) {
                            place.copy_from_slice(new);
                        }
                    })*
                    _ => {}
                }
            }

            /// The first `len` items as a block.
            pub fn block(&self, len: usize) -> Block<'_> {
                match self { $(Buffer::$variant(items) => Block::$variant(items.get(..len).unwrap_or(items)),)* }
            }
        }

        $(
            impl closed::Closed for $item {}

            impl Sealed for $item {
                const TYPE: ItemType = ItemType::$variant;

                #[inline(always)]
                fn of(block: Block<'_>) -> Option<&[Self]> {
                    match block { Block::$variant(items) => Some(items), _ => None }
                }

                fn block(items: &[Self]) -> Block<'_> {
                    Block::$variant(items)
                }

                fn of_mut(buffer: &mut Buffer) -> Option<&mut [Self]> {
                    match buffer { Buffer::$variant(items) => Some(items), _ => None }
                }

                fn buffer(items: Vec<Self>) -> Buffer {
                    Buffer::$variant(items)
                }
            }
        )*
    };
}

/// One item, equal to another if all bits are.
#[derive(Debug, Clone)]
pub struct Constant {
    buffer: Buffer,
    bits: u128,
}

impl Constant {
    /// The first item of a buffer that is not empty.
    pub fn new(buffer: Buffer) -> Option<Constant> {
        let pair = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let bits = match &buffer {
            Buffer::Bool(items) => u128::from(items.first()?.0),
            Buffer::Int8(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::Int16(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::Int32(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::Int64(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::UInt8(items) => u128::from(*items.first()?),
            Buffer::UInt16(items) => u128::from(*items.first()?),
            Buffer::UInt32(items) => u128::from(*items.first()?),
            Buffer::UInt64(items) => u128::from(*items.first()?),
            Buffer::Float32(items) => u128::from(items.first()?.to_bits()),
            Buffer::Float64(items) => u128::from(items.first()?.to_bits()),
            Buffer::Complex64(items) => {
                let item = items.first()?;
                pair(item.re.to_bits().into(), item.im.to_bits().into())
            }
            Buffer::Complex128(items) => {
                let item = items.first()?;
                pair(item.re.to_bits(), item.im.to_bits())
            }
            Buffer::Time(items) => u128::from(items.first()?.0.cast_unsigned()),
        };
        Some(Constant { buffer, bits })
    }

    /// What it is.
    pub fn item(&self) -> ItemType {
        self.buffer.item()
    }

    /// The item, in a buffer.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Constant) -> bool {
        self.bits == other.bits && self.item() == other.item()
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.bits, self.item()).hash(state);
    }
}

mod closed {
    /// What nobody outside can implement: memory is read as the items that are listed here.
    pub trait Closed {}
}

/// The links between an item and the enums that list them. The list is closed.
pub trait Sealed: closed::Closed + Copy + Default + Send + Sync + fmt::Debug + PartialEq + 'static {
    /// The item's place in the list.
    const TYPE: ItemType;
    /// The block's items, if they are of this type.
    fn of(block: Block<'_>) -> Option<&[Self]>;
    /// A block of these items.
    fn block(items: &[Self]) -> Block<'_>;
    /// The buffer's items, if they are of this type.
    fn of_mut(buffer: &mut Buffer) -> Option<&mut [Self]>;
    /// A buffer of these items.
    fn buffer(items: Vec<Self>) -> Buffer;
}

for_each_item!(define_blocks);

/// What a kernel may read: one element of a block.
pub trait Item: Sealed {
    /// NaN or NaT.
    #[inline(always)]
    fn is_missing(self) -> bool {
        false
    }

    /// Infinite, of either sign.
    #[inline(always)]
    fn is_infinite(self) -> bool {
        false
    }

    /// Not zero; NaN is not zero.
    fn is_nonzero(self) -> bool;

    /// The item as a number.
    fn number(self) -> Number;

    /// The nearest item to a number, whose dtype is the item's own.
    fn of_number(number: Number) -> Self;
}

/// Items with an order. NaN and NaT are neither below nor above anything.
pub trait Ordered: Item {
    /// Nothing is below this.
    const LOWEST: Self;
    /// Nothing is above this.
    const HIGHEST: Self;

    /// `self < other`.
    fn below(self, other: Self) -> bool;

    /// Bits of a key.
    const KEY_BITS: u32;
    /// Whether items are floats: their keys are then far from proportional to them.
    const IS_FLOAT: bool = false;

    /// All bits of a key.
    const KEYS: u64 = u64::MAX >> (u64::BITS - Self::KEY_BITS);

    /// The item with which others that are equal have one key: of a zero the positive one.
    #[inline(always)]
    #[must_use]
    fn canonical(self) -> Self {
        self
    }

    /// A float's value.
    #[inline(always)]
    fn float(self) -> f64 {
        0.0
    }

    /// An integer that has the item's place in the order: -0 before 0, and what is missing, whose keys are all one, behind
    /// everything. (NumPy sorts so too, but for zeros, which it leaves as they come.)
    fn key(self) -> u64;

    /// The item of a key, which is one that an item has.
    fn of_key(key: u64) -> Self;
}

/// Integers, bools and times, summed exactly. NaT counts as 0.
pub trait Integer: Ordered {
    /// The sum of a block of at most [`crate::view::BLOCK`] items.
    fn sum(items: &[Self]) -> i128;
    /// The item's value.
    fn wide(self) -> i128;
}

/// A number without a width.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Number {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Complex(Complex<f64>),
}

impl Number {
    /// As a float; of a complex number the real part.
    pub fn float(self) -> f64 {
        match self {
            Number::Bool(value) => f64::from(u8::from(value)),
            Number::Int(value) => value as f64,
            Number::UInt(value) => value as f64,
            Number::Float(value) => value,
            Number::Complex(value) => value.re,
        }
    }
}

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

/// What [`signed_sum`] does.
#[inline(always)]
fn halves(items: impl Iterator<Item = i64>) -> i128 {
    let (mut low, mut high) = (0_i64, 0_i64);
    for item in items {
        low += item & 0xffff_ffff;
        high += item >> 32;
    }
    (i128::from(high) << 32) + i128::from(low)
}

/// As [`signed_sum`], without a sign.
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

impl DType {
    /// What a block of such an array holds.
    pub fn item(self) -> ItemType {
        match self {
            DType::Bool => ItemType::Bool,
            DType::Int8 => ItemType::Int8,
            DType::Int16 => ItemType::Int16,
            DType::Int32 => ItemType::Int32,
            DType::Int64 => ItemType::Int64,
            DType::UInt8 => ItemType::UInt8,
            DType::UInt16 => ItemType::UInt16,
            DType::UInt32 => ItemType::UInt32,
            DType::UInt64 => ItemType::UInt64,
            DType::Float16 | DType::Float32 => ItemType::Float32,
            DType::Float64 => ItemType::Float64,
            DType::Complex64 => ItemType::Complex64,
            DType::Complex128 => ItemType::Complex128,
            DType::Datetime64 | DType::Timedelta64 => ItemType::Time,
        }
    }
}

/// Runs `$body` with `$T` standing for the item of an ordered dtype; complex dtypes, which have no order, take `$else`.
macro_rules! with_ordered {
    ($dtype:expr, $T:ident => $body:expr, else $else:expr) => {
        match $dtype.item() {
            $crate::dtype::ItemType::Bool => {
                type $T = $crate::dtype::Bool8;
                $body
            }
            $crate::dtype::ItemType::Int8 => {
                type $T = i8;
                $body
            }
            $crate::dtype::ItemType::Int16 => {
                type $T = i16;
                $body
            }
            $crate::dtype::ItemType::Int32 => {
                type $T = i32;
                $body
            }
            $crate::dtype::ItemType::Int64 => {
                type $T = i64;
                $body
            }
            $crate::dtype::ItemType::UInt8 => {
                type $T = u8;
                $body
            }
            $crate::dtype::ItemType::UInt16 => {
                type $T = u16;
                $body
            }
            $crate::dtype::ItemType::UInt32 => {
                type $T = u32;
                $body
            }
            $crate::dtype::ItemType::UInt64 => {
                type $T = u64;
                $body
            }
            $crate::dtype::ItemType::Float32 => {
                type $T = f32;
                $body
            }
            $crate::dtype::ItemType::Float64 => {
                type $T = f64;
                $body
            }
            $crate::dtype::ItemType::Time => {
                type $T = $crate::dtype::Time;
                $body
            }
            $crate::dtype::ItemType::Complex64 | $crate::dtype::ItemType::Complex128 => $else,
        }
    };
}
pub(crate) use with_ordered;

/// Runs `$body` with `$T` standing for the item of any dtype.
macro_rules! with_item {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::dtype::DType::Complex64 => { type $T = num_complex::Complex<f32>; $body }
            $crate::dtype::DType::Complex128 => { type $T = num_complex::Complex<f64>; $body }
            ordered => $crate::dtype::with_ordered!(ordered, $T => $body, else unreachable!("complex is matched above")),
        }
    };
}
pub(crate) use with_item;

/// Runs `$body` with `$T` standing for the item of an integer or bool dtype; every other dtype takes `$else`.
macro_rules! with_integer {
    ($dtype:expr, $T:ident => $body:expr, else $else:expr) => {
        match $dtype.item() {
            $crate::dtype::ItemType::Bool => {
                type $T = $crate::dtype::Bool8;
                $body
            }
            $crate::dtype::ItemType::Int8 => {
                type $T = i8;
                $body
            }
            $crate::dtype::ItemType::Int16 => {
                type $T = i16;
                $body
            }
            $crate::dtype::ItemType::Int32 => {
                type $T = i32;
                $body
            }
            $crate::dtype::ItemType::Int64 => {
                type $T = i64;
                $body
            }
            $crate::dtype::ItemType::UInt8 => {
                type $T = u8;
                $body
            }
            $crate::dtype::ItemType::UInt16 => {
                type $T = u16;
                $body
            }
            $crate::dtype::ItemType::UInt32 => {
                type $T = u32;
                $body
            }
            $crate::dtype::ItemType::UInt64 => {
                type $T = u64;
                $body
            }
            _ => $else,
        }
    };
}
pub(crate) use with_integer;
