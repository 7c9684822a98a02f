//! Elements that do not lie at regular distances: bits, and pieces of memory that follow one another (bools and chunks
//! of Arrow).
//!
//! Blocks are counted over all pieces, so an array in pieces has the same results as an array in one piece, to the last
//! bit. A block within one piece is borrowed if possible; a block that crosses a border is gathered.
//!
//! As in all of this module, the `unsafe` relies on a promise: here, the promise of the caller of [`View::of_bits`].

use std::marker::PhantomData;
use std::sync::Arc;

use super::View;
use crate::dtype::{DType, Item, Number};

/// How the elements of a view lie.
#[derive(Debug, Clone)]
pub(super) enum Layout<'a> {
    /// At regular distances along the view's axes.
    Strided,
    /// As bits, lowest first, from this one of the first byte on.
    Bits(usize),
    /// In views of their own, with the number of each one's first element, in order. None is empty, or in pieces
    /// itself.
    Pieces(Arc<Vec<(usize, View<'a>)>>),
}

impl<'a> View<'a> {
    /// A view of bits as elements of dtype bool: `len` of them, from bit number `first` on.
    ///
    /// # Safety
    ///
    /// The bytes of all these bits must be allocated and initialised for `'a`.
    pub unsafe fn of_bits(pointer: *const u8, first: usize, len: usize) -> View<'a> {
        let layout = Layout::Bits(first % 8);
        let pointer = pointer.wrapping_add(first / 8);
        View { pointer, dtype: DType::Bool, swapped: false, len, axes: Vec::new(), layout, memory: PhantomData }
    }

    /// All elements of these views, one behind the other.
    ///
    /// # Panics
    ///
    /// If they are of several dtypes, or in pieces themselves: a bug of the caller's.
    pub fn of_pieces(pieces: Vec<View<'a>>, dtype: DType) -> View<'a> {
        let mut pieces: Vec<View<'a>> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let fits = |piece: &View<'a>| piece.dtype == dtype && !matches!(piece.layout, Layout::Pieces(_));
        assert!(pieces.iter().all(fits), "pieces are of one dtype");
        if pieces.len() == 1 {
            return pieces.swap_remove(0);
        }
        let mut len = 0;
        let placed = pieces.into_iter().map(|piece| {
            let place = len;
            len += piece.len;
            (place, piece)
        });
        let layout = Layout::Pieces(Arc::new(placed.collect()));
        let pointer = std::ptr::null();
        View { pointer, dtype, swapped: false, len, axes: Vec::new(), layout, memory: PhantomData }
    }

    /// Whether the elements lie at regular distances.
    pub(super) fn is_strided(&self) -> bool {
        matches!(self.layout, Layout::Strided)
    }

    /// The piece that has the element of this number, and the number of its first one, if the view is in pieces.
    pub(super) fn piece(&self, number: usize) -> Option<(usize, &View<'a>)> {
        let Layout::Pieces(pieces) = &self.layout else { return None };
        let behind = pieces.partition_point(|(place, _)| *place <= number);
        pieces.get(behind.checked_sub(1)?).map(|(place, piece)| (*place, piece))
    }

    /// Fills `items` with the bits from number `start` on, counted from the lowest of the first byte.
    #[inline(always)]
    pub(super) fn unpack<T: Item>(&self, start: usize, items: &mut [T]) {
        let byte = |number: usize| {
            // SAFETY: `load` checked that the bits are within the view, whose bytes `of_bits`' caller promised.
            unsafe { self.pointer.wrapping_add(number).read() }
        };
        let item = |byte: u8, bit: usize| T::of_number(Number::Bool(byte >> bit & 1 == 1));
        let head = items.len().min((8 - start % 8) % 8);
        let (first, rest) = items.split_at_mut(head);
        for (place, own) in first.iter_mut().enumerate() {
            *own = item(byte(start / 8), start % 8 + place);
        }
        let start = (start + head) / 8;
        let mut whole = rest.chunks_exact_mut(8);
        let mut next = start;
        for eight in &mut whole {
            let bits = byte(next);
            next += 1;
            for (bit, own) in eight.iter_mut().enumerate() {
                *own = item(bits, bit);
            }
        }
        for (bit, own) in whole.into_remainder().iter_mut().enumerate() {
            *own = item(byte(next), bit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::{Block, Buffer};
    use crate::simd::Level;

    #[test]
    fn bits_are_read_from_any_one_on() {
        let bytes = [0b1010_0110_u8, 0b0000_1111, 0b1100_0011, 0b0101_0101];
        let bit = |number: usize| bytes[number / 8] >> (number % 8) & 1;
        for first in 0..20 {
            for len in 0..=32 - first {
                // SAFETY: the bits lie within `bytes`.
                let view: View<'_> = unsafe { View::of_bits(bytes.as_ptr(), first, len) };
                for start in 0..len {
                    let mut scratch = Buffer::new(DType::Bool.item(), len);
                    let Block::Bool(items) = view.load(Level::current(), start, len - start, &mut scratch) else {
                        unreachable!("bits are bools")
                    };
                    let expected: Vec<u8> = (first + start..first + len).map(bit).collect();
                    assert_eq!(items.iter().map(|item| item.0).collect::<Vec<_>>(), expected, "{first} {start} {len}");
                }
            }
        }
    }

    #[test]
    fn pieces_have_the_elements_of_the_whole() {
        let whole: Vec<i32> = (0..1000).collect();
        let cuts = [0, 1, 1, 17, 400, 999, 1000];
        let pieces = cuts.windows(2).map(|ends| View::of(&whole[ends[0]..ends[1]], DType::Int32)).collect();
        let view = View::of_pieces(pieces, DType::Int32);
        assert_eq!(view.len(), whole.len());
        for (start, len) in [(0, 1000), (0, 1), (1, 16), (1, 17), (16, 2), (17, 300), (399, 601), (1000, 0)] {
            let mut scratch = Buffer::new(DType::Int32.item(), len);
            let Block::Int32(items) = view.load(Level::current(), start, len, &mut scratch) else {
                unreachable!("they are integers")
            };
            assert_eq!(items, &whole[start..start + len]);
        }
        let first = view.memory(17, 10);
        assert_eq!(first, whole[17..].as_ptr().addr()..whole[27..].as_ptr().addr());
    }
}
