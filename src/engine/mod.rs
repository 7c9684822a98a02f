//! Runs passes: who does the work, in what pieces, how the pieces are put together, and how it is stopped.
//!
//! The only part of the crate that knows threads. It promises:
//!
//! * pieces ([`CHUNK`]) depend on the array's length alone, and their states are combined in a fixed tree
//!   ([`combine`]), so that the number of workers never shows in a result;
//! * never more threads compute than the caller asked for ([`pool`]);
//! * the calling thread stays responsive: it looks at its [`Control`] several times a second and can stop the work;
//! * a panic in a kernel is that kernel's error and nobody else's.

mod combine;
mod control;
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

pub use control::{Control, POLL};
pub use groups::{Groups, Labels, MOST_LABELS};
pub use partition::{Grouped, Inputs, Partition, Parts, run_parts};
pub use pass::{Pass, States, Swept};
pub use pool::{Pool, Workers, available_workers, is_worker, stand_in};
pub use rows::{Table, run_rows};
pub use run::{Outcome, Prepared, is_small, run};
pub use session::{Session, SweepResult};
