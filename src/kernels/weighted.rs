//! Exponentially weighted means, as in pandas.
//!
//! Each element updates the mean to a·old + b·x. The updates of a whole chunk combine into one update of the same form.
//! A first sweep finds this update for each chunk; a second sweep starts from the mean that is carried into each chunk
//! and does the chunk's own updates.

use std::sync::Arc;

use crate::array_writer::{ArrayWriter, PerChunk, array, fill, write_each};
use crate::dtype::DType;
use crate::error::Error;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Piece, Request, Shape, Takes};
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::source::Output;

/// How the weights of old values decay.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Decay {
    /// The weight of a new value.
    alpha: f64,
    /// Whether weights are divided by their sum; otherwise by the sum over an infinite past.
    adjust: bool,
    /// Whether missing values are skipped: then they do not reduce the weights of old values.
    ignore_na: bool,
}

/// A mean and its weight.
#[derive(Debug, Clone, Copy)]
struct Mean {
    /// NaN before the first value.
    mean: f64,
    weight: f64,
}

impl Mean {
    const NONE: Mean = Mean { mean: f64::NAN, weight: 1.0 };
}

impl Decay {
    /// The weight of a new value.
    fn new_weight(&self) -> f64 {
        if self.adjust { 1.0 } else { self.alpha }
    }

    /// Moves on by one element: old values lose weight.
    #[inline(always)]
    fn step(&self, old: &mut Mean, item: f64) {
        let counts = item.is_finite();
        if old.mean.is_nan() {
            if counts {
                old.mean = item;
            }
        } else if counts || !self.ignore_na {
            old.weight *= 1.0 - self.alpha;
            if counts {
                self.take(old, item);
            }
        }
    }

    /// Adds a value at the current element.
    #[inline(always)]
    fn take(&self, old: &mut Mean, item: f64) {
        let new = self.new_weight();
        let total = old.weight + new;
        // The mean of equal values is that value, without rounding.
        if old.mean != item {
            old.mean = (old.weight * old.mean + new * item) / total;
        }
        old.weight = if self.adjust { total } else { 1.0 };
    }
}

/// The update that a chunk applies to the mean of the elements before it.
#[derive(Debug, Clone, Copy)]
struct Steps {
    /// The factor on the old mean's weight up to the chunk's first value, and that value.
    lead: f64,
    first: f64,
    /// The mean of the chunk's values, and its weight.
    own: Mean,
    /// The factor on the old mean's share, from the first value on.
    share: f64,
}

impl Accumulator for Decay {
    const NAME: &'static str = "weights";

    type Item = f64;
    type State = Steps;

    fn positional(&self) -> bool {
        true
    }

    fn init(&self) -> Steps {
        Steps { lead: 1.0, first: f64::NAN, own: Mean::NONE, share: 1.0 }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Steps, block: Items<'_, f64>) {
        let kept = 1.0 - self.alpha;
        for &item in block.iter() {
            let counts = item.is_finite();
            if state.first.is_nan() {
                if counts || !self.ignore_na {
                    state.lead *= kept;
                }
                if counts {
                    state.first = item;
                    state.own = Mean { mean: item, weight: 1.0 };
                }
            } else {
                if counts {
                    let weight = state.own.weight * kept;
                    state.share *= if self.adjust { kept } else { weight / (weight + self.alpha) };
                } else if self.adjust && !self.ignore_na {
                    state.share *= kept;
                }
                self.step(&mut state.own, item);
            }
        }
    }

    /// Never called: chunks are kept separate.
    fn combine(&self, _: &mut Steps, _: Steps) {}

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

impl Decay {
    /// The mean after a chunk.
    fn after(&self, mut mean: Mean, chunk: &Steps) -> Mean {
        if mean.mean.is_nan() {
            return if chunk.first.is_nan() { mean } else { chunk.own };
        }
        mean.weight *= chunk.lead;
        if chunk.first.is_nan() {
            return mean;
        }
        if self.adjust {
            // Both means have weights of their own.
            let old = mean.weight * chunk.share;
            let weight = old + chunk.own.weight;
            let mean = (old * mean.mean + chunk.own.weight * chunk.own.mean) / weight;
            return Mean { mean, weight };
        }
        // The chunk's mean started from its first value. It must start from the mean of that value and the old mean.
        let mut first = mean;
        self.take(&mut first, chunk.first);
        let mean = chunk.own.mean + chunk.share * (first.mean - chunk.first);
        Mean { mean, weight: chunk.own.weight }
    }
}

/// Writes the means, starting from the mean carried into each chunk.
#[derive(Debug, Clone)]
struct Means {
    decay: Decay,
    carries: Arc<Vec<Mean>>,
    output: Output,
}

impl ArrayWriter for Means {
    const NAME: &'static str = "weighted means";

