//! A strided view of memory that somebody else owns, and how it is divided into blocks.
//!
//! A view never copies the array. A block of a contiguous, aligned, native array is borrowed. Blocks of all other
//! layouts (strided, reversed, broadcast, byte-swapped, misaligned, float16) are gathered one by one into a scratch
//! buffer that stays in cache, so that kernels get contiguous native items only.
//!
//! As in all of this module, the `unsafe` relies on a promise: here, the promise of the caller of [`View::new`].

use std::marker::PhantomData;
use std::ops::Range;

use num_complex::Complex;

use super::axes::{Axis, merge, offset, offset_of, stride_of};
use super::pieces::Layout;
use crate::dtype::{Block, Bool8, Buffer, DType, Item, Sealed, Time, for_each_item, widen_half};
use crate::prefetch::LINE;
use crate::simd::{Level, prefetch};

/// Calls `$macro!` with all dtypes: the item of each, and how a word of memory becomes one in this byte order and in
/// the other.
macro_rules! for_each_dtype {
    ($macro:ident) => {
        $macro! {
            Bool: Bool8, Bool8, Bool8;
            Int8: i8, |word: u8| word.cast_signed(), |word: u8| word.cast_signed();
            Int16: i16, |word: u16| word.cast_signed(), |word: u16| word.swap_bytes().cast_signed();
            Int32: i32, |word: u32| word.cast_signed(), |word: u32| word.swap_bytes().cast_signed();
            Int64: i64, |word: u64| word.cast_signed(), |word: u64| word.swap_bytes().cast_signed();
            UInt8: u8, |word: u8| word, |word: u8| word;
            UInt16: u16, |word: u16| word, u16::swap_bytes;
            UInt32: u32, |word: u32| word, u32::swap_bytes;
            UInt64: u64, |word: u64| word, u64::swap_bytes;
            Float16: f32, widen_half, |word: u16| widen_half(word.swap_bytes());
            Float32: f32, f32::from_bits, |word: u32| f32::from_bits(word.swap_bytes());
            Float64: f64, f64::from_bits, |word: u64| f64::from_bits(word.swap_bytes());
            Complex64: Complex<f32>, |[re, im]: [u32; 2]| Complex::new(f32::from_bits(re), f32::from_bits(im)),
                |[re, im]: [u32; 2]| Complex::new(f32::from_bits(re.swap_bytes()), f32::from_bits(im.swap_bytes()));
            Complex128: Complex<f64>, |[re, im]: [u64; 2]| Complex::new(f64::from_bits(re), f64::from_bits(im)),
                |[re, im]: [u64; 2]| Complex::new(f64::from_bits(re.swap_bytes()), f64::from_bits(im.swap_bytes()));
            Datetime64: Time, |word: u64| Time(word.cast_signed()), |word: u64| Time(word.swap_bytes().cast_signed());
            Timedelta64: Time, |word: u64| Time(word.cast_signed()), |word: u64| Time(word.swap_bytes().cast_signed());
        }
    };
}
pub(super) use for_each_dtype;

/// Where a view lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// From its first byte to its last.
    pub memory: Range<usize>,
    /// The bytes of all elements together.
    pub bytes: usize,
}

/// Elements of one dtype in memory, in a fixed order: at regular distances, or as their [`Layout`] says.
#[derive(Debug, Clone)]
pub struct View<'a> {
    pub(super) pointer: *const u8,
    pub(super) dtype: DType,
    pub(super) swapped: bool,
    pub(super) len: usize,
    pub(super) axes: Vec<Axis>,
    pub(super) layout: Layout<'a>,
    pub(super) memory: PhantomData<&'a [u8]>,
}

// SAFETY: a view only reads, and `View::new`'s promise (the memory stays allocated for 'a) does not depend on the
// thread.
unsafe impl Send for View<'_> {}
// SAFETY: as above; no method changes the view.
unsafe impl Sync for View<'_> {}

