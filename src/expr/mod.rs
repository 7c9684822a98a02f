//! Elementwise formulas over the blocks of an array.
//!
//! An [`Expression`] is a formula as plain data; a [`Graph`] is where a pass keeps all its formulas, each distinct step
//! once; an [`Evaluator`] is one worker's scratch memory, in which the steps are computed block by block.
//!
//! Kernels ask for expressions and sinks read them; neither knows how they are computed.

mod eval;
mod graph;
mod ops;

pub use eval::Evaluator;
pub use graph::{Expression, Graph, NodeId};
pub use ops::Step;
