//! What is read and what is written: somebody else's memory, as elements of a dtype.
//!
//! | file | what it is for |
//! |---|---|
//! | [`axes`] | steps and distances |
//! | [`view`], [`pieces`] | elements in one order, loaded block by block: at regular distances, as bits, or in pieces |
//! | [`rows`] | elements that get answers of their own, row by row |
//! | [`output`] | the memory of answers that are arrays |
//! | [`foreign`] | arrays of `ndarray`, without a promise |
//! | [`places`], [`pages`] | where the elements of groups are put together |
//!
//! This module is the inner half of the input gate, and with `py/input.rs` the only place that reads foreign memory:
//! hence its `unsafe`. All of it rests on one promise, made by whoever makes a view, rows or an output: the memory is there.
//!
//! Another thread may write to the array during a run. Nothing here or in a kernel may therefore use a value read from
//! a block as an index without a check on the very copy it uses: racing writes may make numbers meaningless, never
//! memory unsafe.
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
