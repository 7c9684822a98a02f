//! `FormulasOfRows`: the formulas of functions of one row, and the sweeps that compute them for all rows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArrayDescr, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::engine::{FormulasOfRows as Formulas, RowAnswers, RowRequest};
use crate::error::Error;
use crate::expr::{Graph, Loop, NodeId, Operation};
use crate::kernel::{NanPolicy, Request, Subject};
use crate::py::input::{self, Input};
use crate::py::kernel::Kernel;
use crate::py::rows;
use crate::py::session;
use crate::py::ufunc::UfuncLoop;
use crate::py::waiting::RunOptions;
use crate::source::Rows;

/// The formulas of functions of one row, over the rows of an array along its first axes.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct FormulasOfRows {
    along: usize,
    count: usize,
    state: Mutex<State>,
}

struct State {
    graph: Graph,
    /// The arrays to read, by their numbers in the graph, and the number of axes that number the rows. The first is the
    /// array of the rows.
    arrays: Vec<(Py<PyUntypedArray>, usize)>,
}

/// What is asked of every row: a kernel's result on elements of this dtype, or a node's elements, in the rows of this
/// array.
#[derive(FromPyObject)]
enum Wanted<'py> {
    Result(Bound<'py, Kernel>, Bound<'py, PyArrayDescr>),
    Elements(Bound<'py, PyUntypedArray>),
}

/// A sweep's return value in Python: a column for each request, without the rows that failed; the failures as (request,
/// row); the floating-point exceptions as (node, bits); the number of workers.
type Answers<'py> = (Vec<Bound<'py, PyAny>>, Vec<(usize, usize)>, Vec<(NodeId, u8)>, usize);

#[pymethods]
impl FormulasOfRows {
    #[new]
    fn new(array: &Bound<'_, PyUntypedArray>, along: usize) -> PyResult<FormulasOfRows> {
        let rows = input::array_rows(array, along)?;
        let graph = Graph::with_len(rows.dtype(), rows.len());
        let state = State { graph, arrays: vec![(array.clone().unbind(), along)] };
        Ok(FormulasOfRows { along, count: rows.count(), state: Mutex::new(state) })
    }

    /// The node of a part of each row: an array with the same first axes, which is kept alive.
    fn source(&self, array: &Bound<'_, PyUntypedArray>) -> PyResult<NodeId> {
        let rows = input::array_rows(array, self.along)?;
        self.check(rows.count())?;
        let (dtype, len) = (rows.dtype(), rows.len());
        let mut state = self.state(array.py());
        let number = state.arrays.len();
        state.arrays.push((array.clone().unbind(), self.along));
        Ok(state.graph.source(number, dtype, len))
    }

    /// The node of a number that each row has its own of: an array with one for each row, which is kept alive.
    fn number(&self, array: &Bound<'_, PyUntypedArray>) -> PyResult<NodeId> {
        let rows = input::array_rows(array, 1)?;
        self.check(rows.count())?;
        if array.ndim() != 1 || !rows.are_borrowed() {
            return Err(PyValueError::new_err("the numbers of rows must be an array of one axis in native order"));
        }
        let dtype = rows.dtype();
        let mut state = self.state(array.py());
        let number = state.arrays.len();
        state.arrays.push((array.clone().unbind(), 1));
        Ok(state.graph.number(number, dtype))
    }

    /// The node of a number that is the same for all rows: an array without axes.
    fn constant(&self, number: &Bound<'_, PyUntypedArray>) -> PyResult<NodeId> {
        session::constant(&mut self.state(number.py()).graph, number)
    }

    /// The node of a ufunc's values.
    fn ufunc(&self, function: &Bound<'_, UfuncLoop>, of: Vec<NodeId>) -> NodeId {
        let operation = Operation::Ufunc(Loop(function.get().function.clone()));
        self.state(function.py()).graph.apply(operation, of)
    }

    /// The node of `np.where`.
    fn choose(&self, py: Python<'_>, condition: NodeId, yes: NodeId, no: NodeId) -> NodeId {
        self.state(py).graph.apply(Operation::Where, vec![condition, yes, no])
    }

    /// The node of the values whose mask is true.
    fn select(&self, py: Python<'_>, mask: NodeId, values: NodeId) -> NodeId {
        self.state(py).graph.apply(Operation::Select, vec![mask, values])
    }

    /// The node of elements converted to another dtype, for which `can_cast` is true.
    fn cast(&self, of: NodeId, dtype: &Bound<'_, PyArrayDescr>) -> PyResult<NodeId> {
        session::cast(&mut self.state(dtype.py()).graph, of, dtype)
    }

    /// The node of floats to an integer power.
    fn power(&self, py: Python<'_>, of: NodeId, exponent: u8) -> PyResult<NodeId> {
        session::power(&mut self.state(py).graph, of, exponent)
    }

    /// Runs one sweep over all rows for these requests.
    fn sweep<'py>(
        &self,
        py: Python<'py>,
        wanted: Vec<(NodeId, Wanted<'py>)>,
        workers: usize,
        timeout: Option<f64>,
    ) -> PyResult<Answers<'py>> {
        let state = self.state(py);
        let arrays: Vec<(Bound<'py, PyUntypedArray>, usize)> =
            state.arrays.iter().map(|(array, along)| (array.bind(py).clone(), *along)).collect();
        let sources = arrays.iter().map(|(array, along)| input::array_rows(array, *along));
        let sources = sources.collect::<Result<Vec<Rows<'_>>, Error>>()?;
        let mut formulas = Formulas::new(state.graph.clone(), &sources);
        for (node, wanted) in wanted {
            formulas.add(match wanted {
                Wanted::Result(kernel, dtype) => {
                    let call = &kernel.get().call;
                    let subject = Subject::of(node, session::checked(&state.graph, node, &dtype)?);
                    let request = call.entry.request(&call.arguments, subject, NanPolicy::Propagate)?;
                    if matches!(request, Request::Array(_)) {
                        return Err(PyValueError::new_err(format!("{} gives an array for each row", call.entry.name)));
                    }
                    RowRequest::Result(request)
                }
                Wanted::Elements(array) => {
                    let rows = input::output_rows(&array, 1)?;
                    self.check(rows.count())?;
                    if array.ndim() != 2 || state.graph.len(node) != Some(array.shape()[1]) {
                        return Err(PyValueError::new_err("an output must have a place for each element of each row"));
                    }
                    RowRequest::Elements(node, rows)
                }
            });
        }
        drop(state);
        let (array, _) = &arrays[0];
        let options = RunOptions { workers, timeout };
        let (told, workers) = options.detached(py, array.len(), |workers, control| formulas.run(workers, control))?;
        let RowAnswers { columns, failed, flags } = told?;
        let first = Input::Array(array.clone());
        let columns = columns.iter().map(|column| rows::object(column, &first)).collect::<PyResult<Vec<_>>>()?;
        Ok((columns, failed, flags.into_iter().map(|(node, flags)| (node, flags.0)).collect(), workers))
    }
}

impl FormulasOfRows {
    /// As `Session`'s.
    fn state(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, count: usize) -> PyResult<()> {
        if count == self.count {
            Ok(())
        } else {
            Err(PyValueError::new_err(format!("there must be {} rows, not {count}", self.count)))
        }
    }
}
