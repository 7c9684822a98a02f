//! What a kernel is: an accumulator over an expression, and a finish that turns its sealed state into a value.
//!
//! Authors write the typed half: an [`Accumulator`] (how a state starts, takes a block, and merges) and an [`Entry`] of
//! the catalogue whose `resolve` ties the accumulator to a finish. Plans and passes work with the erased half
//! ([`Sink`]); the one adapter between the two, [`Erased`], holds the only downcasts of the crate.
//!
//! # The laws
//!
//! Every listed kernel is tested against these (`tests/laws.rs`):
//!
//! 1. identity: combining with a fresh state changes nothing;
//! 2. the answer depends on the elements and on the grid of blocks and chunks, never on workers, instruction set or
//!    company;
//! 3. parameters that only matter to the finish (`ddof`) are not in the accumulator, so that kernels share states;
//! 4. an accumulator marked [`Accumulator::ORDER_FREE`] gives the same bits for any order of its updates;
//! 5. an accumulator that [unifies](Accumulator::unify) with another gives the other's kernels the same bits.

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
