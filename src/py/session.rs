//! `Session`: the formulas of traced functions, and the sweeps that compute them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArrayDescr, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::dtype::{Buffer, Constant, DType, ItemType, Number};
use crate::engine::{self, SweepResult, Workers};
use crate::error::Error;
use crate::expr::{self, EXPONENTS, Graph, Loop, NodeId, Operation, Step};
use crate::kernel::{Input as Elements, NanPolicy, Request, Subject};
use crate::kernels;
use crate::plan::RequestId;
use crate::py::input::Input;
use crate::py::kernel::Kernel;
use crate::py::ufunc::UfuncLoop;
use crate::py::waiting;
use crate::py::{input, output};
use crate::simd::Level;
use crate::source::{Extent, View};
use crate::store;
use crate::value::Value;

/// The formulas of a call's functions over one array, and the requests that wait for the next sweep.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct Session {
    dtype: DType,
    state: Mutex<State>,
}

struct State {
    session: engine::Session<'static>,
    /// The arrays to read, each in pieces that follow one another; the first is the call's array.
    arrays: Vec<Vec<Py<PyUntypedArray>>>,
    /// The arrays that the next sweep writes to.
    outputs: Vec<Py<PyUntypedArray>>,
    /// The requested kernels, for messages.
    kernels: HashMap<usize, &'static str>,
    /// The arrays that are results.
    answers: HashMap<usize, Py<PyUntypedArray>>,
    /// The most workers of a sweep so far.
    most_workers: usize,
}

/// A sweep's return value in Python: the results as (request, value or exception, whether it is a value); the
/// floating-point exceptions as (node, bits); whether memory was read, and how many bytes of arrays.
type Answers<'py> = (Vec<(usize, Bound<'py, PyAny>, bool)>, Vec<(NodeId, u8)>, bool, u64);

/// The number of the request for `nan_policy="raise"`.
const NAN_CHECK: usize = usize::MAX;

#[pymethods]
impl Session {
    #[classattr]
    const NAN_CHECK: usize = NAN_CHECK;

    #[new]
    fn new(array: &Bound<'_, PyUntypedArray>) -> PyResult<Session> {
        let view = input::view(array)?;
        let session = engine::Session::new(view.dtype(), view.len());
        let state = State {
            session,
            arrays: vec![vec![array.clone().unbind()]],
            outputs: Vec::new(),
            kernels: HashMap::new(),
            answers: HashMap::new(),
            most_workers: 1,
        };
        Ok(Session { dtype: view.dtype(), state: Mutex::new(state) })
    }

