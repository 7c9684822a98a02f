//! What a kernel is: an accumulator over an expression, and a finish that turns its state into a value.
//!
//! Authors write the typed half: an [`Accumulator`] (how a state starts, takes a block, and merges) and an [`Entry`] of
//! the catalogue whose `resolve` ties the accumulator to a finish. Plans and passes work with the erased half
//! ([`Sink`]); the one adapter between the two, [`Erased`], holds the only downcasts of the crate.
//!
//! # The laws
//!
//! Every listed kernel is tested against these (`tests/laws.rs`):
//!
//! 1. identity: combining with a fresh state changes nothing;
//! 2. the answer depends on the elements and on the grid of blocks and chunks, never on workers, instruction set or
//!    company;
//! 3. parameters that only matter to the finish (`ddof`) are not in the accumulator, so that kernels share states;
//! 4. an accumulator marked [`Accumulator::ORDER_FREE`] gives the same bits for any order of its updates;
//! 5. an accumulator that [covers](Accumulator::cover) another gives the other's kernels the same bits.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::ahead::Ahead;
use crate::dtype::{Block, DType, Item, Sealed};
use crate::error::Error;
use crate::expr::{Expression, NodeId};
use crate::simd::{Level, Simd, Work};
use crate::value::Value;

/// How a state is built from blocks. The value itself holds the parameters that change the state.
pub trait Accumulator: Clone + fmt::Debug + Send + Sync + 'static {
    /// What it accumulates, in words: the "sum" in "sum of x".
    const NAME: &'static str;

    /// What its blocks hold.
    type Item: Item;

    /// What it accumulates.
    type State: Send + 'static;

    /// Whether any order of updates and merges gives the same bits. Such a state is kept per worker, not per chunk.
    const ORDER_FREE: bool = false;

    /// Whether the position of an element matters: the pass then keeps to the array's own order.
    fn positional(&self) -> bool {
        false
    }

    /// The state of no elements.
    fn init(&self) -> Self::State;

    /// Takes a block. Must be `#[inline(always)]`, see [`crate::simd`], whose token it gets for explicit vectors.
    fn update<S: Simd>(&self, simd: S, state: &mut Self::State, block: Items<'_, Self::Item>);

    /// Takes the state of the elements that follow.
    fn combine(&self, state: &mut Self::State, next: Self::State);

    /// One accumulator whose states serve both, if there is one.
    fn cover(&self, other: &Self) -> Option<Self>;
}

/// The items of a block: a slice, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a, T> {
    slice: &'a [T],
    /// The number of the first one.
    pub start: u64,
    /// What the sweep will read next, for loops to ask for.
    pub ahead: &'a Ahead,
}

impl<T> Deref for Items<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        self.slice
    }
}

/// A state whose type only its accumulator knows.
pub type AnyState = Box<dyn Any + Send>;

/// An accumulator whose type only the adapter knows.
pub trait Erased: fmt::Debug + Send + Sync {
    /// See [`Accumulator::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Accumulator::ORDER_FREE`].
    fn order_free(&self) -> bool;
    /// See [`Accumulator::positional`].
    fn positional(&self) -> bool;
    /// See [`Accumulator::init`].
    fn init(&self) -> AnyState;
    /// See [`Accumulator::update`]; chooses the instruction set.
    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, ahead: &Ahead);
    /// See [`Accumulator::combine`].
    fn combine(&self, state: &mut AnyState, next: AnyState);
    /// See [`Accumulator::cover`].
    fn cover(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>>;
    /// For the adapter's own downcast.
    fn as_any(&self) -> &dyn Any;
}

/// One update, to be compiled once per instruction set.
struct Update<'a, A: Accumulator> {
    accumulator: &'a A,
    state: &'a mut A::State,
    block: Items<'a, A::Item>,
}

