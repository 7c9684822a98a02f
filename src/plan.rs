//! Turns requests into passes: what is shared, what comes first, what follows. A plan is made before any data is read,
//! and can be printed.
//!
//! A [`Plan`] holds the functions of a call. For a dtype it makes a [`Stage`]: the sinks of the first sweep, each once,
//! and the requests that wait for them. After the sweep, each waiting function returns its value or a further request.
//! These requests make the next stage, until nothing waits. The engine does the sweeps (`engine/session.rs`; over many
//! rows, `engine/rows.rs`).

use std::sync::Arc;

use crate::dtype::{DType, ItemType, Number};
use crate::error::{Error, guarded};
use crate::expr::{Graph, NodeId, Operation, Step};
use crate::kernel::{
    Answer, AnyState, Entry, Exact, Finish, Input, NanPolicy, Request, Shape, Sink, Subject, Takes, Unwritten, Weights,
};
use crate::kernels;
use crate::parameters::Arguments;
use crate::source::Output;
use crate::value::Value;

/// One use of a kernel.
#[derive(Debug, Clone)]
pub struct Call {
    /// The kernel.
    pub entry: &'static Entry,
    /// Its checked parameters.
    pub arguments: Arguments,
}

/// The native functions of a call, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    calls: Vec<Call>,
    nan_policy: NanPolicy,
}

impl Plan {
    /// Creates a plan of these uses of kernels.
    pub fn new(calls: Vec<Call>, nan_policy: NanPolicy) -> Plan {
        Plan { calls, nan_policy }
    }

    /// The uses of kernels.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Runs an action for all kernels together. If memory for it (scratch, groups, trees) cannot be allocated, all
    /// kernels fail.
    pub(crate) fn whole<R>(&self, action: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        guarded(action).flatten().map_err(|error| error.of(self.calls.iter().map(|call| call.entry.name)))
    }

    /// The first sweep over an array of this dtype, and for each function that does not support it, its number and the
    /// error.
    pub fn stage(&self, dtype: DType) -> (Stage, Vec<(usize, Error)>) {
        let array = Subject::of(0, dtype);
        self.stage_over(&vec![Ok(array); self.calls.len()], &[array])
    }

    /// The same, with a subject for each call, or the error if there is none. `nan_policy="raise"` checks the subjects
    /// in `checked`.
    pub fn stage_over(&self, subjects: &[Result<Subject, Error>], checked: &[Subject]) -> (Stage, Vec<(usize, Error)>) {
        let mut stage = Stage::default();
        let mut errors = Vec::new();
        for (index, (call, subject)) in self.calls.iter().zip(subjects).enumerate() {
            let request =
                subject.clone().and_then(|subject| call.entry.request(&call.arguments, subject, self.nan_policy));
            match request {
                Ok(request) => stage.add(RequestId::Call(index), request),
                Err(error) => errors.push((index, error)),
            }
        }
        let raises = self.nan_policy == NanPolicy::Raise && !self.calls.is_empty();
        for &subject in checked.iter().filter(|subject| raises && subject.dtype.has_missing()) {
            stage.add(RequestId::NanCheck, kernels::missing(&Input::new("nan_policy", subject, self.nan_policy)));
        }
        (stage, errors)
    }

    /// The passes over an array of this dtype, in words. `keys` are the functions' names in the result.
    pub fn explain(&self, dtype: DType, keys: &[String]) -> Explanation {
        let array = Subject::of(0, dtype);
        let subject = |call: &Call| {
            Ok(match call.entry.takes {
                Takes::Pairs => Subject { dtype: DType::Complex128, ..array },
                Takes::Columns => Subject { dtype: DType::Float64, ..array },
                _ => array,
            })
        };
        let subjects: Vec<Result<Subject, Error>> = self.calls.iter().map(subject).collect();
        let (mut stage, errors) = self.stage_over(&subjects, &[array]);
        // A plan can also be explained for arrays that have no memory.
        stage.write(|_, unwritten| Some(Output::none(unwritten.dtype)));
        let name = |who: RequestId| match who {
            RequestId::Call(index) => keys.get(index).map_or("?", String::as_str).to_owned(),
            RequestId::NanCheck => "(nan_policy)".to_owned(),
        };
        let passes = stage.steps().into_iter().enumerate().filter(|(_, steps)| !steps.is_empty());
        let passes = passes.map(|(number, steps)| {
            let pass = if number == 0 { "a sample".to_owned() } else { format!("pass {number} over {dtype}") };
            let steps = steps.into_iter().map(|(step, users)| (step, users.into_iter().map(name).collect()));
            (pass, steps.collect())
        });
        Explanation {
            known: stage.known.iter().map(|(who, _)| name(*who)).collect(),
            passes: passes.collect(),
            refused: errors.into_iter().map(|(index, error)| (name(RequestId::Call(index)), error)).collect(),
        }
    }
}

