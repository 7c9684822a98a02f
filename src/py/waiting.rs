//! How a call waits for its results: it releases the interpreter and handles Python's signals.
//!
//! No Python code runs inside our Rust frames, except signal handlers, which Python calls in its main thread only. The
//! reason: before Python 3.14, when the interpreter exits, it unwinds every other thread that wants to run Python code,
//! and Rust frames must not be unwound. For this reason the Python half calls the users' functions.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::engine::{self, Control, Workers};

pyo3::import_exception!(concurrent.futures, CancelledError);

/// A call as another thread sees it: how far it is, and whether it is to stop.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct Watch(Arc<engine::Watch>);

#[pymethods]
impl Watch {
    #[new]
    fn new() -> Watch {
        Watch(Arc::new(engine::Watch::new()))
    }

    /// Has the calls of the current thread watched by this from now on; `None` ends that.
    #[staticmethod]
    fn watch(watch: Option<&Watch>) {
        WATCH.set(watch.map(|watch| Arc::clone(&watch.0)));
    }

    /// Stops the call: within 100 ms it raises `CancelledError`.
    fn stop(&self) {
        self.0.stop();
    }

    /// Whether it was stopped.
    #[getter]
    fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// Tells that so many of the user's functions are to be called.
    fn add_functions(&self, count: usize) {
        self.0.add_functions(count);
    }

    /// Tells that one of them has returned.
    fn end_function(&self) {
        self.0.end_function();
    }

    /// How many jobs for all workers have begun; how many pieces of the latest one are done, of how many; how many
    /// functions the call has begun with, and how many have returned.
    #[getter]
    fn progress(&self) -> (u64, usize, usize, usize, usize) {
        let engine::Progress { jobs, done, pieces, functions, returned } = self.0.progress();
        (jobs, done, pieces, functions, returned)
    }

    /// The watch of the current thread's calls, if they are watched.
    #[staticmethod]
    fn current() -> Option<Watch> {
        WATCH.with_borrow(|watch| watch.as_ref().map(|watch| Watch(Arc::clone(watch))))
    }

    /// The part of so many workers that each watched call gets.
    #[staticmethod]
    fn share(workers: usize) -> usize {
        engine::Watch::share(workers)
    }
}

thread_local! {
    static WATCH: RefCell<Option<Arc<engine::Watch>>> = const { RefCell::new(None) };
}

/// The options of a run.
pub(super) struct RunOptions {
    /// The number of workers; 0 means one per processor.
    pub(super) workers: usize,
    pub(super) timeout: Option<f64>,
}

impl RunOptions {
    /// Runs a function without the interpreter, on workers that suit this number of elements. Returns its result and
    /// the number of workers.
    pub(super) fn detached<R: Send>(
        &self,
        py: Python<'_>,
        len: usize,
        action: impl FnOnce(&Workers, &Control<'_>) -> R + Send,
    ) -> PyResult<(R, usize)> {
        let workers = match self.workers {
            _ if engine::is_small(len) => Workers::Caller,
            0 => Workers::new(most(shared(engine::available_workers()), len)),
            count => Workers::new(most(count, len)),
        };
        let result = detached(py, self.timeout, |control| action(&workers, control))?;
        Ok((result, workers.count()))
    }
}

/// Limits the workers to the number of pieces.
pub(super) fn most(workers: usize, len: usize) -> usize {
    workers.min(engine::Pass::chunks(len))
}

/// The workers of a call that did not say how many: all, or its share if it is watched. The Python half has shared out
/// all other numbers.
fn shared(workers: usize) -> usize {
    if WATCH.with_borrow(Option::is_some) { engine::Watch::share(workers) } else { workers }
}

/// Runs a function without the interpreter, under a control that lets Python handle signals. An exception of a signal
/// handler (Ctrl-C) ends the run and is raised here, and so is `CancelledError` if the run is watched and was stopped.
pub(super) fn detached<R: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    action: impl FnOnce(&Control<'_>) -> R + Send,
) -> PyResult<R> {
    let interrupt = Mutex::new(None);
    let is_main = is_main_thread(py)?;
    let watch = WATCH.with_borrow(Clone::clone);
    let is_stopped = || watch.as_ref().is_some_and(|watch| watch.is_stopped());
    let go_on = || !is_stopped() && (!is_main || check_signals(&interrupt));
    let result = py.detach(|| action(&Control::new(timeout, &go_on).watched(watch.as_deref())));
    let interrupt = interrupt.into_inner().unwrap_or_else(PoisonError::into_inner);
    if is_stopped() {
        return Err(CancelledError::new_err("the call was cancelled"));
    }
    interrupt.map_or(Ok(result), Err)
}

/// Whether Python handles signals in this thread.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    static ASK: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let (main_thread, ident) = ASK.get_or_try_init(py, || {
        let threading = py.import("threading")?;
        Ok::<_, PyErr>((threading.getattr("main_thread")?.unbind(), threading.getattr("get_ident")?.unbind()))
    })?;
    let main = main_thread.call0(py)?.getattr(py, "ident")?;
    main.bind(py).eq(ident.call0(py)?)
}

/// Lets Python handle signals. An exception is kept and ends the run.
fn check_signals(interrupt: &Mutex<Option<PyErr>>) -> bool {
    #[allow(clippy::redundant_closure_for_method_calls)] // the method alone is not general enough in its lifetime
    let checked = Python::try_attach(|py| py.check_signals());
    match checked {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            *interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            false
        }
        // The interpreter is shutting down.
        None => false,
    }
}