impl<'a> View<'a> {
    /// A view in C order (the last axis runs fastest), as NumPy numbers the elements.
    ///
    /// `strides` are in bytes. `swapped` says that the elements are in the other byte order.
    ///
    /// # Safety
    ///
    /// For every index within `shape`, the `dtype.size()` bytes at `pointer + Σ index × stride` must be allocated and
    /// initialised for `'a`. They may be misaligned. If other threads write to them meanwhile, numbers are meaningless.
    pub unsafe fn new(pointer: *const u8, dtype: DType, swapped: bool, shape: &[usize], strides: &[isize]) -> View<'a> {
        let len = shape.iter().product();
        let axes = shape.iter().zip(strides).map(|(&len, &stride)| Axis { len, stride }).collect();
        let swapped = swapped && dtype.size() > 1;
        View { pointer, dtype, swapped, len, axes: merge(axes), layout: Layout::Strided, memory: PhantomData }
    }

    /// A view of a slice.
    ///
    /// # Panics
    ///
    /// If `dtype` is not one whose items are `T`s: a bug of the caller's code, whatever the data.
    pub fn of<T: Sealed>(items: &'a [T], dtype: DType) -> View<'a> {
        assert!(dtype.item() == T::TYPE && dtype.size() == size_of::<T>(), "{dtype} does not describe the items");
        // SAFETY: the slice is allocated and initialised for 'a, and its items lie `size_of::<T>()` bytes apart.
        unsafe { View::new(items.as_ptr().cast(), dtype, false, &[items.len()], &[stride_of::<T>()]) }
    }

    /// A view of all of a buffer's items.
    pub fn of_buffer(buffer: &'a Buffer) -> View<'a> {
        macro_rules! view {
            ($($variant:ident: $item:ty,)*) => {
                match buffer { $(Buffer::$variant(items) => View::of::<$item>(items, buffer.item().dtype()),)* }
            };
        }
        for_each_item!(view)
    }

    /// The elements of these numbers.
    ///
    /// # Panics
    ///
    /// If the view has no such elements.
    pub fn pick(&self, numbers: &[usize]) -> Buffer {
        let mut picked = Buffer::new(self.dtype.item(), numbers.len());
        if !self.is_strided() {
            self.load_each(numbers, &mut picked);
            return picked;
        }
        // All lines are asked for before the first is waited for, as far as a processor goes along.
        for &number in numbers {
            prefetch(self.address(number).addr());
        }
        macro_rules! pick {
            ($($dtype:ident: $item:ty, $native:expr, $swapped:expr;)*) => {
                match self.dtype { $(DType::$dtype => {
                    let Some(items) = <$item as Sealed>::of_mut(&mut picked) else {
                        unreachable!("the buffer fits the dtype")
                    };
                    if self.swapped {
                        self.read_each(numbers, items, $swapped);
                    } else {
                        self.read_each(numbers, items, $native);
                    }
                })* }
            };
        }
        for_each_dtype!(pick);
        picked
    }

    /// Where an element is, of a view at regular distances.
    #[inline(always)]
    fn address(&self, number: usize) -> *const u8 {
        let offset = match self.axes.as_slice() {
            [axis] => offset(number, axis.stride),
            axes => offset_of(axes, number),
        };
        self.pointer.wrapping_offset(offset)
    }

    /// Reads the elements of these numbers one by one.
    fn read_each<W: Copy, T>(&self, numbers: &[usize], items: &mut [T], convert: impl Fn(W) -> T) {
        assert!(size_of::<W>() == self.dtype.size() && self.is_strided(), "a word is an element");
        for (item, &number) in items.iter_mut().zip(numbers) {
            assert!(number < self.len, "the view has the element");
            // SAFETY: the asserts make the address one that `View::new`'s caller promised; `read_unaligned` asks
            // nothing more.
            *item = convert(unsafe { self.address(number).cast::<W>().read_unaligned() });
        }
    }

    /// Loads the elements of these numbers one by one, however they lie.
    fn load_each(&self, numbers: &[usize], picked: &mut Buffer) {
        let mut one = Buffer::new(self.dtype.item(), 1);
        macro_rules! put {
            ($($variant:ident: $item:ty,)*) => {
                match picked { $(Buffer::$variant(items) => {
                    for (item, &number) in items.iter_mut().zip(numbers) {
                        let block = self.load(Level::current(), number, 1, &mut one);
                        *item = <$item as Sealed>::of(block).and_then(|items| items.first().copied()).unwrap_or_default();
                    }
                })* }
            };
        }
        for_each_item!(put);
    }

    /// Some elements of a view with one axis.
    ///
    /// # Panics
    ///
    /// If they are not within the view.
    #[must_use]
    pub fn part(&self, elements: Range<usize>) -> View<'a> {
        assert!(
            elements.start <= elements.end && elements.end <= self.len && self.axes.len() <= 1 && self.is_strided(),
            "a part of a sequence"
        );
        let stride = self.axes.first().map_or(0, |axis| axis.stride);
        let axes = merge(vec![Axis { len: elements.len(), stride }]);
        let pointer = self.pointer.wrapping_offset(offset(elements.start, stride));
        View { pointer, len: elements.len(), axes, ..self.clone() }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same elements in the order in which they lie in memory, or `None` if that is the order they are in.
    ///
    /// Sweeping memory in its own order is what makes Fortran-ordered and transposed arrays as fast as any; a kernel
    /// that answers with a position, or that compares neighbours, has to take the view's own order. Where elements are
    /// repeated (a stride of 0), there is no such order.
    pub fn in_memory_order(&self) -> Option<View<'a>> {
        if self.axes.iter().any(|axis| axis.stride == 0) {
            return None;
        }
        let mut axes = self.axes.clone();
        axes.sort_by_key(|axis| std::cmp::Reverse(axis.stride.unsigned_abs()));
        let view = View { axes: merge(axes), ..self.clone() };
        (view.axes != self.axes).then_some(view)
    }

    /// Whether the blocks are borrowed where they lie: nothing is gathered.
    pub fn is_borrowed(&self) -> bool {
        if !self.is_strided() {
            return false;
        }
        let size = self.dtype.size();
        let contiguous = match self.axes.as_slice() {
            [] => true,
            [axis] => usize::try_from(axis.stride) == Ok(size),
            _ => false,
        };
        contiguous
            && !self.swapped
            && self.dtype != DType::Float16
            && self.pointer.addr().is_multiple_of(self.alignment())
    }

    /// The addresses of the `len` elements from number `start` on, as far as there are so many; empty if they do not
    /// lie one after the other, at least as close as cache lines.
    pub fn memory(&self, start: usize, len: usize) -> Range<usize> {
        let end = start.saturating_add(len).min(self.len);
        if let Some((place, piece)) = self.piece(start) {
            return piece.memory(start - place, end.saturating_sub(start));
        }
        match self.axes.as_slice() {
            [Axis { stride, .. }] if start < end && (1..=LINE.cast_signed()).contains(stride) => {
                let address = |index: usize| self.pointer.addr().wrapping_add_signed(offset(index, *stride));
                address(start)..address(end)
            }
            _ => 0..0,
        }
    }

    /// From the first byte to the last, and how many of them are elements'.
    pub fn extent(&self) -> Extent {
        let reach = |axis: &Axis| offset(axis.len.saturating_sub(1), axis.stride);
        let below: isize = self.axes.iter().map(reach).filter(|reach| *reach < 0).sum();
        let above: isize = self.axes.iter().map(reach).filter(|reach| *reach > 0).sum();
        let first = self.pointer.addr().wrapping_add_signed(below);
        let last = self.pointer.addr().wrapping_add_signed(above);
        let end = if self.len == 0 { first } else { last.saturating_add(self.dtype.size()) };
        Extent { memory: first..end, bytes: self.len.saturating_mul(self.dtype.size()) }
    }

    pub(super) fn alignment(&self) -> usize {
        match self.dtype {
            DType::Complex64 => align_of::<f32>(),
            DType::Complex128 => align_of::<f64>(),
            other => other.size(),
        }
    }

    /// The `len` elements from number `start` on as a block, gathered into `scratch` unless they can be borrowed.
    ///
    /// # Panics
    ///
    /// If the elements are not within the view, or `scratch` is too small or of another item type.
    pub fn load<'b>(&'b self, level: Level, start: usize, len: usize, scratch: &'b mut Buffer) -> Block<'b> {
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len), "a block ends within its view");
        macro_rules! load {
            ($($dtype:ident: $item:ty, $native:expr, $swapped:expr;)*) => {
                match self.dtype { $(DType::$dtype => {
                    if let Some(items) = self.borrow::<$item>(start, len) {
                        return <$item as Sealed>::block(items);
                    }
                    let items = <$item as Sealed>::of_mut(scratch).and_then(|items| items.get_mut(..len));
                    let Some(items) = items else { unreachable!("the scratch buffer fits the dtype") };
                    self.gather_all::<_, $item>(level, start, items, $native, $swapped);
                    <$item as Sealed>::block(items)
                })* }
            };
        }
        for_each_dtype!(load)
    }

    /// A slice of the array itself, if the elements lie as items do.
    fn borrow<T: Sealed>(&self, start: usize, len: usize) -> Option<&[T]> {
        if let Some((place, piece)) = self.piece(start) {
            let within = start - place + len <= piece.len;
            return if within { piece.borrow(start - place, len) } else { None };
        }
        if !self.is_borrowed() {
            return None;
        }
        // SAFETY: the callers checked that the elements are within the view, and `is_borrowed` that they lie
        // contiguous, aligned and in native order; `View::new`'s caller promised that they are allocated and
        // initialised for 'a, which outlives the borrow of self. Every bit pattern is a valid item. A racing write is
        // outside Rust's memory model; the module's rule (never index by a value read twice) bounds what it can do.
        Some(unsafe { std::slice::from_raw_parts(self.pointer.cast::<T>().add(start), len) })
    }

    /// Fills `items` with the elements from number `start` on, however they lie.
    fn gather_all<W: Copy, T: Item>(
        &self,
        level: Level,
        start: usize,
        items: &mut [T],
        native: impl Fn(W) -> T + Copy,
        swapped: impl Fn(W) -> T + Copy,
    ) {
        match &self.layout {
            Layout::Strided if self.swapped => level.run(
                #[inline(always)]
                || self.gather(start, items, swapped),
            ),
            Layout::Strided => level.run(
                #[inline(always)]
                || self.gather(start, items, native),
            ),
            Layout::Bits(first) => level.run(
                #[inline(always)]
                || self.unpack(start + first, items),
            ),
            Layout::Pieces(_) => {
                let (mut start, mut rest) = (start, items);
                while !rest.is_empty() {
                    let Some((place, piece)) = self.piece(start) else { unreachable!("a piece has the element") };
                    let count = rest.len().min(piece.len - (start - place));
                    let (own, others) = rest.split_at_mut(count);
                    piece.gather_all(level, start - place, own, native, swapped);
                    (start, rest) = (start + count, others);
                }
            }
        }
    }

    /// Fills `items` with the elements from number `start` on.
    #[inline(always)]
    fn gather<W: Copy, T: Copy>(&self, start: usize, items: &mut [T], convert: impl Fn(W) -> T) {
        assert!(size_of::<W>() == self.dtype.size(), "a word is an element");
        let Some((inner, outer)) = self.axes.split_last() else {
            // SAFETY: a view without axes is one element, which `View::new`'s caller promised.
            let read = || convert(unsafe { self.pointer.cast::<W>().read_unaligned() });
            items.fill_with(read);
            return;
        };
        // Rows can be short (a column beside a few numbers): a row after the first takes no division.
        let len = inner.len.max(1);
        let (mut number, mut column) = (start / len, start % len);
        let mut rest = items;
        while !rest.is_empty() {
            let run = rest.len().min(inner.len - column);
            let (row, tail) = rest.split_at_mut(run);
            let before = match outer {
                [axis] => offset(number, axis.stride),
                axes => offset_of(axes, number),
            };
            let offset = before.wrapping_add(offset(column, inner.stride));
            // SAFETY: `load` checked that the elements of `items` are within the view, and `run` does not leave the
            // innermost axis: each address is one that `View::new`'s caller promised. `wrapping_offset` and
            // `read_unaligned` ask nothing more.
            let read = |address: *const u8| convert(unsafe { address.cast::<W>().read_unaligned() });
            let first = self.pointer.wrapping_offset(offset);
            // A stride that the compiler knows lets it load whole vectors.
            if inner.stride == stride_of::<W>() {
                fill(row, first, stride_of::<W>(), read);
            } else if inner.stride == 2 * stride_of::<W>() {
                fill(row, first, 2 * stride_of::<W>(), read);
            } else if inner.stride == 0 {
                row.fill(read(first));
            } else {
                fill(row, first, inner.stride, read);
            }
            rest = tail;
            (number, column) = (number + 1, 0);
        }
    }
}

