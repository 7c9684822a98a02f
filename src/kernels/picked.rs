//! Elements of given ranks, as numbers: what quantiles, medians and means of what is left between two ranks have in common.
//!
//! Only the type of the elements is taken away here. Which ranks are wanted, and what is made of their elements, is the
//! kernel's.

use crate::dtype::{DType, Number, Ordered, Sealed, Time, with_ordered};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Answer, Input, Request, Takes};
use crate::selection::{Picked, select};
use crate::value::Value;

/// Elements of some ranks, as numbers: [`Picked`] without its type.
pub(super) struct PickedNumbers<'a> {
    /// How many elements there are.
    pub(super) len: u64,
    /// Whether one is NaN; see [`Picked`].
    pub(super) missing: bool,
    at: Box<dyn Fn(u64) -> Number + 'a>,
}

impl<'a> PickedNumbers<'a> {
    fn new<T: Ordered>(picked: &'a Picked<T>) -> PickedNumbers<'a> {
        PickedNumbers { len: picked.len, missing: picked.missing, at: Box::new(|rank| picked.at(rank).number()) }
    }

    /// The element of a rank that was wanted.
    pub(super) fn at(&self, rank: u64) -> Number {
        (self.at)(rank)
    }
}

/// Asks for the elements at the ranks that `wanted` gives for the number of elements.
pub(super) fn ordered(
    input: &Input,
    expression: Expression,
    wanted: impl Fn(u64) -> Vec<u64> + Send + Sync + 'static,
    finish: impl Fn(&PickedNumbers) -> Result<Value, Error> + Send + Sync + 'static,
) -> Result<Request, Error> {
    Ok(with_ordered!(input.dtype, T => {
        debug_assert_eq!(expression.item(), T::TYPE);
        select::<T>(expression, wanted, move |picked| finish(&PickedNumbers::new(picked)).map(Answer::Value))
    }, else return Err(input.unsupported(Takes::Ordered))))
}

/// The number that says that there is no answer: NaN, or NaT in arrays of times.
pub(super) fn missing(dtype: DType) -> Number {
    if dtype.is_time() { Number::Int(Time::NAT.0) } else { Number::Float(f64::NAN) }
}
