//! An array as rows: sequences of elements, each of which gets results of its own.
//!
//! The elements of a row lie along the axes that are reduced, and the rows lie along the other axes. If neighbouring
//! rows are closer in memory than the elements of a row, several rows are read together, as a *tile*. Then a cache line
//! is read from memory once for all rows that have elements in it.
//!
//! As in all of this module, the `unsafe` relies on a promise: the promise of the caller of [`View::new`], here of
//! [`Rows::new`].

use std::ops::Range;

use num_complex::Complex;

use super::axes::{Axis, offset, offset_of};
use super::view::{View, for_each_dtype};
use crate::dtype::{Bool8, Buffer, DType, Sealed, Time, for_each_item, widen_half};
use crate::prefetch::LINE;
use crate::simd::{Level, prefetch};

/// Bytes of a tile that lie side by side: two lines, which processors like to read together.
const ACROSS: usize = 2 * LINE;

/// Elements between the rows of a tile, so that these do not meet in the same few places of a cache.
const APART: usize = 24;

/// How many elements ahead a tile's lines are asked for.
const EARLY: usize = 24;

/// Rows of elements of one dtype at regular distances in memory.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    first: View<'a>,
    along: Vec<Axis>,
    count: usize,
    across: usize,
    /// Where each row starts in `first`, and where the last one ends, if they are of several lengths.
    offsets: Option<&'a [usize]>,
}