/// Reads one item per `stride` bytes.
#[inline(always)]
fn fill<T>(row: &mut [T], first: *const u8, stride: isize, read: impl Fn(*const u8) -> T) {
    for (i, item) in row.iter_mut().enumerate() {
        *item = read(first.wrapping_offset(offset(i, stride)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(view: &View<'_>) -> Vec<i32> {
        let mut scratch = Buffer::new(view.dtype().item(), view.len());
        match view.load(Level::current(), 0, view.len(), &mut scratch) {
            Block::Int32(items) => items.to_vec(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn gathers_any_layout_in_c_order() {
        let memory: Vec<i32> = (0..24).collect();
        let view = |first: usize, shape: &[usize], strides: &[isize]| {
            let bytes: Vec<isize> = strides.iter().map(|stride| stride * 4).collect();
            // SAFETY: every case below stays within `memory`.
            unsafe { View::new(memory[first..].as_ptr().cast(), DType::Int32, false, shape, &bytes) }
        };
        assert_eq!(elements(&view(0, &[4, 6], &[6, 1])), memory);
        assert!(view(0, &[4, 6], &[6, 1]).is_borrowed());
        assert_eq!(elements(&view(23, &[24], &[-1])), memory.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(elements(&view(0, &[3, 2], &[1, 3])), [0, 3, 1, 4, 2, 5]);
        assert_eq!(elements(&view(5, &[2, 3], &[0, 0])), [5; 6]);
        assert_eq!(elements(&view(7, &[], &[])), [7]);
        assert_eq!(elements(&view(0, &[3, 0], &[1, 1])), [0; 0]);
        assert_eq!(elements(&view(0, &[2, 3, 2], &[12, 4, 2])), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]);
    }

    #[test]
    fn picks_from_any_layout() {
        let memory: Vec<i32> = (0..24).collect();
        let swapped: Vec<i32> = memory.iter().map(|item| item.swap_bytes()).collect();
        let numbers = [0, 5, 5, 23, 7];
        let native = View::of(&memory, DType::Int32);
        // SAFETY: the shapes and strides describe the 24 elements.
        let (turned, other) = unsafe {
            let shape: [usize; 2] = [6, 4];
            let turned = View::new(memory.as_ptr().cast(), DType::Int32, false, &shape, &[4, 24]);
            (turned, View::new(swapped.as_ptr().cast(), DType::Int32, true, &[24], &[4]))
        };
        let halves = vec![native.part(0..6), native.part(6..24)];
        for view in [&native, &turned, &other, &View::of_pieces(halves, DType::Int32)] {
            let all = elements(view);
            assert_eq!(view.pick(&numbers), Buffer::Int32(numbers.iter().map(|&number| all[number]).collect()));
        }
    }

    #[test]
    fn tells_where_elements_lie_if_they_lie_close() {
        let memory = [0_i16; 100];
        let first = memory.as_ptr().addr();
        // SAFETY: every case below stays within `memory`.
        let view = |len: usize, stride: isize| unsafe {
            View::new(memory.as_ptr().cast(), DType::Int16, false, &[len], &[stride])
        };
        assert_eq!(view(100, 2).memory(10, 20), first + 20..first + 60);
        assert_eq!(view(50, 4).memory(40, 20), first + 160..first + 200);
        assert_eq!(view(100, 2).memory(100, 20), 0..0);
        assert_eq!(view(2, 128).memory(0, 2), 0..0);
        assert_eq!(view(100, 0).memory(0, 2), 0..0);
    }

    #[test]
    fn memory_order_of_a_transposed_array_is_contiguous() {
        let memory: Vec<f64> = vec![1.0; 12];
        // SAFETY: shape and strides describe the twelve elements.
        let view: View<'_> = unsafe { View::new(memory.as_ptr().cast(), DType::Float64, false, &[3, 4], &[8, 24]) };
        assert!(!view.is_borrowed());
        assert!(view.in_memory_order().is_some_and(|view| view.is_borrowed()));
        assert!(View::of(&memory, DType::Float64).in_memory_order().is_none());
    }

    #[test]
    fn repeated_elements_have_no_order_of_memory() {
        let memory: Vec<i32> = (0..12).collect();
        // SAFETY: the elements are the first four, or every fourth, of the twelve.
        let (rows, columns) = unsafe {
            let rows = View::new(memory.as_ptr().cast(), DType::Int32, false, &[3, 4], &[0, 4]);
            (rows, View::new(memory.as_ptr().cast(), DType::Int32, false, &[3, 4], &[16, 0]))
        };
        assert!(rows.in_memory_order().is_none() && columns.in_memory_order().is_none());
        assert_eq!(elements(&rows), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(elements(&columns), [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8]);
    }
}