impl<A: Accumulator> Work for Update<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.accumulator.update(simd, self.state, self.block);
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

    fn init(&self) -> AnyState {
        Box::new(Accumulator::init(self))
    }

    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, ahead: &Ahead) {
        let (Some(state), Some(slice)) = (state.downcast_mut::<A::State>(), A::Item::of(block)) else {
            unreachable!("the plan pairs a sink with its own states and item type");
        };
        level.run(Update { accumulator: self, state, block: Items { slice, start, ahead } });
    }

    fn combine(&self, state: &mut AnyState, next: AnyState) {
        let (Some(state), Ok(next)) = (state.downcast_mut::<A::State>(), next.downcast::<A::State>()) else {
            unreachable!("the plan pairs a sink with its own states");
        };
        Accumulator::combine(self, state, *next);
    }

    fn cover(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>> {
        let other = other.as_any().downcast_ref::<A>()?;
        Accumulator::cover(self, other).map(|cover| Arc::new(cover) as Arc<dyn Erased>)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Where a pass delivers: an accumulator over an expression.
#[derive(Debug, Clone)]
pub struct Sink {
    /// What its blocks are.
    pub expression: Expression,
    /// What happens to them.
    pub accumulator: Arc<dyn Erased>,
}

/// What a finish gives: the value, or what has to be asked next, now that this is known.
pub enum Answer {
    /// The end.
    Value(Value),
    /// Another pass is needed.
    Next(Request),
}

/// How a finished state becomes an answer.
pub(crate) type Finish = dyn Fn(&AnyState) -> Result<Answer, Error> + Send + Sync;

/// What one function asks of a pass, and what it makes of the answer.
#[derive(Clone)]
pub enum Request {
    /// The answer follows from the array's length alone.
    Length(fn(u64) -> Value),
    /// A state is needed.
    Needs {
        /// The state.
        sink: Sink,
        /// What becomes of it.
        finish: Arc<Finish>,
        /// What follows this pass, in words; empty for most.
        then: Vec<&'static str>,
    },
}

impl Request {
    /// Accumulates `expression` and turns the state into a value.
    pub fn new<A: Accumulator>(
        expression: Expression,
        accumulator: A,
        finish: impl Fn(&A::State) -> Result<Value, Error> + Send + Sync + 'static,
    ) -> Request {
        Request::chain(expression, accumulator, Vec::new(), move |state| finish(state).map(Answer::Value))
    }

    /// Accumulates `expression` and asks for more, depending on the state.
    pub fn chain<A: Accumulator>(
        expression: Expression,
        accumulator: A,
        then: Vec<&'static str>,
        finish: impl Fn(&A::State) -> Result<Answer, Error> + Send + Sync + 'static,
    ) -> Request {
        debug_assert_eq!(expression.item(), A::Item::TYPE);
        let finish = move |state: &AnyState| match state.downcast_ref::<A::State>() {
            Some(state) => finish(state),
            None => unreachable!("the plan pairs a finish with its own state"),
        };
        let sink = Sink { expression, accumulator: Arc::new(accumulator) };
        Request::Needs { sink, finish: Arc::new(finish), then }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Length(_) => f.write_str("Length"),
            Request::Needs { sink, then, .. } => {
                f.debug_struct("Needs").field("sink", sink).field("then", then).finish()
            }
        }
    }
}

/// What is done with NaN and NaT. One meaning for every kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NanPolicy {
    /// They take part, and make most results NaN.
    Propagate,
    /// The answer is that of the array without them; positions are those of the whole array.
    Omit,
    /// They are an error.
    Raise,
}

impl NanPolicy {
    /// The policy of this name.
    pub fn named(name: &str) -> Option<NanPolicy> {
        match name {
            "propagate" => Some(NanPolicy::Propagate),
            "omit" => Some(NanPolicy::Omit),
            "raise" => Some(NanPolicy::Raise),
            _ => None,
        }
    }
}

/// What a kernel may know of the array when it resolves: everything but its elements.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// The kernel's name, for messages.
    pub kernel: &'static str,
    /// The element type.
    pub dtype: DType,
    /// What to do with NaN.
    pub nan_policy: NanPolicy,
    /// The node whose elements these are; 0 is the array itself.
    pub node: NodeId,
}

impl Input {
    /// Whether NaN values are to be left out (and there can be any).
    pub fn omits(&self) -> bool {
        self.nan_policy == NanPolicy::Omit && self.dtype.has_missing()
    }

