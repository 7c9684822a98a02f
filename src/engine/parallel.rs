//! Runs the same work on all workers, while the calling thread stays responsive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::engine::control::{Control, POLL};
use crate::engine::latch::Latch;
use crate::engine::pool::Workers;
use crate::error::Error;

/// The function that a worker calls between two pieces of work; an error ends the work.
pub(super) type Between<'a> = &'a mut dyn FnMut() -> Result<(), Error>;

/// Runs `work` on every worker until none of its pieces is left; each worker calls its function after each piece.
pub(super) fn run_on_all(
    workers: &Workers,
    pieces: usize,
    control: &Control<'_>,
    work: &(dyn Fn(Between<'_>) -> Result<(), Error> + Sync),
) -> Result<(), Error> {
    // A small array is done before anyone could stop it, and checks are not free.
    let mut checked = Instant::now();
    control.begin(pieces);
    let mut look_around = || {
        control.advance();
        if checked.elapsed() < POLL {
            return Ok(());
        }
        checked = Instant::now();
        control.check()
    };
    let pool = match workers {
        Workers::Caller => return work(&mut look_around),
        // A calling thread that computes keeps a core of its own. Measured on two cores: if it slept, the two other
        // threads often woke on the same core, for half of a run of 10 ms.
        Workers::Team(pool) => pool,
    };
    let others = pool.threads().current_num_threads().min(pieces.saturating_sub(1));
    let latch = Latch::new(others);
    pool.threads().in_place_scope(|scope| {
        for _ in 0..others {
            scope.spawn(|_| {
                let _done = latch.guard();
                // The other threads make no checks; the flag tells them to stop.
                let mut advance = || {
                    control.advance();
                    Ok(())
                };
                let _ = work(&mut advance);
            });
        }
        // The scope ends when the other threads have ended, whatever is returned here.
        work(&mut look_around)?;
        latch.wait(control)
    })
}

/// Runs a job for each number below `count`, on all workers. After a stop, no further jobs begin.
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
