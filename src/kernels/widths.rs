//! The width of a histogram's bins, by NumPy's seven rules.
//!
//! With n elements, their range r, standard deviation σ, skewness g and interquartile range i, and with
//! s² = 6 (n − 2) / ((n + 1)(n + 3)):
//!
//! | rule | width | source |
//! |---|---|---|
//! | `sqrt` | r / √n | |
//! | `sturges` | r / (log₂ n + 1) | Sturges, Journal of the American Statistical Association 21 (1926), 65–66 |
//! | `rice` | r / (2 ∛n) | Terrell & Scott, same journal, 80 (1985), 209–214 |
//! | `scott` | σ ∛(24 √π / n) | Scott, Biometrika 66 (1979), 605–610 |
//! | `doane` | r / (1 + log₂ n + log₂(1 + abs(g) / s)) | Doane, The American Statistician 30 (1976), 181–183 |
//! | `fd` | 2 i / ∛n | Freedman & Diaconis, Zeitschrift für Wahrscheinlichkeitstheorie 57 (1981), 453–476 |
//! | `auto` | the smaller of `sturges` and of the larger of `fd` and half of `sqrt` | NumPy |
//!
//! The number of bins is the least number of such widths that covers the range, and 1 if the width is 0. To get NumPy's
//! number, each operation is rounded to the dtype that NumPy uses for it.

use std::sync::Arc;

use crate::dtype::{Buffer, DType};
use crate::error::Error;
use crate::expr::{Expression, Step};
use crate::kernel::{Accumulator, Answer, Input, Items, Request};
use crate::kernels::extrema::{Extrema, ExtremaState};
use crate::kernels::moments::{Moments, MomentsState, floats_in_scale};
use crate::kernels::picked::{PickedNumbers, ordered};
use crate::kernels::quantiles::Quartiles;
use crate::parameters::MAX_BINS;
use crate::scale::Scale;
use crate::simd::Simd;
use crate::value::Value;

/// A rule for widths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    Auto,
    Doane,
    Fd,
    Rice,
    Scott,
    Sqrt,
    Sturges,
}

/// The statistics of the elements that the rules need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Facts {
    count: f64,
    /// The smallest and the largest element; NaN if there is a NaN.
    pub(super) low: f64,
    pub(super) high: f64,
    deviation: f64,
    skewness: f64,
    between_quartiles: f64,
}

impl Facts {
    /// Whether there are no elements.
    pub(super) fn is_of_nothing(&self) -> bool {
        self.count == 0.0
    }

    fn value(self) -> Value {
        let Facts { count, low, high, deviation, skewness, between_quartiles } = self;
        let facts = vec![count, low, high, deviation, skewness, between_quartiles];
        Value::Array { items: Buffer::Float64(facts), dtype: DType::Float64 }
    }

    /// The facts found by a request of [`Rule::request`].
    pub(super) fn of(value: &Value) -> Facts {
        let Value::Array { items: Buffer::Float64(facts), .. } = value else { unreachable!("facts are floats") };
        let &[count, low, high, deviation, skewness, between_quartiles] = facts.as_slice() else {
            unreachable!("there are six facts")
        };
        Facts { count, low, high, deviation, skewness, between_quartiles }
    }
}

impl Rule {
    pub(super) fn named(name: &str) -> Rule {
        match name {
            "doane" => Rule::Doane,
            "fd" => Rule::Fd,
            "rice" => Rule::Rice,
            "scott" => Rule::Scott,
            "sqrt" => Rule::Sqrt,
            "sturges" => Rule::Sturges,
            _ => Rule::Auto,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Rule::Auto => "auto",
            Rule::Doane => "doane",
            Rule::Fd => "fd",
            Rule::Rice => "rice",
            Rule::Scott => "scott",
            Rule::Sqrt => "sqrt",
            Rule::Sturges => "sturges",
        }
    }

    /// The request for the facts about all elements, or about those between two ends.
    pub(super) fn request(self, input: &Input, within: Option<[f64; 2]>) -> Result<Request, Error> {
        let dtype = input.dtype;
        let expression = match within {
            Some([low, high]) => input.elements().float64().then(Step::within(low, high)),
            None if matches!(self, Rule::Auto | Rule::Fd) => input.values(),
            None => input.floats(),
        };
        match self {
            Rule::Auto | Rule::Fd => quartiles(input, expression),
            _ => {
                let (order, of) = (self.order(), expression.clone());
                Ok(Request::chain(expression, Spread { order }, Vec::new(), move |(extrema, moments)| {
                    let (low, high) = extrema.ends().unwrap_or((f64::NAN, f64::NAN));
                    let facts = move |moments: &MomentsState, scale: Scale| {
                        let deviation = dtype.mean_type().round(scale.undo(moments.deviation(), 1));
                        let skewness = dtype.mean_type().round(moments.skewness());
                        let count = moments.count;
                        let facts = Facts { count, low, high, deviation, skewness, between_quartiles: f64::NAN };
                        Ok(Answer::Value(facts.value()))
                    };
                    if order > 1 && moments.asks_for_scale(order) {
                        return Ok(floats_in_scale(of.clone(), order, Arc::new(facts)));
                    }
                    facts(moments, Scale::ONE)
                }))
            }
        }
    }

