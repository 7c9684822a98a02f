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
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ahead::Ahead;
use crate::dtype::{Block, DType, Item, Number, Sealed};
use crate::error::{Error, guarded};
use crate::expr::{Expression, NodeId};
use crate::memory;
use crate::parameters::{Arguments, Parameter};
use crate::simd::{Level, Simd, Work};
use crate::value::Value;
use crate::view::Output;

/// Elements in a sample. Enough for a map of the data (`selection/map.rs`) whose bins hold what it expects of them within a
/// few per cent of the whole; 16,384 cache lines come from memory in a quarter of a millisecond.
pub const SAMPLE: usize = 16_384;

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

    /// Whether some elements from all over the array are enough ([`SAMPLE`] of them). They are taken before
    /// the sweep, so that what follows from them can still join it.
    const SAMPLED: bool = false;

    /// Whether the position of an element matters: the pass then keeps to the array's own order.
    fn positional(&self) -> bool {
        false
    }

    /// What it sees of the array around the elements that it is at, if it is given pieces of the array instead of blocks.
    fn reach(&self) -> Option<Reach> {
        None
    }

    /// The state of no elements.
    fn init(&self) -> Self::State;

    /// Takes a block. Must be `#[inline(always)]`, see [`crate::simd`], whose token it gets for explicit vectors.
    fn update<S: Simd>(&self, simd: S, state: &mut Self::State, block: Items<'_, Self::Item>);

    /// Takes a piece, if it has a [reach](Accumulator::reach). Must be `#[inline(always)]` too.
    fn piece<S: Simd>(&self, _simd: S, _state: &mut Self::State, _piece: Piece<'_, Self::Item>) {}

    /// Takes the state of the elements that follow.
    fn combine(&self, state: &mut Self::State, next: Self::State);

    /// One accumulator whose states serve both, if there is one.
    fn cover(&self, other: &Self) -> Option<Self>;

    /// What is left to do with the state of all elements, once for everyone who shares it, on all workers: to sort what was
    /// collected, say. `whole` is false if it saw a sample only.
    fn settle(&self, _state: &mut Self::State, _whole: bool, _team: &Team<'_>) {}
}

/// Pieces of an array, and what may be seen around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Elements in front of a piece.
    pub before: usize,
    /// Elements behind it.
    pub after: usize,
    /// Chunks in a piece, at least one.
    pub chunks: usize,
}

impl Reach {
    /// A chunk at a time, and nothing around it.
    pub const CHUNK: Reach = Reach { before: 0, after: 0, chunks: 1 };
}

/// A piece of an array: its own elements, and those around it as far as there are any.
#[derive(Debug, Clone)]
pub struct Piece<'a, T> {
    /// All of them.
    pub items: &'a [T],
    /// Where its own elements are among them.
    pub own: Range<usize>,
    /// Which piece of the array it is.
    pub number: usize,
    /// The number of its first own element in the array.
    pub start: usize,
}

impl<'a, T> Piece<'a, T> {
    /// Its own elements.
    #[inline(always)]
    pub fn own(&self) -> &'a [T] {
        self.items.get(self.own.clone()).unwrap_or_default()
    }
}

/// Does a job for each number below the first argument.
type Jobs<'a> = &'a dyn Fn(usize, &(dyn Fn(usize) + Sync));

/// Workers that wait for something to do once a sweep is over.
pub struct Team<'a> {
    each: Jobs<'a>,
}

impl<'a> Team<'a> {
    /// A team that does jobs in this way.
    pub fn new(each: Jobs<'a>) -> Team<'a> {
        Team { each }
    }

    /// A team of the calling thread.
    pub fn alone() -> Team<'static> {
        Team { each: &|count, job| (0..count).for_each(job) }
    }

