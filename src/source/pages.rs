//! Memory for as many elements as an array has. It uses large pages if the system has them.
//!
//! The first access to a page of 4 KiB costs as much as reading some hundred elements. For groups of 10 M elements,
//! this was a third of the time. NumPy asks for large pages too.

use std::alloc::{Layout, alloc_zeroed};

use crate::dtype::Sealed;
use crate::memory;

/// Bytes from which on it is worth to ask, a few large pages.
const LARGE: usize = 8 << 20;

/// So many items that are zero, untouched as yet. (A vector that can be asked for fails where there is no memory, and
/// one that is zero aborts; one that is both there is not.)
pub(crate) fn zeros<T: Sealed>(len: usize) -> Vec<T> {
    let Ok(layout) = Layout::array::<T>(len) else { memory::fail::<T>(len) };
    if layout.size() == 0 {
        return Vec::new();
    }
    // SAFETY: the layout is not empty.
    let pointer = unsafe { alloc_zeroed(layout) };
    if pointer.is_null() {
        memory::fail::<T>(len);
    }
    // SAFETY: the memory is of this layout, from the allocator that boxes have; zeros are valid items of every such
    // type.
    let items = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(pointer.cast::<T>(), len)) };
    let items = items.into_vec();
    if layout.size() >= LARGE {
        ask_for_large(items.as_slice());
    }
    items
}

#[cfg(target_os = "linux")]
fn ask_for_large<T>(items: &[T]) {
    const PAGE: usize = 4096;
    let inside = items.as_ptr().addr().next_multiple_of(PAGE) - items.as_ptr().addr();
    let start = items.as_ptr().cast::<u8>().wrapping_add(inside);
    let len = (size_of_val(items) - inside) / PAGE * PAGE;
    // SAFETY: whole pages of memory that is ours; the advice changes nothing but how they are mapped. A refusal is no
    // loss.
    unsafe { libc::madvise(start.cast_mut().cast(), len, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large<T>(_: &[T]) {}
