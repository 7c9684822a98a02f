//! What is read and what is written: memory that somebody else owns, as elements of a dtype.
//!
//! | file | what it is for |
//! |---|---|
//! | [`axes`] | numbers of steps and their sizes |
//! | [`view`], [`pieces`] | elements in one order, loaded block by block: at regular distances, as bits, or in pieces |
//! | [`rows`] | rows of elements, each with results of its own |
//! | [`output`] | the memory of results that are arrays |
//! | [`foreign`] | arrays of `ndarray`, without a promise |
//! | [`places`], [`pages`] | the memory in which the elements of each group are put together |
//!
//! Only this module, `py/input.rs` and `py/arrow/` read memory that somebody else owns; therefore this module has
//! `unsafe` code. All of it relies on one promise, made by the code that creates a view, rows or an output: the memory
//! is there.
//!
//! Another thread may write to the array during a run. Therefore no code here or in a kernel may use a value of a block
//! as an index before it has checked this copy of the value. Racing writes may make numbers meaningless, but they must
//! not make memory unsafe.
#![allow(unsafe_code)]

mod axes;
mod foreign;
mod output;
mod pages;
mod pieces;
mod places;
mod rows;
mod view;

/// What is read: rows of elements, and which of the elements are there.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The elements, those that are missing included.
    pub elements: Rows<'a>,
    /// What tells which of them are there; `None` if all are.
    pub present: Option<Present<'a>>,
}

/// Bools beside elements, which tell whether each is there.
#[derive(Debug, Clone)]
pub struct Present<'a> {
    /// As many as there are elements.
    pub bools: Rows<'a>,
    /// The value that says that an element is there.
    pub value: bool,
}

pub use foreign::{Datetime64, Element, Timedelta64};
pub(crate) use output::Fresh;
pub use output::{Output, OutputRows};
pub(crate) use places::{Places, Strip};
pub use rows::{Rows, Tile};
pub use view::{Extent, View};
