//! The half of an accumulator that plans and passes work with: [`Erased`], whose states are [`AnyState`].
//!
//! The adapter is the one `impl` of [`Erased`], for every [`Accumulator`]. It holds the only downcasts of the crate, and it is
//! where the instruction set is chosen.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::accumulator::{Accumulator, Items, Piece, Reach, Team};
use crate::ahead::Ahead;
use crate::dtype::{Block, Sealed};
use crate::memory;
use crate::simd::{Level, Simd, Work};

/// A state whose type only its accumulator knows: an array of one, because boxes of another kind cannot be asked whether there was
/// memory for them, and there may be a state for each group.
pub type AnyState = Box<dyn Any + Send>;

/// The state, whose type the accumulator knows.
pub(super) fn state<A: Accumulator>(state: &AnyState) -> &A::State {
    match state.downcast_ref::<[A::State; 1]>() {
        Some([state]) => state,
        None => unreachable!("the plan pairs a sink with its own states"),
    }
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
    /// See [`Accumulator::SAMPLED`].
    fn sampled(&self) -> bool;
    /// See [`Accumulator::reach`].
    fn reach(&self) -> Option<Reach>;
    /// See [`Accumulator::init`].
    fn init(&self) -> AnyState;
    /// Resets a state to that of no elements.
    fn renew(&self, state: &mut AnyState);
    /// See [`Accumulator::update`]; chooses the instruction set.
    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, ahead: &Ahead);
    /// Takes rows that lie one after the other in the block, with as many items as `lens` says. Each row has a fresh state, which
    /// is settled and then handed to `each`.
    fn rows(&self, level: Level, state: &mut AnyState, block: Block<'_>, lens: &[usize], each: &mut EachRow<'_>);
    /// See [`Accumulator::piece`]; chooses the instruction set. The items of `piece` are in `block`.
    fn piece(&self, level: Level, state: &mut AnyState, block: Block<'_>, piece: Piece<'_, ()>);
    /// See [`Accumulator::combine`].
    fn combine(&self, state: &mut AnyState, next: AnyState);
    /// See [`Accumulator::cover`].
    fn cover(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>>;
    /// See [`Accumulator::settle`].
    fn settle(&self, state: &mut AnyState, whole: bool, team: &Team<'_>);
    /// For the adapter's own downcast.
    fn as_any(&self) -> &dyn Any;
}

/// A function that is called with the number of a row and the row's state.
pub type EachRow<'a> = dyn FnMut(usize, &AnyState) + 'a;

/// Updates, to be compiled once per instruction set: of one state by a block, or, if there is `each`, of a fresh state by each
/// row of the block. (Both in one, as a loop that is compiled for every kernel, dtype and instruction set takes its time.)
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
                self.accumulator.settle(state, true, &Team::alone());
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

    fn sampled(&self) -> bool {
        A::SAMPLED
    }

    fn reach(&self) -> Option<Reach> {
        Accumulator::reach(self)
    }

    fn init(&self) -> AnyState {
        memory::boxed(Accumulator::init(self))
    }

    fn renew(&self, state: &mut AnyState) {
        *state_mut::<A>(state) = Accumulator::init(self);
    }

    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, ahead: &Ahead) {
        let Some(slice) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let lens = &[slice.len()];
        level.run(Update { accumulator: self, state, block: Items { slice, start, ahead }, lens, each: None });
    }

    fn rows(&self, level: Level, state: &mut AnyState, block: Block<'_>, lens: &[usize], each: &mut EachRow<'_>) {
        let Some(slice) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let block = Items { slice, start: 0, ahead: &Ahead::default() };
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
        let Ok(next) = next.downcast::<[A::State; 1]>() else {
            unreachable!("the plan pairs a sink with its own states");
        };
        let [next] = *next;
        Accumulator::combine(self, state_mut::<A>(state), next);
    }

    fn cover(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>> {
        let other = other.as_any().downcast_ref::<A>()?;
        Accumulator::cover(self, other).map(|cover| Arc::new(cover) as Arc<dyn Erased>)
    }

    fn settle(&self, state: &mut AnyState, whole: bool, team: &Team<'_>) {
        Accumulator::settle(self, state_mut::<A>(state), whole, team);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
