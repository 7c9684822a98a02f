//! `Plan`: the native functions of a call, prepared once per dtype, and how a run waits for their results.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArrayDescr, PyUntypedArray};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::dtype::DType;
use crate::engine::{self, Control, Outcome, Prepared, Workers};
use crate::error::Error;
use crate::kernel::NanPolicy;
use crate::plan::{Explained, Explanation, Plan as CorePlan};
use crate::py::input::{self, Input};
use crate::py::kernel::Kernel;
use crate::py::output;
use crate::py::rows::{Columns, Given, Grouping, Targets};
use crate::py::waiting::RunOptions;
use crate::source::View;

/// Up to this number of elements the interpreter is not released: the run ends before another thread could use it.
/// NumPy has a similar, lower limit.
const ATTACHED: usize = 4096;

/// The native functions of a call.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct Plan {
    plan: CorePlan,
    prepared: Mutex<HashMap<Kind, Arc<Prepared>>>,
}

/// The arrays that a preparation is for: their dtype and, if elements are missing, the value that the bools have for
/// present elements.
type Kind = (DType, Option<bool>);

/// An [`Explanation`] in Python: the functions known from the length, the passes with their steps, and the functions
/// that cannot run.
type Parts = (Vec<String>, Vec<(String, Vec<Explained>)>, Vec<(String, String)>);

/// A run's return value in Python: the results of the kernels in order, `None` where one failed; the failures as
/// (number, exception); then passes, bytes read, workers, and the seconds of each pass.
type Answers<'py> = (Bound<'py, PyList>, Vec<(usize, Py<PyAny>)>, usize, u64, usize, Vec<f64>);

#[pymethods]
impl Plan {
    #[new]
    fn new(kernels: Vec<Bound<'_, Kernel>>, nan_policy: &str) -> PyResult<Plan> {
        // The Python half checks this; the check here is for callers that bypass it.
        let nan_policy = NanPolicy::named(nan_policy)
            .ok_or_else(|| PyRuntimeError::new_err(format!("nan_policy={nan_policy:?} is unknown")))?;
        let calls = kernels.iter().map(|kernel| kernel.get().call.clone()).collect();
        Ok(Plan { plan: CorePlan::new(calls, nan_policy), prepared: Mutex::new(HashMap::new()) })
    }

    /// The passes over an array of this dtype, in words: see [`Explanation`].
    fn explain(&self, keys: Vec<String>, like: &Bound<'_, PyArrayDescr>) -> Parts {
        let Explanation { known, passes, refused } = match input::dtype(like) {
            Ok((dtype, _)) => self.plan.explain(dtype, &keys),
            Err(error) => {
                let refused = keys.into_iter().map(|key| (key, error.clone())).collect();
                Explanation { known: Vec::new(), passes: Vec::new(), refused }
            }
        };
        (known, passes, refused.into_iter().map(|(key, error)| (key, error.to_string())).collect())
    }

    /// The reasons why kernels do not support this array: one exception per kernel, or one for all. Reads no elements.
    fn problems(&self, py: Python<'_>, array: Input<'_>) -> Vec<Py<PyAny>> {
        match array.dtype() {
            Ok(dtype) => self
                .prepared(dtype, array.present())
                .errors()
                .iter()
                .map(|(_, error)| exception(py, error.clone()))
                .collect(),
            Err(error) => self.plan.calls().iter().take(1).map(|_| exception(py, error.clone())).collect(),
        }
    }

