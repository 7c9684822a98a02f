//! A central moment of any order: `moment`.
//!
//! Up to the fourth order it follows from the moments that the other kernels share. For higher orders, a second pass
//! sums powers of deviations from the known mean.

use std::marker::PhantomData;

use num_complex::Complex;

use super::accumulator::weigh;
use super::request::{finish, moments};
use super::state::MomentsState;
use crate::dtype::Item;
use crate::error::Error;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Request, Takes};
use crate::kernels::counts;
use crate::kernels::rescaled::{Of, rescaled, scaled};
use crate::lanes::Double;
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::scale::Scale;
use crate::simd::Simd;
use crate::value::Value;

pub(in crate::kernels) static MOMENT: Entry = Entry {
    name: "moment",
    doc: "A central moment: the mean of the deviations from the mean, raised to the power ``order``.\n\n\
          NaN for an empty array. If powers leave the range of float64, further passes use scaled elements. The same \
          as SciPy's ``stats.moment``.",
    parameters: &[Parameter {
        name: "order",
        accepts: Accepts::IntFrom(0),
        default: DefaultValue::Int(1),
        doc: "The power to which deviations are raised.",
    }],
    numpy: "stats.moment(x, order=order, axis=None)",
    takes: Takes::Reals,
    examples: &["order=2", "order=3", "order=4", "order=5", "order=8"],
    weighted: true,
    resolve: moment,
    ..Entry::USUAL
};

fn moment(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let order = arguments.int("order");
    let mean = |state: &MomentsState, sum: f64| sum / state.count;
    Ok(match order {
        0 | 1 => {
            let value = if order == 0 { 1.0 } else { 0.0 };
            if input.weights.is_none() {
                return Ok(counts::constant(input, value));
            }
            finish(input, 1, 0, move |state| if state.mean().is_nan() { f64::NAN } else { value })
        }
        2 => finish(input, 2, 2, move |state| mean(state, state.m2)),
        3 => finish(input, 4, 3, move |state| mean(state, state.m3)),
        4 => finish(input, 4, 4, move |state| mean(state, state.m4)),
        _ => {
            // Powers above the fourth are rare: a second pass around the known mean is simpler than merging them all.
            let input = *input;
            moments(&input, 1, vec!["moment"], move |state, scale| {
                Ok(Answer::Next(central(&input, scale, state.mean(), state.count, order)))
            })
        }
    })
}

/// Requests a central moment of a high order. The mean and the elements are scaled; `n` is the number of elements.
fn central(input: &Input, scale: Scale, mean: f64, n: f64, order: i64) -> Request {
    let input = *input;
    let finish = move |sum: &Double| {
        if scale == Scale::ONE && mean.is_finite() && !sum.high.is_finite() {
            // The mean is finite, so the elements are.
            let next = move |[scale, _]: [Scale; 2]| central(&input, scale, scale.scaled(mean), n, order);
            return Ok(match input.weighted() {
                Some(pairs) => rescaled::<Complex<f64>>(pairs, Of::Weighted, next),
                None => rescaled::<f64>(input.floats(), Of::Elements, next),
            });
        }
        Ok(Answer::Value(Value::float(scale.undo(sum.value() / n, order), input.mean_type())))
    };
    let scales = [scale, Scale::ONE];
    match input.weighted() {
        Some(pairs) => {
            Request::chain(scaled(pairs, scales), CentralPower::<Complex<f64>>::new(mean, order), Vec::new(), finish)
        }
        None => {
            Request::chain(scaled(input.floats(), scales), CentralPower::<f64>::new(mean, order), Vec::new(), finish)
        }
    }
}

/// An element and its weight.
trait Weighed: Item {
    fn element(self) -> f64;
    fn weight(self) -> f64;
}

impl Weighed for f64 {
    #[inline(always)]
    fn element(self) -> f64 {
        self
    }

    #[inline(always)]
    fn weight(self) -> f64 {
        1.0
    }
}

impl Weighed for Complex<f64> {
    #[inline(always)]
    fn element(self) -> f64 {
        self.re
    }

    #[inline(always)]
    fn weight(self) -> f64 {
        self.im
    }
}

/// Σ w (x − μ)ᵖ for a known μ.
#[derive(Debug, Clone, PartialEq)]
struct CentralPower<T> {
    mean: f64,
    order: f64,
    item: PhantomData<fn(T)>,
}

impl<T> CentralPower<T> {
    fn new(mean: f64, order: i64) -> CentralPower<T> {
        CentralPower { mean, order: order as f64, item: PhantomData }
    }
}

impl<T: Weighed> Accumulator for CentralPower<T> {
    const NAME: &'static str = "sum of central powers";

    type Item = T;
    type State = Double;

    fn init(&self) -> Double {
        Double::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut Double, block: Items<'_, T>) {
        let power = |item: T| weigh((item.element() - self.mean).powf(self.order), item.weight());
        state.merge(Double::sum_of(simd, &block, block.ahead, power));
    }

    fn combine(&self, state: &mut Double, next: Double) {
        state.merge(next);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}
