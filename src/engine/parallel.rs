//! The same work on all of a run's workers, while the calling thread stays responsive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::engine::control::{Control, POLL};
use crate::engine::latch::Latch;
use crate::engine::pool::Workers;
use crate::error::Error;

/// What a worker calls between two pieces of its work: an error ends it.
pub(super) type Between<'a> = &'a mut dyn FnMut() -> Result<(), Error>;

/// Lets every worker, `most` of them at most, do `work` until there is nothing left to do.
pub(super) fn run_on_all(
    workers: &Workers,
    most: usize,
    control: &Control<'_>,
    work: &(dyn Fn(Between<'_>) -> Result<(), Error> + Sync),
) -> Result<(), Error> {
    // A small array is done before anybody could want to stop it, and a look around is not free.
    let mut checked = Instant::now();
    let mut look_around = || {
        if checked.elapsed() < POLL {
            return Ok(());
        }
        checked = Instant::now();
        control.check()
    };
    let pool = match workers {
        Workers::Caller => return work(&mut look_around),
        // A caller that computes is awake, on a processor of its own. Measured on two cores: where it slept, both
        // others were often woken on the same core, for half of a run of 10 ms.
        Workers::Team(pool) => pool,
    };
    let others = pool.threads().current_num_threads().min(most.saturating_sub(1));
    let latch = Latch::new(others);
    pool.threads().in_place_scope(|scope| {
        for _ in 0..others {
            scope.spawn(|_| {
                let _done = latch.guard();
                // They do not look around themselves; a stop reaches them by the flag.
                let _ = work(&mut || Ok(()));
            });
        }
        // The scope ends when the others have, whatever is returned here.
        work(&mut look_around)?;
        latch.wait(control)
    })
}

/// Does a job for each number below `count`, on all workers. A stop leaves out those that have not begun.
pub(super) fn for_each(
    workers: &Workers,
    count: usize,
    control: &Control<'_>,
    job: &(dyn Fn(usize) + Sync),
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    run_on_all(workers, count, control, &|between| {
        while !control.is_stopped() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            job(index);
            between()?;
        }
        Ok(())
    })
}
