//! Sweeps over one array and what belongs to it, for functions that ask for more as they learn more.

use crate::dtype::DType;
use crate::engine::control::Control;
use crate::engine::pass::{Pass, Swept};
use crate::engine::pool::Workers;
use crate::error::Error;
use crate::expr::{Flags, Graph, NodeId};
use crate::kernel::{Answer, Request};
use crate::plan::{Stage, Who};
use crate::value::Value;
use crate::view::View;

/// The formulas of a run, and who waits for the next sweep.
pub struct Session {
    graph: Graph,
    stage: Stage,
    len: u64,
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
        let mut told = Told::default();
        told.answers.extend(stage.known(self.len).map(|(who, value)| (who, Ok(value))));
        if stage.is_done() {
            return Ok(told);
        }
        let pass = Pass::new(&mut self.graph, stage.sinks().to_vec());
        let Swept { states, flags } = pass.run(views, workers, control)?;
        for (who, answer) in stage.finish(&states) {
            match answer {
                Ok(Answer::Next(request)) => self.stage.add(who, request),
                Ok(Answer::Value(value)) => told.answers.push((who, Ok(value))),
                Err(error) => told.answers.push((who, Err(error))),
            }
        }
        Ok(Told { flags, sources: pass.sources().collect(), ..told })
    }

    /// Whether somebody waits for another sweep.
    pub fn waits(&self) -> bool {
        !self.stage.is_empty()
    }
}
