//! Stops a run: with one flag that the workers read and the waiting thread sets. And tells others how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::error::Error;

/// The longest time that the waiting thread sleeps between two checks.
pub const POLL: Duration = Duration::from_millis(50);

/// A call as another thread sees it: it can be stopped, and tells how far its work is.
///
/// Watched calls share the workers: see [`Watch::share`].
#[derive(Debug)]
pub struct Watch {
    stopped: AtomicBool,
    /// How many jobs for all workers have begun.
    jobs: AtomicU64,
    /// How many pieces of the latest job are done, and how many it has.
    done: AtomicUsize,
    pieces: AtomicUsize,
    /// How many of the user's functions the call has begun with, and how many have returned.
    functions: AtomicUsize,
    returned: AtomicUsize,
}

/// How far a call is.
pub struct Progress {
    /// How many jobs for all workers have begun.
    pub jobs: u64,
    /// How many pieces of the latest job are done.
    pub done: usize,
    /// How many pieces the latest job has.
    pub pieces: usize,
    /// How many of the user's functions the call has begun with.
    pub functions: usize,
    /// How many of these have returned.
    pub returned: usize,
}

/// The calls that are watched now.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

impl Watch {
    /// The watch of a call that begins now.
    #[allow(clippy::new_without_default)] // it counts as a call while it exists
    pub fn new() -> Watch {
        WATCHED.fetch_add(1, Ordering::Relaxed);
        let zero = || AtomicUsize::new(0);
        Watch {
            stopped: AtomicBool::new(false),
            jobs: AtomicU64::new(0),
            done: zero(),
            pieces: zero(),
            functions: zero(),
            returned: zero(),
        }
    }

    /// Stops the call at its next check.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Tells that so many of the user's functions are to be called.
    pub fn add_functions(&self, count: usize) {
        self.functions.fetch_add(count, Ordering::Relaxed);
    }

    /// Tells that one of them has returned.
    pub fn end_function(&self) {
        self.returned.fetch_add(1, Ordering::Relaxed);
    }

    /// How far the call is.
    pub fn progress(&self) -> Progress {
        let read = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        Progress {
            jobs: self.jobs.load(Ordering::Relaxed),
            done: read(&self.done),
            pieces: read(&self.pieces),
            functions: read(&self.functions),
            returned: read(&self.returned),
        }
    }

    /// The part of so many workers that each watched call gets. Powers of two of calls count, so that there are few
    /// sizes of pools.
    pub fn share(workers: usize) -> usize {
        (workers / Watch::count().next_power_of_two()).max(1)
    }

    /// The number of watched calls.
    pub(super) fn count() -> usize {
        WATCHED.load(Ordering::Relaxed)
    }

    fn begin(&self, pieces: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.pieces.store(pieces, Ordering::Relaxed);
        self.jobs.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The checks that the calling thread makes while it waits.
pub struct Control<'a> {
    deadline: Option<(Instant, f64)>,
    /// Called every [`POLL`] by the waiting thread; `false` stops the run.
    go_on: &'a (dyn Fn() -> bool + Sync),
    stopped: Arc<AtomicBool>,
    caller: ThreadId,
    watch: Option<&'a Watch>,
}

impl<'a> Control<'a> {
    /// `go_on` is called from the calling thread only.
    pub fn new(timeout: Option<f64>, go_on: &'a (dyn Fn() -> bool + Sync)) -> Control<'a> {
        // A timeout too long for the clock counts as no timeout.
        let deadline = timeout.and_then(|seconds| {
            let limit = Duration::try_from_secs_f64(seconds).ok()?;
            Some((Instant::now().checked_add(limit)?, seconds))
        });
        Control { deadline, go_on, stopped: Arc::default(), caller: thread::current().id(), watch: None }
    }

    /// The same for a watched call.
    #[must_use]
    pub fn watched(self, watch: Option<&'a Watch>) -> Control<'a> {
        Control { watch, ..self }
    }

    /// A control that never stops the run.
    pub fn none() -> Control<'static> {
        Control::new(None, &|| true)
    }

    /// A control for nested runs of this thread, which are stopped together with the run. In nested runs only the
    /// calling thread, which may be a worker too, keeps checking.
    pub(super) fn of_worker(&self) -> Control<'a> {
        let stopped = Arc::clone(&self.stopped);
        if thread::current().id() == self.caller {
            Control { deadline: self.deadline, go_on: self.go_on, stopped, caller: self.caller, watch: None }
        } else {
            Control { stopped, ..Control::none() }
        }
    }

    /// Tells that a job of so many pieces begins.
    pub(super) fn begin(&self, pieces: usize) {
        if let Some(watch) = self.watch {
            watch.begin(pieces);
        }
    }

    /// Tells that a piece of the job is done, from any thread.
    pub(super) fn advance(&self) {
        if let Some(watch) = self.watch {
            watch.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long the waiting thread may sleep before the next check.
    pub(super) fn pause(&self) -> Duration {
        let left = self.deadline.map(|(deadline, _)| deadline.saturating_duration_since(Instant::now()));
        left.map_or(POLL, |left| left.clamp(Duration::from_millis(1), POLL))
    }

    /// Stops the run, from any thread.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the run was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The flag that the workers read.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.stopped
    }

    /// Checks for a stop, from the calling thread. An error stops the run: the workers stop at their next block.
    pub fn check(&self) -> Result<(), Error> {
        let result = match self.deadline {
            _ if !(self.go_on)() => Err(Error::Cancelled),
            Some((deadline, seconds)) if Instant::now() >= deadline => Err(Error::Timeout { seconds }),
            _ => Ok(()),
        };
        if result.is_err() {
            self.stop();
        }
        result
    }
}
