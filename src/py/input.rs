//! Input: converts a NumPy array or a [`Source`] to a [`View`] or to [`Rows`], or returns an error with a remedy.
#![allow(unsafe_code)]

use numpy::npyffi::objects::_PyArray_GET_ITEM_DATA;
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::dtype::DType;
use crate::error::Error;
use crate::py::source::Source;
use crate::source::{Output, OutputRows, Present, Rows, Source as CoreSource, View};

/// What a run reads.
#[derive(FromPyObject)]
pub(super) enum Input<'py> {
    /// An array.
    Array(Bound<'py, PyUntypedArray>),
    /// Elements that no NumPy array can represent without a copy.
    Source(Bound<'py, Source>),
}

impl<'py> Input<'py> {
    pub(super) fn py(&self) -> Python<'py> {
        match self {
            Input::Array(array) => array.py(),
            Input::Source(source) => source.py(),
        }
    }

    /// The dtype.
    pub(super) fn dtype(&self) -> Result<DType, Error> {
        match self {
            Input::Array(array) => Ok(dtype(&array.dtype())?.0),
            Input::Source(source) => source.get().element(source.py()),
        }
    }

    /// NumPy's dtype, including a time's unit.
    pub(super) fn descr(&self) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Input::Array(array) => Ok(array.dtype().into_any()),
            Input::Source(source) => source.getattr("dtype"),
        }
    }

    /// The number of elements along each axis.
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Input::Array(array) => array.shape(),
            Input::Source(source) => source.get().lengths(),
        }
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// The elements, including the missing ones.
    pub(super) fn view(&self) -> Result<View<'_>, Error> {
        match self {
            Input::Array(array) => view(array),
            Input::Source(source) => source.get().values(source.py()),
        }
    }

    /// The elements as rows along the first `along` axes.
    pub(super) fn rows(&self, along: usize) -> Result<Rows<'_>, Error> {
        match self {
            Input::Array(array) => array_rows(array, along),
            Input::Source(source) => source.get().rows(source.py(), along),
        }
    }

    /// The value that the bools have for present elements, if some elements are missing.
    pub(super) fn present(&self) -> Option<bool> {
        match self {
            Input::Array(_) => None,
            Input::Source(source) => source.get().present_value(),
        }
    }

    /// The bools themselves.
    pub(super) fn present_view(&self) -> Result<Option<View<'_>>, Error> {
        match self {
            Input::Array(_) => Ok(None),
            Input::Source(source) => Ok(source.get().present(source.py())?.map(|(view, _)| view)),
        }
    }

    /// The core's source, as rows along the first `along` axes.
    pub(super) fn source(&self, along: usize) -> Result<CoreSource<'_>, Error> {
        let present = match self {
            Input::Array(_) => None,
            Input::Source(source) => source.get().present_rows(source.py(), along)?,
        };
        let present = present.zip(self.present()).map(|(bools, value)| Present { bools, value });
        Ok(CoreSource { elements: self.rows(along)?, present })
    }
}

/// A view of the array's memory. Nothing is copied; strides, byte order and alignment are arbitrary.
///
/// The view borrows `array`, which keeps the memory alive. It cannot prevent other threads from writing to the memory:
/// see `source/view.rs` for the consequences.
pub(super) fn view<'a>(array: &'a Bound<'_, PyUntypedArray>) -> Result<View<'a>, Error> {
    let (dtype, swapped) = dtype(&array.dtype())?;
    let pointer = first(array);
    // SAFETY: NumPy keeps the invariant that data, shape, strides and itemsize of an array describe allocated memory
    // for every index, and `array` is borrowed for 'a, which keeps that memory alive: `ndarray.resize` refuses while
    // another reference exists, and there is ours. NumPy's allocations are initialised as far as a read of plain bytes
    // is concerned (`np.empty` is memory with unspecified contents obtained from outside Rust). Misalignment and
    // negative or zero strides are allowed by `View::new`.
    Ok(unsafe { View::new(pointer, dtype, swapped, array.shape(), array.strides()) })
}

