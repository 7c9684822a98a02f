//! The memory that a run writes to, for results that are arrays.
//!
//! As in all of this module, the `unsafe` relies on a promise: here, the promise of the caller of [`Output::new`].
//! [`Fresh`] memory keeps this promise by itself.

use std::sync::Arc;

use super::axes::{Axis, merge, offset, offset_of, stride_of};
use crate::dtype::{Block, Buffer, DType, ItemType, Sealed, for_each_item, half_bits};

/// Memory that is filled row by row: each row is an [`Output`].
#[derive(Debug, Clone)]
pub struct OutputRows {
    pub(super) first: Output,
    pub(super) along: Vec<Axis>,
    /// Where each row starts in `first`, and where the last one ends, if they are of several lengths.
    pub(super) offsets: Option<Arc<Vec<usize>>>,
}

impl OutputRows {
    /// Memory for the rows along the first `along` axes, numbered in C order, each with the elements along the other
    /// axes.
    ///
    /// # Safety
    ///
    /// As [`Output::new`].
    pub unsafe fn new(pointer: *mut u8, dtype: DType, shape: &[usize], strides: &[isize], along: usize) -> OutputRows {
        let along = along.min(shape.len());
        // SAFETY: the indices of a row are those of the array with zeros before.
        let first = unsafe { Output::new(pointer, dtype, &shape[along..], &strides[along..]) };
        let along = shape.iter().zip(strides).take(along).map(|(&len, &stride)| Axis { len, stride }).collect();
        OutputRows { first, along, offsets: None }
    }

    /// Memory for rows of several lengths, one behind the other: where each starts, and where the last one ends.
    ///
    /// # Panics
    ///
    /// If they do not rise, or end outside.
    #[must_use]
    pub fn ragged(self, offsets: Arc<Vec<usize>>) -> OutputRows {
        let end = offsets.last().copied().unwrap_or(0);
        assert!(offsets.is_sorted() && end <= self.first.len && self.along.is_empty(), "rows lie within their memory");
        OutputRows { offsets: Some(offsets), ..self }
    }

    /// How many.
    pub fn count(&self) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.len().saturating_sub(1),
            None => self.along.iter().map(|axis| axis.len).product(),
        }
    }

    /// A row.
    ///
    /// # Panics
    ///
    /// If there is none of this number.
    pub fn row(&self, row: usize) -> Output {
        assert!(row < self.count(), "there is such a row");
        let first = self.first.clone();
        let Some(offsets) = &self.offsets else {
            let pointer = first.pointer.wrapping_offset(offset_of(&self.along, row));
            return Output { pointer, ..first };
        };
        let (start, end) = (offsets[row], offsets[row + 1]);
        let stride = first.axes.last().map_or(0, |axis| axis.stride);
        let axes = vec![Axis { len: end - start, stride }];
        Output { pointer: first.pointer.wrapping_offset(offset(start, stride)), len: end - start, axes, ..first }
    }
}

/// Memory that a sweep fills: native elements at regular distances, of which each is written by one worker.
#[derive(Debug, Clone)]
pub struct Output {
    pub(super) pointer: *mut u8,
    pub(super) dtype: DType,
    pub(super) len: usize,
    pub(super) axes: Vec<Axis>,
    /// What the memory belongs to, if it is to be kept for as long as there is this.
    pub(super) owner: Option<Arc<Buffer>>,
}

// SAFETY: `Output::new`'s promise (nobody else uses the memory) does not depend on the thread.
unsafe impl Send for Output {}
// SAFETY: as above; and the engine visits each block once, so that no two writes meet.
unsafe impl Sync for Output {}

impl Output {
    /// Memory for the elements of an array in C order, of native byte order. `strides` are in bytes.
    ///
    /// # Safety
    ///
    /// For every index within `shape`, the `dtype.size()` bytes at `pointer + Σ index × stride` must be allocated until
    /// the last sweep that writes to them is over, and used by nobody else until then. They may be misaligned.
    pub unsafe fn new(pointer: *mut u8, dtype: DType, shape: &[usize], strides: &[isize]) -> Output {
        let axes = shape.iter().zip(strides).map(|(&len, &stride)| Axis { len, stride }).collect();
        Output { pointer, dtype, len: shape.iter().product(), axes: merge(axes), owner: None }
    }

    /// Memory for no elements.
    pub fn none(dtype: DType) -> Output {
        Output { pointer: std::ptr::null_mut(), dtype, len: 0, axes: Vec::new(), owner: None }
    }

    /// What they are.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no room.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes all of a buffer's items.
    ///
    /// # Panics
    ///
    /// As [`Output::write`].
    pub fn copy_from(&self, buffer: &Buffer) {
        macro_rules! copy {
            ($($variant:ident: $item:ty,)*) => {
                match buffer { $(Buffer::$variant(items) => self.write::<$item>(0, items),)* }
            };
        }
        for_each_item!(copy);
    }

    /// Writes a block's items from number `start` on.
    ///
    /// # Panics
    ///
    /// As [`Output::write`].
    pub fn put(&self, start: usize, block: Block<'_>) {
        macro_rules! put {
            ($($variant:ident: $item:ty,)*) => {
                match block { $(Block::$variant(items) => self.write::<$item>(start, items),)* }
            };
        }
        for_each_item!(put);
    }

    /// Writes items from number `start` on.
    ///
    /// # Panics
    ///
    /// If they do not fit, or are of another type.
    pub(crate) fn write<T: Sealed>(&self, start: usize, items: &[T]) {
        assert!(T::TYPE == self.dtype.item(), "items go to an array of their own");
        match T::block(items) {
            // Of which each is a float16.
            Block::Float32(items) if self.dtype == DType::Float16 => {
                const PART: usize = 256;
                for (index, part) in items.chunks(PART).enumerate() {
                    self.convert::<_, _, PART>(start + index * PART, part, half_bits);
                }
            }
            _ => self.scatter(start, items),
        }
    }

