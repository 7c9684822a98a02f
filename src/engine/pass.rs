//! One sweep over memory: chunks → blocks → expressions → sinks → states.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::ahead::Ahead;
use crate::engine::combine::Tree;
use crate::engine::control::{Control, POLL};
use crate::engine::latch::{Latch, lock};
use crate::engine::pool::{Pool, Seat, Workers};
use crate::error::{Error, panic_message};
use crate::expr::{Evaluator, Graph, NodeId};
use crate::kernel::{AnyState, Erased, Sink};
use crate::simd::Level;
use crate::view::{BLOCK, View};

/// Elements in a chunk: what a worker takes at a time, and a leaf of the combine tree.
///
/// Part of a result's identity, as [`BLOCK`] is.
pub const CHUNK: usize = 16 * BLOCK;

/// The state of each sink, or what its kernel's panic said.
pub type States = Vec<Result<AnyState, String>>;

/// Sinks that share a sweep, and the graph of what they read.
#[derive(Debug, Clone)]
pub struct Pass {
    graph: Graph,
    sinks: Vec<(NodeId, Sink)>,
}

impl Pass {
    /// A pass for these sinks. Their expressions' common steps are found here.
    pub fn new(mut graph: Graph, sinks: Vec<Sink>) -> Pass {
        let sinks = sinks.into_iter().map(|sink| (graph.add(&sink.expression), sink)).collect();
        Pass { graph, sinks }
    }

    /// How many chunks an array of this length has.
    pub fn chunks(len: usize) -> usize {
        len.div_ceil(CHUNK)
    }

    /// Sweeps over the array and gives a state for each sink, in order.
    pub fn run(&self, view: &View<'_>, workers: Workers, control: &Control<'_>) -> Result<States, Error> {
        let run = Run::new(self, view, control.flag());
        match workers {
            Workers::Caller => run.work_and_look_around(control)?,
            // A caller that computes is awake, on a processor of its own. Measured on two cores: where it slept, both
            // others were often woken on the same core, for half of a run of 10 ms.
            Workers::Team(pool) => run.share(pool, pool.seat(), control)?,
            Workers::Others(pool) => run.share(pool, None, control)?,
        }
        Ok(run.into_states())
    }
}

/// What the workers of one run share.
struct Run<'a> {
    pass: &'a Pass,
    view: &'a View<'a>,
    level: Level,
    stopped: &'a AtomicBool,
    chunks: usize,
    next: AtomicUsize,
    /// The states of chunks, for sinks whose bits depend on the order of combining.
    tree: Tree<Vec<Option<AnyState>>>,
    /// The states of workers, for sinks whose bits do not.
    free: Mutex<Vec<Vec<Option<AnyState>>>>,
    /// The first panic of each sink.
    panics: Vec<Mutex<Option<String>>>,
}