    /// The reasons why kernels do not support the arrays that they take, as in [`Plan::problems`].
    #[pyo3(signature = (arrays, over, weights))]
    fn problems_over<'py>(
        &self,
        py: Python<'py>,
        arrays: Vec<Input<'py>>,
        over: Vec<Vec<usize>>,
        weights: Option<Input<'py>>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let given = Given { arrays: &arrays, over: &over, mask: None, weights: weights.as_ref() };
        Ok(given.problems(&self.plan)?.into_iter().map(|error| exception(py, error)).collect())
    }

    /// The result arrays of the kernels for this array: the kernel's number, the dtype and the length.
    fn arrays<'py>(&self, array: Input<'py>) -> PyResult<Vec<(usize, Bound<'py, PyAny>, usize)>> {
        let Ok(dtype) = array.dtype() else { return Ok(Vec::new()) };
        let prepared = self.prepared(dtype, array.present());
        let arrays = prepared.arrays(array.len());
        arrays.map(|(index, dtype, len)| Ok((index, output::dtype(&array, dtype)?, len))).collect()
    }

    /// Runs the kernels over the array. `workers=0` means one worker per processor. Result arrays are written to the
    /// arrays of `out`, given by the kernels' numbers, or else to new ones.
    #[pyo3(signature = (array, workers, timeout, out))]
    fn run<'py>(
        &self,
        array: Input<'py>,
        workers: usize,
        timeout: Option<f64>,
        out: HashMap<usize, Bound<'py, PyUntypedArray>>,
    ) -> PyResult<Answers<'py>> {
        let py = array.py();
        // Locked while attached to the interpreter: Python forks while attached, so no fork happens while the lock is
        // held.
        let views = || -> Result<Vec<View<'_>>, Error> {
            Ok(std::iter::once(array.view()?).chain(array.present_view()?).collect())
        };
        let prepared = views().and_then(|views| Ok((self.prepared(array.dtype()?, array.present()), views)));
        let arrays = match &prepared {
            Ok((prepared, _)) => output::arrays(&array, prepared.arrays(array.len()), out)?,
            Err(_) => HashMap::new(),
        };
        if array.present().is_some() && !arrays.is_empty() {
            return Err(PyRuntimeError::new_err("an array of items has no item for a missing element"));
        }
        let outputs = output::memory(&arrays)?;
        let pass = |workers: &Workers, control: &Control<'_>| match &prepared {
            Ok((prepared, views)) => engine::run(&self.plan, prepared, views, &outputs, workers, control),
            Err(error) => Err(error.clone()),
        };
        let (outcome, workers) = if array.len() <= ATTACHED {
            (pass(&Workers::Caller, &Control::none()), 1)
        } else {
            RunOptions { workers, timeout }.detached(py, array.len(), |workers, control| pass(workers, control))?
        };
        let (answers, mut errors) = (PyList::empty(py), Vec::new());
        let mut append = |answer: Result<Bound<'py, PyAny>, PyErr>| match answer {
            Ok(value) => answers.append(value),
            Err(error) => {
                errors.push((answers.len(), error.into_value(py).into_any()));
                answers.append(py.None())
            }
        };
        let (passes, bytes_read, seconds) = match outcome {
            Ok(Outcome { values, seconds, bytes_read }) => {
                for (index, (value, call)) in values.into_iter().zip(self.plan.calls()).enumerate() {
                    let object = |value| match arrays.get(&index) {
                        Some(written) => Ok(written.clone().into_any()),
                        None => output::object(&value, &array)
                            .map_err(|error| output::failure(py, error, [call.entry.name], output::bytes(&value))),
                    };
                    append(value.map_err(PyErr::from).and_then(object))?;
                }
                (seconds.len(), bytes_read, seconds)
            }
            // Every kernel has these results.
            Err(error @ (Error::FoundNan { .. } | Error::ForeignDtype { .. } | Error::Memory { .. })) => {
                for _ in self.plan.calls() {
                    append(Err(error.clone().into()))?;
                }
                match error {
                    Error::FoundNan { dtype, .. } => (1, array.len() as u64 * dtype.size() as u64, Vec::new()),
                    _ => (0, 0, Vec::new()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok((answers, errors, passes, bytes_read, workers, seconds))
    }

    /// Runs each kernel over the arrays given by `over`, for each row: the first `along` axes number the rows, and a
    /// row has all elements along the other axes. Elements are left out where the mask is false. Mask and weights have
    /// the arrays' shape. Kernels that return arrays of items write them to the rows of `targets`, given by the
    /// kernels' numbers.
    #[pyo3(signature = (arrays, over, along, mask, weights, targets, workers, timeout))]
    #[allow(clippy::too_many_arguments)] // private, and called by one function of the Python half
    fn run_rows<'py>(
        &self,
        arrays: Vec<Input<'py>>,
        over: Vec<Vec<usize>>,
        along: usize,
        mask: Option<Input<'py>>,
        weights: Option<Input<'py>>,
        targets: Targets<'py>,
        workers: usize,
        timeout: Option<f64>,
    ) -> PyResult<Columns<'py>> {
        let given = Given { arrays: &arrays, over: &over, mask: mask.as_ref(), weights: weights.as_ref() };
        super::rows::run(&self.plan, &given, along, &targets, &RunOptions { workers, timeout })
    }

    /// Runs the kernels over the elements of each label. Labels are the `range` integers from `low` on. Returns the
    /// groups and, with `positions`, the positions of their elements, in the order in which arrays of items are written
    /// to `targets`.
    #[pyo3(signature = (arrays, over, labels, low, range, mask, weights, positions, targets, workers, timeout))]
    #[allow(clippy::too_many_arguments)] // private, and called by one function of the Python half
    fn run_groups<'py>(
        &self,
        arrays: Vec<Input<'py>>,
        over: Vec<Vec<usize>>,
        labels: Input<'py>,
        low: i128,
        range: usize,
        mask: Option<Input<'py>>,
        weights: Option<Input<'py>>,
        positions: bool,
        targets: Targets<'py>,
        workers: usize,
        timeout: Option<f64>,
    ) -> PyResult<(Grouping<'py>, Columns<'py>)> {
        let given = Given { arrays: &arrays, over: &over, mask: mask.as_ref(), weights: weights.as_ref() };
        let how = RunOptions { workers, timeout };
        super::rows::run_groups(&self.plan, &given, (&labels, low, range), positions, &targets, &how)
    }
}

impl Plan {
    fn prepared(&self, dtype: DType, present: Option<bool>) -> Arc<Prepared> {
        let mut known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.get(&(dtype, present)) {
            return Arc::clone(prepared);
        }
        let prepared = Arc::new(match present {
            None => Prepared::new(&self.plan, dtype),
            Some(present) => Prepared::with_missing(&self.plan, dtype, present),
        });
        // An allocation that fails now may succeed later.
        if !prepared.errors().iter().any(|(_, error)| matches!(error, Error::Memory { .. })) {
            known.insert((dtype, present), Arc::clone(&prepared));
        }
        prepared
    }
}

fn exception(py: Python<'_>, error: Error) -> Py<PyAny> {
    PyErr::from(error).into_value(py).into_any()
}
