//! Memory that grows with what is computed: where there is none left the work ends with an error, and the process goes
//! on.
//!
//! The standard library ends the process when an allocation fails. So all that grows with the data, the groups, the
//! distinct values or the workers is allocated here, by `try_reserve`. A failure unwinds, as a panic does but without a
//! word, to the [guard](crate::error::guarded) of the function that the memory was for, which makes an error of it;
//! what is unwound gives its memory back. (To hand a `Result` through every accumulator and loop would say the same in
//! a thousand places; and it would have to be looked at in the hottest of them.)
//!
//! What is as large as the plan (a place for each function, sink or node of a formula) is left to the standard library,
//! and so is what it takes to unwind and to tell of it. For that some memory is kept, which is given up with the first
//! failure; nothing that grows is granted until it is there again.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a failed allocation unwinds with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    /// How many bytes were wanted.
    pub(crate) bytes: usize,
}

/// Bytes that are kept. They come from the system by themselves and go back to it, and as nobody writes to them there
/// is no memory behind the addresses.
const KEPT: usize = 256 << 10;

// Nobody waits for the lock: a fork could catch it.
static KEEP: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static IS_KEPT: AtomicBool = AtomicBool::new(false);

/// Whether there is something left for what is small.
#[inline(always)]
fn can_grow() -> bool {
    IS_KEPT.load(Ordering::Relaxed) || keep()
}

#[cold]
#[inline(never)]
fn keep() -> bool {
    // Who has it is about to keep some, or to fail.
    let Ok(mut kept) = KEEP.try_lock() else { return true };
    let is_kept = kept.try_reserve_exact(KEPT).is_ok();
    IS_KEPT.store(is_kept, Ordering::Relaxed);
    is_kept
}

/// There is no memory for so many items.
#[cold]
#[inline(never)]
pub(crate) fn fail<T>(len: usize) -> ! {
    unwind(len.saturating_mul(size_of::<T>()))
}

/// The part of [`fail`] that needs no types: compiled once, not hundreds of times.
#[cold]
#[inline(never)]
fn unwind(bytes: usize) -> ! {
    if let Ok(mut kept) = KEEP.try_lock() {
        *kept = Vec::new();
        IS_KEPT.store(false, Ordering::Relaxed);
    }
    resume_unwind(Box::new(OutOfMemory { bytes }))
}

/// Makes room for more items, and for as many again as there are, so that it is seldom made.
#[inline(always)]
pub(crate) fn reserve<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        grow(items, more);
    }
}

#[cold]
#[inline(never)]
fn grow<T>(items: &mut Vec<T>, more: usize) {
    let len = items.len().saturating_add(more).max(items.capacity().saturating_mul(2));
    if !can_grow() || items.try_reserve_exact(len - items.len()).is_err() {
        fail::<T>(len);
    }
}

/// Room for so many items, which has none yet.
pub(crate) fn with_room<T>(len: usize) -> Vec<T> {
    let mut items = Vec::new();
    if !can_grow() || items.try_reserve_exact(len).is_err() {
        fail::<T>(len);
    }
    items
}

/// The same item so many times.
pub(crate) fn filled<T: Clone>(item: T, len: usize) -> Vec<T> {
    let mut items = with_room(len);
    items.resize(len, item);
    items
}

/// Makes it at least so long.
#[inline(always)]
pub(crate) fn lengthen<T: Clone>(items: &mut Vec<T>, len: usize, item: T) {
    if items.len() < len {
        reserve(items, len - items.len());
        items.resize(len, item);
    }
}

/// One more item.
#[inline(always)]
pub(crate) fn push<T>(items: &mut Vec<T>, item: T) {
    reserve(items, 1);
    items.push(item);
}

/// More items.
#[inline(always)]
pub(crate) fn extend<T>(items: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    let mut more = more.into_iter();
    reserve(items, more.size_hint().0);
    loop {
        // As far as there is room nothing is allocated.
        let room = items.capacity() - items.len();
        items.extend(more.by_ref().take(room));
        match more.next() {
            Some(item) => push(items, item),
            None => return,
        }
    }
}

/// All items.
pub(crate) fn collected<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let items = items.into_iter();
    let mut all = with_room(items.size_hint().0);
    extend(&mut all, items);
    all
}

/// The items once more.
pub(crate) fn copied<T: Copy>(items: &[T]) -> Vec<T> {
    let mut all = with_room(items.len());
    all.extend_from_slice(items);
    all
}

/// The items of all parts, one part behind the other.
pub(crate) fn joined<T: Copy>(parts: &[Vec<T>]) -> Vec<T> {
    let mut all = with_room(parts.iter().map(Vec::len).sum());
    for part in parts {
        all.extend_from_slice(part);
    }
    all
}

/// The item in a box, as an array of one: only vectors can be asked whether there was memory.
pub(crate) fn boxed<T>(item: T) -> Box<[T; 1]> {
    let mut items = with_room(1);
    items.push(item);
    array(items)
}

/// So many items in a box.
#[allow(clippy::unnecessary_box_returns)] // they are many
pub(crate) fn array<T, const N: usize>(items: Vec<T>) -> Box<[T; N]> {
    match items.try_into() {
        Ok(items) => items,
        Err(_) => unreachable!("there are as many"),
    }
}

/// One more entry.
pub(crate) fn insert<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if !can_grow() || map.try_reserve(1).is_err() {
        fail::<(K, V)>(map.len().saturating_mul(2).max(1));
    }
    map.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, guarded};

    #[test]
    fn what_cannot_be_had_is_an_error_that_says_how_much() {
        let bytes = |error: Result<(), Error>| match error {
            Err(Error::Memory { bytes, .. }) => bytes,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(bytes(guarded(|| drop(filled(0_u64, usize::MAX / 64)))), usize::MAX / 64 * 8);
        assert_eq!(bytes(guarded(|| drop(with_room::<u64>(usize::MAX)))), usize::MAX);
        let endless = std::iter::repeat_n(1_u16, usize::MAX / 8);
        assert_eq!(bytes(guarded(|| drop(collected(endless)))), usize::MAX / 8 * 2);
        let mut few = vec![1_u8; 3];
        assert_eq!(bytes(guarded(|| reserve(&mut few, usize::MAX / 2 + 1))), usize::MAX / 2 + 4);
        assert_eq!(few, [1; 3]);
    }

    #[test]
    fn what_can_be_had_is_as_from_the_standard_library() {
        let odd = || (0..1000).filter(|i| i % 2 == 1);
        assert_eq!(collected(odd()), odd().collect::<Vec<_>>());
        let mut items = vec![1, 2];
        extend(&mut items, 3..6);
        push(&mut items, 6);
        lengthen(&mut items, 8, 0);
        lengthen(&mut items, 2, 9);
        assert_eq!(items, [1, 2, 3, 4, 5, 6, 0, 0]);
        assert_eq!(joined(&[vec![1], vec![], vec![2, 3]]), [1, 2, 3]);
        assert_eq!((copied(&[1, 2]), filled(7, 2), *boxed(5)), (vec![1, 2], vec![7, 7], [5]));
        let mut map = HashMap::new();
        insert(&mut map, 1, 2);
        assert_eq!(map.get(&1), Some(&2));
    }
}
