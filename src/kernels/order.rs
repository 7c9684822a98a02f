//! Whether the elements are sorted: `is_sorted`.

use std::marker::PhantomData;

use crate::dtype::{Ordered, with_ordered};
use crate::error::Error;
use crate::kernel::{Accumulator, Entry, Items, Request, Takes};
use crate::simd::Simd;
use crate::value::Value;

/// Tests whether each element is at most the next one.
#[derive(Debug, Clone, Copy)]
struct Sorted<T> {
    item: PhantomData<fn(T)>,
}

/// The first and the last element seen, and whether all elements between them are in order.
#[derive(Debug, Clone, Copy)]
struct SortedState<T> {
    ends: Option<(T, T)>,
    sorted: bool,
}

impl<T: Ordered> Accumulator for Sorted<T> {
    const NAME: &'static str = "order";

    type Item = T;
    type State = SortedState<T>;

    fn positional(&self) -> bool {
        true
    }

    fn init(&self) -> SortedState<T> {
        SortedState { ends: None, sorted: true }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut SortedState<T>, block: Items<'_, T>) {
        let (Some(&first), Some(&last)) = (block.first(), block.last()) else { return };
        // Once out of order, always out of order.
        let sorted = state.sorted && pairs_in_order(&block);
        self.combine(state, SortedState { ends: Some((first, last)), sorted });
    }

    #[inline(always)]
    fn combine(&self, state: &mut SortedState<T>, next: SortedState<T>) {
        state.sorted &= next.sorted;
        state.ends = match (state.ends, next.ends) {
            (Some((first, last)), Some((other_first, other_last))) => {
                state.sorted &= in_order(last, other_first);
                Some((first, other_last))
            }
            (ends, None) | (None, ends) => ends,
        };
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

/// `left <= right`; false if one of them is NaN.
#[inline(always)]
fn in_order<T: Ordered>(left: T, right: T) -> bool {
    left.below(right) | (left == right && !left.is_missing())
}

#[inline(always)]
fn pairs_in_order<T: Ordered>(block: &[T]) -> bool {
    let next = block.get(1..).unwrap_or_default();
    block.iter().zip(next).fold(true, |sorted, (&left, &right)| sorted & in_order(left, right))
}

pub(super) static IS_SORTED: Entry = Entry {
    name: "is_sorted",
    doc: "Whether every element is at most the next one.\n\n\
          ``True`` for an empty array and for a single element. ``False`` if there are several elements and one of \
          them is NaN.",
    numpy: "np.all(np.ravel(x)[:-1] <= np.ravel(x)[1:])",
    takes: Takes::Ordered,
    resolve: |_, input| {
        Ok(with_ordered!(input.dtype, T => {
            Request::new(input.values(), Sorted::<T> { item: PhantomData }, |state| Ok(Value::bool(state.sorted)))
        }, else return Err(Error::UnsupportedDtype {
            kernel: input.kernel,
            dtype: input.dtype,
            accepted: Takes::Ordered.describe(),
        })))
    },
    ..Entry::USUAL
};