    /// Does something to each item, in no order. If the run is stopped meanwhile some are left out.
    pub fn each<T: Send>(&self, items: &mut [T], job: impl Fn(usize, &mut T) + Sync) {
        let items: Vec<Mutex<&mut T>> = memory::collected(items.iter_mut().map(Mutex::new));
        (self.each)(items.len(), &|index| {
            if let Some(item) = items.get(index) {
                job(index, &mut item.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
    }
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

/// A state whose type only its accumulator knows: an array of one, because boxes of another kind cannot be asked whether there was
/// memory for them, and there may be a state for each group.
pub type AnyState = Box<dyn Any + Send>;

fn state<A: Accumulator>(state: &AnyState) -> &A::State {
    match state.downcast_ref::<[A::State; 1]>() {
        Some([state]) => state,
        None => unreachable!("the plan pairs a sink with its own states"),
    }
}

fn state_mut<A: Accumulator>(state: &mut AnyState) -> &mut A::State {
    match state.downcast_mut::<[A::State; 1]>() {
        Some([state]) => state,
        None => unreachable!("the plan pairs a sink with its own states"),
    }
}

/// An accumulator whose type only the adapter knows.
pub trait Erased: fmt::Debug + Send + Sync {
    /// See [`Accumulator::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Accumulator::ORDER_FREE`].
    fn order_free(&self) -> bool;
    /// See [`Accumulator::positional`].
    fn positional(&self) -> bool;
    /// See [`Accumulator::SAMPLED`].
    fn sampled(&self) -> bool;
    /// See [`Accumulator::reach`].
    fn reach(&self) -> Option<Reach>;
    /// See [`Accumulator::init`].
    fn init(&self) -> AnyState;
    /// Makes a state the one of no elements.
    fn renew(&self, state: &mut AnyState);
    /// See [`Accumulator::update`]; chooses the instruction set.
    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, ahead: &Ahead);
    /// Takes rows of so many items, which lie one after the other, each from the state of no elements to its settled one,
    /// which `each` is shown.
    fn rows(&self, level: Level, state: &mut AnyState, block: Block<'_>, lens: &[usize], each: &mut EachRow<'_>);
    /// See [`Accumulator::piece`]; chooses the instruction set. The items of `piece` are in `block`.
    fn piece(&self, level: Level, state: &mut AnyState, block: Block<'_>, piece: Piece<'_, ()>);
    /// See [`Accumulator::combine`].
    fn combine(&self, state: &mut AnyState, next: AnyState);
    /// See [`Accumulator::cover`].
    fn cover(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>>;
    /// See [`Accumulator::settle`].
    fn settle(&self, state: &mut AnyState, whole: bool, team: &Team<'_>);
    /// For the adapter's own downcast.
    fn as_any(&self) -> &dyn Any;
}

/// Is shown the number of a row and its state.
pub type EachRow<'a> = dyn FnMut(usize, &AnyState) + 'a;

/// Updates, to be compiled once per instruction set: of one state by a block, or, if there is `each`, of a fresh state by each
/// row of the block. (Both in one, as a loop that is compiled for every kernel, dtype and instruction set takes its time.)
struct Update<'a, 'e, A: Accumulator> {
    accumulator: &'a A,
    state: &'a mut AnyState,
    block: Items<'a, A::Item>,
    lens: &'a [usize],
    each: Option<&'a mut EachRow<'e>>,
}

impl<A: Accumulator> Work for Update<'_, '_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut rest = self.block.slice;
        for (row, &len) in self.lens.iter().enumerate() {
            let slice;
            (slice, rest) = rest.split_at(len.min(rest.len()));
            let state = state_mut::<A>(self.state);
            if self.each.is_some() {
                *state = self.accumulator.init();
            }
            self.accumulator.update(simd, state, Items { slice, ..self.block });
            if let Some(each) = &mut self.each {
                self.accumulator.settle(state, true, &Team::alone());
                each(row, self.state);
            }
        }
    }
}

/// One piece, to be compiled once per instruction set.
struct Take<'a, A: Accumulator> {
    accumulator: &'a A,
    state: &'a mut A::State,
    piece: Piece<'a, A::Item>,
}

impl<A: Accumulator> Work for Take<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.accumulator.piece(simd, self.state, self.piece);
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

    fn sampled(&self) -> bool {
        A::SAMPLED
    }

    fn reach(&self) -> Option<Reach> {
        Accumulator::reach(self)
    }

    fn init(&self) -> AnyState {
        memory::boxed(Accumulator::init(self))
    }

    fn renew(&self, state: &mut AnyState) {
        *state_mut::<A>(state) = Accumulator::init(self);
    }

    fn update(&self, level: Level, state: &mut AnyState, block: Block<'_>, start: u64, ahead: &Ahead) {
        let Some(slice) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let lens = &[slice.len()];
        level.run(Update { accumulator: self, state, block: Items { slice, start, ahead }, lens, each: None });
    }

    fn rows(&self, level: Level, state: &mut AnyState, block: Block<'_>, lens: &[usize], each: &mut EachRow<'_>) {
        let Some(slice) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let block = Items { slice, start: 0, ahead: &Ahead::default() };
        level.run(Update { accumulator: self, state, block, lens, each: Some(each) });
    }

    fn piece(&self, level: Level, state: &mut AnyState, block: Block<'_>, piece: Piece<'_, ()>) {
        let Some(items) = A::Item::of(block) else {
            unreachable!("the plan pairs a sink with its own item type");
        };
        let Piece { own, number, start, .. } = piece;
        level.run(Take { accumulator: self, state: state_mut::<A>(state), piece: Piece { items, own, number, start } });
    }

    fn combine(&self, state: &mut AnyState, next: AnyState) {
        let Ok(next) = next.downcast::<[A::State; 1]>() else {
            unreachable!("the plan pairs a sink with its own states");
        };
        let [next] = *next;
        Accumulator::combine(self, state_mut::<A>(state), next);
    }

    fn cover(&self, other: &dyn Erased) -> Option<Arc<dyn Erased>> {
        let other = other.as_any().downcast_ref::<A>()?;
        Accumulator::cover(self, other).map(|cover| Arc::new(cover) as Arc<dyn Erased>)
    }

    fn settle(&self, state: &mut AnyState, whole: bool, team: &Team<'_>) {
        Accumulator::settle(self, state_mut::<A>(state), whole, team);
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
pub struct Finish {
    answer: Box<ToAnswer>,
    /// The shorter way to an answer that is a number of this dtype, if it is one: of many short rows, most of the time goes into
    /// handing answers on.
    number: Option<(DType, Box<ToNumber>)>,
}

type ToAnswer = dyn Fn(&AnyState) -> Result<Answer, Error> + Send + Sync;
type ToNumber = dyn Fn(&AnyState) -> Option<Number> + Send + Sync;

impl Finish {
    /// The answer.
    pub fn answer(&self, state: &AnyState) -> Result<Answer, Error> {
        (self.answer)(state)
    }

    /// The answer, if it is a number and can be told without more ado.
    #[inline]
    pub fn number(&self, state: &AnyState) -> Option<(Number, DType)> {
        let (dtype, number) = self.number.as_ref()?;
        Some((number(state)?, *dtype))
    }
}

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
        /// The passes that follow, in words; none for most.
        then: Vec<&'static str>,
    },
    /// An array is written.
    Array(Arc<Unwritten>),
}

/// What fills an array with the answer, once there is memory for it.
pub struct Unwritten {
    /// The array's dtype; a time's unit is that of the input.
    pub dtype: DType,
    /// How many items it has, of the number of elements.
    pub len: Box<dyn Fn(usize) -> usize + Send + Sync>,
    /// The request that writes them.
    pub write: Box<dyn Fn(Output) -> Request + Send + Sync>,
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
        let finish = move |any: &AnyState| finish(state::<A>(any));
        let sink = Sink { expression, accumulator: Arc::new(accumulator) };
        Request::Needs { sink, finish: Arc::new(Finish { answer: Box::new(finish), number: None }), then }
    }

    /// Accumulates `expression` and turns the state into a number of a dtype, or, where `number` cannot tell it, into what
    /// `otherwise` says.
    pub fn number<A: Accumulator>(
        expression: Expression,
        accumulator: A,
        dtype: DType,
        number: impl Fn(&A::State) -> Option<Number> + Send + Sync + 'static,
        otherwise: impl Fn(&A::State) -> Result<Answer, Error> + Send + Sync + 'static,
    ) -> Request {
        let number = Arc::new(number);
        let known = Arc::clone(&number);
        let answer = move |state: &A::State| match known(state) {
            Some(number) => Ok(Answer::Value(Value::Scalar(number, dtype))),
            None => otherwise(state),
        };
        let number = move |any: &AnyState| number(state::<A>(any));
        match Request::chain(expression, accumulator, Vec::new(), answer) {
            Request::Needs { sink, finish, then } => {
                let number: Option<(DType, Box<ToNumber>)> = Some((dtype, Box::new(number)));
                let finish = Arc::into_inner(finish).map(|finish| Arc::new(Finish { number, ..finish }));
                match finish {
                    Some(finish) => Request::Needs { sink, finish, then },
                    None => unreachable!("the finish was just made"),
                }
            }
            other => other,
        }
    }
}

impl Request {
    /// The same, and then what follows from the value: another value, or further passes. `steps` are these, in words.
    #[must_use]
    pub fn then(
        self,
        steps: impl IntoIterator<Item = &'static str> + Clone + Send + Sync + 'static,
        next: impl Fn(Value) -> Result<Answer, Error> + Clone + Send + Sync + 'static,
    ) -> Request {
        let Request::Needs { sink, finish, mut then } = self else {
            unreachable!("what is known from the length is a number of elements, from which nothing follows");
        };
        then.extend(steps.clone());
        let finish = move |state: &AnyState| match finish.answer(state)? {
            Answer::Value(value) => next(value),
            Answer::Next(request) => Ok(Answer::Next(request.then(steps.clone(), next.clone()))),
        };
        Request::Needs { sink, finish: Arc::new(Finish { answer: Box::new(finish), number: None }), then }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Length(_) => f.write_str("Length"),
            Request::Array(unwritten) => f.debug_tuple("Array").field(&unwritten.dtype).finish(),
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

/// What a kernel goes over: the elements of a node, each of which may have a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The node; 0 is the array itself.
    pub node: NodeId,
    /// The element type.
    pub dtype: DType,
    /// What the elements weigh, if it is not 1.
    pub weights: Option<Weights>,
    /// How many arrays stand side by side in its blocks, each array's items one after the other; 1 for most kernels.
    pub columns: usize,
    /// Of pairs, the node that does not round their elements, if float64 does.
    pub exact: Option<Exact>,
}

/// Pairs of elements of which some are integers of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    /// The node, see [`crate::expr::Operation::Keys`].
    pub pairs: NodeId,
    /// Which of the two arrays has such integers: its parts are keys.
    pub is_key: [bool; 2],
}

/// Elements and what each weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// The node of pairs: elements as real parts, weights as imaginary ones.
    pub pairs: NodeId,
    /// The dtype that the weights came in.
    pub dtype: DType,
}

