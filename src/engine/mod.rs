//! Runs passes: the workers, the pieces of work, how results of pieces are combined, and how a run is stopped.
//!
//! Only this part of the crate uses threads. It guarantees:
//!
//! * pieces ([`CHUNK`]) depend only on the array's length, and their states are combined in a fixed tree
//!   ([`combine`]), so that results do not depend on the number of workers;
//! * at most as many threads compute as the caller asked for ([`pool`]);
//! * the calling thread stays responsive: it checks its [`Control`] several times a second and can stop the work;
//! * a panic in a kernel is an error of that kernel only.

mod combine;
mod control;
mod formulas_of_rows;
mod groups;
mod latch;
mod parallel;
mod partition;
mod pass;
mod pool;
mod positions;
mod rows;
mod run;
mod session;
mod watch;

pub use control::{Control, POLL};
pub use formulas_of_rows::{FormulasOfRows, RowAnswers, RowRequest};
pub use groups::{Groups, Labels, MOST_LABELS};
pub use partition::{Grouped, Inputs, Partition, Parts, run_parts};
pub use pass::{Pass, States, Swept};
pub use pool::{Pool, Workers, available_workers, is_worker, limit_workers, stand_in};
pub use rows::{Table, run_rows};
pub use run::{Outcome, Prepared, is_small, run};
pub use session::{Session, SweepResult};
pub use watch::{Progress, Watch};
