//! `Plan`: the native functions of a call, prepared once per dtype, and how a run of them waits for its answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use numpy::{PyArrayDescr, PyUntypedArray};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::dtype::DType;
use crate::engine::{self, Control, Outcome, Prepared, Workers};
use crate::error::Error;
use crate::kernel::NanPolicy;
use crate::plan::Plan as CorePlan;
use crate::py::input::{self, Input};
use crate::py::kernel::Kernel;
use crate::py::output;
use crate::py::rows::{Columns, Given, Grouping, Targets};
use crate::py::waiting::RunOptions;
use crate::source::View;

/// Elements up to which a run is over before another thread could make use of the interpreter. NumPy draws the same line,
/// lower.
const ATTACHED: usize = 4096;

/// The native functions of a call.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct Plan {
    plan: CorePlan,
    prepared: Mutex<HashMap<Kind, Arc<Prepared>>>,
}

/// Arrays that one preparation is for: their dtype, and of those of which elements are missing the value of the bools that tell.
type Kind = (DType, Option<bool>);

/// What a run gives Python: the results of the kernels in order, `None` where one failed; the failures as (number,
/// exception); then passes, bytes read, workers, seconds.
type Answers<'py> = (Bound<'py, PyList>, Vec<(usize, Py<PyAny>)>, usize, u64, usize, f64);

#[pymethods]
impl Plan {
    #[new]
    fn new(kernels: Vec<Bound<'_, Kernel>>, nan_policy: &str) -> PyResult<Plan> {
        // The Python half checks the word; this is for whoever bypasses it.
        let nan_policy = NanPolicy::named(nan_policy)
            .ok_or_else(|| PyRuntimeError::new_err(format!("nan_policy={nan_policy:?} is unknown")))?;
        let calls = kernels.iter().map(|kernel| kernel.get().call.clone()).collect();
        Ok(Plan { plan: CorePlan::new(calls, nan_policy), prepared: Mutex::new(HashMap::new()) })
    }

    /// The passes over an array of this dtype, as text.
    fn explain(&self, keys: Vec<String>, like: &Bound<'_, PyArrayDescr>) -> String {
        match input::dtype(like) {
            Ok((dtype, _)) => self.plan.explain(dtype, &keys),
            Err(error) => {
                let lines: Vec<String> = keys.iter().map(|key| format!("cannot run {key}: {error}")).collect();
                lines.join("\n")
            }
        }
    }

    /// What keeps kernels from having a meaning for this array: an exception each, or one for all. Touches no data.
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

    /// What keeps kernels from having a meaning for those of the arrays that they go over, as [`Plan::problems`].
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

    /// The arrays that kernels' answers over such an array are: the kernel's number, the dtype and the length.
    fn arrays<'py>(&self, array: Input<'py>) -> PyResult<Vec<(usize, Bound<'py, PyAny>, usize)>> {
        let Ok(dtype) = array.dtype() else { return Ok(Vec::new()) };
        let prepared = self.prepared(dtype, array.present());
        let arrays = prepared.arrays(array.len());
        arrays.map(|(index, dtype, len)| Ok((index, output::dtype(&array, dtype)?, len))).collect()
    }

    /// Runs the kernels over the array. `workers` of 0 are as many as there are processors. Answers that are arrays are
    /// written to those of `out`, which are by the kernels' numbers, or else to fresh ones.
    #[pyo3(signature = (array, workers, timeout, out))]
    fn run<'py>(
        &self,
        array: Input<'py>,
        workers: usize,
        timeout: Option<f64>,
        out: HashMap<usize, Bound<'py, PyUntypedArray>>,
    ) -> PyResult<Answers<'py>> {
        let py = array.py();
        let started = Instant::now();
        // While attached: a fork, which Python does attached, can then not catch the lock.
        let views = || -> Result<Vec<View<'_>>, Error> {
            Ok(std::iter::once(array.view()?).chain(array.present_view()?).collect())
        };
        let prepared = views().and_then(|views| Ok((self.prepared(array.dtype()?, array.present()), views)));
        let arrays = match &prepared {
            Ok((prepared, _)) => output::arrays(&array, prepared.arrays(array.len()), out)?,
            Err(_) => HashMap::new(),
        };
        if array.present().is_some() && !arrays.is_empty() {
            return Err(PyRuntimeError::new_err("elements that are missing have no item in an array of items"));
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
        let (passes, bytes_read) = match outcome {
            Ok(Outcome { values, passes, bytes_read }) => {
                for (index, (value, call)) in values.into_iter().zip(self.plan.calls()).enumerate() {
                    let object = |value| match arrays.get(&index) {
                        Some(written) => Ok(written.clone().into_any()),
                        None => output::object(&value, &array)
                            .map_err(|error| output::failure(py, error, [call.entry.name], output::bytes(&value))),
                    };
                    append(value.map_err(PyErr::from).and_then(object))?;
                }
                (passes, bytes_read)
            }
            // Every kernel has these answers.
            Err(error @ (Error::FoundNan { .. } | Error::ForeignDtype { .. } | Error::Memory { .. })) => {
                for _ in self.plan.calls() {
                    append(Err(error.clone().into()))?;
                }
                match error {
                    Error::FoundNan { dtype, .. } => (1, array.len() as u64 * dtype.size() as u64),
                    _ => (0, 0),
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok((answers, errors, passes, bytes_read, workers, started.elapsed().as_secs_f64()))
    }

    /// Runs each kernel over those of the arrays whose numbers `over` says, for each row: the first `along` axes number the rows,
    /// the others are taken together. Where the mask is false, elements are left out. Mask and weights have the arrays' shape.
    /// Kernels that answer with arrays of items write them to the rows of `targets`, which are by the kernels' numbers.
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

    /// Runs the kernels over the elements of each label: integers from `low` on, within `range` numbers. Tells what groups there
    /// are, and with `positions` which elements make them, in the order in which arrays of items are written to `targets`.
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
        // What there is no memory for now there may be later.
        if !prepared.errors().iter().any(|(_, error)| matches!(error, Error::Memory { .. })) {
            known.insert((dtype, present), Arc::clone(&prepared));
        }
        prepared
    }
}

fn exception(py: Python<'_>, error: Error) -> Py<PyAny> {
    PyErr::from(error).into_value(py).into_any()
}