    type Item = f64;

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, f64>) -> Result<(), Error> {
        let mut mean = self.carries.get(piece.number).copied().unwrap_or(Mean::NONE);
        let each = |item| {
            self.decay.step(&mut mean, item);
            Some(mean.mean)
        };
        write_each(piece.own(), piece.start, each, |start, means| self.output.write_floats(start, means));
        Ok(())
    }
}

/// The weight of a new value, from whichever parameter was given.
fn alpha(arguments: &Arguments, input: &Input) -> Result<f64, Error> {
    let given = |name| arguments.get(name) != &Argument::None;
    let names: Vec<&str> = ["alpha", "span", "com", "halflife"].into_iter().filter(|name| given(name)).collect();
    Ok(match names.as_slice() {
        [] => 0.5,
        ["alpha"] => arguments.number("alpha"),
        ["span"] => 2.0 / (arguments.number("span") + 1.0),
        ["com"] => 1.0 / (1.0 + arguments.number("com")),
        ["halflife"] => 1.0 - (-std::f64::consts::LN_2 / arguments.number("halflife")).exp(),
        _ => {
            return Err(Error::ParameterValue {
                kernel: input.kernel,
                parameter: "alpha",
                value: names.join(" and "),
                expected: "the only one that is given of alpha, span, com and halflife".to_owned(),
            });
        }
    })
}

fn ewm_mean(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let (adjust, ignore_na) = (arguments.bool("adjust"), arguments.bool("ignore_na"));
    let decay = Decay { alpha: alpha(arguments, input)?, adjust, ignore_na };
    let expression = input.elements().float64();
    Ok(array(
        DType::Float64,
        |len| len,
        move |output| {
            let of = expression.clone();
            Request::chain(expression.clone(), PerChunk(decay), vec![Means::NAME], move |chunks: &Vec<Steps>| {
                let mut carries = memory::with_room(chunks.len());
                let mut mean = Mean::NONE;
                for chunk in chunks {
                    carries.push(mean);
                    mean = decay.after(mean, chunk);
                }
                Ok(Answer::Next(fill(of.clone(), Means { decay, carries: Arc::new(carries), output: output.clone() })))
            })
        },
    ))
}

const fn weight(name: &'static str, accepts: Accepts, doc: &'static str) -> Parameter {
    Parameter { name, accepts, default: DefaultValue::None, doc }
}

pub(super) static EWM_MEAN: Entry = Entry {
    name: "ewm_mean",
    doc: "The exponentially weighted mean of all elements up to each one, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas. Older elements have smaller weights. One of ``alpha``, \
          ``span``, ``com`` and ``halflife`` sets how fast weights decay; without any of them, weights are halved \
          with each element. For ``alpha=0.5, adjust=False``, pandas weights a value after a missing one differently \
          from its documentation; this kernel follows the documentation.",
    parameters: &[
        weight("alpha", Accepts::Weight, "The weight of a new value; old weights are multiplied by ``1 - alpha``."),
        weight("span", Accepts::Span, "The span: ``alpha = 2 / (span + 1)``."),
        weight("com", Accepts::Positive, "The center of mass: ``alpha = 1 / (1 + com)``."),
        weight("halflife", Accepts::Positive, "The number of elements after which a weight is halved."),
        Parameter {
            name: "adjust",
            accepts: Accepts::Bool,
            default: DefaultValue::Bool(true),
            doc: "If ``True``, weights are divided by their sum; otherwise by the sum over an infinite past.",
        },
        Parameter {
            name: "ignore_na",
            accepts: Accepts::Bool,
            default: DefaultValue::Bool(false),
            doc: "If ``True``, missing values do not reduce the weights of earlier values.",
        },
    ],
    numpy: "pd.Series(np.ravel(x)).ewm(alpha=alpha or (None if span or com or halflife else 0.5), span=span, com=com, \
            halflife=halflife, adjust=adjust, ignore_na=ignore_na).mean().to_numpy()",
    takes: Takes::Reals,
    answers: Shape::Items,
    examples: &[
        "alpha=0.1, adjust=False",
        "span=5, ignore_na=True",
        "com=2.5, adjust=False, ignore_na=True",
        "halflife=3",
    ],
    passes: 2,
    resolve: ewm_mean,
    ..Entry::USUAL
};
