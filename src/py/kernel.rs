//! `Kernel`: a kernel's name with checked parameters; and the catalogue as data.

use std::hash::{DefaultHasher, Hash, Hasher};

use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

use crate::dtype::DType;
use crate::error::Error;
use crate::kernel::{Argument, Arguments, Entry};
use crate::kernels::{CATALOGUE, find, nearest};
use crate::plan::Call;

/// A kernel with its parameters: what ``fanfold.std(ddof=1)`` gives. Hashable; equal if name and parameters are.
#[pyclass(frozen, module = "fanfold")]
pub(super) struct Kernel {
    pub(super) call: Call,
}

#[pymethods]
impl Kernel {
    #[new]
    #[pyo3(signature = (name, /, **parameters))]
    fn new(name: &str, parameters: Option<&Bound<'_, PyDict>>) -> PyResult<Kernel> {
        let entry = find(name).ok_or_else(|| Error::UnknownKernel { name: name.to_owned(), nearest: nearest(name) })?;
        let mut given = Vec::new();
        for (key, value) in parameters.into_iter().flatten() {
            given.push((key.extract::<String>()?, argument(&value)?));
        }
        Ok(Kernel { call: Call { entry, arguments: Arguments::check(entry, &given)? } })
    }

    /// The kernel's name, which is also its key in the results.
    #[getter]
    fn name(&self) -> &'static str {
        self.call.entry.name
    }

    /// All parameters, also those that were not given.
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
        (self.name(), format!("{:?}", self.call.arguments)).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        let parameters: Vec<String> =
            self.call.arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("fanfold.{}({})", self.name(), parameters.join(", "))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let restore = py.import("fanfold.kernels")?.getattr("restore")?;
        (restore, (slf.get().name(), slf.get().parameters(py)?)).into_pyobject(py)
    }
}

/// A Python value as an argument. What no parameter accepts is kept as its repr, for the message.
fn argument(value: &Bound<'_, PyAny>) -> PyResult<Argument> {
    let py = value.py();
    let numpy = py.import("numpy")?;
    let is = |name: &str| value.is_instance(&numpy.getattr(name)?);
    if value.is_none() {
        return Ok(Argument::None);
    }
    if value.is_instance_of::<PyBool>() || is("bool_")? {
        return Ok(Argument::Bool(value.is_truthy()?));
    }
    if value.is_instance_of::<PyInt>() || is("integer")? {
        return Ok(value.extract().map_or_else(|_| Argument::Huge(shown(value)), Argument::Int));
    }
    if value.is_instance_of::<PyFloat>() || is("floating")? {
        // A zero's sign means nothing to any parameter, but would tell equal kernels apart.
        return Ok(value.extract().map_or_else(|_| other(value), |float: f64| Argument::Float(float + 0.0)));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(other(value));
    }
    // Lists, tuples, ranges and arrays of numbers; ragged and foreign ones fail inside NumPy.
    let Ok(array) = numpy.call_method1("asarray", (value,)) else { return Ok(other(value)) };
    let descr = array.getattr("dtype")?.cast_into::<PyArrayDescr>()?;
    let numbers = matches!(descr.kind(), b'b' | b'i' | b'u' | b'f') && array.getattr("ndim")?.extract::<usize>()? == 1;
    match super::input::dtype(&descr) {
        Ok((dtype, _)) if numbers => {
            Ok(Argument::Floats(array.call_method1("astype", ("float64",))?.call_method0("tolist")?.extract()?, dtype))
        }
        _ => Ok(other(value)),
    }
}

fn other(value: &Bound<'_, PyAny>) -> Argument {
    Argument::Other(shown(value))
}

/// The value as a message shows it.
fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(|_| "an object without a repr".to_owned(), |repr| repr.to_string())
}

/// An argument as a Python value.
fn object<'py>(py: Python<'py>, argument: &Argument) -> PyResult<Bound<'py, PyAny>> {
    Ok(match argument {
        Argument::None => py.None().into_bound(py),
        Argument::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Argument::Int(value) => value.into_pyobject(py)?.into_any(),
        Argument::Float(value) => value.into_pyobject(py)?.into_any(),
        Argument::Floats(values, dtype) => {
            let values = py.import("numpy")?.call_method1("asarray", (values.clone(), dtype.name()))?;
            PyTuple::new(py, values.call_method0("tolist")?.try_iter()?.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Argument::Huge(text) | Argument::Other(text) => PyString::new(py, text).into_any(),
    })
}

/// Every kernel: (name, doc, parameters as (name, default, doc), NumPy equivalent, dtypes, examples, passes).
#[pyfunction]
pub(super) fn catalogue(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyTuple>>> {
    CATALOGUE.iter().map(|entry| describe(py, entry)).collect()
}

fn describe<'py>(py: Python<'py>, entry: &'static Entry) -> PyResult<Bound<'py, PyTuple>> {
    let parameters = entry.parameters.iter().map(|parameter| {
        let default = object(py, &parameter.default.argument())?;
        (parameter.name, default, parameter.accepts.describe(), parameter.doc).into_pyobject(py)
    });
    let parameters = PyTuple::new(py, parameters.collect::<PyResult<Vec<_>>>()?)?;
    let dtypes = DType::ALL.iter().filter(|dtype| entry.takes.includes(**dtype)).map(|dtype| dtype.name());
    let dtypes = PyTuple::new(py, dtypes.collect::<Vec<_>>())?;
    let examples = PyTuple::new(py, entry.examples)?;
    (entry.name, entry.doc, parameters, entry.numpy, dtypes, examples, entry.passes).into_pyobject(py)
}
