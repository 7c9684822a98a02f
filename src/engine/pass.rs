//! One sweep over memory: chunks → blocks → expressions → sinks → states.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::dtype::{Block, Buffer, ItemType};
use crate::engine::combine::Tree;
use crate::engine::control::Control;
use crate::engine::latch::lock;
use crate::engine::parallel::{Between, for_each, run_on_all};
use crate::engine::pool::Workers;
use crate::error::{Error, guarded};
use crate::expr::{Evaluator, Flags, Graph, NodeId, Program};
use crate::grid::{BLOCK, CHUNK, SAMPLE};
use crate::kernel::{AnyState, Beside, Erased, Piece, Reach, Sink, Team};
use crate::memory;
use crate::simd::Level;
use crate::source::View;

/// The state of each sink, or its error: a panic, or a failed allocation.
pub type States = Vec<Result<AnyState, Error>>;

/// The result of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// A state for each sink, in order.
    pub states: States,
    /// The nodes whose loops raised floating-point exceptions.
    pub flags: Vec<(NodeId, Flags)>,
}

/// Sinks that share a sweep, and the program that is computed for them.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The program for the sinks that take blocks, and the numbers of these sinks.
    program: Program,
    by_block: Vec<usize>,
    by_piece: Vec<ByPiece>,
    sinks: Vec<Sink>,
}

/// A sink that takes pieces of the array together with neighbouring elements.
#[derive(Debug, Clone)]
struct ByPiece {
    sink: usize,
    reach: Reach,
    program: Program,
    item: ItemType,
}

impl ByPiece {
    /// The number of elements that the sink gets, if the longest array has this length.
    fn len(&self, longest: usize) -> usize {
        self.program.wanted().first().map_or(0, |&instruction| self.program.len(instruction).min(longest))
    }

    /// Computes a piece and its neighbouring elements as one block, in `scratch` unless it can be borrowed, and passes
    /// it on.
    fn piece(
        &self,
        number: usize,
        views: &[View<'_>],
        level: Level,
        scratch: &mut Buffer,
        take: impl FnOnce(Block<'_>, Piece<'_, ()>),
    ) {
        let len = self.len(views.first().map_or(0, View::len));
        let size = self.reach.chunks.saturating_mul(CHUNK);
        let start = number.saturating_mul(size);
        let own = len.saturating_sub(start).min(size);
        let before = self.reach.before.min(start);
        let after = self.reach.after.min(len.saturating_sub(start + own));
        let (first, all) = (start - before, before + own + after);
        let piece = Piece { items: &[], own: before..before + own, number, start };
        let Some(&wanted) = self.program.wanted().first().filter(|_| own > 0) else { return };
        let loads = self.program.loads(wanted).and_then(|source| views.get(source));
        if loads.is_none_or(|view| !view.is_borrowed()) {
            let fits = scratch.item() == self.item && scratch.len() >= all;
            if !fits {
                *scratch = Buffer::new(self.item, all);
            }
        }
        if let Some(view) = loads {
            return take(view.load(level, first, all, scratch), piece);
        }
        let mut evaluator = Evaluator::new(views, &self.program, level);
        for start in (0..all).step_by(BLOCK) {
            evaluator.evaluate(views, first + start, first + all, |instruction, block| {
                if instruction == wanted {
                    scratch.put(start, block);
                }
            });
        }
        take(scratch.block(all), piece);
    }
}

impl Pass {
    /// Creates a pass for these sinks, with the common nodes of their expressions.
    pub fn new(graph: &mut Graph, sinks: Vec<Sink>) -> Pass {
        let (mut wanted, mut by_block, mut by_piece) = (Vec::new(), Vec::new(), Vec::new());
        let nodes: Vec<NodeId> = sinks.iter().map(|sink| graph.add(&sink.expression)).collect();
        for (index, (sink, node)) in sinks.iter().zip(nodes).enumerate() {
            if let Some(reach) = sink.accumulator.reach() {
                let program = Program::new(graph, &[node]);
                by_piece.push(ByPiece { sink: index, reach, program, item: graph.item(node) });
            } else {
                wanted.push(node);
                by_block.push(index);
            }
        }
        Pass { program: Program::new(graph, &wanted), by_block, by_piece, sinks }
    }

    /// The numbers of the arrays that the sweep reads.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.program.sources().chain(self.by_piece.iter().flat_map(|by_piece| by_piece.program.sources()))
    }

    /// The number of chunks in an array of this length.
    pub fn chunks(len: usize) -> usize {
        len.div_ceil(CHUNK)
    }

