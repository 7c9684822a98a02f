//! What the laws are told with: arrays of every kind, uses of every kernel, and a model of the engine.

pub(crate) mod arrays;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod uses;
