//! The loop of whole arrays, of traced calls, and of rows that need further passes: the waiting requests, the sweep
//! that computes them, and the requests that follow.
//!
//! The run of a whole array ([`run`](super::run)) repeats it until no request waits. The functions of a traced call add
//! requests as they learn more. A row that needs further passes continues in a session of its own
//! ([`rows`](super::rows)).

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use crate::dtype::DType;
use crate::engine::control::Control;
use crate::engine::pass::{Pass, States, Swept, longest};
use crate::engine::pool::Workers;
use crate::error::{Error, guarded};
use crate::expr::{Flags, Graph, NodeId};
use crate::grid::SAMPLE;
use crate::kernel::{Answer, Request, Sink};
use crate::memory;
use crate::plan::{RequestId, Stage};
use crate::source::View;
use crate::value::Value;

/// The formulas of a run, and the requests that wait for the next sweep. A prepared stage is borrowed.
pub struct Session<'p> {
    graph: Graph,
    stage: Cow<'p, Stage>,
    len: u64,
    /// For nodes whose elements lie in another order in memory: the node of the same elements in that order.
    turned: HashMap<NodeId, NodeId>,
}

/// Collects the results, and adds further requests to the next stage.
fn answer(stage: &Stage, states: &States, next: &mut Stage, told: &mut SweepResult) {
    for (who, answer) in stage.finish(states) {
        match answer {
            Ok(Answer::Next(request)) => next.add(who, request),
            Ok(Answer::Value(value)) => told.answers.push((who, Ok(value))),
            Err(error) => told.answers.push((who, Err(error))),
        }
    }
}

/// The result of a session's sweep.
#[derive(Debug, Default)]
pub struct SweepResult {
    /// The results that are known now.
    pub answers: Vec<(RequestId, Result<Value, Error>)>,
    /// The nodes whose loops raised floating-point exceptions.
    pub flags: Vec<(NodeId, Flags)>,
    /// The numbers of the arrays that were read; empty if no sweep was needed.
    pub sources: Vec<usize>,
    /// The seconds that each sweep over memory took.
    pub seconds: Vec<f64>,
}

