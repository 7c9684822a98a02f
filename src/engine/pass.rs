//! A pass: sinks that share a sweep, the programs that are computed for them, and what happens before and after the
//! sweep (a sample is taken, states are sealed).
//!
//! The sweep itself, with its workers, is in [`sweep`]. Nothing here knows who waits for a sink or what becomes of its
//! state.

mod sweep;

use std::sync::Mutex;

use crate::dtype::{Block, Buffer, ItemType};
use crate::engine::control::Control;
use crate::engine::latch::lock;
use crate::engine::parallel::{for_each, run_on_all};
use crate::engine::pass::sweep::Run;
use crate::engine::pool::Workers;
use crate::error::{Error, guarded};
use crate::expr::{Evaluator, Flags, Graph, NodeId, Program};
use crate::grid::{BLOCK, CHUNK, SAMPLE};
use crate::kernel::{AnyState, Piece, Reach, Sink, Team};
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

/// The length of the longest array.
pub(super) fn longest(views: &[View<'_>]) -> usize {
    views.iter().map(View::len).max().unwrap_or(0)
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
        let len = self.len(longest(views));
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

    /// Sweeps over the arrays.
    pub fn run(&self, views: &[View<'_>], workers: &Workers, control: &Control<'_>) -> Result<Swept, Error> {
        let swept = self.sweep(views, workers, control)?;
        self.seal(swept, None, workers, control)
    }

    /// The program that is computed for the sinks.
    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// The sinks, in order.
    pub(super) fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// The largest number of elements that the sink with this number gets.
    fn len(&self, sink: usize, views: &[View<'_>]) -> usize {
        let longest = longest(views);
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
        let size = self.sinks.first().and_then(|sink| sink.accumulator.sample(len)).unwrap_or(SAMPLE);
        let positions = positions(len, size);
        let used: Vec<usize> = self.sources().collect();
        let numbers: Vec<usize> = self.program.numbers().collect();
        let wanted = |source: usize, view: &View<'_>| used.contains(&source) && view.len() >= len;
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
        self.seal(swept, Some(len), &caller, control)
    }

    /// Seals each state: of all elements, or of a sample of so many.
    fn seal(
        &self,
        swept: Swept,
        sampled: Option<usize>,
        workers: &Workers,
        control: &Control<'_>,
    ) -> Result<Swept, Error> {
        let stopped = Mutex::new(None);
        let jobs = |count: usize, job: &(dyn Fn(usize) + Sync)| {
            if let Err(error) = for_each(workers, count, control, job) {
                lock(&stopped).get_or_insert(error);
            }
        };
        let team = Team::new(&jobs);
        let seal = |(state, sink): (Result<AnyState, Error>, &Sink)| {
            state.and_then(|state| guarded(|| sink.accumulator.seal(state, sampled, &team)))
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

/// The positions of a sample of this size in an array of this length: one in each of so many equal parts, at a
/// pseudorandom place, so that periodic data do not mislead the sample. They are the same for every such array.
fn positions(len: usize, size: usize) -> Vec<usize> {
    let part = len / size;
    let place = |index: usize| {
        // The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
        let mut hash = (index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        // Parts differ in length by at most one.
        let start = index * part + index * (len % size) / size;
        start + usize::try_from(hash % part as u64).unwrap_or(0)
    };
    memory::collected((0..size).map(place))
}
