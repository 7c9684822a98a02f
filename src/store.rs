//! Sinks that keep a formula's items instead of a statistic: in an array that is there, or collected.

use std::fmt;
use std::marker::PhantomData;

use crate::dtype::{Buffer, DType, Item, Sealed, with_item};
use crate::expr::{Expression, NodeId};
use crate::kernel::{Accumulator, Items, Request};
use crate::memory;
use crate::simd::Simd;
use crate::source::Output;
use crate::value::Value;

/// Puts each item in its place.
#[derive(Clone)]
struct Store<T> {
    output: Output,
    item: PhantomData<fn(T)>,
}

impl<T> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl<T: Item> Accumulator for Store<T> {
    const NAME: &'static str = "items";

    type Item = T;
    type State = ();

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        true
    }

    fn init(&self) {}

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, (): &mut (), block: Items<'_, T>) {
        self.output.write(usize::try_from(block.start).unwrap_or(usize::MAX), &block);
    }

    fn combine(&self, (): &mut (), (): ()) {}

    fn unify(&self, _: &Self) -> Option<Self> {
        None
    }
}

/// Keeps the items, in order: for formulas of which nobody knows beforehand how many there are.
#[derive(Debug, Clone)]
struct Collect<T> {
    item: PhantomData<fn(T)>,
}

impl<T: Item> Accumulator for Collect<T> {
    const NAME: &'static str = "chosen items";

    type Item = T;
    type State = Vec<Vec<T>>;

    fn positional(&self) -> bool {
        true
    }

    fn init(&self) -> Vec<Vec<T>> {
        Vec::new()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Vec<Vec<T>>, block: Items<'_, T>) {
        match state.last_mut() {
            Some(last) => memory::extend(last, block.iter().copied()),
            None => memory::push(state, memory::copied(&block)),
        }
    }

    fn combine(&self, state: &mut Vec<Vec<T>>, next: Vec<Vec<T>>) {
        memory::extend(state, next);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(self.clone())
    }
}

/// Stores the items of a node, which are of this dtype.
pub fn store(node: NodeId, dtype: DType, output: Output) -> Request {
    with_item!(dtype, T => {
        let store = Store::<T> { output, item: PhantomData };
        Request::new(Expression::of(node, dtype), store, |()| Ok(Value::Items(Buffer::new(T::TYPE, 0))))
    })
}

/// Collects the items of a node, which are of this dtype.
pub fn collect(node: NodeId, dtype: DType) -> Request {
    with_item!(dtype, T => {
        let collect = Collect::<T> { item: PhantomData };
        Request::new(Expression::of(node, dtype), collect, |parts: &Vec<Vec<T>>| Ok(Value::Items(T::buffer(memory::joined(parts)))))
    })
}