impl<'p> Session<'p> {
    /// Creates a session for an array, which is source 0 and node 0.
    pub fn new(dtype: DType, len: usize) -> Session<'p> {
        Session { graph: Graph::with_len(dtype, len), stage: Cow::default(), len: len as u64, turned: HashMap::new() }
    }

    /// Creates a session with these formulas, for the requests of this stage.
    pub(super) fn from(graph: Graph, stage: Cow<'p, Stage>, len: usize) -> Session<'p> {
        Session { graph, stage, len: len as u64, turned: HashMap::new() }
    }

    /// The formulas.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// Says that a node has the elements of another in the order of memory. The sinks of the other one that do not
    /// depend on the order of elements read this one.
    pub fn turn(&mut self, node: NodeId, turned: NodeId) {
        memory::insert(&mut self.turned, node, turned);
    }

    /// Adds a request for the next sweep.
    pub fn add(&mut self, who: RequestId, request: Request) {
        self.stage.to_mut().add(who, request);
    }

    /// Sweeps for all waiting requests. Those that need another sweep continue to wait.
    pub fn sweep(
        &mut self,
        views: &[View<'_>],
        workers: &Workers,
        control: &Control<'_>,
    ) -> Result<SweepResult, Error> {
        let waiting: Vec<RequestId> = self.stage.everybody().collect();
        guarded(|| self.step(None, views, workers, control)).unwrap_or_else(|error| {
            // If memory cannot be allocated, all waiting requests fail, but not later ones.
            self.stage = Cow::default();
            let answers = waiting.into_iter().map(|who| (who, Err(error.clone())));
            Ok(SweepResult { answers: answers.collect(), ..SweepResult::default() })
        })
    }

    /// The same, with the pass prepared for the stage, if there is one. Panics if memory cannot be allocated.
    pub(super) fn step(
        &mut self,
        mut prepared: Option<&Pass>,
        views: &[View<'_>],
        workers: &Workers,
        control: &Control<'_>,
    ) -> Result<SweepResult, Error> {
        let mut stage = std::mem::take(&mut self.stage);
        let mut told = SweepResult::default();
        if longest(views) > SAMPLE && stage.is_sampled() {
            prepared = None;
            self.sample(stage.to_mut(), views, control, &mut told)?;
        }
        told.answers.extend(stage.known(self.len).map(|(who, value)| (who, Ok(value))));
        if stage.is_done() {
            return Ok(told);
        }
        let mut next = Stage::default();
        // The array's order of memory differs from its own order.
        let reordered = if let [view] = views { view.in_memory_order() } else { None };
        let states = match (reordered, prepared) {
            (Some(reordered), _) => {
                let orders = [views, std::slice::from_ref(&reordered)];
                self.in_both_orders(&stage, orders, workers, control, &mut told)?
            }
            (None, Some(pass)) => told.take(pass, views, workers, control)?,
            (None, None) => {
                let sinks = stage.sinks().iter().map(|sink| self.in_memory_order(sink)).collect();
                let pass = Pass::new(&mut self.graph, sinks);
                told.take(&pass, views, workers, control)?
            }
        };
        answer(&stage, &states, &mut next, &mut told);
        self.stage = Cow::Owned(next);
        Ok(told)
    }

    /// The sink over its elements in the order of memory, unless it depends on the order.
    fn in_memory_order(&self, sink: &Sink) -> Sink {
        let mut sink = sink.clone();
        if let Some(&turned) = self.turned.get(&sink.expression.base()).filter(|_| !sink.accumulator.positional()) {
            sink.expression = sink.expression.over(turned);
        }
        sink
    }

    /// The sinks that depend on the order of elements get a separate sweep, in the first of these orders; the others
    /// use the second, the order of memory.
    fn in_both_orders(
        &mut self,
        stage: &Stage,
        [own, reordered]: [&[View<'_>]; 2],
        workers: &Workers,
        control: &Control<'_>,
        told: &mut SweepResult,
    ) -> Result<States, Error> {
        let positional = |sink: &&Sink| sink.accumulator.positional();
        let (by_position, others): (Vec<Sink>, Vec<Sink>) =
            stage.sinks().iter().cloned().partition(|sink| positional(&sink));
        let mut sweep = |sinks: Vec<Sink>, views: &[View<'_>]| {
            if sinks.is_empty() {
                return Ok(States::new());
            }
            let pass = Pass::new(&mut self.graph, sinks);
            told.take(&pass, views, workers, control)
        };
        let mut by_position = sweep(by_position, own)?.into_iter();
        let mut others = sweep(others, reordered)?.into_iter();
        let states = stage.sinks().iter().map(|sink| {
            let state = if positional(&sink) { by_position.next() } else { others.next() };
            match state {
                Some(state) => state,
                None => unreachable!("each sink was swept for once"),
            }
        });
        Ok(states.collect())
    }

    /// Takes samples for the requests that wait for one. Their further requests join the stage.
    fn sample(
        &mut self,
        stage: &mut Stage,
        views: &[View<'_>],
        control: &Control<'_>,
        told: &mut SweepResult,
    ) -> Result<(), Error> {
        let sampled = stage.take_sampled();
        let mut states = States::new();
        for sink in sampled.sinks() {
            let pass = Pass::new(&mut self.graph, vec![sink.clone()]);
            let swept = pass.sample(views, control)?;
            states.extend(swept.states);
            told.flags.extend(swept.flags);
        }
        answer(&sampled, &states, stage, told);
        Ok(())
    }

    /// Whether a request waits for another sweep.
    pub fn waits(&self) -> bool {
        !self.stage.is_empty()
    }
}

impl SweepResult {
    /// Sweeps, and records the results.
    fn take(
        &mut self,
        pass: &Pass,
        views: &[View<'_>],
        workers: &Workers,
        control: &Control<'_>,
    ) -> Result<States, Error> {
        let started = Instant::now();
        let Swept { states, flags } = pass.run(views, workers, control)?;
        self.seconds.push(started.elapsed().as_secs_f64());
        self.flags.extend(flags);
        self.sources.extend(pass.sources());
        Ok(states)
    }
}
