//! What a kernel is: an accumulator over an expression, and a finish that turns its sealed state into a value.
//!
//! Authors write the typed half: an [`Accumulator`] (how a state starts, takes a block, and is combined) and an
//! [`Entry`] of the catalogue, whose `resolve` connects the accumulator with a finish. Plans and passes use the erased
//! half ([`Sink`]). The adapters between the two ([`Erased`]) have the only downcasts of the crate.
//!
//! # The laws
//!
//! `tests/laws.rs` tests every listed kernel against these laws:
//!
//! 1. Combining with a fresh state changes nothing.
//! 2. The result depends on the elements and on the grid of blocks and chunks, but never on workers, the instruction
//!    set, or other functions of the run.
//! 3. Parameters that only the finish uses (`ddof`) are not in the accumulator, so that kernels share states.
//! 4. An accumulator marked [`Accumulator::ORDER_FREE`] gives the same bits for any order of its updates.
//! 5. An accumulator that [unifies](Accumulator::unify) with another one gives the other's kernels the same bits.

mod accumulator;
mod entry;
mod erased;
mod input;
mod request;
mod scratch;

pub use accumulator::{Accumulator, Items, Piece, Reach, Seals, Team};
pub use entry::{Entry, Shape, Takes};
pub use erased::{AnyState, Beside, EachRow, Erased};
pub use input::{Exact, Input, NanPolicy, Subject, Weights};
pub use request::{Answer, Finish, Request, Sink, Unwritten};
pub use scratch::Scratch;
pub(crate) use scratch::Words;
