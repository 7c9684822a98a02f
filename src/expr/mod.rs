//! Elementwise formulas over the blocks of arrays.
//!
//! An [`Expression`] is a formula as plain data; a [`Graph`] is where a run keeps all its formulas, each distinct node
//! once; a [`Program`] is what a pass computes of it, in order; an [`Evaluator`] is one worker's scratch memory, in which
//! the program is run block by block.
//!
//! Kernels ask for expressions and sinks read them; neither knows how they are computed.

mod cast;
mod eval;
mod flags;
mod graph;
mod operation;
mod program;
mod step;

pub use cast::can_cast;
pub use eval::Evaluator;
pub use flags::Flags;
pub use graph::{Expression, Graph, NodeId};
pub use operation::{Elementwise, Loop, Operand, Operation};
pub use program::Program;
pub use step::Step;
