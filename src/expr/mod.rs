//! Elementwise formulas over the blocks of arrays.
//!
//! An [`Expression`] is a formula as plain data. A [`Graph`] holds all formulas of a run, each distinct node once. A
//! [`Program`] lists the nodes that a pass computes, in order. An [`Evaluator`] is one worker's scratch memory, in
//! which the program runs block by block.
//!
//! Kernels request expressions and sinks read them; neither depends on how they are computed.

mod cast;
mod edges;
mod eval;
mod flags;
mod graph;
mod operation;
mod power;
mod program;
mod step;

pub use cast::{can_cast, halve_in_place};
pub use edges::Edges;
pub use eval::Evaluator;
pub use flags::Flags;
pub use graph::{Expression, Graph, NodeId};
pub use operation::{Elementwise, Loop, Operand, Operation};
pub use power::EXPONENTS;
pub use program::Program;
pub use step::Step;
