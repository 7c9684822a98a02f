//! Windows that slide over an array: one value for each element, computed from the elements around it.
//!
//! A rounded value is never subtracted from a window's state again. So sums do not drift, and a large element has no
//! effect after it leaves the window. NaN and infinities are missing values, as in pandas.

mod exact;
mod integers;
mod parts;
mod ranks;
mod slide;

pub(crate) use integers::Totals;
pub(crate) use ranks::{Quantiles, Wanted as Quantile};
pub(crate) use slide::{Slides, Statistic, Wanted};

use crate::kernel::Reach;

/// Where windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Elements in a window.
    pub(crate) size: usize,
    /// Those of them behind the element that the value is for.
    pub(crate) after: usize,
}

impl Window {
    /// Windows of so many elements that end with the element or have it in the middle, in an array of so many elements.
    pub(crate) fn new(size: usize, center: bool, len: usize) -> Window {
        // Longer ones would all see the whole array.
        let size = size.clamp(1, len.saturating_mul(2).saturating_add(1));
        Window { size, after: if center { (size - 1) / 2 } else { 0 } }
    }

    /// Pieces, each several windows long, so that what is around them is little.
    fn reach(self, chunk: usize) -> Reach {
        let chunks = self.size.saturating_mul(8).div_ceil(chunk).max(1);
        Reach { before: self.size - 1 - self.after, after: self.after, chunks }
    }
}