/// A step of a pass, and the functions that it serves.
pub type Explained = (String, Vec<String>);

/// What a plan does, in words, with the functions' names in the result.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The functions whose results are known from the array's length.
    pub known: Vec<String>,
    /// The passes: the name of each, and its steps.
    pub passes: Vec<(String, Vec<Explained>)>,
    /// The functions that cannot run, and why.
    pub refused: Vec<(String, Error)>,
}

/// The properties of a run's arrays, known before any element is read.
#[derive(Debug, Clone)]
pub struct Given {
    /// The dtype of each array.
    pub dtypes: Vec<DType>,
    /// For each array with bools that mark its present elements: the value that the bools have for present elements.
    pub present: Vec<Option<bool>>,
    /// Whether there is a mask. It is true where elements count.
    pub mask: bool,
    /// The dtype of the elements' weights, if they have any.
    pub weights: Option<DType>,
}

/// The subjects of a plan's calls, taken from several arrays.
#[derive(Debug, Clone)]
pub struct Subjects {
    /// The formulas that make subjects from arrays. The arrays are the graph's sources.
    pub graph: Graph,
    /// The subject of each call, or the error if there is none.
    pub of_calls: Vec<Result<Subject, Error>>,
    /// The arrays themselves, without elements that are missing or left out by a mask.
    pub arrays: Vec<Subject>,
    /// The bools of arrays, which are sources after the arrays: their value for present elements.
    pub present: Vec<bool>,
    /// For each call that returns positions: the bools that mark the counted elements, as source numbers with the value
    /// for counted elements. Empty for other calls.
    pub counting: Vec<Vec<(usize, bool)>>,
}

/// The arrays of a run as nodes, and the bools that mark their counted elements.
struct Sources {
    arrays: Vec<(NodeId, DType)>,
    /// For each array, the bools of its present elements.
    present: Vec<Option<Bools>>,
    mask: Option<Bools>,
    weights: Option<(NodeId, DType)>,
}

/// Bools that mark the counted elements.
#[derive(Clone, Copy, PartialEq)]
struct Bools {
    /// The source's number, and its node.
    source: usize,
    node: NodeId,
    /// The value for counted elements.
    value: bool,
}

impl Sources {
    /// Creates the sources in this order: the arrays, the bools of arrays that have some, the mask, the weights.
    fn new(graph: &mut Graph, given: &Given) -> Sources {
        let mut number = 0;
        let mut source = |dtype: DType| {
            let found = (number, graph.source(number, dtype, usize::MAX));
            number += 1;
            found
        };
        let arrays = given.dtypes.iter().map(|&dtype| (source(dtype).1, dtype)).collect();
        let mut bools = |value: bool| {
            let (source, node) = source(DType::Bool);
            Bools { source, node, value }
        };
        let present = given.present.iter().map(|value| value.map(&mut bools)).collect();
        let mask = given.mask.then(|| bools(true));
        let weights = given.weights.map(|dtype| (source(dtype).1, dtype));
        Sources { arrays, present, mask, weights }
    }

    /// The bools of the counted elements: those present in all of these arrays, where the mask is true.
    fn bools(&self, over: &[usize]) -> Vec<Bools> {
        let present = over.iter().filter_map(|&array| *self.present.get(array)?);
        let mut bools: Vec<Bools> = present.chain(self.mask).collect();
        bools.dedup();
        bools
    }

    /// The counted elements of a node.
    fn counting(&self, graph: &mut Graph, over: &[usize], node: NodeId) -> NodeId {
        let mask = match self.bools(over).as_slice() {
            [] => return node,
            [Bools { node: only, value: true, .. }] => *only,
            several => {
                let (nodes, values) = several.iter().map(|bools| (bools.node, bools.value)).unzip();
                graph.apply(Operation::Every(values), nodes)
            }
        };
        graph.apply(Operation::Select, vec![mask, node])
    }
}

