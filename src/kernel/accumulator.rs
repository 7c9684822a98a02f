//! The typed half of a kernel, which its author writes: the [`Accumulator`], and what it works with.
//!
//! An accumulator gets [`Items`] (blocks) or a [`Piece`], one state and, at the end, a [`Team`]. It starts no thread.
//! It does not know the plan, or who shares its state.
//!
//! Three things are kept apart:
//!
//! * the *state* is the partial result, which is combined with others;
//! * the *[scratch](Scratch)* is the memory in which a worker computes a block's values, and stays with the worker;
//! * the *sealed* state is what finishes read. It is made once, from the state of all elements ([`Seals`]). For most
//!   accumulators it is the state itself.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Mutex, PoisonError};

use crate::dtype::Item;
use crate::kernel::Scratch;
use crate::memory;
use crate::prefetch::Prefetch;
use crate::simd::Simd;

/// How a state is built from blocks. The value itself holds the parameters that change the state.
pub trait Accumulator: Clone + fmt::Debug + Send + Sync + 'static {
    /// What it accumulates, in words: the "sum" in "sum of x".
    const NAME: &'static str;

    /// What its blocks hold.
    type Item: Item;

    /// The partial result: what [`update`](Accumulator::update) extends and [`combine`](Accumulator::combine) merges.
    type State: Send + 'static;

    /// Whether any order of updates and merges gives the same bits. Such a state is kept per worker, not per chunk.
    const ORDER_FREE: bool = false;

    /// Whether the position of an element matters: the pass then keeps to the array's own order.
    fn positional(&self) -> bool {
        false
    }

    /// How many elements from all over an array of this length are enough, if it does not need all. They are taken
    /// before the sweep, so that what follows from them can still join it. It gets all elements of an array of at most
    /// [`SAMPLE`](crate::grid::SAMPLE).
    fn sample(&self, _len: usize) -> Option<usize> {
        None
    }

    /// A step that follows, in words: other ones, if they depend on who shares the state.
    fn told(&self, step: &'static str) -> Vec<&'static str> {
        vec![step]
    }

    /// How far it sees around its elements, if it takes pieces of the array; `None` if it takes blocks.
    fn reach(&self) -> Option<Reach> {
        None
    }

    /// The state of no elements.
    fn init(&self) -> Self::State;

    /// Takes a block. Must be `#[inline(always)]`, see [`crate::simd`], whose token it gets for explicit vectors.
    fn update<S: Simd>(&self, simd: S, state: &mut Self::State, block: Items<'_, Self::Item>);

    /// Takes a piece, if it has a [reach](Accumulator::reach). Must be `#[inline(always)]` too.
    fn piece<S: Simd>(&self, _simd: S, _state: &mut Self::State, _piece: Piece<'_, Self::Item>) {}

    /// Merges into a state that of the elements that follow.
    fn combine(&self, state: &mut Self::State, next: Self::State);

    /// An accumulator whose states serve the kernels of both, if there is one.
    fn unify(&self, other: &Self) -> Option<Self>;
}

/// An accumulator whose finishes read something else than its state: here what was collected is sorted, for example.
pub trait Seals: Accumulator {
    /// What finishes read. It is never merged.
    type Sealed: Send + 'static;

    /// Seals the state of all elements, once for all kernels that share it, on all workers. If the state saw only a
    /// sample, `sampled` tells of how many elements.
    fn seal(&self, state: Self::State, sampled: Option<usize>, team: &Team<'_>) -> Self::Sealed;
}

/// How large the pieces of an array are, and how much is seen around each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// How many elements are seen in front of a piece.
    pub before: usize,
    /// How many elements are seen behind it.
    pub after: usize,
    /// Chunks in a piece, at least one.
    pub chunks: usize,
}

impl Reach {
    /// One chunk at a time, with nothing around it.
    pub const CHUNK: Reach = Reach { before: 0, after: 0, chunks: 1 };
}

/// A piece of an array: its own elements, and those around it as far as there are any.
#[derive(Debug, Clone)]
pub struct Piece<'a, T> {
    /// All of these elements.
    pub items: &'a [T],
    /// Which of `items` are its own.
    pub own: Range<usize>,
    /// Which piece of the array it is.
    pub number: usize,
    /// The number of its first own element in the array.
    pub start: usize,
}

impl<'a, T> Piece<'a, T> {
    /// Its own elements.
    #[inline(always)]
    pub fn own(&self) -> &'a [T] {
        self.items.get(self.own.clone()).unwrap_or_default()
    }
}

/// A function that runs a job once for each number below its first argument.
type Jobs<'a> = &'a dyn Fn(usize, &(dyn Fn(usize) + Sync));

/// Workers that wait for something to do once a sweep is over.
pub struct Team<'a> {
    each: Jobs<'a>,
}

impl<'a> Team<'a> {
    /// A team that runs its jobs with this function.
    pub fn new(each: Jobs<'a>) -> Team<'a> {
        Team { each }
    }

    /// A team of the calling thread.
    pub fn alone() -> Team<'static> {
        Team { each: &|count, job| (0..count).for_each(job) }
    }

    /// Runs a job on each item, in no order. If the run is stopped meanwhile some are left out.
    pub fn each<T: Send>(&self, items: &mut [T], job: impl Fn(usize, &mut T) + Sync) {
        let items: Vec<Mutex<&mut T>> = memory::collected(items.iter_mut().map(Mutex::new));
        (self.each)(items.len(), &|index| {
            if let Some(item) = items.get(index) {
                job(index, &mut item.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
    }
}

/// The items of a block, with their place in the array.
#[derive(Clone, Copy)]
pub struct Items<'a, T> {
    pub(super) slice: &'a [T],
    /// The position of the first item in the array.
    pub start: u64,
    /// What the sweep will read next, for loops to ask for.
    pub ahead: &'a Prefetch,
    /// The worker's buffers.
    pub scratch: &'a Scratch,
}

impl<T> Deref for Items<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        self.slice
    }
}
