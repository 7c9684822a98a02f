//! Stops a run: with one flag that the workers read and the waiting thread sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::engine::watch::Watch;
use crate::error::Error;

/// The longest time that the waiting thread sleeps between two checks.
pub const POLL: Duration = Duration::from_millis(50);

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
            watch.advance();
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