impl Given {
    /// One array; some elements may be missing.
    pub fn one(dtype: DType, present: Option<bool>) -> Given {
        Given { dtypes: vec![dtype], present: vec![present], mask: false, weights: None }
    }
}

impl Subjects {
    /// The subjects of a plan's calls over one array.
    pub fn of_one(plan: &Plan, given: &Given) -> Subjects {
        let over = |call: &Call| vec![0; if call.entry.takes == Takes::Pairs { 2 } else { 1 }];
        Subjects::new(plan, given, &plan.calls.iter().map(over).collect::<Vec<_>>())
    }

    /// The subjects of a plan's calls; `over` has the numbers of the arrays that each call takes. The sources are the
    /// arrays, the bools of arrays that have some, the mask if there is one, and the weights.
    pub fn new(plan: &Plan, given: &Given, over: &[Vec<usize>]) -> Subjects {
        let first = given.dtypes.first().copied().unwrap_or(DType::Float64);
        let mut graph = Graph::new(first);
        let sources = Sources::new(&mut graph, given);
        let float = |graph: &mut Graph, node: NodeId, dtype: DType| {
            if dtype.item() == ItemType::Float64 { node } else { graph.step(Step::Cast(ItemType::Float64), node) }
        };
        let subject = |graph: &mut Graph, number: usize, over: &[usize]| {
            let (node, dtype) = *sources.arrays.get(number)?;
            Some(Subject::of(sources.counting(graph, over, node), dtype))
        };
        let arrays = (0..given.dtypes.len()).filter_map(|number| subject(&mut graph, number, &[number])).collect();
        let mut of = |call: &Call, over: &[usize]| {
            let own: Vec<Subject> = over.iter().filter_map(|&number| subject(&mut graph, number, over)).collect();
            let weights = sources.weights.map(|(node, dtype)| {
                let node = sources.counting(&mut graph, over, node);
                (float(&mut graph, node, dtype), dtype)
            });
            let takes = call.entry.takes;
            let accepted = takes.of_arrays();
            if let Some(other) = own.iter().find(|subject| !accepted.includes(subject.dtype)) {
                let (kernel, dtype) = (call.entry.name, other.dtype);
                return Err(Error::UnsupportedDtype { kernel, dtype, accepted: accepted.describe() });
            }
            if weights.is_some() && !(call.entry.weighted && takes == accepted) {
                return Err(Error::Unweighted { kernel: call.entry.name, known: kernels::weighted() });
            }
            let mut floats = || own.iter().map(|subject| float(&mut graph, subject.node, subject.dtype)).collect();
            let subject = match (takes, own.as_slice()) {
                (Takes::Pairs, [first, second]) => {
                    let floats: Vec<NodeId> = floats();
                    let is_key = [first, second].map(|subject| subject.dtype.size() == 8 && !subject.dtype.is_float());
                    let exact = [first, second].into_iter().zip(&floats).zip(is_key);
                    let exact = exact.map(|((own, &float), is_key)| if is_key { own.node } else { float }).collect();
                    let exact = is_key.contains(&true).then(|| graph.apply(Operation::Keys, exact));
                    let subject = Subject::of(graph.apply(Operation::Pair, floats), DType::Complex128);
                    Subject { exact: exact.map(|pairs| Exact { pairs, is_key }), ..subject }
                }
                (Takes::Columns, columns) => {
                    let floats = floats();
                    let node = graph.apply(Operation::Columns(columns.len()), floats);
                    Subject { columns: columns.len(), ..Subject::of(node, DType::Float64) }
                }
                (_, &[subject]) => match weights {
                    Some((weights, dtype)) if Takes::Reals.includes(subject.dtype) => {
                        let element = float(&mut graph, subject.node, subject.dtype);
                        let pairs = graph.apply(Operation::Pair, vec![element, weights]);
                        return Ok(Subject { weights: Some(Weights { pairs, dtype }), ..subject });
                    }
                    // The kernel decides which dtypes it takes with weights.
                    Some((pairs, dtype)) => Subject { weights: Some(Weights { pairs, dtype }), ..subject },
                    None => subject,
                },
                _ => unreachable!("the face says how many arrays there are for each call"),
            };
            Ok(subject)
        };
        let of_calls = plan.calls.iter().zip(over).map(|(call, over)| of(call, over)).collect();
        let present = given.present.iter().copied().flatten().collect();
        let counting = plan.calls.iter().zip(over).map(|(call, over)| {
            let bools = if call.entry.answers == Shape::Positions { sources.bools(over) } else { Vec::new() };
            bools.into_iter().map(|bools| (bools.source, bools.value)).collect()
        });
        let counting = counting.collect();
        Subjects { graph, of_calls, arrays, present, counting }
    }

