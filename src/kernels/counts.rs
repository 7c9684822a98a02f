//! Counts of elements that pass a test, and `any` and `all`. The results are exact in any order.

use std::fmt;
use std::marker::PhantomData;

use crate::dtype::{Item, with_item};
use crate::expr::Expression;
use crate::kernel::{Accumulator, Entry, Input, Items, Request, Takes};
use crate::simd::Simd;
use crate::value::Value;

/// Counts the elements that pass a test.
#[derive(Debug, Clone, Copy)]
struct Count<T, P> {
    types: PhantomData<fn(T) -> P>,
}

/// A test of one element.
trait Test: Clone + fmt::Debug + Send + Sync + 'static {
    fn holds<T: Item>(item: T) -> bool;
}

#[derive(Debug, Clone)]
struct Missing;

impl Test for Missing {
    #[inline(always)]
    fn holds<T: Item>(item: T) -> bool {
        item.is_missing()
    }
}

#[derive(Debug, Clone)]
struct Infinite;

impl Test for Infinite {
    #[inline(always)]
    fn holds<T: Item>(item: T) -> bool {
        item.is_infinite()
    }
}

#[derive(Debug, Clone)]
struct Nonzero;

impl Test for Nonzero {
    #[inline(always)]
    fn holds<T: Item>(item: T) -> bool {
        item.is_nonzero()
    }
}

/// The number of elements, and the number of those that passed the test.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    all: u64,
    held: u64,
}

impl<T: Item, P: Test> Accumulator for Count<T, P> {
    const NAME: &'static str = "count";

    type Item = T;
    type State = Counted;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Counted {
        Counted::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Counted, block: Items<'_, T>) {
        // A block is short: 32 bits hold its count, in half the registers that 64 would take.
        let held: u32 = block.iter().map(|&item| u32::from(P::holds(item))).sum();
        state.all += block.len() as u64;
        state.held += u64::from(held);
    }

    fn combine(&self, state: &mut Counted, next: Counted) {
        state.all += next.all;
        state.held += next.held;
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(self.clone())
    }
}

/// Requests the count of an expression's elements that pass a test, and turns it into a result.
fn counted<P: Test>(
    input: &Input,
    expression: Expression,
    finish: impl Fn(&Counted) -> Value + Send + Sync + 'static,
) -> Request {
    with_item!(input.dtype, T => {
        Request::new(expression, Count::<T, P> { types: PhantomData }, move |state| Ok(finish(state)))
    })
}

/// The number of complex elements with a NaN in the real or the imaginary part.
pub(super) fn missing_parts(input: &Input) -> Request {
    counted::<Missing>(input, input.elements(), |state| Value::count(state.held))
}

/// A result that is the same constant for every array. It is NaN if a counted element is NaN, or if there is none.
pub(super) fn constant(input: &Input, value: f64) -> Request {
    let dtype = input.dtype.mean_type();
    counted::<Missing>(input, input.values(), move |state| {
        Value::float(if state.held > 0 || state.all == 0 { f64::NAN } else { value }, dtype)
    })
}

pub(super) static COUNT: Entry = Entry {
    name: "count",
    doc: "The number of elements.\n\nWith ``nan_policy=\"omit\"``, the number of elements that are not NaN (or NaT).",
    numpy: "x.size",
    takes: Takes::Any,
    passes: 0,
    resolve: |_, input| {
        if input.omits() {
            Ok(counted::<Missing>(input, input.elements(), |state| Value::count(state.all - state.held)))
        } else if input.node != 0 {
            // An expression may leave elements out.
            Ok(counted::<Missing>(input, input.elements(), |state| Value::count(state.all)))
        } else {
            Ok(Request::Length(Value::count))
        }
    },
    ..Entry::USUAL
};

pub(super) static COUNT_INF: Entry = Entry {
    name: "count_inf",
    doc: "The number of infinite elements, of either sign.",
    numpy: "np.count_nonzero(np.isinf(x))",
    takes: Takes::Summed,
    resolve: |_, input| {
        if input.dtype.has_missing() {
            Ok(counted::<Infinite>(input, input.values(), |state| Value::count(state.held)))
        } else {
            Ok(Request::Length(|_| Value::count(0)))
        }
    },
    ..Entry::USUAL
};

pub(super) static COUNT_NONZERO: Entry = Entry {
    name: "count_nonzero",
    doc: "The number of nonzero elements. NaN (or NaT) counts as nonzero.",
    numpy: "np.count_nonzero(x)",
    takes: Takes::Summed,
    resolve: |_, input| Ok(counted::<Nonzero>(input, input.values(), |state| Value::count(state.held))),
    ..Entry::USUAL
};

pub(super) static ANY: Entry = Entry {
    name: "any",
    doc: "Whether at least one element is not zero. NaN counts as nonzero. ``False`` for an empty array.",
    numpy: "np.any(x)",
    takes: Takes::Summed,
    resolve: |_, input| Ok(counted::<Nonzero>(input, input.values(), |state| Value::bool(state.held > 0))),
    ..Entry::USUAL
};

pub(super) static ALL: Entry = Entry {
    name: "all",
    doc: "Whether all elements are nonzero. NaN counts as nonzero. ``True`` for an empty array.",
    numpy: "np.all(x)",
    takes: Takes::Summed,
    resolve: |_, input| Ok(counted::<Nonzero>(input, input.values(), |state| Value::bool(state.held == state.all))),
    ..Entry::USUAL
};

/// A kernel that panics if it sees a 13, to test that a panic leaves the other kernels' results intact.
#[cfg(feature = "test-kernels")]
pub(super) static PANIC: Entry = Entry {
    name: "panic",
    doc: "For tests: counts the elements, and panics if one of them is 13.",
    numpy: "x.size",
    takes: Takes::Reals,
    resolve: |_, input| Ok(Request::new(input.floats(), PanicAtThirteen, |state| Ok(Value::count(*state)))),
    ..Entry::USUAL
};

#[cfg(feature = "test-kernels")]
#[derive(Debug, Clone)]
struct PanicAtThirteen;

#[cfg(feature = "test-kernels")]
impl Accumulator for PanicAtThirteen {
    const NAME: &'static str = "count without 13";

    type Item = f64;
    type State = u64;

    fn init(&self) -> u64 {
        0
    }

    fn update<S: Simd>(&self, _: S, state: &mut u64, block: Items<'_, f64>) {
        assert!(block.iter().all(|&x| x != 13.0), "thirteen");
        *state += block.len() as u64;
    }

    fn combine(&self, state: &mut u64, next: u64) {
        *state += next;
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(self.clone())
    }
}
