//! Calls in the background: others can stop them and see how far they are, and they share the workers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

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

    /// Tells that a job of so many pieces begins.
    pub(super) fn begin(&self, pieces: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.pieces.store(pieces, Ordering::Relaxed);
        self.jobs.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells that a piece of the job is done.
    pub(super) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Ordering::Relaxed);
    }
}