impl<'a> Run<'a> {
    fn new(pass: &'a Pass, view: &'a View<'a>, stopped: &'a AtomicBool) -> Run<'a> {
        let chunks = Pass::chunks(view.len());
        Run {
            pass,
            view,
            level: Level::current(),
            stopped,
            chunks,
            next: AtomicUsize::new(0),
            tree: Tree::new(chunks),
            free: Mutex::new(Vec::new()),
            panics: pass.sinks.iter().map(|_| Mutex::new(None)).collect(),
        }
    }

    /// One worker: takes the next chunk until there is none. `between` is called between chunks.
    fn work(&self, mut between: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        let mut evaluator = Evaluator::new(self.view, &self.pass.graph, self.level);
        let ahead = Ahead::default();
        let mut free = self.fresh(true);
        loop {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= self.chunks {
                break;
            }
            let mut states = self.fresh(false);
            if !self.sweep(chunk, &mut evaluator, &ahead, &mut states, &mut free) {
                break;
            }
            self.tree.hand_in(chunk, states, |left, right| self.combine(left, right));
            between()?;
        }
        lock(&self.free).push(free);
        Ok(())
    }

    /// The pool's threads work, and the calling thread if it has a seat among them.
    fn share(&self, pool: &Pool, seat: Option<Seat<'_>>, control: &Control<'_>) -> Result<(), Error> {
        let others =
            pool.threads().current_num_threads().min(self.chunks - usize::from(seat.is_some()).min(self.chunks));
        let latch = Latch::new(others);
        pool.threads().in_place_scope(|scope| {
            for _ in 0..others {
                scope.spawn(|_| {
                    let _done = latch.guard();
                    // They do not look around themselves; a stop reaches them by the flag.
                    let _ = self.work(|| Ok(()));
                });
            }
            // The scope ends when the others have, whatever is returned here.
            if let Some(_seat) = seat {
                self.work_and_look_around(control)?;
            }
            latch.wait(control)
        })
    }

    /// [`Run::work`] in the calling thread, which has to stay responsive.
    fn work_and_look_around(&self, control: &Control<'_>) -> Result<(), Error> {
        // A small array is done before anybody could want to stop it, and a look around is not free.
        let mut checked = Instant::now();
        self.work(|| {
            if checked.elapsed() < POLL {
                return Ok(());
            }
            checked = Instant::now();
            control.check()
        })
    }

    /// Fresh states for the sinks that are free of order, or for those that are not.
    fn fresh(&self, order_free: bool) -> Vec<Option<AnyState>> {
        let sinks = self.pass.sinks.iter();
        sinks.map(|(_, sink)| (sink.accumulator.order_free() == order_free).then(|| sink.accumulator.init())).collect()
    }

    /// Takes a chunk's blocks through every sink; `false` if the run was stopped.
    fn sweep(
        &self,
        chunk: usize,
        evaluator: &mut Evaluator<'_>,
        ahead: &Ahead,
        states: &mut [Option<AnyState>],
        free: &mut [Option<AnyState>],
    ) -> bool {
        let start = chunk * CHUNK;
        let end = self.view.len().min(start + CHUNK);
        for start in (start..end).step_by(BLOCK) {
            if self.stopped.load(Ordering::Relaxed) {
                return false;
            }
            // The chunk that nobody has taken yet is the one that this worker will most likely take.
            let next = if start + BLOCK < end { start + BLOCK } else { self.next.load(Ordering::Relaxed) * CHUNK };
            ahead.expect(self.view.memory(next, BLOCK));
            let blocks = evaluator.evaluate(start, BLOCK.min(end - start));
            for (index, (node, sink)) in self.pass.sinks.iter().enumerate() {
                let (states, free) = (states.get_mut(index), free.get_mut(index));
                let Some(state) = [states, free].into_iter().flatten().find(|state| state.is_some()) else {
                    continue;
                };
                let update = |state: &mut AnyState| {
                    sink.accumulator.update(self.level, state, blocks.get(*node), start as u64, ahead);
                };
                self.guard(index, state, update);
            }
        }
        true
    }

    /// Does something to a sink's state. If it panics, the sink is out of the run and the others go on.
    fn guard(&self, sink: usize, state: &mut Option<AnyState>, action: impl FnOnce(&mut AnyState)) {
        let Some(inner) = state.as_mut() else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| action(inner))) {
            *state = None;
            if let Some(place) = self.panics.get(sink) {
                lock(place).get_or_insert_with(|| panic_message(panic.as_ref()));
            }
        }
    }

    fn combine(&self, left: Vec<Option<AnyState>>, right: Vec<Option<AnyState>>) -> Vec<Option<AnyState>> {
        let pairs = left.into_iter().zip(right).enumerate();
        pairs
            .map(|(index, (mut left, right))| {
                if let (Some(right), Some((_, sink))) = (right, self.pass.sinks.get(index)) {
                    self.guard(index, &mut left, |left| sink.accumulator.combine(left, right));
                }
                left
            })
            .collect()
    }

    /// All states put together, once the workers are done.
    fn into_states(self) -> States {
        let free = std::mem::take(&mut *lock(&self.free)).into_iter().reduce(|left, right| self.combine(left, right));
        let mut free = free.unwrap_or_default();
        let Run { pass, tree, panics, .. } = self;
        let mut tree = tree.into_root().unwrap_or_default();
        let mut take = |index: usize, accumulator: &dyn Erased| {
            let states = if accumulator.order_free() { &mut free } else { &mut tree };
            states.get_mut(index).and_then(Option::take).unwrap_or_else(|| accumulator.init())
        };
        let sinks = pass.sinks.iter().zip(panics).enumerate();
        sinks
            .map(|(index, ((_, sink), panic))| match panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(message) => Err(message),
                None => Ok(take(index, sink.accumulator.as_ref())),
            })
            .collect()
    }
}
