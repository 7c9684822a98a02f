//! A run over rows, for the Python half: arrays whose first axes number the rows go in, a column for each kernel comes out.

use std::sync::Mutex;
use std::time::Instant;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::column::Column;
use crate::dtype::{Buffer, DType};
use crate::engine::{self, Control, Groups, Table, Workers};
use crate::error::Error;
use crate::expr::{Graph, Operation};
use crate::plan::Plan as CorePlan;
use crate::py::plan::check_signals;
use crate::py::{input, output};
use crate::view::{Rows, View};

/// The columns in the order of the kernels, `None` where one failed; the failures as (number, exception); then passes,
/// bytes read, workers, seconds.
pub(super) type Columns<'py> = (Bound<'py, PyList>, Vec<(usize, Py<PyAny>)>, usize, u64, usize, f64);

/// What groups there are: the numbers of their labels, where each starts among the elements put in order, and, if they
/// were wanted, the elements' positions in that order.
pub(super) type Grouping<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

/// How a run is to be done.
pub(super) struct How {
    /// As many as there are processors if 0.
    pub(super) workers: usize,
    pub(super) timeout: Option<f64>,
}

impl How {
    /// Does something with the interpreter let go, on workers that suit so many elements.
    fn detached<R: Send>(
        &self,
        py: Python<'_>,
        len: usize,
        action: impl FnOnce(&Workers, &Control<'_>) -> R + Send,
    ) -> PyResult<(R, usize)> {
        let workers = match self.workers {
            _ if engine::is_small(len) => Workers::Caller,
            0 => Workers::new(engine::available_workers())?,
            count => Workers::new(count)?,
        };
        let interrupt = Mutex::new(None);
        let result = py.detach(|| {
            let go_on = || check_signals(&interrupt);
            action(&workers, &Control::new(self.timeout, &go_on))
        });
        super::plan::take(&interrupt).map_or(Ok((result, workers.count())), Err)
    }
}

/// Runs the plan's kernels over the rows along the first `along` axes.
pub(super) fn run<'py>(
    plan: &CorePlan,
    array: &Bound<'py, PyUntypedArray>,
    along: usize,
    mask: Option<&Bound<'py, PyUntypedArray>>,
    how: &How,
) -> PyResult<Columns<'py>> {
    let started = Instant::now();
    let mut sources = vec![input::rows(array, along)?];
    let dtype = sources[0].dtype();
    let mut graph = Graph::new(dtype);
    let node = if let Some(mask) = mask {
        let rows = input::rows(mask, along)?;
        check(
            rows.dtype() == DType::Bool && mask.shape() == array.shape(),
            "a mask is of dtype bool and the array's shape",
        )?;
        sources.push(rows);
        let mask = graph.source(1, DType::Bool, usize::MAX);
        graph.apply(Operation::Select, vec![mask, 0])
    } else {
        0
    };
    let (outcome, workers) = how.detached(array.py(), array.len(), |workers, control| {
        engine::run_rows(plan, dtype, graph, node, &sources, workers, control)
    })?;
    columns(plan, array, outcome, workers, started)
}

/// Runs the plan's kernels over groups: the elements whose labels are equal. Labels lie from `low` on within `range` numbers;
/// elements of others, and those where the mask is false, belong to no group.
pub(super) fn run_groups<'py>(
    plan: &CorePlan,
    array: &Bound<'py, PyUntypedArray>,
    (labels, low, range): (&Bound<'py, PyUntypedArray>, i128, usize),
    mask: Option<&Bound<'py, PyUntypedArray>>,
    positions: bool,
    how: &How,
) -> PyResult<(Grouping<'py>, Columns<'py>)> {
    let (py, started) = (array.py(), Instant::now());
    let (view, label_view) = (input::view(array)?, input::view(labels)?);
    let mask_view = mask.map(input::view).transpose()?;
    let same = |other: &View<'_>| other.len() == view.len();
    let is_mask = |mask: &View<'_>| same(mask) && mask.dtype() == DType::Bool;
    check(same(&label_view) && mask_view.as_ref().is_none_or(is_mask), "labels and mask are as long as the array")?;
    check(range <= engine::MOST_LABELS, "labels lie within 2**32 - 1 numbers")?;
    let dtype = view.dtype();
    let (outcome, workers) = how.detached(py, array.len(), |workers, control| {
        let groups = Groups::new(&label_view, low, range, mask_view.as_ref(), workers, control)?;
        let arranged = groups.arranged(&view, workers, control)?;
        let positions = positions.then(|| groups.positions(workers, control)).transpose()?;
        let rows = [Rows::behind(View::of_buffer(&arranged), groups.starts())];
        let table = engine::run_rows(plan, dtype, Graph::new(dtype), 0, &rows, workers, control);
        Ok::<_, Error>((groups, positions, table))
    })?;
    let (groups, positions, table) = outcome?;
    let numbers = |numbers: Vec<i64>| output::array(&Buffer::Int64(numbers), DType::Int64, array);
    let grouping = (
        numbers(groups.present().iter().map(|&code| i64::from(code)).collect())?,
        numbers(groups.starts().iter().map(|&start| (start as u64).cast_signed()).collect())?,
        positions.map(|positions| output::array(&positions, DType::Int64, array)).transpose()?,
    );
    Ok((grouping, columns(plan, array, table, workers, started)?))
}

/// The Python half sees to it; this is for whoever bypasses it.
fn check(right: bool, what: &'static str) -> PyResult<()> {
    if right { Ok(()) } else { Err(PyRuntimeError::new_err(what)) }
}

fn columns<'py>(
    plan: &CorePlan,
    array: &Bound<'py, PyUntypedArray>,
    outcome: Result<Table, Error>,
    workers: usize,
    started: Instant,
) -> PyResult<Columns<'py>> {
    let py = array.py();
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
    Ok((columns, errors, passes, bytes_read, workers, started.elapsed().as_secs_f64()))
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
