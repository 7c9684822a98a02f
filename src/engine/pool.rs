//! The workers: one pool per process and number of threads, built at first use.
//!
//! * Nothing is built at import, and rayon's global pool is never touched.
//! * Threads do not survive a fork: in the child a pool is a husk whose first use would hang, and so would its
//!   destructor. Pools are therefore listed under the process that built them, found only by that process, and never
//!   dropped.
//! * The list is a chain of first-wins cells: it has no lock, so a fork can catch none.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;

use once_cell::race::OnceBox;

use crate::error::Error;

/// Who computes.
#[derive(Debug, Clone, Copy)]
pub enum Workers {
    /// The calling thread.
    Caller,
    /// The calling thread and all of a pool's.
    Team(&'static Pool),
    /// All of a pool's threads; the caller only waits.
    Others(&'static Pool),
}

impl Workers {
    /// This many workers, the calling thread among them. A thread that is itself a worker (a function of a run that calls
    /// another run) computes alone, so that nested runs share one budget and can never wait for each other.
    pub fn new(workers: usize) -> Result<Workers, Error> {
        if workers <= 1 || is_worker() { Ok(Workers::Caller) } else { pool(workers - 1).map(Workers::Team) }
    }

    /// This many workers beside the calling thread, which waits; for one, or in a worker, the calling thread.
    pub fn others(workers: usize) -> Result<Workers, Error> {
        if workers <= 1 || is_worker() { Ok(Workers::Caller) } else { pool(workers).map(Workers::Others) }
    }

    /// How many.
    pub fn count(self) -> usize {
        match self {
            Workers::Caller => 1,
            Workers::Team(pool) => pool.threads.current_num_threads() + 1,
            Workers::Others(pool) => pool.threads.current_num_threads(),
        }
    }
}

/// Threads, and a seat for one calling thread that works with them.
///
/// Runs of several threads can share a pool. Only one of the callers has the seat, so that never more threads compute than
/// there are workers; the others wait for the pool's.
#[derive(Debug)]
pub struct Pool {
    threads: rayon::ThreadPool,
    taken: AtomicBool,
}

impl Pool {
    /// The threads.
    pub(super) fn threads(&self) -> &rayon::ThreadPool {
        &self.threads
    }

    /// The seat, if nobody has it. (An eager `then_some` would make one in any case, and give it back.)
    pub(super) fn seat(&self) -> Option<Seat<'_>> {
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Seat(&self.taken))
    }
}

/// Gives the seat back when it is dropped.
pub(super) struct Seat<'a>(&'a AtomicBool);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
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

/// A pool, and the process and number of threads that it is listed under.
struct Link {
    process: u32,
    count: usize,
    pool: Pool,
    next: OnceBox<Link>,
}

fn pool(count: usize) -> Result<&'static Pool, Error> {
    static CHAIN: OnceBox<Link> = OnceBox::new();
    let process = std::process::id();
    let mut place = &CHAIN;
    let mut fresh = None;
    loop {
        match place.get() {
            Some(link) if link.process == process && link.count == count => return Ok(&link.pool),
            Some(link) => place = &link.next,
            None => {
                let link = if let Some(link) = fresh.take() {
                    link
                } else {
                    let pool = Pool { threads: build(count)?, taken: AtomicBool::new(false) };
                    Box::new(Link { process, count, pool, next: OnceBox::new() })
                };
                // Another thread may have been faster; then its link is looked at next, and ours is kept for the end.
                fresh = place.set(link).err();
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
            (0..4).map(|_| std::thread::spawn(|| pool(3).map(|pool| std::ptr::from_ref(pool).addr()))).collect();
        let mut found: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        found.dedup();
        assert_eq!(found.len(), 1);
        assert!(pool(2).is_ok_and(|pool| pool.threads.current_num_threads() == 2));
    }

    #[test]
    fn one_caller_at_a_time_has_the_seat() {
        let Ok(pool) = pool(4) else { unreachable!("four threads can be started") };
        let seat = pool.seat();
        assert!(seat.is_some() && pool.seat().is_none() && pool.seat().is_none());
        drop(seat);
        assert!(pool.seat().is_some());
    }

    #[test]
    fn a_worker_computes_alone() {
        assert!(!is_worker());
        let nested = pool(2).map(|pool| pool.threads.install(|| Workers::new(4).map(Workers::count)));
        assert_eq!(nested, Ok(Ok(1)));
    }
}