impl<'a> Rows<'a> {
    /// The rows along the first `along` axes, numbered in C order; each has the elements along the other axes, in C
    /// order.
    ///
    /// # Safety
    ///
    /// As [`View::new`].
    pub unsafe fn new(
        pointer: *const u8,
        dtype: DType,
        swapped: bool,
        shape: &[usize],
        strides: &[isize],
        along: usize,
    ) -> Rows<'a> {
        let along = along.min(shape.len());
        // SAFETY: the indices of a row are those of the array with zeros before.
        let first = unsafe { View::new(pointer, dtype, swapped, &shape[along..], &strides[along..]) };
        let along: Vec<Axis> =
            shape.iter().zip(strides).take(along).map(|(&len, &stride)| Axis { len, stride }).collect();
        let count = along.iter().map(|axis| axis.len).product();
        let along: Vec<Axis> = along.into_iter().filter(|axis| axis.len != 1).collect();
        let nearest = along.last().map_or(usize::MAX, |axis| axis.stride.unsigned_abs());
        let inside = first.axes.iter().map(|axis| axis.stride.unsigned_abs()).min().unwrap_or(0);
        let size = first.dtype.size();
        let across = if nearest < inside { (ACROSS / nearest.max(size)).max(1) } else { 1 };
        Rows { first, along, count, across, offsets: None }
    }

    /// One row, however its elements lie.
    pub fn one(row: View<'a>) -> Rows<'a> {
        Rows { first: row, along: Vec::new(), count: 1, across: 1, offsets: None }
    }

    /// Rows of several lengths, one behind the other: where each starts, and where the last one ends.
    pub fn ragged(all: View<'a>, offsets: &'a [usize]) -> Rows<'a> {
        let count = offsets.len().saturating_sub(1);
        Rows { first: all, along: Vec::new(), count, across: 1, offsets: Some(offsets) }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The elements of the longest.
    #[allow(clippy::len_without_is_empty)] // there may be rows, of no elements
    pub fn len(&self) -> usize {
        match self.offsets {
            Some(offsets) => offsets.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0),
            None => self.first.len(),
        }
    }

    /// Whether all are of one length.
    pub fn are_regular(&self) -> bool {
        self.offsets.is_none()
    }

    /// The elements of these rows, numbered as if all rows lay one behind the other.
    pub fn elements(&self, rows: Range<usize>) -> Range<usize> {
        match self.offsets {
            Some(offsets) => {
                let at = |row: usize| offsets.get(row).copied().unwrap_or(self.first.len());
                at(rows.start)..at(rows.end)
            }
            None => rows.start * self.first.len()..rows.end * self.first.len(),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.first.dtype()
    }

    /// How many neighbours should be read together; 1 if each is best read by itself.
    pub fn across(&self) -> usize {
        self.across
    }

    /// How many rows lie at regular distances from each other, before the next such group.
    pub fn inner(&self) -> usize {
        if self.are_regular() { self.along.last().map_or(1, |axis| axis.len) } else { self.count.max(1) }
    }

    /// A row.
    ///
    /// # Panics
    ///
    /// If there is none of this number.
    pub fn row(&self, row: usize) -> View<'a> {
        if !self.are_regular() {
            assert!(row < self.count, "there is such a row");
            return self.first.part(self.elements(row..row + 1));
        }
        let mut view = self.first.clone();
        self.go_to(&mut view, row);
        view
    }

    /// Makes a row of these into another one.
    ///
    /// # Panics
    ///
    /// As [`Rows::row`].
    pub fn go_to(&self, view: &mut View<'a>, row: usize) {
        assert!(row < self.count, "there is such a row");
        if !self.are_regular() {
            *view = self.row(row);
            return;
        }
        view.pointer = self.first.pointer.wrapping_offset(offset_of(&self.along, row));
    }

    /// These rows as one sequence, if they lie one behind the other, contiguous, aligned and native.
    pub fn joined(&self, rows: Range<usize>) -> Option<View<'a>> {
        if !self.are_regular() {
            return self.first.is_borrowed().then(|| self.first.part(self.elements(rows)));
        }
        let bytes = offset(self.len(), self.dtype().size().cast_signed());
        let follow = self
            .along
            .iter()
            .rev()
            .try_fold(bytes, |expected, axis| (axis.stride == expected).then(|| offset(axis.len, axis.stride)));
        let view = self.row(rows.start);
        let fits = follow.is_some() && view.is_borrowed() && rows.end <= self.count;
        let axes = vec![Axis { len: rows.len() * self.len(), stride: self.dtype().size().cast_signed() }];
        fits.then(|| View { len: rows.len() * self.len(), axes, ..view })
    }

    /// Whether every row's blocks are borrowed where they lie.
    pub fn are_borrowed(&self) -> bool {
        let fits = |axis: &Axis| axis.stride.unsigned_abs().is_multiple_of(self.first.alignment());
        self.first.is_borrowed() && self.along.iter().all(fits)
    }

    /// Scratch for a tile of so many neighbours, of at most `len` elements each.
    pub fn tile(&self, count: usize, len: usize) -> Tile {
        let pitch = len + APART;
        Tile { items: Buffer::new(self.first.dtype.item(), pitch * count), pitch }
    }

    /// The same, for whole rows that are to lie one behind the other.
    pub fn packed(&self, count: usize) -> Tile {
        Tile { items: Buffer::new(self.first.dtype.item(), self.len() * count), pitch: self.len() }
    }

    /// Fills a tile with these elements of `count` neighbours.
    ///
    /// # Panics
    ///
    /// If there are no such neighbours or elements, or the tile is too small.
    pub fn load(&self, level: Level, row: usize, count: usize, elements: Range<usize>, tile: &mut Tile) {
        self.load_from(level, row, count, elements, tile, 0);
    }

    /// The same, into the tile's rows from this one on.
    ///
    /// # Panics
    ///
    /// As [`Rows::load`].
    pub fn load_from(
        &self,
        level: Level,
        row: usize,
        count: usize,
        elements: Range<usize>,
        tile: &mut Tile,
        place: usize,
    ) {
        assert!(self.are_regular(), "rows of several lengths have no neighbours");
        assert!(
            row % self.inner() + count <= self.inner() && elements.end <= self.len(),
            "a tile lies within the rows"
        );
        assert!(
            elements.len() <= tile.pitch && (place + count) * tile.pitch <= tile.items.len(),
            "the elements fit the tile"
        );
        let pitch = tile.pitch;
        let view = self.row(row);
        let stride = self.along.last().map_or(0, |axis| axis.stride);
        macro_rules! load {
            ($($dtype:ident: $item:ty, $native:expr, $swapped:expr;)*) => {
                match self.first.dtype { $(DType::$dtype => {
                    let Some(items) = <$item as Sealed>::of_mut(&mut tile.items) else {
                        unreachable!("the tile fits the dtype")
                    };
                    let items = items.get_mut(place * pitch..).unwrap_or_default();
                    let across = Across { view: &view, stride, count, pitch };
                    if view.swapped {
                        level.run(#[inline(always)] || across.transpose(elements, items, $swapped));
                    } else {
                        level.run(#[inline(always)] || across.transpose(elements, items, $native));
                    }
                })* }
            };
        }
        for_each_dtype!(load);
    }
}

/// Some elements of neighbouring rows, each row's one after the other.
#[derive(Debug)]
pub struct Tile {
    items: Buffer,
    pitch: usize,
}

impl Tile {
    /// The first `len` elements of the row at this place.
    pub fn row(&self, place: usize, len: usize) -> View<'_> {
        self.view(place * self.pitch..place * self.pitch + len)
    }

    /// All elements of these rows, each of which has `len`: one row, or several that are packed.
    pub fn rows(&self, places: Range<usize>, len: usize) -> View<'_> {
        self.view(places.start * self.pitch..places.start * self.pitch + places.len() * len)
    }

    fn view(&self, items: Range<usize>) -> View<'_> {
        macro_rules! view {
            ($($variant:ident: $item:ty,)*) => {
                match &self.items { $(Buffer::$variant(all) => {
                    View::of::<$item>(all.get(items).unwrap_or_default(), self.items.item().dtype())
                })* }
            };
        }
        for_each_item!(view)
    }
}

