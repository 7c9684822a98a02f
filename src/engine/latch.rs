//! How the calling thread waits for others, and stays responsive meanwhile.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::control::Control;
use crate::error::Error;

/// Counts those that are still at it.
pub(super) struct Latch {
    open: Mutex<usize>,
    changed: Condvar,
}

impl Latch {
    pub(super) fn new(count: usize) -> Latch {
        Latch { open: Mutex::new(count), changed: Condvar::new() }
    }

    /// To be held by a worker until it is done.
    pub(super) fn guard(&self) -> DoneOnDrop<'_> {
        DoneOnDrop(self)
    }

    /// Sleeps until all are done, looking around now and then. After an error it still waits: the array may not be
    /// given back before the last worker has left it. Workers leave at their next block.
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

/// Tells the latch that a worker is done, also if it panics.
pub(super) struct DoneOnDrop<'a>(&'a Latch);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        *lock(&self.0.open) -= 1;
        self.0.changed.notify_one();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics while it holds a lock; and if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
