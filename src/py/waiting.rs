//! How a call waits for its results: it releases the interpreter and handles Python's signals.
//!
//! No Python code runs inside our Rust frames, except signal handlers, which Python calls in its main thread only. The
//! reason: before Python 3.14, when the interpreter exits, it unwinds every other thread that wants to run Python code,
//! and Rust frames must not be unwound. For this reason the Python half calls the users' functions.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::engine::{self, Control, Workers};

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
            0 => Workers::new(most(engine::available_workers(), len)),
            count => Workers::new(most(count, len)),
        };
        let result = detached(py, |go_on| action(&workers, &Control::new(self.timeout, go_on)))?;
        Ok((result, workers.count()))
    }
}

/// Limits the workers to the number of pieces.
pub(super) fn most(workers: usize, len: usize) -> usize {
    workers.min(engine::Pass::chunks(len))
}

/// Runs a function without the interpreter. The function gets a callback that lets Python handle signals and returns
/// whether to continue. An exception of a signal handler (Ctrl-C) ends the run and is raised here.
pub(super) fn detached<R: Send>(
    py: Python<'_>,
    action: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> R + Send,
) -> PyResult<R> {
    let interrupt = Mutex::new(None);
    let is_main = is_main_thread(py)?;
    let go_on = || !is_main || check_signals(&interrupt);
    let result = py.detach(|| action(&go_on));
    let interrupt = interrupt.into_inner().unwrap_or_else(PoisonError::into_inner);
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