    /// A dtype that has missing values, if one of the arrays has such a dtype.
    pub fn missing(&self) -> DType {
        let dtypes = self.arrays.iter().map(|subject| subject.dtype);
        dtypes.clone().find(|dtype| dtype.has_missing()).or(dtypes.clone().next()).unwrap_or(DType::Float64)
    }
}

/// The identity of a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestId {
    /// The function with this number.
    Call(usize),
    /// `nan_policy="raise"`, which checks every array.
    NanCheck,
}

/// A result known from the element count; needs no pass.
type OfLength = fn(u64) -> Value;

/// A request that waits for a state, and the finish that turns the state into a result.
#[derive(Clone)]
pub struct Waiting {
    who: RequestId,
    sink: usize,
    finish: Arc<Finish>,
    then: Vec<&'static str>,
}

/// The sinks of one sweep, and the requests that wait for them.
#[derive(Clone, Default)]
pub struct Stage {
    sinks: Vec<Sink>,
    waiting: Vec<Waiting>,
    known: Vec<(RequestId, OfLength)>,
    arrays: Vec<(RequestId, Arc<Unwritten>)>,
}

impl Stage {
    /// Adds a request. It shares the state of an existing request if one of the two states covers the other.
    pub fn add(&mut self, who: RequestId, request: Request) {
        let (sink, finish, then) = match request {
            Request::Length(value) => return self.known.push((who, value)),
            Request::Array(unwritten) => return self.arrays.push((who, unwritten)),
            Request::Needs { sink, finish, then } => (sink, finish, then),
        };
        let shared = self.sinks.iter_mut().enumerate().filter(|(_, known)| known.expression == sink.expression);
        let shared = shared.into_iter().find_map(|(index, known)| {
            known.accumulator = known.accumulator.unify(sink.accumulator.as_ref())?;
            Some(index)
        });
        let sink = shared.unwrap_or_else(|| {
            self.sinks.push(sink);
            self.sinks.len() - 1
        });
        self.waiting.push(Waiting { who, sink, finish, then });
    }

    /// The requests that wait for arrays, and these arrays.
    pub fn arrays(&self) -> impl Iterator<Item = (RequestId, &Unwritten)> {
        self.arrays.iter().map(|(who, unwritten)| (*who, unwritten.as_ref()))
    }

    /// Removes and returns the requests that wait for arrays.
    #[must_use]
    pub fn take_arrays(&mut self) -> Stage {
        Stage { arrays: std::mem::take(&mut self.arrays), ..Stage::default() }
    }

    /// Gives the requests that wait for arrays the memory to write to. Requests that get none are dropped.
    pub fn write(&mut self, mut memory: impl FnMut(RequestId, &Unwritten) -> Option<Output>) {
        for (who, unwritten) in std::mem::take(&mut self.arrays) {
            if let Some(output) = memory(who, &unwritten) {
                self.add(who, (unwritten.write)(output));
            }
        }
    }

    /// What each pass does, and for which requests. The first pass takes a sample, if a request needs one.
    fn steps(&self) -> Vec<Vec<(String, Vec<RequestId>)>> {
        let mut passes: Vec<Vec<(String, Vec<RequestId>)>> = vec![Vec::new()];
        let mut put = |pass: usize, step: String, who: RequestId| {
            passes.resize(passes.len().max(pass + 1), Vec::new());
            let Some(steps) = passes.get_mut(pass) else { return };
            match steps.iter_mut().find(|(known, _)| *known == step) {
                Some((_, users)) => users.push(who),
                None => steps.push((step, vec![who])),
            }
        };
        for waiting in &self.waiting {
            let Some(sink) = self.sinks.get(waiting.sink) else { continue };
            let first = usize::from(!sink.is_sampled());
            put(first, format!("{} of {}", sink.accumulator.name(), sink.expression), waiting.who);
            let then = waiting.then.iter().flat_map(|step| sink.accumulator.told(step));
            for (later, step) in then.enumerate() {
                put(first + 1 + later, step.to_owned(), waiting.who);
            }
        }
        passes
    }