    /// The node of the elements of another array, or of several arrays of one dtype and one axis, one after the other.
    /// The arrays are kept alive.
    fn source<'py>(&self, py: Python<'py>, pieces: Vec<Bound<'py, PyUntypedArray>>) -> PyResult<NodeId> {
        let view = joined(&pieces)?;
        let mut state = self.state(py);
        let number = state.arrays.len();
        state.arrays.push(pieces.iter().map(|piece| piece.clone().unbind()).collect());
        Ok(state.session.graph().source(number, view.dtype(), view.len()))
    }

    /// Lets go of the array whose elements a node has. Nobody may ask for what is computed from it any more.
    fn forget(&self, py: Python<'_>, node: NodeId) {
        let mut state = self.state(py);
        let State { session, arrays, .. } = &mut *state;
        let first = arrays.first().map(|pieces| pieces.iter().map(|piece| piece.clone_ref(py)).collect());
        let number = session.graph().array_of(node).filter(|&number| number > 0);
        if let (Some(first), Some(pieces)) = (first, number.and_then(|number| arrays.get_mut(number))) {
            // Arrays keep their numbers.
            *pieces = first;
        }
    }

    /// Says that a node has the elements of another in the order of memory, in which statistics read them.
    fn turn(&self, py: Python<'_>, node: NodeId, turned: NodeId) {
        self.state(py).session.turn(node, turned);
    }

    /// The node of a number: an array without axes.
    fn constant(&self, number: &Bound<'_, PyUntypedArray>) -> PyResult<NodeId> {
        constant(self.state(number.py()).session.graph(), number)
    }

    /// The node of a ufunc's values.
    fn ufunc(&self, function: &Bound<'_, UfuncLoop>, of: Vec<NodeId>) -> NodeId {
        let py = function.py();
        self.state(py).session.graph().apply(Operation::Ufunc(Loop(function.get().function.clone())), of)
    }

    /// The node of `np.where`.
    fn choose(&self, py: Python<'_>, condition: NodeId, yes: NodeId, no: NodeId) -> NodeId {
        self.state(py).session.graph().apply(Operation::Where, vec![condition, yes, no])
    }

    /// The node of the values whose mask is true.
    fn select(&self, py: Python<'_>, mask: NodeId, values: NodeId) -> NodeId {
        self.state(py).session.graph().apply(Operation::Select, vec![mask, values])
    }

    /// The node of elements converted to another dtype, for which `can_cast` is true.
    fn cast(&self, of: NodeId, dtype: &Bound<'_, PyArrayDescr>) -> PyResult<NodeId> {
        cast(self.state(dtype.py()).session.graph(), of, dtype)
    }

    /// The node of floats to an integer power.
    fn power(&self, py: Python<'_>, of: NodeId, exponent: u8) -> PyResult<NodeId> {
        power(self.state(py).session.graph(), of, exponent)
    }

    /// Registers `who` for a kernel's result on a node's elements, which are of this dtype. A result that is an array is
    /// written to `out`, if given.
    #[pyo3(signature = (who, node, dtype, kernel, nan_policy, out=None))]
    fn reduce<'py>(
        &self,
        who: usize,
        node: NodeId,
        dtype: &Bound<'py, PyArrayDescr>,
        kernel: &Bound<'py, Kernel>,
        nan_policy: &str,
        out: Option<Bound<'py, PyUntypedArray>>,
    ) -> PyResult<()> {
        let nan_policy = NanPolicy::named(nan_policy)
            .ok_or_else(|| PyRuntimeError::new_err(format!("nan_policy={nan_policy:?} is unknown")))?;
        let py = kernel.py();
        let call = &kernel.get().call;
        let mut state = self.state(py);
        let dtype = checked(state.session.graph(), node, dtype)?;
        let mut request = call.entry.request(&call.arguments, Subject::of(node, dtype), nan_policy)?;
        if let Request::Array(unwritten) = &request {
            let input = Input::Array(state.arrays[0][0].bind(py).clone());
            let len = (unwritten.len)(state.session.graph().len(node).unwrap_or(0));
            let bytes = len.saturating_mul(unwritten.dtype.size());
            let array = out
                .map_or_else(|| output::fresh(&input, unwritten.dtype, len), Ok)
                .map_err(|error| output::failure(py, error, [call.entry.name], bytes))?;
            let written = (unwritten.write)(input::output(&array)?);
            state.answers.insert(who, array.unbind());
            request = written;
        }
        state.kernels.insert(who, call.entry.name);
        state.session.add(RequestId::Call(who), request);
        Ok(())
    }

    /// `nan_policy="raise"`: the next sweep counts the array's NaN values, and fails if there are any.
    fn refuse_nan(&self, py: Python<'_>) {
        if self.dtype.has_missing() {
            let input = Elements::new("nan_policy", Subject::of(0, self.dtype), NanPolicy::Raise);
            self.state(py).session.add(RequestId::NanCheck, kernels::missing(&input));
        }
    }

    /// Registers `who` for storing a node's elements in a new array without gaps, whose axes can lie in any order.
    /// Nobody else may use the array until then.
    fn store(&self, who: usize, node: NodeId, array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
        let py = array.py();
        let mut state = self.state(py);
        let dtype = checked(state.session.graph(), node, &array.dtype())?;
        let output = input::output(array)?;
        let Extent { memory, bytes } = input::view(array)?.extent();
        if memory.len() != bytes {
            return Err(PyValueError::new_err("items must be stored in a new array"));
        }
        state.outputs.push(array.clone().unbind());
        state.session.add(RequestId::Call(who), store::store(node, dtype, output));
        Ok(())
    }

    /// Registers `who` for a node's elements, whose number is unknown until the sweep. Those of float16 come as float32.
    fn collect(&self, py: Python<'_>, who: usize, node: NodeId) {
        let mut state = self.state(py);
        let dtype = state.session.graph().item(node).dtype();
        state.session.add(RequestId::Call(who), store::collect(node, dtype));
    }

    /// The most workers that a sweep has used.
    #[getter]
    fn most_workers(&self, py: Python<'_>) -> usize {
        self.state(py).most_workers
    }

    /// Whether a request waits for a sweep.
    fn waits(&self, py: Python<'_>) -> bool {
        self.state(py).session.waits()
    }

    /// Runs one sweep for all waiting requests, with the workers that the caller's run can spare.
    #[pyo3(signature = (workers, timeout))]
    fn sweep<'py>(&self, py: Python<'py>, workers: usize, timeout: Option<f64>) -> PyResult<Answers<'py>> {
        let mut state = self.state(py);
        let State { session, arrays, outputs, kernels, answers: written, most_workers } = &mut *state;
        let bound = |pieces: &Vec<Py<_>>| pieces.iter().map(|piece| piece.bind(py).clone()).collect();
        let arrays: Vec<Vec<Bound<'py, PyUntypedArray>>> = arrays.iter().map(bound).collect();
        let views = arrays.iter().map(|pieces| joined(pieces)).collect::<PyResult<Vec<_>>>()?;
        let workers = Workers::granted(waiting::most(workers, views.iter().map(View::len).max().unwrap_or(0)));
        *most_workers = workers.count().max(*most_workers);
        let told = waiting::detached(py, timeout, |control| session.sweep(&views, &workers, control));
        outputs.clear();
        let SweepResult { answers, flags, mut sources, .. } = told??;
        sources.sort_unstable();
        sources.dedup();
        let read = sources.iter().filter_map(|&source| arrays.get(source)).flatten().map(input::view);
        let bytes = bytes(read.collect::<Result<Vec<_>, Error>>()?.iter().map(View::extent));
        let first = Input::Array(arrays[0][0].clone());
        let answers = answers.into_iter().map(|(who, answer)| {
            let (who, answer) = match (who, answer) {
                (RequestId::Call(who), answer) => (who, answer),
                (RequestId::NanCheck, Ok(Value::Scalar(Number::Int(count), _))) if count > 0 => {
                    (NAN_CHECK, Err(Error::FoundNan { count, dtype: self.dtype }))
                }
                (RequestId::NanCheck, answer) => (NAN_CHECK, answer),
            };
            let kernel = kernels.remove(&who);
            let object = answer.map_err(|error| error.of(kernel).into()).and_then(|value| match written.get(&who) {
                Some(array) => Ok(array.bind(py).clone().into_any()),
                None => output::object(&value, &first)
                    .map_err(|error| output::failure(py, error, kernel, output::bytes(&value))),
            });
            match object {
                Ok(object) => (who, object, true),
                Err(error) => (who, error.into_value(py).into_bound(py).into_any(), false),
            }
        });
        let flags = flags.into_iter().map(|(node, flags)| (node, flags.0)).collect();
        Ok((answers.collect(), flags, !sources.is_empty(), bytes))
    }
}

