//! The workers: one pool per process and worker count, built at first use.
//!
//! * Nothing is built at import, and rayon's global pool is never touched.
//! * Threads do not survive a fork: in the child a pool is a husk whose first use would hang, and so would its
//!   destructor. Pools are therefore listed under the process that built them, found only by that process, and never
//!   dropped.
//! * The list is a chain of first-wins cells: it has no lock, so a fork can catch none.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use once_cell::race::OnceBox;

use crate::error::Error;

/// Who computes.
#[derive(Debug, Clone, Copy)]
pub enum Workers {
    /// The calling thread.
    Caller,
    /// This many threads of a pool; the caller waits.
    Pool(&'static rayon::ThreadPool),
}

impl Workers {
    /// This many workers. One is the calling thread; and a thread that is itself a worker (a function of a run that calls
    /// another run) computes alone, so that nested runs share one budget and can never wait for each other.
    pub fn new(workers: usize) -> Result<Workers, Error> {
        if workers <= 1 || is_worker() { Ok(Workers::Caller) } else { pool(workers).map(Workers::Pool) }
    }

    /// How many.
    pub fn count(self) -> usize {
        match self {
            Workers::Caller => 1,
            Workers::Pool(pool) => pool.current_num_threads(),
        }
    }
}

/// Whether this thread belongs to a pool of this crate, or does a run's tasks in a worker's place.
pub fn is_worker() -> bool {
    STANDS_IN.get() || std::thread::current().name().is_some_and(|name| name.starts_with(THREAD_NAME))
}

/// Does something as a worker would: runs that are started from within compute alone.
pub(super) fn as_worker<R>(action: impl FnOnce() -> R) -> R {
    let before = STANDS_IN.replace(true);
    let result = action();
    STANDS_IN.set(before);
    result
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

/// A pool, and the process and worker count that it is listed under.
struct Link {
    process: u32,
    workers: usize,
    pool: rayon::ThreadPool,
    next: OnceBox<Link>,
}

fn pool(workers: usize) -> Result<&'static rayon::ThreadPool, Error> {
    static CHAIN: OnceBox<Link> = OnceBox::new();
    let process = std::process::id();
    let mut place = &CHAIN;
    let mut fresh = None;
    loop {
        match place.get() {
            Some(link) if link.process == process && link.workers == workers => return Ok(&link.pool),
            Some(link) => place = &link.next,
            None => {
                let link = match fresh.take() {
                    Some(link) => link,
                    None => Box::new(Link { process, workers, pool: build(workers)?, next: OnceBox::new() }),
                };
                // Another thread may have been faster; then its link is looked at next, and ours is kept for the end.
                fresh = place.set(link).err();
            }
        }
    }
}

fn build(workers: usize) -> Result<rayon::ThreadPool, Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(|index| format!("{THREAD_NAME}{index}"))
        .build()
        .map_err(|error| Error::Threads { workers, message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_built_once_for_each_worker_count() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| pool(3).map(|pool| std::ptr::from_ref(pool).addr()))).collect();
        let mut found: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        found.dedup();
        assert_eq!(found.len(), 1);
        assert!(pool(2).is_ok_and(|pool| pool.current_num_threads() == 2));
    }

    #[test]
    fn a_worker_computes_alone() {
        assert!(!is_worker());
        let nested = pool(2).map(|pool| pool.install(|| Workers::new(4).map(Workers::count)));
        assert_eq!(nested, Ok(Ok(1)));
    }
}