/// Neighbouring rows: the first, and how far apart they are in memory and in a tile.
struct Across<'a> {
    view: &'a View<'a>,
    stride: isize,
    count: usize,
    pitch: usize,
}

impl Across<'_> {
    /// Puts the elements of each row one after the other.
    #[inline(always)]
    fn transpose<W: Copy, T>(&self, elements: Range<usize>, items: &mut [T], convert: impl Fn(W) -> T) {
        let Some((inner, outer)) = self.view.axes.split_last() else {
            return self.column(self.view.pointer, 0, items, &convert);
        };
        let mut index = elements.start;
        let mut place = 0;
        while index < elements.end {
            let column = index % inner.len;
            let run = (elements.end - index).min(inner.len - column);
            let offset = offset_of(outer, index / inner.len).wrapping_add(offset(column, inner.stride));
            let mut pointer = self.view.pointer.wrapping_offset(offset);
            for at in place..place + run {
                let early = pointer.addr().wrapping_add_signed(self::offset(EARLY, inner.stride));
                for line in 0..=ACROSS / LINE {
                    prefetch(early + (line * LINE).min(ACROSS - 1));
                }
                self.column(pointer, at, items, &convert);
                pointer = pointer.wrapping_offset(inner.stride);
            }
            index += run;
            place += run;
        }
    }

    /// One element of each row.
    #[inline(always)]
    fn column<W: Copy, T>(&self, pointer: *const u8, at: usize, items: &mut [T], convert: &impl Fn(W) -> T) {
        assert!(size_of::<W>() == self.view.dtype.size(), "a word is an element");
        for (row, items) in items.chunks_exact_mut(self.pitch.max(1)).take(self.count).enumerate() {
            let address = pointer.wrapping_offset(offset(row, self.stride));
            // SAFETY: `Rows::load` checked that the rows and the elements are there, so that the address is one of
            // those that `Rows::new`'s caller promised; `read_unaligned` asks nothing more.
            let word = unsafe { address.cast::<W>().read_unaligned() };
            if let Some(item) = items.get_mut(at) {
                *item = convert(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Block;

    fn items(view: &View<'_>) -> Vec<i32> {
        let mut scratch = Buffer::new(view.dtype().item(), view.len());
        match view.load(Level::current(), 0, view.len(), &mut scratch) {
            Block::Int32(items) => items.to_vec(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn rows_and_tiles_have_the_same_elements() {
        let memory: Vec<i32> = (0..60).collect();
        for (shape, strides, along) in [
            (vec![3, 20], vec![20, 1], 1),
            (vec![20, 3], vec![1, 20], 1),
            (vec![4, 5, 3], vec![1, 4, 20], 2),
            (vec![5, 3, 4], vec![4, 20, 1], 1),
            (vec![12], vec![5], 1),
            (vec![12], vec![-5], 0),
        ] {
            let bytes: Vec<isize> = strides.iter().map(|stride| stride * 4).collect();
            let first = if strides[0] < 0 { 55 } else { 0 };
            let pointer = memory[first..].as_ptr().cast();
            // SAFETY: every case above stays within `memory`.
            let rows = unsafe { Rows::new(pointer, DType::Int32, false, &shape, &bytes, along) };
            let mut row = 0;
            while row < rows.count() {
                let count = 3.min(rows.inner() - row % rows.inner());
                let mut tile = rows.tile(count, rows.len());
                rows.load(Level::current(), row, count, 0..rows.len(), &mut tile);
                for place in 0..count {
                    assert_eq!(items(&tile.row(place, rows.len())), items(&rows.row(row + place)), "{shape:?}");
                }
                row += count;
            }
        }
    }
}
