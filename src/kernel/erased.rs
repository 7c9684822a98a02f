//! The erased half of an accumulator, which plans and passes use: [`Erased`], whose states are [`AnyState`].
//!
//! There are two adapters: every [`Accumulator`] is its own adapter, and [`Sealing`] is the adapter of an accumulator
//! that [`Seals`]. They have the only downcasts of the crate, and they choose the instruction set.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::accumulator::{Accumulator, Items, Piece, Reach, Seals, Team};
use super::scratch::Scratch;
use crate::dtype::{Block, Sealed};
use crate::memory;
use crate::prefetch::Prefetch;
use crate::simd::{Level, Simd, Work};

/// A state, or a sealed one, whose type only its accumulator knows. It is an array of one, because boxes of another
/// kind cannot be asked whether there was memory for them, and there may be a state for each group.
pub type AnyState = Box<dyn Any + Send>;

/// The state, whose type the accumulator knows.
pub(super) fn typed<T: 'static>(state: &AnyState) -> &T {
    match state.downcast_ref::<[T; 1]>() {
        Some([state]) => state,
        None => unreachable!("the plan pairs a sink with its own states"),
    }
}

/// The same, to be taken.
fn taken<T: 'static>(state: AnyState) -> T {
    let Ok(state) = state.downcast::<[T; 1]>() else {
        unreachable!("the plan pairs a sink with its own states");
    };
    let [state] = *state;
    state
}

/// The same, to be changed.
fn state_mut<A: Accumulator>(state: &mut AnyState) -> &mut A::State {
    match state.downcast_mut::<[A::State; 1]>() {
        Some([state]) => state,
        None => unreachable!("the plan pairs a sink with its own states"),
    }
}

/// An accumulator whose type only the adapter knows.
pub trait Erased: fmt::Debug + Send + Sync {
    /// See [`Accumulator::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Accumulator::ORDER_FREE`].
    fn order_free(&self) -> bool;
    /// See [`Accumulator::positional`].
    fn positional(&self) -> bool;
    /// See [`Accumulator::sample`].
    fn sample(&self, len: usize) -> Option<usize>;
    /// See [`Accumulator::told`].
    fn told(&self, step: &'static str) -> Vec<&'static str>;
    /// See [`Accumulator::reach`].
    fn reach(&self) -> Option<Reach>;
    /// See [`Accumulator::init`].
    fn init(&self) -> AnyState;
    /// Resets a state, which may be sealed, to that of no elements.
    fn renew(&self, state: &mut AnyState);
    /// See [`Accumulator::update`]; chooses the instruction set.
    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, beside: &Beside);
    /// Takes rows that lie one after the other in the block, with as many items as `lens` says. Each row has a fresh
    /// state, which is sealed and then handed to `each`.
    fn rows(
        &self,
        level: Level,
        state: &mut AnyState,
        block: Block<'_>,
        lens: &[usize],
        scratch: &Scratch,
        each: &mut EachRow<'_>,
    );
    /// See [`Accumulator::piece`]; chooses the instruction set. The items of `piece` are in `block`.
    fn piece(&self, level: Level, state: &mut AnyState, block: Block<'_>, piece: Piece<'_, ()>);
    /// See [`Accumulator::combine`].
    fn combine(&self, state: &mut AnyState, next: AnyState);
    /// See [`Accumulator::unify`].
    fn unify(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>>;
    /// See [`Seals::seal`].
    fn seal(&self, state: AnyState, sampled: Option<usize>, team: &Team<'_>) -> AnyState;
    /// For the adapter's own downcast.
    fn as_any(&self) -> &dyn Any;
}

/// What a worker has beside the states.
#[derive(Default)]
pub struct Beside {
    /// What the sweep will read next.
    pub ahead: Prefetch,
    /// Buffers for the accumulators.
    pub scratch: Scratch,
}

/// A function that is called with the number of a row and the row's sealed state.
pub type EachRow<'a> = dyn FnMut(usize, &mut AnyState) + 'a;

/// Updates, to be compiled once per instruction set: of one state by a block, or, if there is `each`, of a fresh state
/// by each row of the block. (Both in one, as a loop that is compiled for every kernel, dtype and instruction set takes
/// its time.)
struct Update<'a, 'e, A: Accumulator> {
    accumulator: &'a A,
    state: &'a mut AnyState,
    block: Items<'a, A::Item>,
    lens: &'a [usize],
    each: Option<&'a mut EachRow<'e>>,
}

impl<A: Accumulator> Work for Update<'_, '_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut rest = self.block.slice;
        for (row, &len) in self.lens.iter().enumerate() {
            let slice;
            (slice, rest) = rest.split_at(len.min(rest.len()));
            let state = state_mut::<A>(self.state);
            if self.each.is_some() {
                *state = self.accumulator.init();
            }
            self.accumulator.update(simd, state, Items { slice, ..self.block });
            if let Some(each) = &mut self.each {
                each(row, self.state);
            }
        }
    }
}

