//! `Kernel`: a kernel's name with checked parameters. Also the catalogue as data.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

use crate::dtype::{Buffer, DType, Sealed};
use crate::error::guarded;
use crate::kernel::{Entry, Takes};
use crate::kernels::{self, CATALOGUE, find};
use crate::memory;
use crate::parameters::{Argument, Arguments};
use crate::plan::Call;
use crate::simd::Level;

/// A kernel with its parameters, as ``fanfold.std(ddof=1)`` returns it. Hashable; two are equal if names and parameters
/// are equal.
#[pyclass(frozen, weakref, module = "fanfold")]
pub(super) struct Kernel {
    pub(super) call: Call,
}

#[pymethods]
impl Kernel {
    #[new]
    #[pyo3(signature = (name, /, **parameters))]
    fn new(name: &Bound<'_, PyString>, parameters: Option<&Bound<'_, PyDict>>) -> PyResult<Kernel> {
        let Some(entry) = name.to_str().ok().and_then(find) else { return Err(unknown(name)?) };
        let mut given = Vec::new();
        for (key, value) in parameters.into_iter().flatten() {
            given.push((key.cast::<PyString>()?.to_string_lossy().into_owned(), argument(&value, entry.name)?));
        }
        let value = |name: &str| parameters.and_then(|parameters| parameters.get_item(name).ok().flatten());
        let shown = |name: &str| value(name).map_or_else(String::new, |value| shown(&value));
        Ok(Kernel { call: Call { entry, arguments: Arguments::check(entry.name, entry.parameters, &given, shown)? } })
    }

    /// The kernel's name, which is also its key in the results.
    #[getter]
    fn name(&self) -> &'static str {
        self.call.entry.name
    }

    /// The number of arrays that it takes: "one", "two" or "all".
    #[getter]
    fn arrays(&self) -> &'static str {
        arrays(self.call.entry)
    }

    /// The shape of its result: "number", "positions", "quantiles", "matrix", "items" or "record".
    #[getter]
    fn answers(&self) -> &'static str {
        self.call.entry.answers.name()
    }

    /// All parameters, including those that were not given.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parameters = PyDict::new(py);
        for (name, argument) in self.call.arguments.iter() {
            parameters.set_item(name, object(py, argument)?)?;
        }
        Ok(parameters)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let same = |other: &Kernel| self.name() == other.name() && self.call.arguments == other.call.arguments;
        other.cast::<Kernel>().is_ok_and(|other| same(other.get()))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.name(), &self.call.arguments).hash(&mut hasher);
        hasher.finish()
    }

    /// The call that creates the kernel.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let parameters = self.call.arguments.iter();
        let parameters = parameters.map(|(name, value)| Ok(format!("{name}={}", object(py, value)?.repr()?)));
        Ok(format!("fanfold.{}({})", self.name(), parameters.collect::<PyResult<Vec<String>>>()?.join(", ")))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let restore = py.import("fanfold.kernels")?.getattr("restore")?;
        (restore, (slf.get().name(), slf.get().parameters(py)?)).into_pyobject(py)
    }
}

/// The error for a name that no kernel has. The Python half knows what to pass instead.
fn unknown(name: &Bound<'_, PyString>) -> PyResult<PyErr> {
    let quoted = shown(name.str()?.as_any());
    let mut inside = quoted.chars();
    let _quotes = (inside.next(), inside.next_back());
    let suggestions = name.py().import("fanfold.suggestions")?;
    Ok(PyErr::from_value(suggestions.call_method1("unknown", (name, inside.as_str()))?))
}

/// A Python value as an argument of a kernel.
fn argument(value: &Bound<'_, PyAny>, kernel: &'static str) -> PyResult<Argument> {
    let py = value.py();
    let numpy = py.import("numpy")?;
    let is = |name: &str| value.is_instance(&numpy.getattr(name)?);
    if value.is_none() {
        return Ok(Argument::None);
    }
    if value.is_instance_of::<PyBool>() || is("bool_")? {
        return Ok(Argument::Bool(value.is_truthy()?));
    }
    // For NumPy a timedelta64 is an integer.
    if value.is_instance_of::<PyInt>() || (is("integer")? && !is("timedelta64")?) {
        return Ok(value.extract().map_or(Argument::Huge, Argument::Int));
    }
    if value.is_instance_of::<PyFloat>() || is("floating")? {
        return Ok(value.extract().map_or(Argument::Other, |float| Argument::Float(unsigned_zero(float))));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Argument::Text(text.to_string_lossy().into_owned()));
    }
    if value.is_instance(&numpy.getattr("ma")?.getattr("MaskedArray")?)? {
        return Ok(Argument::Other);
    }
    // Lists, tuples, ranges and arrays of numbers; NumPy raises for ragged and other ones.
    let array = match numpy.call_method1("asarray", (value,)) {
        Ok(array) => array,
        Err(error) if error.is_instance_of::<PyMemoryError>(py) => return Err(error),
        Err(_) => return Ok(Argument::Other),
    };
    if array.getattr("ndim")?.extract::<usize>()? != 1 {
        return Ok(Argument::Other);
    }
    let descr = array.getattr("dtype")?.cast_into::<PyArrayDescr>()?;
    let numbers = matches!(descr.kind(), b'b' | b'i' | b'u' | b'f');
    match super::input::dtype(&descr) {
        Ok((dtype, _)) if numbers => {
            let array = array.call_method1("astype", ("float64",))?.cast_into::<PyUntypedArray>()?;
            let view = super::input::view(&array)?;
            // The array is contiguous or empty, so it is read in place.
            let mut scratch = Buffer::new(view.dtype().item(), 0);
            let block = view.load(Level::current(), 0, view.len(), &mut scratch);
            let floats = f64::of(block).unwrap_or_default().iter().copied().map(unsigned_zero);
            let floats = guarded(|| memory::collected(floats)).map_err(|error| error.of([kernel]))?;
            Ok(Argument::Floats(Arc::new(floats), dtype))
        }
        // NumPy makes objects of integers beyond 64 bits.
        _ if descr.kind() == b'O' => {
            let floats: Option<Vec<f64>> = array.try_iter()?.map(|item| number(&item.ok()?)).collect();
            Ok(floats.map_or(Argument::Other, |floats| Argument::Floats(Arc::new(floats), DType::Float64)))
        }
        _ => Ok(Argument::Other),
    }
}

