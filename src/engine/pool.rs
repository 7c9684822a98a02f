//! The workers: one pool per process and number of threads, built at first use.
//!
//! * Nothing is built at import, and rayon's global pool is never touched.
//! * Threads do not survive a fork: in the child process a pool has no threads, and using or dropping it would hang.
//!   Pools are therefore listed under the process that built them, found only by that process, and never dropped.
//! * A pool works for one run at a time. A run that asks for a busy pool computes on its own thread only. Watched calls
//!   share the workers instead: each gets a pool of its share, and there may be several of one size.
//! * The list is a chain of cells that are set once. It has no lock, so no lock can be held at a fork.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use once_cell::race::OnceBox;

use crate::engine::watch::Watch;

/// The threads that compute.
#[derive(Debug)]
pub enum Workers {
    /// The calling thread.
    Caller,
    /// The calling thread and all threads of a pool.
    Team(Pool),
}

impl Workers {
    /// This number of workers, including the calling thread; 1 means the calling thread only.
    ///
    /// The calling thread also computes alone if the pool works for another run: no run waits for another one, whose
    /// functions may take long or even wait for this run. And a thread that is itself a worker (a function of a run
    /// that calls another run) computes alone, so that nested runs share one budget.
    pub fn new(workers: usize) -> Workers {
        if is_worker() { Workers::Caller } else { Workers::granted(workers) }
    }

    /// Like [`Workers::new`], for a worker that may use this number of its run's workers.
    ///
    /// If the system starts no more threads, for example in a container with a limit on processes, half as many are
    /// tried, and so on down to the calling thread alone: [`Workers::count`] returns the number.
    pub fn granted(workers: usize) -> Workers {
        let mut others = workers.saturating_sub(1);
        while others > 0 {
            if let Some(workers) = team(others, Watch::count() > 1) {
                return workers;
            }
            others /= 2;
        }
        Workers::Caller
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        match self {
            Workers::Caller => 1,
            Workers::Team(pool) => pool.threads().current_num_threads() + 1,
        }
    }
}

/// A pool reserved for one run, until this value is dropped.
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

/// Whether this thread belongs to a pool of this crate, or works for a run in place of a worker.
pub fn is_worker() -> bool {
    STANDS_IN.get() || std::thread::current().name().is_some_and(|name| name.starts_with(THREAD_NAME))
}

/// Sets whether this thread works for a run from now on: runs that it starts then use this thread only. Returns the
/// previous setting.
pub fn stand_in(stands_in: bool) -> bool {
    STANDS_IN.replace(stands_in)
}

thread_local! {
    static STANDS_IN: Cell<bool> = const { Cell::new(false) };
}

const THREAD_NAME: &str = "fanfold-";

/// Sets the most workers that [`available_workers`] counts: what the user's environment says.
pub fn limit_workers(most: usize) {
    MOST.store(most.max(1), Ordering::Relaxed);
}

static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The number of processors that this process may use, by its affinity, its cgroup's quota and [`limit_workers`].
pub fn available_workers() -> usize {
    processors().min(MOST.load(Ordering::Relaxed))
}

/// Looked up once per process: reading the quota takes 22 µs, as long as a small run.
fn processors() -> usize {
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

/// A pool's threads, and the process and the thread count under which they are listed.
#[derive(Debug)]
struct Listed {
    process: u32,
    count: usize,
    threads: rayon::ThreadPool,
    taken: AtomicBool,
    next: OnceBox<Listed>,
}

impl Listed {
    /// Reserves the pool, if it is free.
    fn take(&'static self) -> Option<Pool> {
        // An eager `then_some` would create the value in any case, and dropping it would release the pool.
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Pool(self))
    }
}

/// The calling thread with the pool of this number of threads; alone, if the pool is busy. If there may be `several` such
/// pools, the first that is free. `None` says that the system does not start the threads.
fn team(count: usize, several: bool) -> Option<Workers> {
    static CHAIN: OnceBox<Listed> = OnceBox::new();
    let process = std::process::id();
    let mut place = &CHAIN;
    let mut fresh = None;
    loop {
        match place.get() {
            Some(found) if found.process == process && found.count == count => match found.take() {
                None if several => place = &found.next,
                taken => return Some(taken.map_or(Workers::Caller, Workers::Team)),
            },
            Some(found) => place = &found.next,
            None => {
                let made = if let Some(made) = fresh.take() {
                    made
                } else {
                    let (threads, taken) = (build(count)?, AtomicBool::new(false));
                    Box::new(Listed { process, count, threads, taken, next: OnceBox::new() })
                };
                // Another thread may have been faster. Then its pool is checked next, and ours is kept for the end of
                // the list.
                fresh = place.set(made).err();
            }
        }
    }
}

fn build(count: usize) -> Option<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|index| format!("{THREAD_NAME}{index}")).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_built_once_for_each_number_of_threads() {
        let address = |workers: Option<Workers>| match workers {
            Some(Workers::Team(pool)) => Some(std::ptr::from_ref(pool.0).addr()),
            _ => None,
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(move || address(team(3, false)))).collect();
        // Some may have found it busy.
        let mut found: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect();
        found.dedup();
        assert_eq!(found.len(), 1);
        assert!(team(2, false).is_some_and(|workers| workers.count() == 3));
    }

    #[test]
    fn there_may_be_several_pools_of_one_size() {
        let teams: Vec<_> = (0..3).filter_map(|_| team(6, true)).collect();
        assert!(teams.iter().all(|workers| workers.count() == 7));
        assert!(team(6, false).is_some_and(|workers| workers.count() == 1));
    }

    #[test]
    fn a_pool_works_for_one_run_at_a_time() {
        let first = Workers::new(5);
        let second = Workers::new(5);
        assert_eq!([&first, &second].map(Workers::count), [5, 1]);
        drop(first);
        assert_eq!(Workers::new(5).count(), 5);
    }

    #[test]
    fn a_worker_computes_alone() {
        assert!(!is_worker());
        let nested = match team(9, false) {
            Some(Workers::Team(pool)) => Some(pool.threads().install(|| Workers::new(4).count())),
            _ => None,
        };
        assert_eq!(nested, Some(1));
        let before = stand_in(true);
        assert_eq!((before, Workers::new(4).count()), (false, 1));
        assert!(stand_in(before));
    }
}
