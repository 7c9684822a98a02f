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

pub use foreign::{Datetime64, Element, Timedelta64};
pub(crate) use output::Fresh;
pub use output::{Output, OutputRows};
pub(crate) use places::{Places, Strip};
pub use rows::{Rows, Tile};
pub use view::{Extent, View};