/// Drops a zero's sign. No parameter depends on it, but it would make equal kernels differ.
fn unsigned_zero(float: f64) -> f64 {
    float + 0.0
}

/// A Python number as a float; infinite if it is too large.
fn number(value: &Bound<'_, PyAny>) -> Option<f64> {
    if !(value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>()) {
        return None;
    }
    let infinite = || value.gt(0).ok().map(|positive| if positive { f64::INFINITY } else { f64::NEG_INFINITY });
    value.extract().ok().map(unsigned_zero).or_else(infinite)
}

/// The value as a message shows it.
fn shown(value: &Bound<'_, PyAny>) -> String {
    let shown = || value.py().import("fanfold.checks")?.call_method1("shown", (value,))?.extract();
    shown().unwrap_or_else(|_: PyErr| "an object without a repr".to_owned())
}

/// An argument as a Python value.
fn object<'py>(py: Python<'py>, argument: &Argument) -> PyResult<Bound<'py, PyAny>> {
    Ok(match argument {
        Argument::None => py.None().into_bound(py),
        Argument::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Argument::Int(value) => value.into_pyobject(py)?.into_any(),
        Argument::Float(value) => value.into_pyobject(py)?.into_any(),
        Argument::Floats(values, dtype) => {
            let array = array(py, values, *dtype)?;
            // NumPy converts plain numbers to one of these dtypes; any other dtype must be given explicitly.
            let plain = matches!(dtype, DType::Bool | DType::Int64 | DType::Float64);
            tuple(&if plain { array.call_method0("tolist")? } else { array })?
        }
        Argument::Pair(ends, dtype) => tuple(&array(py, ends, *dtype)?.call_method0("tolist")?)?,
        Argument::Text(text) => text.into_pyobject(py)?.into_any(),
        Argument::Huge | Argument::Other => unreachable!("no kernel accepts these"),
    })
}

fn array<'py>(py: Python<'py>, values: &[f64], dtype: DType) -> PyResult<Bound<'py, PyAny>> {
    let floats = guarded(|| Buffer::Float64(memory::copied(values)))?;
    super::output::items(py, &floats)?.call_method1("astype", (dtype.name(),))
}

fn tuple<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyTuple::new(values.py(), values.try_iter()?.collect::<PyResult<Vec<_>>>()?)?.into_any())
}

/// The kernel that has this name in other libraries.
#[pyfunction]
pub(super) fn synonym(name: &str) -> Option<&'static str> {
    kernels::synonym(name)
}

/// The kernel whose name has the most similar letters.
#[pyfunction]
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    kernels::nearest(name)
}

/// Every kernel: (name, doc, parameters as (name, default, doc), NumPy equivalent, dtypes, examples, passes, number of
/// arrays, whether it takes weights, the shape of the result, whether it is approximate).
#[pyfunction]
pub(super) fn catalogue(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyTuple>>> {
    CATALOGUE.iter().map(|entry| describe(py, entry)).collect()
}

/// The number of arrays that a kernel takes, as a word.
fn arrays(entry: &Entry) -> &'static str {
    match entry.takes {
        Takes::Pairs => "two",
        Takes::Columns => "all",
        _ => "one",
    }
}

fn describe<'py>(py: Python<'py>, entry: &'static Entry) -> PyResult<Bound<'py, PyTuple>> {
    let parameters = entry.parameters.iter().map(|parameter| {
        let default = object(py, &parameter.default.argument())?;
        (parameter.name, default, parameter.accepts.describe(), parameter.doc).into_pyobject(py)
    });
    let parameters = PyTuple::new(py, parameters.collect::<PyResult<Vec<_>>>()?)?;
    let dtypes = DType::ALL.iter().filter(|dtype| entry.takes.of_arrays().includes(**dtype)).map(|dtype| dtype.name());
    let dtypes = PyTuple::new(py, dtypes.collect::<Vec<_>>())?;
    let examples = PyTuple::new(py, entry.examples)?;
    let (name, doc, numpy) = (entry.name, entry.doc, entry.numpy);
    let facts = (entry.passes, arrays(entry), entry.weighted, entry.answers.name(), entry.approximate);
    let (passes, arrays, weighted, answers, approximate) = facts;
    let described = (name, doc, parameters, numpy, dtypes, examples, passes, arrays, weighted, answers, approximate);
    described.into_pyobject(py)
}
