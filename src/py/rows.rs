//! A run over rows, for the Python half: arrays whose first axes number the rows go in, a column for each kernel comes out.

use std::sync::Mutex;
use std::time::Instant;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::column::Column;
use crate::dtype::DType;
use crate::engine::{self, Control, Table, Workers};
use crate::error::Error;
use crate::expr::{Graph, Operation};
use crate::plan::Plan as CorePlan;
use crate::py::plan::check_signals;
use crate::py::{input, output};

/// The columns in the order of the kernels, `None` where one failed; the failures as (number, exception); then passes,
/// bytes read, workers, seconds.
pub(super) type Columns<'py> = (Bound<'py, PyList>, Vec<(usize, Py<PyAny>)>, usize, u64, usize, f64);

/// Runs the plan's kernels over the rows along the first `along` axes.
pub(super) fn run<'py>(
    plan: &CorePlan,
    array: &Bound<'py, PyUntypedArray>,
    along: usize,
    mask: Option<&Bound<'py, PyUntypedArray>>,
    workers: usize,
    timeout: Option<f64>,
) -> PyResult<Columns<'py>> {
    let py = array.py();
    let started = Instant::now();
    let mut sources = vec![input::rows(array, along)?];
    let mut graph = Graph::new(sources[0].dtype());
    let node = if let Some(mask) = mask {
        let rows = input::rows(mask, along)?;
        // The Python half sees to it; this is for whoever bypasses it.
        if rows.dtype() != DType::Bool || mask.shape() != array.shape() {
            return Err(PyRuntimeError::new_err("a mask is of dtype bool, and has the array's shape"));
        }
        sources.push(rows);
        let mask = graph.source(1, DType::Bool, usize::MAX);
        graph.apply(Operation::Select, vec![mask, 0])
    } else {
        0
    };
    let workers = match workers {
        _ if engine::is_small(array.len()) => Workers::Caller,
        0 => Workers::new(engine::available_workers())?,
        count => Workers::new(count)?,
    };
    let interrupt = Mutex::new(None);
    let outcome = py.detach(|| {
        let go_on = || check_signals(&interrupt);
        let control = Control::new(timeout, &go_on);
        engine::run_rows(plan, graph, node, &sources, &workers, &control)
    });
    if let Some(interrupt) = super::plan::take(&interrupt) {
        return Err(interrupt);
    }
    let (columns, mut errors) = (PyList::empty(py), Vec::new());
    let mut append = |column: PyResult<Bound<'py, PyAny>>| match column {
        Ok(column) => columns.append(column),
        Err(error) => {
            errors.push((columns.len(), error.into_value(py).into_any()));
            columns.append(py.None())
        }
    };
    let (passes, bytes_read) = match outcome {
        Ok(Table { columns, passes, bytes_read }) => {
            for column in columns {
                append(column.map_err(PyErr::from).and_then(|column| object(&column, array)))?;
            }
            (passes, bytes_read)
        }
        Err(error @ Error::FoundNan { dtype, .. }) => {
            for _ in plan.calls() {
                append(Err(error.clone().into()))?;
            }
            (1, array.len() as u64 * dtype.size() as u64)
        }
        Err(error) => return Err(error.into()),
    };
    Ok((columns, errors, passes, bytes_read, workers.count(), started.elapsed().as_secs_f64()))
}

/// A column as Python sees it: an array with a row for each value, a named tuple of such, or a list of values that
/// have no common form.
fn object<'py>(column: &Column, array: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    match column {
        Column::Empty => Ok(PyList::empty(py).into_any()),
        Column::Items { items, dtype, width } => {
            let items = output::array(items, *dtype, array)?;
            match width {
                None => Ok(items),
                Some(width) => {
                    let rows = items.len()?.checked_div(*width).unwrap_or(0);
                    items.call_method1("reshape", (rows, *width))
                }
            }
        }
        Column::Record(name, columns) => {
            let fields = columns.iter().map(|field| object(field, array)).collect::<PyResult<Vec<_>>>()?;
            py.import("fanfold.results")?.getattr(*name)?.call1(PyTuple::new(py, fields)?)
        }
        Column::Mixed(values) => {
            let values = values.iter().map(|value| output::object(value, array)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, values)?.into_any())
        }
    }
}
