//! Values as NumPy scalars and arrays.

use std::collections::HashMap;

use numpy::PyUntypedArray;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyComplex, PyTuple};

use crate::dtype::{Buffer, DType, Number};
use crate::error::Error;
use crate::py::input::Input;
use crate::source::Output;
use crate::value::Value;

/// A value as a Python object. `array` is the input; times get their unit from it.
pub(super) fn object<'py>(value: &Value, array: &Input<'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    match value {
        Value::Scalar(Number::Int(ticks), dtype) if dtype.is_time() => time(*ticks, *dtype, array),
        // Rounded here, because NumPy's cast warns of an overflow, and an infinite result is intended.
        Value::Scalar(Number::Float(value), dtype) => scalar_type(py, *dtype)?.call1((dtype.round(*value),)),
        Value::Scalar(number, dtype) => scalar_type(py, *dtype)?.call1((plain(py, *number)?,)),
        Value::Array { items, dtype } => self::array(py, items, *dtype, Some(array)),
        Value::Record(name, fields) => {
            let fields = fields.iter().map(|field| object(field, array)).collect::<PyResult<Vec<_>>>()?;
            record(py, name, fields)
        }
        Value::Items(buffer) if buffer.is_empty() => Ok(py.None().into_bound(py)),
        Value::Items(buffer) => items(py, buffer),
    }
}

/// A named tuple. It is created by `tuple.__new__`, because its own `__new__` is Python code, which must not run inside
/// our frames (see `waiting`).
pub(super) fn record<'py>(py: Python<'py>, name: &str, fields: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let kind = py.import("fanfold.results")?.getattr(name)?;
    py.get_type::<PyTuple>().call_method1("__new__", (kind, PyTuple::new(py, fields)?))
}

/// Items as a new array of a dtype. `array` is the input, as for [`object`].
pub(super) fn array<'py>(
    py: Python<'py>,
    buffer: &Buffer,
    dtype: DType,
    array: Option<&Input<'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let items = items(py, buffer)?;
    if let (true, Some(array)) = (dtype.is_time(), array) {
        items.call_method1("view", (format!("{}{}", dtype.name(), unit(array)?),))
    } else if buffer.item().dtype() == dtype {
        Ok(items)
    } else {
        items.call_method1("astype", (dtype.name(),))
    }
}

/// The size of a returned value in bytes.
pub(super) fn bytes(value: &Value) -> usize {
    match value {
        Value::Scalar(_, dtype) => dtype.size(),
        Value::Array { items, dtype } => items.len().saturating_mul(dtype.size()),
        Value::Record(_, fields) => fields.iter().map(bytes).sum(),
        Value::Items(items) => items.len().saturating_mul(items.item().size()),
    }
}

/// A Python exception as an error. For a `MemoryError` it is our own error, which names the functions and the size.
pub(super) fn failure(
    py: Python<'_>,
    error: PyErr,
    kernels: impl IntoIterator<Item = &'static str>,
    bytes: usize,
) -> PyErr {
    if error.is_instance_of::<PyMemoryError>(py) {
        Error::Memory { kernels: kernels.into_iter().collect(), bytes }.into()
    } else {
        error
    }
}

/// The arrays for results, by the functions' numbers: those of `out`, and new ones, as far as there is memory.
pub(super) fn arrays<'py>(
    array: &Input<'py>,
    wanted: impl Iterator<Item = (usize, DType, usize)>,
    mut out: HashMap<usize, Bound<'py, PyUntypedArray>>,
) -> PyResult<HashMap<usize, Bound<'py, PyUntypedArray>>> {
    let mut arrays = HashMap::new();
    for (index, dtype, len) in wanted {
        match out.remove(&index).map_or_else(|| fresh(array, dtype, len), Ok) {
            Err(error) if error.is_instance_of::<PyMemoryError>(array.py()) => {}
            found => drop(arrays.insert(index, found?)),
        }
    }
    Ok(arrays)
}

/// A new, uninitialised array. `array` is the input; times get their unit from it.
pub(super) fn fresh<'py>(array: &Input<'py>, dtype: DType, len: usize) -> PyResult<Bound<'py, PyUntypedArray>> {
    let empty = array.py().import("numpy")?.call_method1("empty", (len, self::dtype(array, dtype)?))?;
    Ok(empty.cast_into::<PyUntypedArray>()?)
}

/// NumPy's dtype. `array` is the input; times get their unit from it.
pub(super) fn dtype<'py>(array: &Input<'py>, dtype: DType) -> PyResult<Bound<'py, PyAny>> {
    let unit = if dtype.is_time() { unit(array)? } else { String::new() };
    array.py().import("numpy")?.call_method1("dtype", (format!("{}{unit}", dtype.name()),))
}

/// The memory of the arrays, to write to.
pub(super) fn memory(arrays: &HashMap<usize, Bound<'_, PyUntypedArray>>) -> PyResult<Vec<(usize, Output)>> {
    arrays.iter().map(|(&index, array)| Ok((index, super::input::output(array)?))).collect()
}

/// Items as a new array.
pub(super) fn items<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    let dtype = buffer.item().dtype();
    let array =
        py.import("numpy")?.call_method1("empty", (buffer.len(), dtype.name()))?.cast_into::<PyUntypedArray>()?;
    if !buffer.is_empty() {
        super::input::output(&array)?.copy_from(buffer);
    }
    Ok(array.into_any())
}

fn plain(py: Python<'_>, number: Number) -> PyResult<Bound<'_, PyAny>> {
    Ok(match number {
        Number::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Number::Int(value) => value.into_pyobject(py)?.into_any(),
        Number::UInt(value) => value.into_pyobject(py)?.into_any(),
        Number::Float(value) => value.into_pyobject(py)?.into_any(),
        Number::Complex(value) => PyComplex::from_doubles(py, value.re, value.im).into_any(),
    })
}

/// NumPy's scalar type, `np.float64` and so on.
fn scalar_type(py: Python<'_>, dtype: DType) -> PyResult<&Bound<'_, PyAny>> {
    static TYPES: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();
    let types = TYPES.get_or_try_init(py, || {
        let numpy = py.import("numpy")?;
        let scalar = |dtype: &DType| Ok(numpy.call_method1("dtype", (dtype.name(),))?.getattr("type")?.unbind());
        DType::ALL.iter().map(scalar).collect::<PyResult<Vec<_>>>()
    })?;
    match types.get(dtype as usize) {
        Some(found) => Ok(found.bind(py)),
        None => unreachable!("there is a scalar type for each dtype"),
    }
}

/// A datetime64 or timedelta64 in the unit of the input.
fn time<'py>(ticks: i64, dtype: DType, array: &Input<'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let name = format!("{}{}", dtype.name(), unit(array)?);
    py.import("numpy")?.call_method1("int64", (ticks,))?.call_method1("view", (name,))
}

/// The unit of the input's times, in brackets; empty if they have none.
fn unit(array: &Input<'_>) -> PyResult<String> {
    let numpy = array.py().import("numpy")?;
    let (unit, step): (String, i64) = numpy.call_method1("datetime_data", (array.descr()?,))?.extract()?;
    Ok(if unit == "generic" { String::new() } else { format!("[{step}{unit}]") })
}
