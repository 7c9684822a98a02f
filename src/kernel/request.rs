//! What a kernel asks the engine for: a [`Request`]. A pass fills its [`Sink`], and its [`Finish`] turns the state into
//! an [`Answer`].
//!
//! Requests are plain data that contain functions. They do not read elements, and do not know who else shares their
//! sink.

use std::fmt;
use std::sync::Arc;

use super::accumulator::{Accumulator, Seals};
use super::erased::{AnyState, Erased, Sealing, typed};
use crate::dtype::{DType, Number, Sealed};
use crate::error::Error;
use crate::expr::Expression;
use crate::source::Output;
use crate::value::Value;

/// Where a pass delivers: an accumulator over an expression.
#[derive(Debug, Clone)]
pub struct Sink {
    /// The formula whose blocks it takes.
    pub expression: Expression,
    /// The accumulator that takes them.
    pub accumulator: Arc<dyn Erased>,
}

impl Sink {
    /// Whether a sample is enough for it.
    pub fn is_sampled(&self) -> bool {
        self.accumulator.sample(0).is_some()
    }
}

/// What a finish gives: the value, or the request that follows from what is known now.
pub enum Answer {
    /// The value.
    Value(Value),
    /// Another pass is needed, for this request.
    Next(Request),
}

/// How a finished state becomes an answer.
pub struct Finish {
    answer: Box<ToAnswer>,
    /// The shorter way to an answer that is a number of this dtype, if it is one: of many short rows, most of the time
    /// goes into handing answers on.
    number: Option<(DType, Box<ToNumber>)>,
}

type ToAnswer = dyn Fn(&AnyState) -> Result<Answer, Error> + Send + Sync;
type ToNumber = dyn Fn(&AnyState) -> Option<Number> + Send + Sync;

impl Finish {
    /// The answer.
    pub fn answer(&self, state: &AnyState) -> Result<Answer, Error> {
        (self.answer)(state)
    }

    /// The answer, if it is a number and there is the shorter way to it.
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
    /// A pass is needed.
    Needs {
        /// What the pass accumulates.
        sink: Sink,
        /// How the state becomes the answer.
        finish: Arc<Finish>,
        /// What the passes that may follow do, in words; most requests have none.
        then: Vec<&'static str>,
    },
    /// The answer is an array, for which there has to be memory first.
    Array(Arc<Unwritten>),
}

/// An answer that is an array: how large it is, and who fills it once there is memory for it.
pub struct Unwritten {
    /// The array's dtype; a time's unit is that of the input.
    pub dtype: DType,
    /// The number of its items, which follows from that of elements.
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
        let answer = move |any: &AnyState| finish(typed::<A::State>(any));
        Request::needs(expression, Arc::new(accumulator), then, Box::new(answer))
    }

    /// Accumulates `expression`, seals the state, and turns it into a value or asks for more.
    pub fn sealed<A: Seals>(
        expression: Expression,
        accumulator: A,
        then: Vec<&'static str>,
        finish: impl Fn(&A::Sealed) -> Result<Answer, Error> + Send + Sync + 'static,
    ) -> Request {
        debug_assert_eq!(expression.item(), A::Item::TYPE);
        let answer = move |any: &AnyState| finish(typed::<A::Sealed>(any));
        Request::needs(expression, Arc::new(Sealing(accumulator)), then, Box::new(answer))
    }

    /// The part of both that needs no types: compiled once, not for each accumulator of each dtype.
    fn needs(
        expression: Expression,
        accumulator: Arc<dyn Erased>,
        then: Vec<&'static str>,
        answer: Box<ToAnswer>,
    ) -> Request {
        let sink = Sink { expression, accumulator };
        Request::Needs { sink, finish: Arc::new(Finish { answer, number: None }), then }
    }

    /// Accumulates `expression` and turns the state into a number of a dtype, or, where `number` cannot tell it, into
    /// what `otherwise` says.
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
        let number = move |any: &AnyState| number(typed::<A::State>(any));
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

    /// The same request, followed by what `next` makes of its value: another value, or further passes, which `steps`
    /// tells in words.
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