    /// The array as it is, NaN values included.
    pub fn elements(&self) -> Expression {
        Expression::of(self.node, self.dtype)
    }

    /// The elements that count: without NaN values under [`NanPolicy::Omit`].
    pub fn values(&self) -> Expression {
        if self.omits() { self.elements().valid() } else { self.elements() }
    }

    /// [`Input::values`] as float64.
    pub fn floats(&self) -> Expression {
        self.values().float64()
    }
}

/// The value of a parameter. Numbers are compared as Python compares them: 1 and 1.0 are the same.
#[derive(Debug, Clone)]
pub enum Argument {
    /// Not given, where that means something.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A list or an array of numbers, and its dtype, which the kernel may hand back.
    Floats(Vec<f64>, DType),
    /// A lower and an upper end, and the dtype that they came in, which means nothing to the kernel.
    Pair([f64; 2], DType),
    /// An integer beyond 64 bits: out of bounds everywhere.
    Huge,
    /// Anything else: accepted nowhere.
    Other,
}

impl PartialEq for Argument {
    fn eq(&self, other: &Argument) -> bool {
        match (self, other) {
            (Argument::None, Argument::None) => true,
            (Argument::Bool(left), Argument::Bool(right)) => left == right,
            (Argument::Int(left), Argument::Int(right)) => left == right,
            (Argument::Float(left), Argument::Float(right)) => left == right,
            (Argument::Int(int), Argument::Float(float)) | (Argument::Float(float), Argument::Int(int)) => {
                whole(*float) == Some(*int)
            }
            (Argument::Floats(left, left_dtype), Argument::Floats(right, right_dtype)) => {
                left == right && left_dtype == right_dtype
            }
            (Argument::Pair(left, _), Argument::Pair(right, _)) => left == right,
            _ => false,
        }
    }
}

impl Hash for Argument {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Adding 0 drops a zero's sign, which makes no difference.
        let bits = |float: &f64| (float + 0.0).to_bits();
        match self {
            Argument::None | Argument::Huge | Argument::Other => {}
            Argument::Bool(value) => value.hash(state),
            Argument::Int(value) => value.hash(state),
            Argument::Float(value) => match whole(*value) {
                Some(int) => int.hash(state),
                None => bits(value).hash(state),
            },
            Argument::Floats(values, dtype) => {
                values.iter().map(bits).for_each(|bits| bits.hash(state));
                dtype.hash(state);
            }
            Argument::Pair(ends, _) => ends.iter().map(bits).for_each(|bits| bits.hash(state)),
        }
    }
}

/// The integer that the float is, if it is one.
#[allow(clippy::cast_possible_truncation)]
fn whole(float: f64) -> Option<i64> {
    let limit = 2.0_f64.powi(63);
    (float.trunc() == float && (-limit..limit).contains(&float)).then_some(float as i64)
}

/// The most bins that a histogram can have: their counts must fit in memory several times over.
const MAX_BINS: i64 = 100_000_000;

/// 2⁵³: the integers below are exact as float64, in their order with all others too.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accepts {
    /// `True` or `False`.
    Bool,
    /// A finite number.
    Number,
    /// An integer from this one on.
    IntFrom(i64),
    /// `1`, `2` or `inf`.
    NormOrder,
    /// A number of bins, or a rising sequence of edges.
    Bins,
    /// `None`, or a pair of finite numbers in order.
    Range,
}

