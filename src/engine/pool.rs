//! The workers: one pool per process and number of threads, built at first use.
//!
//! * Nothing is built at import, and rayon's global pool is never touched.
//! * Threads do not survive a fork: in the child a pool is a husk whose first use would hang, and so would its
//!   destructor. Pools are therefore listed under the process that built them, found only by that process, and never
//!   dropped.
//! * A pool works for one run at a time. The next one that asks for it meanwhile computes alone.
//! * The list is a chain of first-wins cells: it has no lock, so a fork can catch none.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;

use once_cell::race::OnceBox;

use crate::error::Error;

/// Who computes.
#[derive(Debug)]
pub enum Workers {
    /// The calling thread.
    Caller,
    /// The calling thread and all of a pool's.
    Team(Pool),
    /// All of a pool's threads; the caller only waits.
    Others(Pool),
}

impl Workers {
    /// This many workers, the calling thread among them; for one the calling thread.
    ///
    /// So it is, too, where the pool is at work for another run: no run waits for a stranger, whose functions may take their
    /// time or even wait for this one. And a thread that is itself a worker (a function of a run that calls another run)
    /// computes alone, so that nested runs share one budget.
    pub fn new(workers: usize) -> Result<Workers, Error> {
        if is_worker() { Ok(Workers::Caller) } else { Workers::granted(workers) }
    }

    /// This many workers beside the calling thread, which waits; else as [`Workers::new`].
    pub fn others(workers: usize) -> Result<Workers, Error> {
        if workers <= 1 || is_worker() {
            return Ok(Workers::Caller);
        }
        Ok(listed(workers)?.take().map_or(Workers::Caller, Workers::Others))
    }

    /// As [`Workers::new`], for a worker that was given so many of its run's to work with.
    pub fn granted(workers: usize) -> Result<Workers, Error> {
        if workers <= 1 {
            return Ok(Workers::Caller);
        }
        Ok(listed(workers - 1)?.take().map_or(Workers::Caller, Workers::Team))
    }

    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Workers::Caller => 1,
            Workers::Team(pool) => pool.threads().current_num_threads() + 1,
            Workers::Others(pool) => pool.threads().current_num_threads(),
        }
    }
}

/// A pool that works for one run, until this is dropped.
#[derive(Debug)]
pub struct Pool(&'static Listed);

impl Pool {
    /// The threads.
    pub(super) fn threads(&self) -> &rayon::ThreadPool {
        &self.0.threads
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

/// Whether this thread belongs to a pool of this crate, or does a run's tasks in a worker's place.
pub fn is_worker() -> bool {
    STANDS_IN.get() || std::thread::current().name().is_some_and(|name| name.starts_with(THREAD_NAME))
}

/// Does something as a worker would: runs that are started from within compute alone.
pub fn as_worker<R>(action: impl FnOnce() -> R) -> R {
    /// Also after a panic.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            STANDS_IN.set(self.0);
        }
    }

    let _before = Before(STANDS_IN.replace(true));
    action()
}

thread_local! {
    static STANDS_IN: Cell<bool> = const { Cell::new(false) };
}

const THREAD_NAME: &str = "fanfold-";

/// The processors that this process may use: its affinity and its cgroup's quota are taken into account.
///
/// Looked up once per process: reading the quota takes 22 µs, as long as a small run.
pub fn available_workers() -> usize {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    let process = u64::from(std::process::id()) << 32;
    let known = KNOWN.load(Ordering::Relaxed);
    if known & !u64::from(u32::MAX) == process && known != process {
        return usize::try_from(known - process).unwrap_or(1);
    }
    let workers = available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
    KNOWN.store(process | u64::from(workers), Ordering::Relaxed);
    usize::try_from(workers).unwrap_or(1)
}

/// A pool's threads, and the process and number that they are listed under.
#[derive(Debug)]
struct Listed {
    process: u32,
    count: usize,
    threads: rayon::ThreadPool,
    taken: AtomicBool,
    next: OnceBox<Listed>,
}

impl Listed {
    /// The pool, if it is not at work.
    fn take(&'static self) -> Option<Pool> {
        // An eager `then_some` would make one in any case, and give it back.
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Pool(self))
    }
}

fn listed(count: usize) -> Result<&'static Listed, Error> {
    static CHAIN: OnceBox<Listed> = OnceBox::new();
    let process = std::process::id();
    let mut place = &CHAIN;
    let mut fresh = None;
    loop {
        match place.get() {
            Some(found) if found.process == process && found.count == count => return Ok(found),
            Some(found) => place = &found.next,
            None => {
                let made = if let Some(made) = fresh.take() {
                    made
                } else {
                    let (threads, taken) = (build(count)?, AtomicBool::new(false));
                    Box::new(Listed { process, count, threads, taken, next: OnceBox::new() })
                };
                // Another thread may have been faster; then its pool is looked at next, and ours is kept for the end.
                fresh = place.set(made).err();
            }
        }
    }
}

fn build(count: usize) -> Result<rayon::ThreadPool, Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|index| format!("{THREAD_NAME}{index}"))
        .build()
        .map_err(|error| Error::Threads { workers: count, message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_built_once_for_each_number_of_threads() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| listed(3).map(|pool| std::ptr::from_ref(pool).addr()))).collect();
        let mut found: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        found.dedup();
        assert_eq!(found.len(), 1);
        assert!(listed(2).is_ok_and(|pool| pool.threads.current_num_threads() == 2));
    }

    #[test]
    fn a_pool_works_for_one_run_at_a_time() {
        let count = |workers: &Result<Workers, Error>| workers.as_ref().map_or(0, Workers::count);
        let first = Workers::new(5);
        let (second, third) = (Workers::new(5), Workers::others(4));
        assert_eq!([&first, &second, &third].map(count), [5, 1, 1]);
        drop(first);
        assert_eq!(count(&Workers::others(4)), 4);
    }

    #[test]
    fn a_worker_computes_alone() {
        assert!(!is_worker());
        let nested = listed(2).map(|pool| pool.threads.install(|| Workers::new(4).map(|workers| workers.count())));
        assert_eq!(nested, Ok(Ok(1)));
    }
}
