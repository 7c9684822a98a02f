//! The sweep of a pass: chunks → blocks → expressions → sinks → states.
//!
//! Workers take chunks in turn. The states of sinks that depend on the order are combined in a tree whose shape follows
//! from the length; each worker has one state of every other sink. A sink that fails leaves the sweep, and the others
//! continue. Nothing here seals a state or reads its result.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::dtype::Buffer;
use crate::engine::combine::Tree;
use crate::engine::latch::lock;
use crate::engine::parallel::Between;
use crate::engine::pass::{ByPiece, Pass, Swept, longest};
use crate::error::{Error, guarded};
use crate::expr::{Evaluator, Flags};
use crate::grid::{BLOCK, CHUNK};
use crate::kernel::{AnyState, Beside, Erased, Sink};
use crate::memory;
use crate::simd::Level;
use crate::source::View;

/// Sinks over nodes of one length. Their chunks are combined in one tree, whose shape follows from the length.
struct Group {
    len: usize,
    sinks: Vec<usize>,
    /// The states of chunks, for sinks whose results depend on the order of combining.
    tree: Tree<Vec<Option<AnyState>>>,
}

/// The data that the workers of one run share.
pub(super) struct Run<'a> {
    pass: &'a Pass,
    views: &'a [View<'a>],
    level: Level,
    stopped: &'a AtomicBool,
    len: usize,
    next: AtomicUsize,
    groups: Vec<Group>,
    /// The sinks of each instruction.
    readers: Vec<Vec<usize>>,
    /// The states of workers, for sinks whose results do not depend on the order.
    free: Mutex<Vec<Vec<Option<AnyState>>>>,
    /// The floating-point exceptions of each instruction.
    flags: Mutex<Vec<Flags>>,
    /// The first failure of each sink. After it, the workers drop the sink's states and their memory.
    failures: Vec<OnceLock<Error>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(pass: &'a Pass, views: &'a [View<'a>], stopped: &'a AtomicBool) -> Run<'a> {
        let program = &pass.program;
        let longest = longest(views);
        let mut groups: Vec<Group> = Vec::new();
        let mut readers = vec![Vec::new(); program.size()];
        for (&sink, &instruction) in pass.by_block.iter().zip(program.wanted()) {
            let len = program.len(instruction).min(longest);
            let known = groups.iter().position(|group| group.len == len);
            let group = known.unwrap_or_else(|| {
                groups.push(Group { len, sinks: Vec::new(), tree: Tree::new(Pass::chunks(len)) });
                groups.len() - 1
            });
            groups[group].sinks.push(sink);
            readers[instruction].push(sink);
        }
        let pieces = pass.by_piece.iter().map(|by_piece| by_piece.len(longest));
        let lengths = groups.iter().map(|group| group.len).chain(pieces);
        Run {
            pass,
            views,
            level: Level::current(),
            stopped,
            len: lengths.max().unwrap_or(0),
            next: AtomicUsize::new(0),
            groups,
            readers,
            free: Mutex::new(Vec::new()),
            flags: Mutex::new(vec![Flags::default(); program.size()]),
            failures: pass.sinks.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The number of chunks that the workers take.
    pub(super) fn chunks(&self) -> usize {
        Pass::chunks(self.len)
    }

    /// One worker: takes chunks until none is left. `between` is called between chunks.
    pub(super) fn work(&self, between: Between<'_>) -> Result<(), Error> {
        let mut evaluator = Evaluator::new(self.views, &self.pass.program, self.level);
        let beside = Beside::default();
        let mut free = self.fresh(true);
        let mut scratch = vec![Buffer::default(); self.pass.by_piece.len()];
        loop {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= self.chunks() {
                break;
            }
            let mut states = self.fresh(false);
            if !self.sweep(chunk, &mut evaluator, &beside, &mut states, &mut free) {
                break;
            }
            for (by_piece, scratch) in self.pass.by_piece.iter().zip(&mut scratch) {
                self.piece(chunk, by_piece, scratch, &mut free);
            }
            for group in &self.groups {
                if chunk < Pass::chunks(group.len) {
                    let own = group.sinks.iter().map(|&sink| states.get_mut(sink).and_then(Option::take));
                    let own = memory::collected(own);
                    group.tree.hand_in(chunk, own, |left, right| self.combine(&group.sinks, left, right));
                }
            }
            between()?;
        }
        for (known, more) in lock(&self.flags).iter_mut().zip(evaluator.flags()) {
            known.add(*more);
        }
        memory::push(&mut lock(&self.free), free);
        Ok(())
    }

    /// New states for the sinks that do not depend on the order, or for those that do.
    fn fresh(&self, order_free: bool) -> Vec<Option<AnyState>> {
        let sinks = self.pass.sinks.iter().zip(&self.failures);
        let fresh = |(sink, failure): (&Sink, &OnceLock<Error>)| {
            let wanted = sink.accumulator.order_free() == order_free && failure.get().is_none();
            let state = wanted.then(|| guarded(|| sink.accumulator.init()))?;
            state.map_err(|error| failure.set(error)).ok()
        };
        memory::collected(sinks.map(fresh))
    }

    /// Passes a chunk's blocks to every sink. Returns `false` if the run was stopped.
    fn sweep(
        &self,
        chunk: usize,
        evaluator: &mut Evaluator<'_>,
        beside: &Beside,
        states: &mut [Option<AnyState>],
        free: &mut [Option<AnyState>],
    ) -> bool {
        let start = chunk * CHUNK;
        let end = self.len.min(start + CHUNK);
        for start in (start..end).step_by(BLOCK).take_while(|_| !self.groups.is_empty()) {
            if self.stopped.load(Ordering::Relaxed) {
                return false;
            }
            // This worker will most likely take the next free chunk.
            let next = if start + BLOCK < end { start + BLOCK } else { self.next.load(Ordering::Relaxed) * CHUNK };
            beside.ahead.expect(self.views.first().map_or(0..0, |view| view.memory(next, BLOCK)));
            evaluator.evaluate(self.views, start, self.len, |instruction, block| {
                for &index in self.readers.get(instruction).into_iter().flatten() {
                    let (states, free) = (states.get_mut(index), free.get_mut(index));
                    let state = [states, free].into_iter().flatten().find(|state| state.is_some());
                    let (Some(state), Some(sink)) = (state, self.pass.sinks.get(index)) else { continue };
                    let update = |state: &mut AnyState| {
                        sink.accumulator.update(self.level, state, block, start as u64, beside);
                    };
                    self.guard(index, state, update);
                }
            });
        }
        true
    }

    /// Passes the piece that starts with a chunk, if there is one, to its sink.
    fn piece(&self, chunk: usize, by_piece: &ByPiece, scratch: &mut Buffer, free: &mut [Option<AnyState>]) {
        let chunks = by_piece.reach.chunks.max(1);
        let (Some(state), Some(sink)) = (free.get_mut(by_piece.sink), self.pass.sinks.get(by_piece.sink)) else {
            return;
        };
        if chunk.is_multiple_of(chunks) && !self.stopped.load(Ordering::Relaxed) {
            self.guard(by_piece.sink, state, |state| {
                by_piece.piece(chunk / chunks, self.views, self.level, scratch, |block, piece| {
                    sink.accumulator.piece(self.level, state, block, piece);
                });
            });
        }
    }

    /// Runs an action on a sink's state. If it fails, the sink leaves the run and the others continue.
    fn guard(&self, sink: usize, state: &mut Option<AnyState>, action: impl FnOnce(&mut AnyState)) {
        let (Some(inner), Some(failure)) = (state.as_mut(), self.failures.get(sink)) else { return };
        if failure.get().is_some() {
            *state = None;
        } else if let Err(error) = guarded(|| action(inner)) {
            *state = None;
            // Another worker's failure may have come first.
            let _ = failure.set(error);
        }
    }

    /// Joins the states of these sinks.
    fn combine(
        &self,
        sinks: &[usize],
        left: Vec<Option<AnyState>>,
        right: Vec<Option<AnyState>>,
    ) -> Vec<Option<AnyState>> {
        let pairs = left.into_iter().zip(right).zip(sinks);
        memory::collected(pairs.map(|((mut left, right), &index)| {
            if let (Some(right), Some(sink)) = (right, self.pass.sinks.get(index)) {
                self.guard(index, &mut left, |left| sink.accumulator.combine(left, right));
            }
            left
        }))
    }

    /// Combines all states after the workers are done.
    pub(super) fn into_swept(self) -> Swept {
        let all: Vec<usize> = (0..self.pass.sinks.len()).collect();
        let free = std::mem::take(&mut *lock(&self.free));
        let free = free.into_iter().reduce(|left, right| self.combine(&all, left, right));
        let mut free = free.unwrap_or_default();
        let Run { pass, groups, failures, flags, .. } = self;
        let mut ordered: Vec<Option<AnyState>> = pass.sinks.iter().map(|_| None).collect();
        for group in groups {
            for (sink, state) in group.sinks.into_iter().zip(group.tree.into_root().unwrap_or_default()) {
                ordered[sink] = state;
            }
        }
        let mut take = |index: usize, accumulator: &dyn Erased| {
            let states = if accumulator.order_free() { &mut free } else { &mut ordered };
            let state = states.get_mut(index).and_then(Option::take);
            state.map_or_else(|| guarded(|| accumulator.init()), Ok)
        };
        let sinks = pass.sinks.iter().zip(failures).enumerate();
        let states = sinks
            .map(|(index, (sink, failure))| match failure.into_inner() {
                Some(error) => Err(error),
                None => take(index, sink.accumulator.as_ref()),
            })
            .collect();
        let flags = flags.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().enumerate();
        let flags = flags.filter(|(_, flags)| *flags != Flags::default());
        Swept { states, flags: flags.map(|(index, flags)| (pass.program.node(index), flags)).collect() }
    }
}