impl Subject {
    /// The elements of a node.
    pub fn of(node: NodeId, dtype: DType) -> Subject {
        Subject { node, dtype, weights: None, columns: 1, exact: None }
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
    /// See [`Subject::weights`].
    pub weights: Option<Weights>,
    /// See [`Subject::columns`].
    pub columns: usize,
    /// See [`Subject::exact`].
    pub exact: Option<Exact>,
}

impl Input {
    /// The kernel of this name goes over these elements.
    pub fn new(kernel: &'static str, subject: Subject, nan_policy: NanPolicy) -> Input {
        let Subject { node, dtype, weights, columns, exact } = subject;
        Input { kernel, dtype, nan_policy, node, weights, columns, exact }
    }

    /// Whether NaN values are to be left out (and there can be any).
    pub fn omits(&self) -> bool {
        self.nan_policy == NanPolicy::Omit && self.dtype.has_missing()
    }

    /// That the kernel has no meaning for the dtype, but for these.
    pub fn unsupported(&self, accepted: Takes) -> Error {
        Error::UnsupportedDtype { kernel: self.kernel, dtype: self.dtype, accepted: accepted.describe() }
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

    /// The dtype of a mean: that of the elements, or of the weights if it takes more to hold them.
    pub fn mean_type(&self) -> DType {
        let own = self.dtype.mean_type();
        let weights = self.weights.map(|weights| weights.dtype.least_float());
        weights.filter(|weights| weights.size() > own.size()).unwrap_or(own)
    }

    /// The values that count with what each weighs, as pairs, if they have weights.
    pub fn weighted(&self) -> Option<Expression> {
        let pairs = Expression::of(self.weights?.pairs, DType::Complex128);
        Some(if self.omits() { pairs.valid() } else { pairs })
    }
}

/// The shape of a kernel's answer for the elements that are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One number or time.
    Number,
    /// Where elements are: one index, or an array of them.
    Positions,
    /// As many as there are quantiles: one number for one of them, an array for several.
    Quantiles,
    /// A square matrix, with a row for each of the arrays.
    Matrix,
    /// An array of items.
    Items,
    /// A named tuple.
    Record,
}

impl Shape {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Number => "number",
            Shape::Positions => "positions",
            Shape::Quantiles => "quantiles",
            Shape::Matrix => "matrix",
            Shape::Items => "items",
            Shape::Record => "record",
        }
    }
}

