//! Runs a plan over one whole array, until every function has its result.

use std::borrow::Cow;

use crate::dtype::{DType, Number};
use crate::engine::control::Control;
use crate::engine::pass::Pass;
use crate::engine::pool::Workers;
use crate::engine::positions::among_all;
use crate::engine::session::Session;
use crate::error::Error;
use crate::expr::Graph;
use crate::plan::{Given, Plan, RequestId, Stage, Subjects};
use crate::source::{Output, View};
use crate::value::Value;

/// A stage that is ready for a sweep. Made once per plan and dtype, and used for every array.
#[derive(Clone)]
pub struct Prepared {
    graph: Graph,
    stage: Stage,
    pass: Pass,
    /// See [`Subjects::counting`].
    counting: Vec<Vec<(usize, bool)>>,
    /// The functions that do not support this dtype.
    errors: Vec<(usize, Error)>,
}

impl Prepared {
    /// Prepares a plan's first stage, for arrays of this dtype.
    pub fn new(plan: &Plan, dtype: DType) -> Prepared {
        let (stage, errors) = plan.stage(dtype);
        Prepared::of(Graph::new(dtype), stage, errors, Vec::new())
    }

    /// The same, for arrays with bools that have this value where an element is present.
    pub fn with_missing(plan: &Plan, dtype: DType, present: bool) -> Prepared {
        let subjects = Subjects::of_one(plan, &Given::one(dtype, Some(present)));
        let (stage, errors) = plan.stage_over(&subjects.of_calls, &subjects.arrays);
        Prepared::of(subjects.graph, stage, errors, subjects.counting)
    }

    fn of(graph: Graph, stage: Stage, errors: Vec<(usize, Error)>, counting: Vec<Vec<(usize, bool)>>) -> Prepared {
        // Each run starts from the formulas without the pass's own nodes: to copy these takes longer.
        let pass = Pass::new(&mut graph.clone(), stage.sinks().to_vec());
        Prepared { graph, stage, pass, counting, errors }
    }

    /// The result arrays for this number of elements: the function's number, the dtype and the length. The caller
    /// provides the memory.
    pub fn arrays(&self, len: usize) -> impl Iterator<Item = (usize, DType, usize)> {
        self.stage.arrays().filter_map(move |(who, unwritten)| match who {
            RequestId::Call(index) => Some((index, unwritten.dtype, (unwritten.len)(len))),
            RequestId::NanCheck => None,
        })
    }

    /// The functions that do not support this dtype, by their numbers.
    pub fn errors(&self) -> &[(usize, Error)] {
        &self.errors
    }
}

/// The results of a run, and its cost.
#[derive(Debug)]
pub struct Outcome {
    /// A result for each call of the plan, in order.
    pub values: Vec<Result<Value, Error>>,
    /// The seconds that each sweep over the array took.
    pub seconds: Vec<f64>,
    /// The bytes of the array that were read.
    pub bytes_read: u64,
}

/// Runs the functions over an array. The first view shows the array; the second, if there is one, shows the bools of
/// the present elements. Result arrays are written to `outputs`, given by the functions' numbers; their values are then
/// [items](Value::Items) stored elsewhere. A function without an output had no memory for it. An error here concerns
/// the whole run: it was stopped, ran out of memory, or found NaN under `nan_policy="raise"`.
pub fn run(
    plan: &Plan,
    first: &Prepared,
    views: &[View<'_>],
    outputs: &[(usize, Output)],
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Outcome, Error> {
    plan.whole(|| stage_by_stage(plan, first, views, outputs, workers, control))
}

fn stage_by_stage(
    plan: &Plan,
    first: &Prepared,
    views: &[View<'_>],
    outputs: &[(usize, Output)],
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Outcome, Error> {
    let Some(view) = views.first() else { unreachable!("there is an array") };
    let mut values: Vec<Option<Result<Value, Error>>> = plan.calls().iter().map(|_| None).collect();
    let mut place = |who: RequestId, value: Result<Value, Error>| match (who, value) {
        (RequestId::Call(index), value) => {
            if let Some(place) = values.get_mut(index) {
                let name = plan.calls().get(index).map(|call| call.entry.name);
                let counting = first.counting.get(index).map_or(&[][..], Vec::as_slice);
                let value = value.map(|value| among_all(value, views, counting));
                *place = Some(value.map_err(|error| error.of(name)));
            }
            Ok(())
        }
        (RequestId::NanCheck, value) => match value? {
            Value::Scalar(Number::Int(count), _) if count > 0 => Err(Error::FoundNan { count, dtype: view.dtype() }),
            _ => Ok(()),
        },
    };
    for (index, error) in &first.errors {
        place(RequestId::Call(*index), Err(error.clone()))?;
    }
    for (index, dtype, len) in first.arrays(view.len()) {
        if !outputs.iter().any(|(known, _)| *known == index) {
            let bytes = len.saturating_mul(dtype.size());
            place(RequestId::Call(index), Err(Error::Memory { kernels: Vec::new(), bytes }))?;
        }
    }
    let mut prepared = Some(&first.pass);
    let mut stage = Cow::Borrowed(&first.stage);
    if first.stage.arrays().next().is_some() {
        prepared = None;
        stage.to_mut().write(|who, _| {
            let output = outputs.iter().find(|(index, _)| who == RequestId::Call(*index));
            output.map(|(_, output)| output.clone())
        });
    }
    let mut session = Session::from(first.graph.clone(), stage, view.len());
    let mut seconds = Vec::new();
    while session.waits() {
        // A pass over a small array ends before its first check, and a plan may have many passes.
        if !seconds.is_empty() {
            control.check()?;
        }
        let told = session.step(prepared.take(), views, workers, control)?;
        seconds.extend(told.seconds);
        for (who, answer) in told.answers {
            place(who, answer)?;
        }
    }
    let values = values.into_iter().map(|value| match value {
        Some(value) => value,
        None => unreachable!("a stage ends with an answer for everyone who waited"),
    });
    let bytes: usize = views.iter().map(|view| view.len() * view.dtype().size()).sum();
    let bytes_read = (seconds.len() * bytes) as u64;
    Ok(Outcome { values: values.collect(), seconds, bytes_read })
}

/// Whether the calling thread does everything: waking other threads takes longer than computing two chunks.
pub fn is_small(len: usize) -> bool {
    Pass::chunks(len) <= 2
}