    /// Writes floats from number `start` on, rounded to the dtype, which is one of floats. There is one NaN: which one
    /// comes out of inf − inf depends on the instruction.
    ///
    /// # Panics
    ///
    /// If they do not fit, or the dtype is another.
    #[allow(clippy::cast_possible_truncation)] // the nearest float32 is what is wanted
    pub(crate) fn write_floats(&self, start: usize, floats: &[f64]) {
        const PART: usize = 256;
        assert!(self.dtype.is_float(), "floats go to an array of floats");
        let one_nan = |float: f64| if float.is_nan() { f64::NAN } else { float };
        for (index, part) in floats.chunks(PART).enumerate() {
            let start = start + index * PART;
            match self.dtype {
                DType::Float16 => {
                    self.convert::<_, _, PART>(start, part, |float| half_bits(one_nan(float)));
                }
                DType::Float32 => self.convert::<_, _, PART>(start, part, |float| one_nan(float) as f32),
                _ => self.convert::<_, _, PART>(start, part, one_nan),
            }
        }
    }

    /// Writes at most so many words, made of items.
    #[inline(always)]
    fn convert<T: Copy, W: Copy + Default, const MOST: usize>(&self, start: usize, items: &[T], word: impl Fn(T) -> W) {
        let mut words = [W::default(); MOST];
        words.iter_mut().zip(items).for_each(|(place, item)| *place = word(*item));
        self.scatter(start, words.get(..items.len()).unwrap_or_default());
    }

    /// Writes integers of 64 bits from number `start` on, signed or not.
    ///
    /// # Panics
    ///
    /// If they do not fit, or the dtype is neither int64 nor uint64.
    pub(crate) fn write_bits(&self, start: usize, words: &[i64]) {
        assert!(matches!(self.dtype, DType::Int64 | DType::UInt64), "integers go to an array of integers");
        self.scatter(start, words);
    }

    /// Writes words from number `start` on, each of which is an element.
    fn scatter<W: Copy>(&self, start: usize, words: &[W]) {
        assert!(size_of::<W>() == self.dtype.size(), "a word is an element");
        assert!(start.checked_add(words.len()).is_some_and(|end| end <= self.len), "elements are within their array");
        let (outer, inner) = match self.axes.split_last() {
            Some((inner, outer)) => (outer, *inner),
            None => (self.axes.as_slice(), Axis { len: 1, stride: stride_of::<W>() }),
        };
        let mut index = start;
        let mut rest = words;
        while !rest.is_empty() {
            let column = index % inner.len;
            let (row, tail) = rest.split_at(rest.len().min(inner.len - column));
            let first =
                self.pointer.wrapping_offset(offset_of(outer, index / inner.len) + offset(column, inner.stride));
            if inner.stride == stride_of::<W>() {
                // SAFETY: the assert keeps the words within the elements that `Output::new`'s caller promised, the row
                // within one axis, whose elements lie side by side. `words` lies elsewhere, as nobody else uses that
                // memory. Bytes may be copied to any address.
                unsafe { std::ptr::copy_nonoverlapping(row.as_ptr().cast::<u8>(), first, size_of_val(row)) };
            } else {
                for (i, &word) in row.iter().enumerate() {
                    let address = first.wrapping_offset(offset(i, inner.stride)).cast::<W>();
                    // SAFETY: as above, for each element by itself.
                    unsafe { address.write_unaligned(word) };
                }
            }
            rest = tail;
            index += row.len();
        }
    }
}

/// Memory for an answer that is an array. It lives for as long as there are [`Output`]s of it, and can be read when
/// there are none left.
#[derive(Debug)]
pub(crate) struct Fresh {
    buffer: Arc<Buffer>,
    pointer: *mut u8,
    dtype: DType,
    len: usize,
}

impl Fresh {
    /// Memory for so many elements. Those of float16 are kept as their bits.
    pub(crate) fn new(dtype: DType, len: usize) -> Fresh {
        let item = if dtype == DType::Float16 { ItemType::UInt16 } else { dtype.item() };
        let mut buffer = Buffer::new(item, len);
        assert!(item.size() == dtype.size(), "an item has room for an element");
        let pointer = buffer.as_mut_ptr();
        Fresh { buffer: Arc::new(buffer), pointer, dtype, len }
    }

    /// What it is for.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// For how many elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// For a run to write to.
    pub(crate) fn output(&self) -> Output {
        self.rows(1, self.len).row(0)
    }

    /// The same, as so many rows of one length.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub(crate) fn rows(&self, count: usize, len: usize) -> OutputRows {
        assert!(count.checked_mul(len).is_some_and(|all| all <= self.len), "the rows lie within their memory");
        let size = self.dtype.size().cast_signed();
        let strides = [offset(len, size), size];
        // SAFETY: the assert keeps the rows within the buffer's elements, which lie one behind the other, and of which
        // every bit pattern is one. The outputs own the buffer together with this; nobody reads it before `into_buffer`
        // has found that they are gone.
        let mut rows = unsafe { OutputRows::new(self.pointer, self.dtype, &[count, len], &strides, 1) };
        rows.first.owner = Some(Arc::clone(&self.buffer));
        rows
    }

    /// What was written.
    ///
    /// # Panics
    ///
    /// If somebody may still write.
    pub(crate) fn into_buffer(self) -> Buffer {
        let Some(buffer) = Arc::into_inner(self.buffer) else { unreachable!("the run is over") };
        buffer
    }
}