    /// Sweeps over the arrays. The first one must be the longest.
    pub fn run(&self, views: &[View<'_>], workers: &Workers, control: &Control<'_>) -> Result<Swept, Error> {
        let swept = self.sweep(views, workers, control)?;
        self.seal(swept, true, workers, control)
    }

    /// The program that is computed for the sinks.
    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// The sinks, in order.
    pub(super) fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// The largest number of elements that the sink with this number gets. The first array must be the longest.
    fn len(&self, sink: usize, views: &[View<'_>]) -> usize {
        let longest = views.first().map_or(0, View::len);
        self.program.wanted().get(sink).map_or(0, |&instruction| self.program.len(instruction).min(longest))
    }

    /// Gives the only sink a sample of its elements, or all elements if there are no more than that.
    pub fn sample(&self, views: &[View<'_>], control: &Control<'_>) -> Result<Swept, Error> {
        // An allocation that fails here is a failure of this sink alone.
        let failed = |error| Ok(Swept { states: vec![Err(error)], flags: Vec::new() });
        guarded(|| self.sample_of(views, control)).unwrap_or_else(failed)
    }

    fn sample_of(&self, views: &[View<'_>], control: &Control<'_>) -> Result<Swept, Error> {
        let len = self.len(0, views);
        let caller = Workers::Caller;
        if len <= SAMPLE {
            return self.run(views, &caller, control);
        }
        let positions = positions(len);
        let used: Vec<usize> = self.sources().collect();
        let numbers: Vec<usize> = self.program.numbers().collect();
        // The first array determines the number of elements, even if it is not read.
        let wanted = |source: usize, view: &View<'_>| source == 0 || (used.contains(&source) && view.len() >= len);
        let picked: Vec<Buffer> = views
            .iter()
            .enumerate()
            .map(|(source, view)| match () {
                () if numbers.contains(&source) => view.pick(&[0]),
                () if wanted(source, view) => view.pick(&positions),
                () => view.pick(&[]),
            })
            .collect();
        let picked: Vec<View<'_>> = picked.iter().map(View::of_buffer).collect();
        let swept = self.sweep(&picked, &caller, control)?;
        self.seal(swept, false, &caller, control)
    }

    /// Seals each state.
    fn seal(&self, swept: Swept, whole: bool, workers: &Workers, control: &Control<'_>) -> Result<Swept, Error> {
        let stopped = Mutex::new(None);
        let jobs = |count: usize, job: &(dyn Fn(usize) + Sync)| {
            if let Err(error) = for_each(workers, count, control, job) {
                lock(&stopped).get_or_insert(error);
            }
        };
        let team = Team::new(&jobs);
        let seal = |(state, sink): (Result<AnyState, Error>, &Sink)| {
            state.and_then(|state| guarded(|| sink.accumulator.seal(state, whole, &team)))
        };
        let states = swept.states.into_iter().zip(&self.sinks).map(seal).collect();
        let stopped = lock(&stopped).take();
        stopped.map_or(Ok(Swept { states, ..swept }), Err)
    }

    fn sweep(&self, views: &[View<'_>], workers: &Workers, control: &Control<'_>) -> Result<Swept, Error> {
        let run = Run::new(self, views, control.flag());
        run_on_all(workers, run.chunks(), control, &|between| run.work(between))?;
        Ok(run.into_swept())
    }
}

/// The positions of a sample in an array of this length: one in each of [`SAMPLE`] equal parts, at a pseudorandom
/// place, so that periodic data do not mislead the sample. They are the same for every array of this length.
fn positions(len: usize) -> Vec<usize> {
    let part = len / SAMPLE;
    let place = |index: usize| {
        // The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
        let mut hash = (index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        // Parts differ in length by at most one.
        let start = index * part + index * (len % SAMPLE) / SAMPLE;
        start + usize::try_from(hash % part as u64).unwrap_or(0)
    };
    memory::collected((0..SAMPLE).map(place))
}

/// Sinks over nodes of one length. Their chunks are combined in one tree, whose shape follows from the length.
struct Group {
    len: usize,
    sinks: Vec<usize>,
    /// The states of chunks, for sinks whose results depend on the order of combining.
    tree: Tree<Vec<Option<AnyState>>>,
}

/// The data that the workers of one run share.
struct Run<'a> {
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
    fn new(pass: &'a Pass, views: &'a [View<'a>], stopped: &'a AtomicBool) -> Run<'a> {
        let program = &pass.program;
        let longest = views.first().map_or(0, View::len);
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

    fn chunks(&self) -> usize {
        Pass::chunks(self.len)
    }

    /// One worker: takes chunks until none is left. `between` is called between chunks.
    fn work(&self, between: Between<'_>) -> Result<(), Error> {
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
    fn into_swept(self) -> Swept {
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
