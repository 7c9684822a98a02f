//! The places of each group's elements, and the memory that several workers fill at once.
//!
//! The `unsafe` is here so that callers need none. Places follow from counts, one after the other, so no two of them
//! are equal, and each strip of elements has places of its own.

use std::marker::PhantomData;
use std::sync::Mutex;

use super::pages::zeros;
use crate::dtype::Sealed;
use crate::memory;

/// For each strip of the elements and each code: where its elements belong, the first and behind the last.
#[derive(Debug)]
pub(crate) struct Places {
    strips: Vec<Vec<[usize; 2]>>,
    /// The codes that occur, in order.
    present: Vec<u32>,
    /// Where the elements of each of these start, and where those of the last one end.
    offsets: Vec<usize>,
}

impl Places {
    /// From how many elements each strip has of each code, in the second place of its pair. The elements of a code lie
    /// one behind the other, in the order of the strips.
    pub(crate) fn of_counts(mut strips: Vec<Vec<[usize; 2]>>, codes: u32) -> Places {
        let (mut present, mut offsets, mut end) = (Vec::new(), vec![0], 0_usize);
        for code in 0..codes {
            let before = end;
            for place in strips.iter_mut().filter_map(|strip| strip.get_mut(code as usize)) {
                let [_, count] = *place;
                *place = [end, end + count];
                end += count;
            }
            if end > before {
                memory::push(&mut present, code);
                memory::push(&mut offsets, end);
            }
        }
        Places { strips, present, offsets }
    }

    pub(crate) fn present(&self) -> &[u32] {
        &self.present
    }

    pub(crate) fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Fresh memory, to which `work` puts the items of each strip; what it does not put there is zero.
    pub(crate) fn filled<T: Sealed, E>(
        &self,
        work: impl FnOnce(&[Mutex<Strip<'_, T>>]) -> Result<(), E>,
    ) -> Result<Vec<T>, E> {
        let mut items: Vec<T> = zeros(self.offsets.last().copied().unwrap_or(0));
        let (pointer, len) = (items.as_mut_ptr(), items.len());
        let strip = |places: &Vec<[usize; 2]>| {
            Mutex::new(Strip { pointer, len, places: memory::copied(places), items: PhantomData })
        };
        let strips: Vec<Mutex<Strip<'_, T>>> = memory::collected(self.strips.iter().map(strip));
        work(&strips)?;
        drop(strips);
        Ok(items)
    }
}

/// What is still to be filled of a strip.
#[derive(Debug)]
pub(crate) struct Strip<'a, T> {
    pointer: *mut T,
    len: usize,
    places: Vec<[usize; 2]>,
    items: PhantomData<&'a mut [T]>,
}

// SAFETY: it writes to its own places only, from whichever thread has it.
unsafe impl<T: Send> Send for Strip<'_, T> {}

impl<T: Sealed> Strip<'_, T> {
    /// Puts an item in the next place of its code; nowhere, if there is none left.
    #[inline(always)]
    pub(crate) fn put(&mut self, code: u32, item: T) {
        let Some([place, end]) = self.places.get_mut(code as usize) else { return };
        if *place < *end && *place < self.len {
            // SAFETY: the place is within the memory, which `Places::filled` keeps until all strips are gone. It is
            // this strip's alone: `Places::of_counts` gave each strip and code places of its own, and this is the only
            // strip of its number.
            unsafe { self.pointer.add(*place).write(item) };
            *place += 1;
        }
    }
}
