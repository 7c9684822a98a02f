//! How the calling thread waits for other threads and stays responsive.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::control::Control;
use crate::error::Error;

/// Counts the workers that are still running.
pub(super) struct Latch {
    open: Mutex<usize>,
    changed: Condvar,
}

impl Latch {
    pub(super) fn new(count: usize) -> Latch {
        Latch { open: Mutex::new(count), changed: Condvar::new() }
    }

    /// A guard that a worker holds until it is done.
    pub(super) fn guard(&self) -> DoneOnDrop<'_> {
        DoneOnDrop(self)
    }

    /// Sleeps until all workers are done, and checks for a stop regularly. After an error it still waits, because the
    /// array must not be released while a worker reads it. Workers stop at their next block.
    pub(super) fn wait(&self, control: &Control<'_>) -> Result<(), Error> {
        let mut result = Ok(());
        let mut open = lock(&self.open);
        while *open > 0 {
            open = self.changed.wait_timeout(open, control.pause()).unwrap_or_else(PoisonError::into_inner).0;
            if *open > 0 && result.is_ok() {
                drop(open);
                result = control.check();
                open = lock(&self.open);
            }
        }
        result
    }
}

/// Tells the latch that a worker is done, even if the worker panics.
pub(super) struct DoneOnDrop<'a>(&'a Latch);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        *lock(&self.0.open) -= 1;
        self.0.changed.notify_one();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code here panics while it holds a lock, and even after a panic the data would be intact.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