    /// Whether there are sinks for which a sample is enough.
    pub fn is_sampled(&self) -> bool {
        self.sinks.iter().any(Sink::is_sampled)
    }

    /// Removes and returns the sinks for which a sample is enough, with the requests that wait for them.
    #[must_use]
    pub fn take_sampled(&mut self) -> Stage {
        let mut sampled = Stage::default();
        let mut rest = Stage {
            known: std::mem::take(&mut self.known),
            arrays: std::mem::take(&mut self.arrays),
            ..Stage::default()
        };
        let mut places = Vec::with_capacity(self.sinks.len());
        for sink in self.sinks.drain(..) {
            let is_sampled = sink.is_sampled();
            let stage = if is_sampled { &mut sampled } else { &mut rest };
            places.push((is_sampled, stage.sinks.len()));
            stage.sinks.push(sink);
        }
        for waiting in self.waiting.drain(..) {
            let (is_sampled, sink) = places[waiting.sink];
            let stage = if is_sampled { &mut sampled } else { &mut rest };
            stage.waiting.push(Waiting { sink, ..waiting });
        }
        *self = rest;
        sampled
    }

    /// Moves the requests of another stage to this one.
    pub fn join(&mut self, other: &Stage) {
        self.known.extend(&other.known);
        for waiting in &other.waiting {
            let Some(sink) = other.sinks.get(waiting.sink).cloned() else { continue };
            let Waiting { who, finish, then, .. } = waiting.clone();
            self.add(who, Request::Needs { sink, finish, then });
        }
    }

    /// Whether no request waits, so that no sweep is needed.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the stage has no requests.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.known.is_empty() && self.arrays.is_empty()
    }

    /// All waiting requests.
    pub fn everybody(&self) -> impl Iterator<Item = RequestId> {
        let arrays = self.arrays.iter().map(|(who, _)| *who);
        let known = self.known.iter().map(|(who, _)| *who);
        self.waiting.iter().map(|waiting| waiting.who).chain(known).chain(arrays)
    }

    /// The results known from the array's length alone.
    pub fn known(&self, len: u64) -> impl Iterator<Item = (RequestId, Value)> {
        self.known.iter().map(move |(who, value)| (*who, value(len)))
    }

    /// The sinks of the sweep.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// Turns the states, in the order of the sinks, into answers.
    pub fn finish(
        &self,
        states: &[Result<AnyState, Error>],
    ) -> impl Iterator<Item = (RequestId, Result<Answer, Error>)> {
        self.waiting.iter().map(|waiting| {
            let answer = match states.get(waiting.sink) {
                Some(Ok(state)) => waiting.answer(state),
                Some(Err(error)) => Err(error.clone()),
                None => unreachable!("there is a state for each sink"),
            };
            (waiting.who, answer)
        })
    }

    /// The requests that wait for a state.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// For each sink, which of the waiting requests wait for it.
    pub fn waiting_for(&self) -> Vec<Vec<usize>> {
        let mut found = vec![Vec::new(); self.sinks.len()];
        for (number, waiting) in self.waiting.iter().enumerate() {
            found[waiting.sink].push(number);
        }
        found
    }
}

impl Waiting {
    /// The identity of the request.
    pub fn who(&self) -> RequestId {
        self.who
    }

    /// The sink whose state it waits for.
    pub fn sink(&self) -> usize {
        self.sink
    }

    /// The result for the state, if it is a number that needs no further work.
    #[inline]
    pub fn number(&self, state: &AnyState) -> Option<(Number, DType)> {
        self.finish.number(state)
    }

    /// The answer for the state. A panic in one function's finish does not affect the others.
    pub fn answer(&self, state: &AnyState) -> Result<Answer, Error> {
        guarded(|| self.finish.answer(state)).flatten()
    }
}
