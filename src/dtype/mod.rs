//! The closed list of element types: what an array may contain ([`DType`]), and what a block contains once it is loaded
//! ([`Item`]).
//!
//! The two differ in few places: float16 is loaded as `f32`, and both kinds of time are loaded as [`Time`]. This file
//! has the dtypes and NumPy's rules for them, `item` has the items, `block` has the enums that contain items, and
//! `halves` rounds to float16. Nothing here reads an array.

mod block;
mod dispatch;
mod floats;
mod halves;
mod integers;
mod item;

use std::fmt;

pub use block::{Block, Buffer, Constant};
pub(crate) use dispatch::{with_integer, with_item, with_ordered};
pub use halves::bits_of_half;
pub(crate) use halves::{Wider, half_bits, nearest_half, overflows, underflows, widen_half};
pub(crate) use item::for_each_item;
pub use item::{Bool8, Integer, Item, ItemType, Number, Ordered, Sealed, Time};

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

    /// Whether it is float16, float32 or float64.
    pub fn is_float(self) -> bool {
        matches!(self, DType::Float16 | DType::Float32 | DType::Float64)
    }

    /// Whether it is complex64 or complex128.
    pub fn is_complex(self) -> bool {
        matches!(self, DType::Complex64 | DType::Complex128)
    }

    /// Whether it is datetime64 or timedelta64.
    pub fn is_time(self) -> bool {
        matches!(self, DType::Datetime64 | DType::Timedelta64)
    }

    /// What a missing element is called: NaN, or NaT in arrays of times.
    pub fn missing(self) -> &'static str {
        if self.is_time() { "NaT" } else { "NaN" }
    }

    /// Whether an element can be NaN (or NaT).
    pub fn has_missing(self) -> bool {
        self.is_float() || self.is_complex() || self.is_time()
    }

    /// The nearest number of a float dtype; other dtypes leave it as it is.
    ///
    /// An operation in float64 followed by this gives what the operation in the narrower dtype gives, because float64
    /// has more than twice its digits (Figueroa, SIGNUM Newsletter 30 (1995), 21-26).
    #[allow(clippy::cast_possible_truncation)]
    pub fn round(self, x: f64) -> f64 {
        match self {
            DType::Float16 => nearest_half(x).into(),
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

impl DType {
    /// The type of the items in a block of such an array.
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

impl ItemType {
    /// The dtype whose elements lie in memory as such items.
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
