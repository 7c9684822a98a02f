//! Items: the elements of a block. The list of their types is closed, and is written once, in `for_each_item!`.
//!
//! [`Item`], [`Ordered`] and [`Integer`] define what can be done with an item; `integers` and `floats` implement them.
//! Nothing here knows about arrays or instruction sets.

use std::fmt;

use num_complex::Complex;

use super::block::{Block, Buffer};

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

macro_rules! define_items {
    ($($variant:ident: $item:ty,)*) => {
        /// The type of a block's items.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum ItemType { $($variant,)* }

        impl ItemType {
            /// Bytes of one item.
            pub fn size(self) -> usize {
                match self { $(ItemType::$variant => size_of::<$item>(),)* }
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

mod closed {
    /// A trait that no other crate can implement: memory is read as items without a look at it, which is sound for
    /// those that are listed here.
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

for_each_item!(define_items);

/// What a kernel may read: one element of a block.
pub trait Item: Sealed {
    /// Whether the item is NaN or NaT.
    #[inline(always)]
    fn is_missing(self) -> bool {
        false
    }

    /// Whether the item is infinite, of either sign.
    #[inline(always)]
    fn is_infinite(self) -> bool {
        false
    }

    /// Whether the item differs from zero; NaN does.
    fn is_nonzero(self) -> bool;

    /// The item as a number.
    fn number(self) -> Number;

    /// The item that is nearest to a number, which has the item's own dtype.
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

    /// How many bits a key has.
    const KEY_BITS: u32;
    /// Whether items are floats: their keys are then far from proportional to them.
    const IS_FLOAT: bool = false;

    /// The largest number that fits in a key.
    const KEYS: u64 = u64::MAX >> (u64::BITS - Self::KEY_BITS);

    /// The one item that stands for all equal ones, so that they have one key: the positive zero for zeros of both
    /// signs.
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

    /// An integer that has the item's place in the order: -0 before 0, and what is missing, whose keys are all one,
    /// behind everything. (NumPy sorts so too, but for zeros, which it leaves as they come.)
    fn key(self) -> u64;

    /// The item that has this key; some item must have it.
    fn of_key(key: u64) -> Self;
}

/// Integers, bools and times, summed exactly. NaT counts as 0.
pub trait Integer: Ordered {
    /// The sum of a block of at most [`crate::grid::BLOCK`] items.
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
    /// The number as a float; for a complex number, its real part.
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