impl Accepts {
    /// For messages: what is accepted.
    pub fn describe(self) -> &'static str {
        match self {
            Accepts::Bool => "True or False",
            Accepts::Number => "a finite number",
            Accepts::IntFrom(0) => "an integer >= 0",
            Accepts::IntFrom(_) => "an integer >= 1",
            Accepts::NormOrder => "1, 2 or inf",
            Accepts::Bins => "an integer from 1 to 100000000 or a rising sequence of at least two finite edges",
            Accepts::Range => "None or a pair of finite numbers (low, high) with low <= high",
        }
    }

    /// The argument as the kernel gets it, or why it does not.
    fn take(self, argument: &Argument) -> Result<Argument, Refusal> {
        let accepted = match (self, argument) {
            (Accepts::Bool, Argument::Bool(_))
            | (Accepts::Range, Argument::None)
            | (Accepts::Number, Argument::Int(_)) => true,
            (Accepts::Number, Argument::Float(value)) => value.is_finite(),
            (Accepts::IntFrom(least), Argument::Int(value)) => value >= &least,
            (Accepts::NormOrder, Argument::Int(value)) => matches!(value, 1 | 2),
            (Accepts::NormOrder, Argument::Float(value)) => [1.0, 2.0, f64::INFINITY].contains(value),
            (Accepts::Bins, Argument::Int(value)) => (1..=MAX_BINS).contains(value),
            // Edges are compared as float64, and rounded integers would count in the wrong bin.
            (Accepts::Bins, Argument::Floats(edges, dtype))
                if !dtype.is_float() && edges.iter().any(|e| e.abs() >= EXACT) =>
            {
                return Err(Refusal::Value("floats (np.asarray(bins, float)) where integers reach 2**53"));
            }
            (Accepts::Bins, Argument::Floats(edges, _)) => {
                edges.len() >= 2 && edges.is_sorted() && edges.iter().all(|edge| edge.is_finite())
            }
            (Accepts::Range, Argument::Floats(ends, dtype)) => match *ends.as_slice() {
                [low, high] if low <= high && low.is_finite() && high.is_finite() => {
                    if !(high - low).is_finite() {
                        return Err(Refusal::Value("so narrow that high - low is finite"));
                    }
                    return Ok(Argument::Pair([low, high], *dtype));
                }
                _ => false,
            },
            (Accepts::Number | Accepts::IntFrom(_) | Accepts::NormOrder | Accepts::Bins, Argument::Huge) => false,
            _ => return Err(Refusal::Type),
        };
        if accepted { Ok(argument.clone()) } else { Err(Refusal::Value(self.describe())) }
    }
}

/// Why an argument is not accepted.
enum Refusal {
    /// Its type is wrong.
    Type,
    /// Its value is: this is what it must be.
    Value(&'static str),
}

/// A parameter of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// NumPy's or SciPy's name for it.
    pub name: &'static str,
    /// What it accepts.
    pub accepts: Accepts,
    /// What it is if not given.
    pub default: DefaultValue,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

/// A parameter's default, in a form that a constant can hold.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum DefaultValue {
    None,
    Bool(bool),
    Int(i64),
}

impl DefaultValue {
    /// As an argument.
    pub fn argument(self) -> Argument {
        match self {
            DefaultValue::None => Argument::None,
            DefaultValue::Bool(value) => Argument::Bool(value),
            DefaultValue::Int(value) => Argument::Int(value),
        }
    }
}

/// The checked parameters of one use of a kernel, in the order in which the kernel declares them.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Arguments(Vec<(&'static str, Argument)>);

impl Arguments {
    /// Checks what was given against what the kernel declares. `shown` is asked for the value of a parameter as the caller
    /// wrote it, for a message.
    pub fn check(
        entry: &'static Entry,
        given: &[(String, Argument)],
        shown: impl Fn(&str) -> String,
    ) -> Result<Arguments, Error> {
        if let Some((name, _)) = given.iter().find(|(name, _)| entry.parameters.iter().all(|p| p.name != name)) {
            return Err(Error::UnknownParameter {
                kernel: entry.name,
                parameter: name.clone(),
                accepted: entry.parameters.iter().map(|parameter| parameter.name).collect(),
            });
        }
        let checked = entry.parameters.iter().map(|&Parameter { name, accepts, default, .. }| {
            let given = given.iter().find(|(given, _)| given == name);
            let argument = given.map_or_else(|| default.argument(), |(_, argument)| argument.clone());
            accepts.take(&argument).map(|argument| (name, argument)).map_err(|refusal| {
                let (kernel, parameter, value) = (entry.name, name, shown(name));
                match refusal {
                    Refusal::Type => Error::ParameterType { kernel, parameter, value, expected: accepts.describe() },
                    Refusal::Value(expected) => {
                        Error::ParameterValue { kernel, parameter, value, expected: expected.to_owned() }
                    }
                }
            })
        });
        checked.collect::<Result<_, _>>().map(Arguments)
    }

