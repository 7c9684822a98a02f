//! Arrays of Rust: views of `ndarray` become a [`View`] or [`Rows`]. The caller does not have to promise anything.

use std::fmt;

use half::f16;
use ndarray::{ArrayView, Dimension};
use num_complex::Complex;

use super::{Rows, View};
use crate::dtype::DType;

/// An element of a datetime64 array: a count of units, of which the smallest is NaT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Datetime64(pub i64);

/// An element of a timedelta64 array: a count of units, of which the smallest is NaT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Timedelta64(pub i64);

/// What an array may hold: the Rust type of each [`DType`]. The list is closed, because memory is read as the dtype
/// says.
///
/// A type of yours is no element, and the compiler says so:
///
/// ```compile_fail
/// # use fanfold::array::Run;
/// # use ndarray::arr1;
/// let run = Run::new(["mean"]).unwrap();
/// run.over(arr1(&["a", "b"]).view());
/// ```
pub trait Element: sealed::Sealed + Copy + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The dtype whose elements lie in memory as values of this type do.
    const DTYPE: DType;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($element:ty => $dtype:ident,)*) => { $(
        impl sealed::Sealed for $element {}

        impl Element for $element {
            const DTYPE: DType = DType::$dtype;
        }
    )* };
}

elements! {
    bool => Bool,
    i8 => Int8,
    i16 => Int16,
    i32 => Int32,
    i64 => Int64,
    u8 => UInt8,
    u16 => UInt16,
    u32 => UInt32,
    u64 => UInt64,
    f16 => Float16,
    f32 => Float32,
    f64 => Float64,
    Complex<f32> => Complex64,
    Complex<f64> => Complex128,
    Datetime64 => Datetime64,
    Timedelta64 => Timedelta64,
}

impl<'a> View<'a> {
    /// The elements of an array in their logical order, where they lie. The array stays borrowed:
    ///
    /// ```compile_fail
    /// # use fanfold::source::View;
    /// let x = ndarray::arr1(&[1.0, 2.0]);
    /// let view = View::of_array(&x.view());
    /// drop(x);
    /// assert_eq!(view.len(), 2);
    /// ```
    pub fn of_array<T: Element, D: Dimension>(array: &ArrayView<'a, T, D>) -> View<'a> {
        let strides = strides(array);
        // SAFETY: an `ArrayView` borrows for 'a all elements that its pointer, shape and strides lead to; they are
        // initialised `T`s, which have the size that the dtype says (`strides`) and no padding (the list above is
        // closed). A bool is a byte of 0 or 1. Nobody writes to them while they are borrowed.
        unsafe { View::new(array.as_ptr().cast(), T::DTYPE, false, array.shape(), &strides) }
    }
}

impl<'a> Rows<'a> {
    /// The rows of an array along all axes but the last, which has the elements of each. An array without axes is a
    /// row.
    pub fn of_array<T: Element, D: Dimension>(array: &ArrayView<'a, T, D>) -> Rows<'a> {
        let strides = strides(array);
        let along = array.ndim().saturating_sub(1);
        // SAFETY: as in `View::of_array`.
        unsafe { Rows::new(array.as_ptr().cast(), T::DTYPE, false, array.shape(), &strides, along) }
    }
}

/// The distances between neighbours along each axis in bytes.
fn strides<T: Element, D: Dimension>(array: &ArrayView<'_, T, D>) -> Vec<isize> {
    assert!(size_of::<T>() == T::DTYPE.size(), "a value is an element");
    // Of an array without elements strides may be anything.
    let bytes = if array.is_empty() { 0 } else { size_of::<T>().cast_signed() };
    array.strides().iter().map(|&steps| steps.wrapping_mul(bytes)).collect()
}
