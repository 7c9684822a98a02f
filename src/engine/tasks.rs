//! Work that is not a pass (a plain Python function), beside the passes and on the same budget of workers.

use crate::engine::control::Control;
use crate::engine::latch::Latch;
use crate::engine::pool::{Workers, as_worker};
use crate::error::Error;

/// Something to be called once, on a worker. It keeps its own result or error, and says whether the run is to go on.
pub type Task<'a> = Box<dyn FnOnce() -> bool + Send + 'a>;

/// Does the tasks and `main`, which runs the passes: side by side if there are several workers, the tasks first if there
/// is only the calling thread. A stop leaves out the tasks that have not begun; those that have are waited for.
pub fn beside<R>(
    tasks: Vec<Task<'_>>,
    workers: &Workers,
    control: &Control<'_>,
    main: impl FnOnce() -> Result<R, Error>,
) -> Result<R, Error> {
    if tasks.is_empty() {
        return main();
    }
    match workers {
        Workers::Caller => {
            for task in tasks {
                control.check()?;
                if !as_worker(task) {
                    return Err(Error::Cancelled);
                }
            }
            control.check()?;
            main()
        }
        Workers::Team(pool) | Workers::Others(pool) => {
            let latch = Latch::new(tasks.len());
            pool.threads().in_place_scope(|scope| {
                for task in tasks {
                    scope.spawn(|_| {
                        let _done = latch.guard();
                        if !control.is_stopped() && !task() {
                            control.stop();
                        }
                    });
                }
                let result = main();
                if !control.is_stopped() {
                    latch.wait(control)?;
                }
                // A run that `main` itself has stopped, for a timeout say, ends as it says; else it was a task.
                if control.is_stopped() { result.and(Err(Error::Cancelled)) } else { result }
            })
        }
    }
}