    /// The value of a declared parameter.
    pub fn get(&self, name: &str) -> &Argument {
        self.0.iter().find(|(known, _)| *known == name).map_or(&Argument::None, |(_, argument)| argument)
    }

    /// The value of a number.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Argument::Int(value) => *value as f64,
            Argument::Float(value) => *value,
            _ => f64::NAN,
        }
    }

    /// The value of an integer.
    pub fn int(&self, name: &str) -> i64 {
        if let Argument::Int(value) = self.get(name) { *value } else { 0 }
    }

    /// The value of a bool.
    pub fn bool(&self, name: &str) -> bool {
        self.get(name) == &Argument::Bool(true)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Argument)> {
        self.0.iter().map(|(name, argument)| (*name, argument))
    }
}

/// The element types that a kernel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// All of them.
    Any,
    /// Bool, integers, floats and complex numbers.
    Numbers,
    /// Bool, integers and floats.
    Reals,
    /// Everything that has an order: reals and times.
    Ordered,
    /// Everything that has an order and a difference: not bool.
    Measured,
}

impl Takes {
    /// Whether the dtype is among them.
    pub fn includes(self, dtype: DType) -> bool {
        match self {
            Takes::Any => true,
            Takes::Numbers => !dtype.is_time(),
            Takes::Reals => !dtype.is_time() && !dtype.is_complex(),
            Takes::Ordered => !dtype.is_complex(),
            Takes::Measured => !dtype.is_complex() && dtype != DType::Bool,
        }
    }

    /// For messages.
    pub fn describe(self) -> &'static str {
        match self {
            Takes::Any => "any dtype",
            Takes::Numbers => "bool, integers, floats and complex numbers",
            Takes::Reals => "bool, integers and floats",
            Takes::Ordered => "bool, integers, floats, datetime64 and timedelta64",
            Takes::Measured => "integers, floats, datetime64 and timedelta64",
        }
    }
}

/// One kernel of the catalogue. All that tests, documentation, stubs and benchmarks know of a kernel is here.
#[derive(Debug)]
pub struct Entry {
    /// NumPy's or SciPy's name.
    pub name: &'static str,
    /// The documentation: a first line, then meaning, degenerate cases and source.
    pub doc: &'static str,
    /// What can be chosen.
    pub parameters: &'static [Parameter],
    /// The Python expression that gives the same answer, in `x`, `np`, `stats`, `special` and the parameters.
    pub numpy: &'static str,
    /// The element types.
    pub takes: Takes,
    /// Choices of parameters to be tested, shown and timed, as keyword arguments that are Python literals (inf is 1e999); the
    /// defaults come by themselves.
    pub examples: &'static [&'static str],
    /// The policy that the name itself demands: `nanmean` omits.
    pub nan_policy: Option<NanPolicy>,
    /// Passes over memory with the default parameters.
    pub passes: usize,
    /// What to accumulate and how to finish.
    pub resolve: fn(&Arguments, &Input) -> Result<Request, Error>,
}

impl Entry {
    /// The kernel under its `nan…` name.
    #[must_use]
    pub const fn omitting(&self, name: &'static str, numpy: &'static str, doc: &'static str) -> Entry {
        Entry { name, numpy, doc, nan_policy: Some(NanPolicy::Omit), ..*self }
    }

    /// The request of one use of the kernel on such an array, or on the elements of a node.
    pub fn request(
        &self,
        arguments: &Arguments,
        dtype: DType,
        nan_policy: NanPolicy,
        node: NodeId,
    ) -> Result<Request, Error> {
        if !self.takes.includes(dtype) {
            return Err(Error::UnsupportedDtype { kernel: self.name, dtype, accepted: self.takes.describe() });
        }
        let nan_policy = self.nan_policy.unwrap_or(nan_policy);
        (self.resolve)(arguments, &Input { kernel: self.name, dtype, nan_policy, node })
    }
}