/// The elements of arrays of one dtype, one after the other; several arrays have one axis each.
fn joined<'a>(pieces: &'a [Bound<'_, PyUntypedArray>]) -> PyResult<View<'a>> {
    let mut views = pieces.iter().map(input::view).collect::<Result<Vec<_>, Error>>()?;
    match views.as_slice() {
        [_] => Ok(views.swap_remove(0)),
        [first, ..] if views.iter().all(|view| view.dtype() == first.dtype()) => {
            let dtype = first.dtype();
            Ok(View::of_pieces(views, dtype))
        }
        _ => Err(PyValueError::new_err("the pieces of an array must have one dtype")),
    }
}

/// The node of a number: an array without axes.
pub(super) fn constant(graph: &mut Graph, number: &Bound<'_, PyUntypedArray>) -> PyResult<NodeId> {
    let view = input::view(number)?;
    if view.len() != 1 {
        return Err(PyValueError::new_err(format!("a constant must be one number, not {}", view.len())));
    }
    let mut scratch = Buffer::new(view.dtype().item(), 1);
    let buffer = view.load(Level::current(), 0, 1, &mut scratch).to_buffer();
    let constant = Constant::new(buffer).ok_or_else(|| PyValueError::new_err("a constant must be one number"))?;
    Ok(graph.constant(constant))
}

/// The node of floats to an integer power.
pub(super) fn power(graph: &mut Graph, of: NodeId, exponent: u8) -> PyResult<NodeId> {
    if !EXPONENTS.contains(&exponent) || !matches!(graph.item(of), ItemType::Float32 | ItemType::Float64) {
        return Err(PyValueError::new_err(format!("there is no loop for the power {exponent} of such elements")));
    }
    Ok(graph.step(Step::Power(exponent), of))
}

/// The node of elements converted to another dtype, for which `can_cast` is true.
pub(super) fn cast(graph: &mut Graph, of: NodeId, dtype: &Bound<'_, PyArrayDescr>) -> PyResult<NodeId> {
    let to = input::dtype(dtype)?.0;
    let (from, item) = (graph.item(of), to.item());
    if from != item && !expr::can_cast(from, item) {
        return Err(PyValueError::new_err(format!("there is no conversion from {from:?} to {item:?}")));
    }
    // From float64 it is one rounding to float16; from integers, NumPy's own way is by float32.
    let at_once = from == item || (from == ItemType::Float64 && to == DType::Float16);
    let made = if at_once { of } else { graph.step(Step::Cast(item), of) };
    Ok(if to == DType::Float16 { graph.step(Step::Half, made) } else { made })
}

/// The dtype of a node's elements. Blocks have the same items for several dtypes.
pub(super) fn checked(graph: &Graph, node: NodeId, dtype: &Bound<'_, PyArrayDescr>) -> PyResult<DType> {
    let dtype = input::dtype(dtype)?.0;
    if graph.item(node) == dtype.item() {
        Ok(dtype)
    } else {
        Err(PyValueError::new_err(format!("the node has no elements of {dtype}")))
    }
}

/// Whether a formula's elements can be converted from one dtype to another.
#[pyfunction]
pub(super) fn can_cast(source: &Bound<'_, PyArrayDescr>, target: &Bound<'_, PyArrayDescr>) -> bool {
    match (input::dtype(source), input::dtype(target)) {
        (Ok((source, _)), Ok((target, _))) => expr::can_cast(source.item(), target.item()),
        _ => false,
    }
}

impl Session {
    /// Waits without the interpreter: the thread that holds the lock may need the interpreter before it releases the
    /// lock.
    fn state(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of arrays that a sweep reads; memory that arrays share is read once.
fn bytes(extents: impl Iterator<Item = Extent>) -> u64 {
    let mut extents: Vec<Extent> = extents.collect();
    extents.sort_unstable_by_key(|extent| extent.memory.start);
    let (mut bytes, mut covered) = (0, 0..0);
    let mut dense = 0;
    for extent in extents {
        if extent.memory.start >= covered.end {
            bytes += dense.min(covered.len());
            (covered, dense) = (extent.memory, extent.bytes);
        } else {
            covered.end = covered.end.max(extent.memory.end);
            dense += extent.bytes;
        }
    }
    (bytes + dense.min(covered.len())) as u64
}
