//! Arrays that are written piece by piece: the answers that have an item for each element.
//!
//! A [`ArrayWriter`] sees a piece of the array and what it asked for around it, and writes the items that belong there;
//! pieces depend on the array's length alone. What has to be known of all that lies before a piece is found by an
//! earlier sweep ([`PerChunk`]). The memory is the caller's: a request [waits](crate::kernel::Unwritten) until there is
//! some.

use std::fmt;
use std::sync::Arc;

use crate::dtype::{Buffer, DType, Item, ItemType};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Items, Piece, Reach, Request, Unwritten};
use crate::memory;
use crate::simd::Simd;
use crate::source::Output;
use crate::value::Value;

/// How a piece of an array is written. The value itself holds the memory.
pub(crate) trait ArrayWriter: Clone + fmt::Debug + Send + Sync + 'static {
    /// What it writes, in words.
    const NAME: &'static str;

    /// What it reads.
    type Item: Item;

    /// The pieces, and what it sees around them.
    fn reach(&self) -> Reach {
        Reach::CHUNK
    }

    /// Writes what belongs to a piece. Must be `#[inline(always)]`, see [`crate::simd`].
    fn fill<S: Simd>(&self, simd: S, piece: &Piece<'_, Self::Item>) -> Result<(), Error>;

    /// One that writes the arrays of both, if that saves work.
    fn unify(&self, _: &Self) -> Option<Self> {
        None
    }
}

/// What a sweep takes a [`ArrayWriter`] for.
#[derive(Clone)]
struct Writing<F>(F);

impl<F> fmt::Debug for Writing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writing")
    }
}

impl<F: ArrayWriter> Accumulator for Writing<F> {
    const NAME: &'static str = F::NAME;

    type Item = F::Item;
    type State = Option<Error>;

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        true
    }

    fn reach(&self) -> Option<Reach> {
        Some(self.0.reach())
    }

    fn init(&self) -> Option<Error> {
        None
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, _: &mut Option<Error>, _: Items<'_, F::Item>) {}

    #[inline(always)]
    fn piece<S: Simd>(&self, simd: S, state: &mut Option<Error>, piece: Piece<'_, F::Item>) {
        // What failed somewhere has failed.
        if state.is_none() {
            *state = self.0.fill(simd, &piece).err();
        }
    }

    fn combine(&self, state: &mut Option<Error>, next: Option<Error>) {
        if state.is_none() {
            *state = next;
        }
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        self.0.unify(&other.0).map(Writing)
    }
}

/// The value of an array that was written to the memory given.
pub(crate) fn written() -> Value {
    Value::Items(Buffer::new(ItemType::Bool, 0))
}

/// Asks for memory of this dtype and length, and then for what `write` says.
pub(crate) fn array(
    dtype: DType,
    len: impl Fn(usize) -> usize + Send + Sync + 'static,
    write: impl Fn(Output) -> Request + Send + Sync + 'static,
) -> Request {
    Request::Array(Arc::new(Unwritten { dtype, len: Box::new(len), write: Box::new(write) }))
}

/// Sweeps over the pieces and lets each be written.
pub(crate) fn fill<F: ArrayWriter>(expression: Expression, fill: F) -> Request {
    let finish = |failed: &Option<Error>| failed.clone().map_or_else(|| Ok(written()), Err);
    Request::new(expression, Writing(fill), finish)
}

/// The states of another accumulator, chunk by chunk.
#[derive(Debug, Clone)]
pub(crate) struct PerChunk<A>(pub(crate) A);

impl<A: Accumulator> Accumulator for PerChunk<A> {
    const NAME: &'static str = "carries";

    type Item = A::Item;
    /// Each chunk has one.
    type State = Vec<A::State>;

    fn positional(&self) -> bool {
        true
    }

    fn init(&self) -> Vec<A::State> {
        Vec::new()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut Vec<A::State>, block: Items<'_, A::Item>) {
        if state.is_empty() {
            memory::push(state, self.0.init());
        }
        if let Some(last) = state.last_mut() {
            self.0.update(simd, last, block);
        }
    }

    fn combine(&self, state: &mut Vec<A::State>, next: Vec<A::State>) {
        memory::extend(state, next);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        self.0.unify(&other.0).map(PerChunk)
    }
}

/// Writes an item for each, in parts that stay in cache, from number `start` on, until there is none for one; says
/// whether there was one for all.
#[inline(always)]
pub(crate) fn write_each<T: Copy, O: Copy + Default>(
    items: &[T],
    start: usize,
    mut each: impl FnMut(T) -> Option<O>,
    write: impl Fn(usize, &[O]),
) -> bool {
    const PART: usize = 1024;
    let mut part = [O::default(); PART];
    for (index, items) in items.chunks(PART).enumerate() {
        let mut good = true;
        for (place, &item) in part.iter_mut().zip(items) {
            let value = each(item);
            good &= value.is_some();
            *place = value.unwrap_or_default();
        }
        if !good {
            return false;
        }
        write(start + index * PART, part.get(..items.len()).unwrap_or_default());
    }
    true
}
