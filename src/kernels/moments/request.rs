//! How kernels request moments: one pass, and further passes over scaled elements if powers leave the range of float64.
//!
//! A kernel computes its result from a state. This file chooses the accumulator for the elements and decides whether to
//! scale.

use std::sync::Arc;

use num_complex::Complex;

use super::accumulator::{Moments, WeightedMoments};
use super::state::MomentsState;
use crate::dtype::ItemType;
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Answer, Input, Request};
use crate::kernels::rescaled::{Of, rescaled, scaled};
use crate::scale::Scale;
use crate::value::Value;

/// Requests the moments of the counted elements, up to an order. `finish` gets them together with the scale of the
/// elements.
pub(in crate::kernels) fn moments(
    input: &Input,
    order: u8,
    then: Vec<&'static str>,
    finish: impl Fn(&MomentsState, Scale) -> Result<Answer, Error> + Send + Sync + 'static,
) -> Request {
    let (of, finish) = (*input, Arc::new(finish));
    let finish = move |state: &MomentsState| {
        if state.asks_for_scale(order) {
            Ok(in_scale(&of, order, Arc::clone(&finish)))
        } else {
            finish(state, Scale::ONE)
        }
    };
    if let Some(pairs) = input.weighted() {
        return Request::chain(pairs, WeightedMoments { order }, then, finish);
    }
    match input.dtype.item() {
        ItemType::Float32 => Request::chain(input.values(), Moments::<f32>::up_to(order), then, finish),
        _ => Request::chain(input.floats(), Moments::<f64>::up_to(order), then, finish),
    }
}

/// Requests the moments of the elements in a suitable scale.
fn in_scale(
    input: &Input,
    order: u8,
    finish: Arc<impl Fn(&MomentsState, Scale) -> Result<Answer, Error> + Send + Sync + 'static>,
) -> Answer {
    let Some(pairs) = input.weighted() else { return floats_in_scale(input.floats(), order, finish) };
    rescaled::<Complex<f64>>(pairs.clone(), Of::Weighted, move |scales| {
        let finish = Arc::clone(&finish);
        let finish = move |state: &MomentsState| finish(&state.weighing(scales[1]), scales[0]);
        Request::chain(scaled(pairs.clone(), scales), WeightedMoments { order }, Vec::new(), finish)
    })
}

/// Requests the moments of float64 elements without weights, in a suitable scale.
pub(in crate::kernels) fn floats_in_scale(
    floats: Expression,
    order: u8,
    finish: Arc<impl Fn(&MomentsState, Scale) -> Result<Answer, Error> + Send + Sync + 'static>,
) -> Answer {
    rescaled::<f64>(floats.clone(), Of::Elements, move |scales| {
        let finish = Arc::clone(&finish);
        let finish = move |state: &MomentsState| finish(state, scales[0]);
        Request::chain(scaled(floats.clone(), scales), Moments::<f64>::up_to(order), Vec::new(), finish)
    })
}

/// Requests a float of NumPy's dtype computed from the moments. `degree` is the statistic's degree, see
/// [`crate::scale`].
pub(in crate::kernels) fn finish(
    input: &Input,
    order: u8,
    degree: i64,
    value: impl Fn(&MomentsState) -> f64 + Send + Sync + 'static,
) -> Request {
    let (of, dtype, value) = (*input, input.mean_type(), Arc::new(value));
    let own = Arc::clone(&value);
    // A sum that overflows is infinite, as in NumPy. With weights, the mean may be finite although the sum overflows.
    let sums = order == 1 && input.weights.is_none();
    let number = move |state: &MomentsState| (sums || !state.asks_for_scale(order)).then(|| Value::number(own(state)));
    let otherwise = move |_: &MomentsState| {
        let value = Arc::clone(&value);
        let finish = move |state: &MomentsState, scale: Scale| {
            Ok(Answer::Value(Value::float(scale.undo(value(state), degree), dtype)))
        };
        Ok(in_scale(&of, order, Arc::new(finish)))
    };
    if let Some(pairs) = input.weighted() {
        return Request::number(pairs, WeightedMoments { order }, dtype, number, otherwise);
    }
    match input.dtype.item() {
        ItemType::Float32 => Request::number(input.values(), Moments::<f32>::up_to(order), dtype, number, otherwise),
        _ => Request::number(input.floats(), Moments::<f64>::up_to(order), dtype, number, otherwise),
    }
}