/// One piece, to be compiled once per instruction set.
struct Take<'a, A: Accumulator> {
    accumulator: &'a A,
    state: &'a mut A::State,
    piece: Piece<'a, A::Item>,
}

impl<A: Accumulator> Work for Take<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.accumulator.piece(simd, self.state, self.piece);
    }
}

impl<A: Accumulator> Erased for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn order_free(&self) -> bool {
        A::ORDER_FREE
    }

    fn positional(&self) -> bool {
        Accumulator::positional(self)
    }

    fn sample(&self, len: usize) -> Option<usize> {
        Accumulator::sample(self, len)
    }

    fn told(&self, step: &'static str) -> Vec<&'static str> {
        Accumulator::told(self, step)
    }

    fn reach(&self) -> Option<Reach> {
        Accumulator::reach(self)
    }

    fn init(&self) -> AnyState {
        memory::boxed(Accumulator::init(self))
    }

    fn renew(&self, state: &mut AnyState) {
        match state.downcast_mut::<[A::State; 1]>() {
            Some([state]) => *state = Accumulator::init(self),
            None => *state = Erased::init(self),
        }
    }

    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, beside: &Beside) {
        let Some(slice) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let (lens, Beside { ahead, scratch }) = (&[slice.len()], beside);
        level.run(Update { accumulator: self, state, block: Items { slice, start, ahead, scratch }, lens, each: None });
    }

    fn rows(
        &self,
        level: Level,
        state: &mut AnyState,
        block: Block<'_>,
        lens: &[usize],
        scratch: &Scratch,
        each: &mut EachRow<'_>,
    ) {
        let Some(slice) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let block = Items { slice, start: 0, ahead: &Prefetch::default(), scratch };
        // It may be a sealed one.
        self.renew(state);
        level.run(Update { accumulator: self, state, block, lens, each: Some(each) });
    }

    fn piece(&self, level: Level, state: &mut AnyState, block: Block<'_>, piece: Piece<'_, ()>) {
        let Some(items) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let Piece { own, number, start, .. } = piece;
        level.run(Take { accumulator: self, state: state_mut::<A>(state), piece: Piece { items, own, number, start } });
    }

    fn combine(&self, state: &mut AnyState, next: AnyState) {
        Accumulator::combine(self, state_mut::<A>(state), taken(next));
    }

    fn unify(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>> {
        let other = other.as_any().downcast_ref::<A>()?;
        Accumulator::unify(self, other).map(|unified| Arc::new(unified) as Arc<dyn Erased>)
    }

    fn seal(&self, state: AnyState, _: Option<usize>, _: &Team<'_>) -> AnyState {
        state
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An accumulator that seals its states.
#[derive(Debug)]
pub(super) struct Sealing<A>(pub(super) A);

impl<A: Seals> Erased for Sealing<A> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn order_free(&self) -> bool {
        self.0.order_free()
    }

    fn positional(&self) -> bool {
        Erased::positional(&self.0)
    }

    fn sample(&self, len: usize) -> Option<usize> {
        Accumulator::sample(&self.0, len)
    }

    fn told(&self, step: &'static str) -> Vec<&'static str> {
        Accumulator::told(&self.0, step)
    }

    fn reach(&self) -> Option<Reach> {
        Erased::reach(&self.0)
    }

    fn init(&self) -> AnyState {
        Erased::init(&self.0)
    }

    fn renew(&self, state: &mut AnyState) {
        self.0.renew(state);
    }

    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, beside: &Beside) {
        Erased::update(&self.0, level, state, block, start, beside);
    }

    fn rows(
        &self,
        level: Level,
        state: &mut AnyState,
        block: Block<'_>,
        lens: &[usize],
        scratch: &Scratch,
        each: &mut EachRow<'_>,
    ) {
        self.0.rows(level, state, block, lens, scratch, &mut |row, state| {
            let own = std::mem::replace(state_mut::<A>(state), Accumulator::init(&self.0));
            let mut sealed: AnyState = memory::boxed(Seals::seal(&self.0, own, None, &Team::alone()));
            each(row, &mut sealed);
        });
    }

    fn piece(&self, level: Level, state: &mut AnyState, block: Block<'_>, piece: Piece<'_, ()>) {
        Erased::piece(&self.0, level, state, block, piece);
    }

    fn combine(&self, state: &mut AnyState, next: AnyState) {
        Erased::combine(&self.0, state, next);
    }

    fn unify(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>> {
        let other = other.as_any().downcast_ref::<Sealing<A>>()?;
        Accumulator::unify(&self.0, &other.0).map(|unified| Arc::new(Sealing(unified)) as Arc<dyn Erased>)
    }

    fn seal(&self, state: AnyState, sampled: Option<usize>, team: &Team<'_>) -> AnyState {
        memory::boxed(Seals::seal(&self.0, taken(state), sampled, team))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