/// The element types that a kernel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// All of them.
    Any,
    /// Bool, integers, floats and complex numbers.
    Numbers,
    /// Everything that has a sum, or is zero or not: numbers and timedeltas.
    Summed,
    /// Bool, integers and floats.
    Reals,
    /// Everything that has an order: reals and times.
    Ordered,
    /// Everything that has an order and a difference: not bool.
    Measured,
    /// Everything that has a mean: reals and timedeltas.
    Averaged,
    /// Integers and floats.
    Quantities,
    /// Pairs of numbers, as complex ones: the elements of two arrays of reals.
    Pairs,
    /// The elements of several arrays of reals, side by side as float64.
    Columns,
}

impl Takes {
    /// Whether the dtype is among them.
    pub fn includes(self, dtype: DType) -> bool {
        match self {
            Takes::Any => true,
            Takes::Numbers => !dtype.is_time(),
            Takes::Summed => dtype != DType::Datetime64,
            Takes::Reals => !dtype.is_time() && !dtype.is_complex(),
            Takes::Ordered => !dtype.is_complex(),
            Takes::Measured => !dtype.is_complex() && dtype != DType::Bool,
            Takes::Averaged => !dtype.is_complex() && dtype != DType::Datetime64,
            Takes::Quantities => Takes::Reals.includes(dtype) && dtype != DType::Bool,
            Takes::Pairs => dtype == DType::Complex128,
            Takes::Columns => dtype == DType::Float64,
        }
    }

