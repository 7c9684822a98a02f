//! A run over rows, for the Python half: takes arrays whose first axes number the rows, and returns a column for each
//! kernel.

use std::collections::HashMap;
use std::time::Instant;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::column::Column;
use crate::dtype::{Buffer, DType};
use crate::engine::{self, Grouped, Inputs, Partition, Parts, Table};
use crate::error::Error;
use crate::kernel::Takes;
use crate::plan::{Plan as CorePlan, Subjects};
use crate::py::input::{self, Input};
use crate::py::output;
use crate::py::waiting::RunOptions;
use crate::source::{OutputRows, Rows};

/// The columns in the order of the kernels, `None` where one failed; the failures as (number, exception); then passes,
/// bytes read, workers, and the seconds of the run as a list: its passes are row by row, at the same time.
pub(super) type Columns<'py> = (Bound<'py, PyList>, Vec<(usize, Py<PyAny>)>, usize, u64, usize, Vec<f64>);

/// The groups: the numbers of their labels, the offset of each group among the elements sorted by group and, if
/// requested, the elements' positions in that order.
pub(super) type Grouping<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

/// The arrays that kernels write to, by the kernels' numbers.
pub(super) type Targets<'py> = HashMap<usize, Bound<'py, PyUntypedArray>>;

/// The input of a run over rows or groups.
pub(super) struct Given<'a, 'py> {
    /// The arrays, all of one shape.
    pub(super) arrays: &'a [Input<'py>],
    /// The numbers of the arrays that each kernel takes.
    pub(super) over: &'a [Vec<usize>],
    /// The mask and the weights, which have the arrays' shape too.
    pub(super) mask: Option<&'a Input<'py>>,
    pub(super) weights: Option<&'a Input<'py>>,
}

impl<'a, 'py> Given<'a, 'py> {
    /// The first of the arrays; there is at least one.
    fn first(&self) -> PyResult<&'a Input<'py>> {
        self.arrays.first().ok_or_else(|| PyRuntimeError::new_err("there is an array"))
    }

    /// Checks what the Python half promises, and reads everything as rows along the first `along` axes.
    fn inputs(&self, plan: &CorePlan, along: usize) -> PyResult<Inputs<'a>> {
        let first = self.first()?;
        let all = self.arrays.iter().chain(self.mask).chain(self.weights);
        check(all.clone().all(|array| array.shape() == first.shape()), "all arrays must have one shape")?;
        let counted = |over: &Vec<usize>| !over.is_empty() && over.iter().all(|&number| number < self.arrays.len());
        let matched = plan.calls().iter().zip(self.over).all(|(call, over)| match call.entry.takes {
            Takes::Pairs => over.len() == 2,
            Takes::Columns => true,
            _ => over.len() == 1,
        });
        check(
            plan.calls().len() == self.over.len() && self.over.iter().all(counted) && matched,
            "each kernel must get the number of arrays that it takes",
        )?;
        let rows = |input: &'a Input<'py>| input.rows(along);
        let inputs = Inputs {
            sources: self.arrays.iter().map(|array| array.source(along)).collect::<Result<_, Error>>()?,
            mask: self.mask.map(rows).transpose()?,
            weights: self.weights.map(rows).transpose()?,
        };
        let mask = inputs.mask.as_ref().map(Rows::dtype);
        check(mask.is_none_or(|dtype| dtype == DType::Bool), "a mask must have dtype bool")?;
        let weights = inputs.weights.as_ref().map(Rows::dtype);
        check(weights.is_none_or(|dtype| Takes::Reals.includes(dtype)), "weights must be real numbers")?;
        Ok(inputs)
    }

    /// The reasons why kernels of the plan cannot run, in order.
    pub(super) fn problems(&self, plan: &CorePlan) -> PyResult<Vec<Error>> {
        let mut all = self.arrays.iter().chain(self.mask).chain(self.weights);
        if let Some(error) = all.find_map(|array| array.dtype().err()) {
            return Ok(vec![error]);
        }
        let subjects = Subjects::new(plan, &self.inputs(plan, 0)?.given(), self.over);
        let (_, errors) = plan.stage_over(&subjects.of_calls, &subjects.arrays);
        Ok(errors.into_iter().map(|(_, error)| error).collect())
    }
}

/// Runs the plan's kernels over the rows along the first `along` axes, and writes arrays of items to the rows of
/// `targets`.
pub(super) fn run<'py>(
    plan: &CorePlan,
    given: &Given<'_, 'py>,
    along: usize,
    targets: &Targets<'py>,
    how: &RunOptions,
) -> PyResult<Columns<'py>> {
    let started = Instant::now();
    let (inputs, array) = (given.inputs(plan, along)?, given.first()?);
    let outputs = outputs(targets, along)?;
    let count = inputs.sources.first().map_or(0, |source| source.elements.count());
    check(outputs.iter().all(|(_, rows)| rows.count() == count), "targets must have as many rows as the arrays")?;
    let (parts, workers) = how.detached(array.py(), array.len(), |workers, control| {
        engine::run_parts(plan, given.over, inputs, Partition::Rows, outputs, workers, control)
    })?;
    columns(plan, given, parts.and_then(|parts| parts.table), workers, started)
}