/// The array as rows along its first `along` axes, as in [`view`].
pub(super) fn array_rows<'a>(array: &'a Bound<'_, PyUntypedArray>, along: usize) -> Result<Rows<'a>, Error> {
    let (dtype, swapped) = dtype(&array.dtype())?;
    let pointer = first(array);
    // SAFETY: as in `view`.
    Ok(unsafe { Rows::new(pointer, dtype, swapped, array.shape(), array.strides(), along) })
}

/// The memory of an array to be filled row by row, along its first `along` axes, as in [`output`].
pub(super) fn output_rows(array: &Bound<'_, PyUntypedArray>, along: usize) -> PyResult<OutputRows> {
    let (data, dtype) = writeable(array)?;
    // SAFETY: as in `output`.
    Ok(unsafe { OutputRows::new(data, dtype, array.shape(), array.strides(), along) })
}

/// The memory of an array to be filled by a sweep. The array must be kept alive until the sweep is over.
///
/// The array is new, or the user's own; the Python half has then checked its dtype, its length, and that it does not
/// overlap the input. If other threads write to it during the sweep, its numbers are meaningless, as for the input.
pub(super) fn output(array: &Bound<'_, PyUntypedArray>) -> PyResult<Output> {
    let (data, dtype) = writeable(array)?;
    // SAFETY: NumPy keeps the invariant that data, shape, strides and itemsize describe allocated memory for every
    // index; it is writeable, of this dtype and of native byte order, as `writeable` checks. The caller holds a
    // reference to the array until the sweep is over. It is written to through this pointer only.
    Ok(unsafe { Output::new(data, dtype, array.shape(), array.strides()) })
}

/// The address of a writeable array's elements, and its dtype.
fn writeable(array: &Bound<'_, PyUntypedArray>) -> PyResult<(*mut u8, DType)> {
    let (dtype, swapped) = dtype(&array.dtype())?;
    let writeable: bool = array.getattr("flags")?.getattr("writeable")?.extract()?;
    if swapped || !writeable {
        return Err(PyRuntimeError::new_err("an output array must be writeable and in native byte order"));
    }
    Ok((first(array), dtype))
}

/// The address of the array's first element.
///
/// NumPy is asked for it where the stable ABI of free-threaded Python hides the array object's fields.
fn first(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: `as_array_ptr` points to a live array object for as long as `array` is borrowed, and a `Bound` is only
    // held by a thread that is attached to the interpreter.
    unsafe { (*_PyArray_GET_ITEM_DATA(array.as_array_ptr())).data.cast() }
}

/// The dtype, and whether its byte order is not the native one.
pub(super) fn dtype(descr: &Bound<'_, PyArrayDescr>) -> Result<(DType, bool), Error> {
    let dtype = match (descr.kind(), descr.itemsize()) {
        (b'b', 1) => DType::Bool,
        (b'i', 1) => DType::Int8,
        (b'i', 2) => DType::Int16,
        (b'i', 4) => DType::Int32,
        (b'i', 8) => DType::Int64,
        (b'u', 1) => DType::UInt8,
        (b'u', 2) => DType::UInt16,
        (b'u', 4) => DType::UInt32,
        (b'u', 8) => DType::UInt64,
        (b'f', 2) => DType::Float16,
        (b'f', 4) => DType::Float32,
        (b'f', 8) => DType::Float64,
        (b'c', 8) => DType::Complex64,
        (b'c', 16) => DType::Complex128,
        (b'M', 8) => DType::Datetime64,
        (b'm', 8) => DType::Timedelta64,
        _ => return Err(Error::ForeignDtype { dtype: descr.to_string() }),
    };
    Ok((dtype, descr.is_native_byteorder() == Some(false)))
}
