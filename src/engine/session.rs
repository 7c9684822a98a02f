//! Sweeps over one array and what belongs to it, for functions that ask for more as they learn more.

use crate::dtype::DType;
use crate::engine::control::Control;
use crate::engine::pass::{Pass, States, Swept};
use crate::engine::pool::Workers;
use crate::error::{Error, guarded};
use crate::expr::{Flags, Graph, NodeId};
use crate::kernel::{Answer, Request, SAMPLE};
use crate::plan::{Stage, Who};
use crate::value::Value;
use crate::view::View;

/// The formulas of a run, and who waits for the next sweep.
pub struct Session {
    graph: Graph,
    stage: Stage,
    len: u64,
}

/// Hands the answers out; who has to ask for more is added to the next stage.
fn answer(stage: &Stage, states: &States, next: &mut Stage, told: &mut Told) {
    for (who, answer) in stage.finish(states) {
        match answer {
            Ok(Answer::Next(request)) => next.add(who, request),
            Ok(Answer::Value(value)) => told.answers.push((who, Ok(value))),
            Err(error) => told.answers.push((who, Err(error))),
        }
    }
}

/// What a sweep of a session gave.
#[derive(Debug, Default)]
pub struct Told {
    /// The answers that are known now.
    pub answers: Vec<(Who, Result<Value, Error>)>,
    /// The nodes whose loops met floating-point exceptions.
    pub flags: Vec<(NodeId, Flags)>,
    /// The numbers of the arrays that were read; empty if no sweep was needed.
    pub sources: Vec<usize>,
}

impl Session {
    /// A session for an array, which is source 0 and node 0.
    pub fn new(dtype: DType, len: usize) -> Session {
        Session { graph: Graph::with_len(dtype, len), stage: Stage::default(), len: len as u64 }
    }

    /// A session that goes on from here: with these formulas, for who waits in this stage.
    pub(super) fn from(graph: Graph, stage: Stage, len: usize) -> Session {
        Session { graph, stage, len: len as u64 }
    }

    /// The formulas.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// Somebody waits.
    pub fn add(&mut self, who: Who, request: Request) {
        self.stage.add(who, request);
    }

    /// Sweeps for all who wait. Those who need another sweep, now that this is known, wait on.
    pub fn sweep(&mut self, views: &[View<'_>], workers: &Workers, control: &Control<'_>) -> Result<Told, Error> {
        let stage = std::mem::take(&mut self.stage);
        let waiting: Vec<Who> = stage.everybody().collect();
        guarded(|| self.sweep_for(stage, views, workers, control)).unwrap_or_else(|error| {
            // What there is no memory for is the failure of all who waited, and not of those who come later.
            self.stage = Stage::default();
            let answers = waiting.into_iter().map(|who| (who, Err(error.clone())));
            Ok(Told { answers: answers.collect(), ..Told::default() })
        })
    }

    fn sweep_for(
        &mut self,
        mut stage: Stage,
        views: &[View<'_>],
        workers: &Workers,
        control: &Control<'_>,
    ) -> Result<Told, Error> {
        let mut told = Told::default();
        if self.len > SAMPLE as u64 && stage.is_sampled() {
            self.sample(&mut stage, views, control, &mut told)?;
        }
        told.answers.extend(stage.known(self.len).map(|(who, value)| (who, Ok(value))));
        if stage.is_done() {
            return Ok(told);
        }
        let pass = Pass::new(&mut self.graph, stage.sinks().to_vec());
        let Swept { states, flags } = pass.run(views, workers, control)?;
        told.flags.extend(flags);
        told.sources.extend(pass.sources());
        answer(&stage, &states, &mut self.stage, &mut told);
        Ok(told)
    }

    /// Takes samples for those who wait for one. What they need then joins the stage.
    fn sample(
        &mut self,
        stage: &mut Stage,
        views: &[View<'_>],
        control: &Control<'_>,
        told: &mut Told,
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

    /// Whether somebody waits for another sweep.
    pub fn waits(&self) -> bool {
        !self.stage.is_empty()
    }
}