/// Runs the plan's kernels over groups: the elements whose labels are equal. Labels lie from `low` on within `range`
/// numbers; elements with other labels, and those where the mask is false, belong to no group. Arrays of items are
/// written to `targets`, group after group.
pub(super) fn run_groups<'py>(
    plan: &CorePlan,
    given: &Given<'_, 'py>,
    (labels, low, range): (&Input<'py>, i128, usize),
    positions: bool,
    targets: &Targets<'py>,
    how: &RunOptions,
) -> PyResult<(Grouping<'py>, Columns<'py>)> {
    let started = Instant::now();
    let (inputs, array) = (given.inputs(plan, 0)?, given.first()?);
    let py = array.py();
    let numbers = &labels.view()?;
    check(numbers.len() == array.len(), "labels must be as long as the array")?;
    check(targets.values().all(|target| target.len() == array.len()), "targets must be as long as the array")?;
    check(range <= engine::MOST_LABELS, "labels must lie within 2**32 - 1 numbers")?;
    let outputs = outputs(targets, 0)?;
    let (parts, workers) = how.detached(py, array.len(), |workers, control| {
        let partition = Partition::Labels { numbers, low, range, positions };
        engine::run_parts(plan, given.over, inputs, partition, outputs, workers, control)
    })?;
    let Parts { table, groups } = parts?;
    let Some(Grouped { present, offsets, positions }) = groups else { unreachable!("labels make groups") };
    let numbers = |numbers: &Buffer| {
        output::array(py, numbers, DType::Int64, None).map_err(|error| {
            let kernels = plan.calls().iter().map(|call| call.entry.name);
            let bytes = numbers.len().saturating_mul(DType::Int64.size());
            output::failure(py, error, kernels, bytes)
        })
    };
    let grouping = (
        numbers(&Buffer::Int64(present))?,
        numbers(&Buffer::Int64(offsets))?,
        positions.as_ref().map(numbers).transpose()?,
    );
    Ok((grouping, columns(plan, given, table, workers, started)?))
}

/// The memory of the arrays to write to, as rows along their first axes.
fn outputs(targets: &Targets<'_>, along: usize) -> PyResult<Vec<(usize, OutputRows)>> {
    targets.iter().map(|(&call, array)| Ok((call, input::output_rows(array, along)?))).collect()
}

/// Checks what the Python half ensures, for callers that bypass it.
fn check(right: bool, what: &'static str) -> PyResult<()> {
    if right { Ok(()) } else { Err(PyRuntimeError::new_err(what)) }
}

fn columns<'py>(
    plan: &CorePlan,
    given: &Given<'_, 'py>,
    outcome: Result<Table, Error>,
    workers: usize,
    started: Instant,
) -> PyResult<Columns<'py>> {
    let first = given.first()?;
    let py = first.py();
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
            for ((column, over), call) in columns.into_iter().zip(given.over).zip(plan.calls()) {
                // Times have the unit of their array.
                let array = over.first().and_then(|&number| given.arrays.get(number)).unwrap_or(first);
                let object = |column| {
                    object(&column, array)
                        .map_err(|error| output::failure(py, error, [call.entry.name], bytes(&column)))
                };
                append(column.map_err(PyErr::from).and_then(object))?;
            }
            (passes, bytes_read)
        }
        Err(error @ (Error::FoundNan { .. } | Error::Memory { .. })) => {
            for _ in plan.calls() {
                append(Err(error.clone().into()))?;
            }
            match error {
                Error::FoundNan { dtype, .. } => (1, first.len() as u64 * dtype.size() as u64),
                _ => (0, 0),
            }
        }
        Err(error) => return Err(error.into()),
    };
    Ok((columns, errors, passes, bytes_read, workers, vec![started.elapsed().as_secs_f64()]))
}

/// The size of a returned column in bytes.
fn bytes(column: &Column) -> usize {
    match column {
        Column::Empty => 0,
        Column::Numbers { items, dtype } | Column::Arrays { items, dtype, .. } => {
            items.len().saturating_mul(dtype.size())
        }
        Column::Record(_, columns) => columns.iter().map(bytes).sum(),
        Column::Mixed(values) => values.iter().map(output::bytes).sum(),
    }
}

/// A column as a Python object: an array with a row for each value, a named tuple of such arrays, or a list of values
/// without a common form.
pub(super) fn object<'py>(column: &Column, array: &Input<'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    match column {
        Column::Empty => Ok(PyList::empty(py).into_any()),
        Column::Numbers { items, dtype } => output::array(py, items, *dtype, Some(array)),
        Column::Arrays { items, dtype, width, count } => {
            output::array(py, items, *dtype, Some(array))?.call_method1("reshape", (*count, *width))
        }
        Column::Record(name, columns) => {
            let fields = columns.iter().map(|field| object(field, array)).collect::<PyResult<Vec<_>>>()?;
            output::record(py, name, fields)
        }
        Column::Mixed(values) => {
            let values = values.iter().map(|value| output::object(value, array)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, values)?.into_any())
        }
    }
}