    /// The element types of the arrays that it goes over.
    #[must_use]
    pub fn of_arrays(self) -> Takes {
        if matches!(self, Takes::Pairs | Takes::Columns) { Takes::Reals } else { self }
    }

    /// For messages.
    pub fn describe(self) -> &'static str {
        match self {
            Takes::Any => "any dtype",
            Takes::Numbers => "bool, integers, floats and complex numbers",
            Takes::Summed => "bool, integers, floats, complex numbers and timedelta64",
            Takes::Reals | Takes::Pairs | Takes::Columns => "bool, integers and floats",
            Takes::Ordered => "bool, integers, floats, datetime64 and timedelta64",
            Takes::Measured => "integers, floats, datetime64 and timedelta64",
            Takes::Averaged => "bool, integers, floats and timedelta64",
            Takes::Quantities => "integers and floats",
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
    /// The shape of its answer.
    pub answers: Shape,
    /// Whether the answer is only near to the expression's.
    pub approximate: bool,
    /// Choices of parameters to be tested, shown and timed, as keyword arguments that are Python literals (inf is 1e999); the
    /// defaults come by themselves.
    pub examples: &'static [&'static str],
    /// The policy that the name itself demands: `nanmean` omits.
    pub nan_policy: Option<NanPolicy>,
    /// Whether elements can have weights: it then answers as if each were there as often as its weight says.
    pub weighted: bool,
    /// Passes over memory with the default parameters.
    pub passes: usize,
    /// What to accumulate and how to finish.
    pub resolve: fn(&Arguments, &Input) -> Result<Request, Error>,
}

impl Entry {
    /// What most kernels have in common; an entry says the rest.
    pub const USUAL: Entry = Entry {
        name: "",
        doc: "",
        parameters: &[],
        numpy: "",
        takes: Takes::Numbers,
        answers: Shape::Number,
        approximate: false,
        examples: &[],
        nan_policy: None,
        weighted: false,
        passes: 1,
        resolve: |_, _| unreachable!("an entry says what it accumulates"),
    };

    /// The kernel under its `nan…` name.
    #[must_use]
    pub const fn omitting(&self, name: &'static str, numpy: &'static str, doc: &'static str) -> Entry {
        Entry { name, numpy, doc, nan_policy: Some(NanPolicy::Omit), ..*self }
    }

    /// The request of one use of the kernel on such elements.
    pub fn request(&self, arguments: &Arguments, subject: Subject, nan_policy: NanPolicy) -> Result<Request, Error> {
        let (kernel, dtype, is_weighted) = (self.name, subject.dtype, subject.weights.is_some());
        if !self.takes.includes(dtype) || (is_weighted && !Takes::Reals.includes(dtype)) {
            let accepted = match (is_weighted, self.takes.includes(DType::Bool)) {
                (false, _) => self.takes.describe(),
                (true, true) => "bool, integers and floats if elements have weights",
                (true, false) => "integers and floats if elements have weights",
            };
            return Err(Error::UnsupportedDtype { kernel, dtype, accepted });
        }
        let nan_policy = self.nan_policy.unwrap_or(nan_policy);
        let input = Input::new(self.name, subject, nan_policy);
        guarded(|| (self.resolve)(arguments, &input)).flatten().map_err(|error| error.of([kernel]))
    }
}
