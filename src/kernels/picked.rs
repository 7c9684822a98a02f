//! Elements at given ranks, as numbers: the common part of quantiles, medians and trimmed means.
//!
//! This module only converts the elements to numbers. The kernel decides which ranks it needs and what it computes from
//! their elements.

use crate::dtype::{DType, Number, Ordered, Sealed, Time, with_ordered};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Answer, Input, Request, Takes};
use crate::selection::{Picked, select};
use crate::value::Value;

/// Elements at some ranks, as numbers: [`Picked`] without its element type.
pub(super) struct PickedNumbers<'a> {
    /// The number of elements.
    pub(super) len: u64,
    /// Whether an element is NaN; see [`Picked`].
    pub(super) missing: bool,
    at: Box<dyn Fn(u64) -> Number + 'a>,
}

impl<'a> PickedNumbers<'a> {
    fn new<T: Ordered>(picked: &'a Picked<T>) -> PickedNumbers<'a> {
        PickedNumbers { len: picked.len, missing: picked.missing, at: Box::new(|rank| picked.at(rank).number()) }
    }

    /// The element at a requested rank.
    pub(super) fn at(&self, rank: u64) -> Number {
        (self.at)(rank)
    }
}

/// Requests the elements at the ranks that `wanted` returns for the number of elements.
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

/// The number for a missing result: NaN, or NaT for times.
pub(super) fn missing(dtype: DType) -> Number {
    if dtype.is_time() { Number::Int(Time::NAT.0) } else { Number::Float(f64::NAN) }
}