    /// The order of the moments that the rule needs.
    fn order(self) -> u8 {
        match self {
            Rule::Doane => 4,
            Rule::Scott => 2,
            _ => 1,
        }
    }

    /// The width of bins for these elements, and the dtype in which NumPy computes it.
    fn width(self, facts: &Facts, dtype: DType) -> (f64, DType) {
        let dtype = dtype.mean_type();
        let n = facts.count;
        let range = dtype.round(facts.high - facts.low);
        let sqrt = range / n.sqrt();
        let sturges = range / (n.log2() + 1.0);
        let fd = 2.0 * facts.between_quartiles * n.powf(-1.0 / 3.0);
        match self {
            Rule::Sqrt => (sqrt, DType::Float64),
            Rule::Sturges => (sturges, DType::Float64),
            Rule::Rice => (dtype.round(range / dtype.round(2.0 * n.powf(1.0 / 3.0))), dtype),
            Rule::Scott => {
                let factor = (24.0 * std::f64::consts::PI.sqrt() / n).powf(1.0 / 3.0);
                (dtype.round(dtype.round(factor) * facts.deviation), dtype)
            }
            Rule::Doane if n > 2.0 && facts.deviation > 0.0 => {
                let unit = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
                let bins = 1.0 + n.log2() + (1.0 + facts.skewness.abs() / unit).log2();
                (range / bins, DType::Float64)
            }
            Rule::Doane => (0.0, DType::Float64),
            Rule::Fd => (fd, DType::Float64),
            Rule::Auto => {
                // Not `max`, which drops a NaN.
                let wide = if sqrt / 2.0 > fd { sqrt / 2.0 } else { fd };
                (if sturges < wide { sturges } else { wide }, DType::Float64)
            }
        }
    }

    /// The number of bins between two ends; NumPy computes their difference in `ends_in`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number of bins is compared with both limits
    pub(super) fn bins(
        self,
        facts: &Facts,
        dtype: DType,
        [low, high]: [f64; 2],
        ends_in: DType,
    ) -> Result<usize, Error> {
        if facts.is_of_nothing() {
            return Ok(1);
        }
        let (width, width_in) = self.width(facts, dtype);
        if width == 0.0 {
            return Ok(1);
        }
        let width = if !dtype.is_float() && width < 1.0 { 1.0 } else { width };
        let (low, high) = if low == high { (ends_in.round(low - 0.5), ends_in.round(high + 0.5)) } else { (low, high) };
        let quotient = ends_in.round(high - low) / width;
        let bins = if ends_in == width_in { ends_in.round(quotient) } else { quotient }.ceil();
        if (1.0..=MAX_BINS as f64).contains(&bins) {
            return Ok(bins as usize);
        }
        Err(Error::ParameterValue {
            kernel: "histogram",
            parameter: "bins",
            value: format!("'{}'", self.name()),
            expected: format!(
                "an integer or edges for such data (from {low:e} to {high:e}, a width of {width:e} gives {bins:e} \
                 bins, and {MAX_BINS} is the limit)"
            ),
        })
    }
}

/// Requests the facts that a selection finds: the ends and the interquartile range.
fn quartiles(input: &Input, expression: Expression) -> Result<Request, Error> {
    let (of, quartiles) = (*input, Quartiles::new(input));
    // Elements between two given ends are selected as float64.
    let dtype = if expression.item() == input.dtype.item() { input.dtype } else { DType::Float64 };
    let within = quartiles.clone();
    let ranks = move |n: u64| {
        let mut ranks = within.ranks(n);
        ranks.extend([0, n.saturating_sub(1)]);
        ranks
    };
    ordered(&Input { dtype, ..of }, expression, ranks, move |picked: &PickedNumbers| {
        let ends = if picked.missing || picked.len == 0 {
            (f64::NAN, f64::NAN)
        } else {
            (picked.at(0).float(), picked.at(picked.len - 1).float())
        };
        let (low, high) = ends;
        let (deviation, skewness) = (f64::NAN, f64::NAN);
        let count = picked.len as f64;
        Ok(Facts { count, low, high, deviation, skewness, between_quartiles: quartiles.distance(picked) }.value())
    })
}

/// Extrema and moments of the same elements.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    order: u8,
}

impl Spread {
    fn parts(self) -> (Extrema<f64>, Moments<f64>) {
        (Extrema::new(false), Moments::up_to(self.order))
    }
}

impl Accumulator for Spread {
    const NAME: &'static str = "extrema and moments";

    type Item = f64;
    type State = (ExtremaState<f64>, MomentsState);

    fn init(&self) -> (ExtremaState<f64>, MomentsState) {
        let (extrema, moments) = self.parts();
        (extrema.init(), moments.init())
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut (ExtremaState<f64>, MomentsState), block: Items<'_, f64>) {
        let (extrema, moments) = self.parts();
        extrema.update(simd, &mut state.0, block);
        moments.update(simd, &mut state.1, block);
    }

    fn combine(&self, state: &mut (ExtremaState<f64>, MomentsState), next: (ExtremaState<f64>, MomentsState)) {
        let (extrema, moments) = self.parts();
        extrema.combine(&mut state.0, next.0);
        moments.combine(&mut state.1, next.1);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        Some(Spread { order: self.order.max(other.order) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::RULES;

    #[test]
    fn every_rule_has_its_name() {
        assert_eq!(RULES.map(|name| Rule::named(name).name()), RULES);
    }
}
