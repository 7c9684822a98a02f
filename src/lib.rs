//! fanfold: many statistics of one shared array, in one pass, on every core.
//!
//! # The way of the data, which is the way through the files
//!
//! | module | what it is for |
//! |---|---|
//! | [`grid`], [`simd`] | the sizes that results' bits depend on; instruction sets |
//! | `memory`, [`prefetch`] | memory that can be short; reading ahead |
//! | [`scale`], `rounding` | powers of two; rounding errors |
//! | `lanes`, `t_distribution` | the vector loops; Student's t distribution |
//! | [`dtype`], [`error`], [`value`], [`column`] | element types, what goes wrong, answers, and answers side by side |
//! | [`source`] | somebody else's memory: read block by block, or written |
//! | [`expr`] | elementwise formulas over blocks |
//! | [`parameters`], [`kernel`] | what a kernel is: parameters, accumulator, finish, catalogue entry; the laws |
//! | [`store`], `array_writer` | sinks that keep a formula's items; arrays that are written piece by piece |
//! | `bin_counts`, `selection` | counting small integers; order statistics, sorting and distinct values as passes |
//! | `windows` | statistics of windows that slide over an array |
//! | [`kernels`] | the kernels, a file or a folder per family; `mod.rs` is the list |
//! | [`plan`] | functions → sinks and who waits for them; touches no data |
//! | [`engine`] | passes, chunks, workers, the fixed combine tree; the only part with threads |
//! | [`array`] | the Rust face: views of `ndarray` go in, its arrays come out |
//! | `py` | the Python face: convert, detach, call, convert back |
//!
//! A module uses only what stands before it here, as `tests/test_map.py` checks. The core knows no Python:
//! `cargo test --no-default-features` tests it.
//!
//! # Promises that hold everywhere
//!
//! * An array is never copied; what cannot be read where it lies is gathered block by block ([`source`]).
//! * A result's bits depend on the elements and on the [`grid`] only: not on the number
//!   of workers, the instruction set, or the company of other functions.
//! * Whatever a user or the environment can influence ends in an [`error::Error`], never in a panic.

pub mod array;
mod array_writer;
mod bin_counts;
pub mod column;
pub mod dtype;
pub mod engine;
pub mod error;
pub mod expr;
pub mod grid;
pub mod kernel;
pub mod kernels;
mod lanes;
mod memory;
pub mod parameters;
pub mod plan;
pub mod prefetch;
#[cfg(feature = "python")]
mod py;
mod rounding;
pub mod scale;
mod selection;
pub mod simd;
pub mod source;
pub mod store;
mod t_distribution;
pub mod value;
mod windows;
