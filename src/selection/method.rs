//! The methods for quantiles: at which place among the ranks a quantile is taken, and which value is between two elements.
//!
//! A quantile is taken at a *virtual index*, a place between two ranks. The methods are those of Hyndman & Fan (The American
//! Statistician 50 (1996), 361–365) and NumPy's further four; each is a [`Method`]. Between two elements a and b the
//! value is a + (b − a)·t, and b − (b − a)·(1 − t) for t ≥ 1/2, as NumPy computes it: with the same operations in the same
//! dtypes, so that the answer is NumPy's to the last bit. (But for integers so far apart that NumPy's subtraction of the
//! two wraps around; this one does not.)

use crate::dtype::{DType, Number};

/// Where a quantile lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// At this rank.
    At(u64),
    /// Between two ranks, this part of the way from the first to the second.
    Between(u64, u64, f64),
}

/// How a quantile is placed among n elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Method {
    InvertedCdf,
    AveragedInvertedCdf,
    ClosestObservation,
    /// n·q + α + q·(1 − α − β) − 1.
    Continuous(f64, f64),
    Linear,
    Lower,
    Higher,
    Midpoint,
    Nearest,
}

impl Method {
    /// The method of this name; `linear` for a name that is none.
    pub(crate) fn named(name: &str) -> Method {
        match name {
            "inverted_cdf" => Method::InvertedCdf,
            "averaged_inverted_cdf" => Method::AveragedInvertedCdf,
            "closest_observation" => Method::ClosestObservation,
            "interpolated_inverted_cdf" => Method::Continuous(0.0, 1.0),
            "hazen" => Method::Continuous(0.5, 0.5),
            "weibull" => Method::Continuous(0.0, 0.0),
            "median_unbiased" => Method::Continuous(1.0 / 3.0, 1.0 / 3.0),
            "normal_unbiased" => Method::Continuous(3.0 / 8.0, 3.0 / 8.0),
            "lower" => Method::Lower,
            "higher" => Method::Higher,
            "midpoint" => Method::Midpoint,
            "nearest" => Method::Nearest,
            _ => Method::Linear,
        }
    }

    /// Whether every quantile is one of the elements.
    pub(crate) fn is_discrete(self) -> bool {
        matches!(
            self,
            Method::InvertedCdf | Method::ClosestObservation | Method::Lower | Method::Higher | Method::Nearest
        )
    }

    /// The place of the quantile q of n elements.
    pub(crate) fn place(self, n: u64, q: f64) -> Place {
        let last = n.saturating_sub(1);
        // From 0 to 1 times the last rank, as most methods measure it.
        let along = last as f64 * q;
        let at = |rank: f64| Place::At(whole(rank).min(last));
        // The rank above, unless the place below is met exactly (and, for one method, is odd).
        let rounded_up = |index: f64, met: bool| at(if met { index.floor() } else { index.floor() + 1.0 });
        match self {
            Method::InvertedCdf => {
                let index = n as f64 * q - 1.0;
                rounded_up(index, index == index.floor())
            }
            Method::ClosestObservation => {
                let index = n as f64 * q - 1.0 - 0.5;
                rounded_up(index, index == index.floor() && index.floor().rem_euclid(2.0) == 1.0)
            }
            Method::Lower => at(along.floor()),
            Method::Higher => at(along.ceil()),
            Method::Nearest => at(along.round_ties_even()),
            Method::Linear => between(along, last, |t| t),
            Method::Midpoint => {
                let index = 0.5 * (along.floor() + along.ceil());
                between(index, last, |_| if index == index.floor() { 0.0 } else { 0.5 })
            }
            Method::AveragedInvertedCdf => between(n as f64 * q - 1.0, last, |t| if t == 0.0 { 0.5 } else { 1.0 }),
            Method::Continuous(alpha, beta) => {
                between(n as f64 * q + (alpha + q * (1.0 - alpha - beta)) - 1.0, last, |t| t)
            }
        }
    }
}

/// The place of a virtual index, limited to the ranks that there are.
fn between(index: f64, last: u64, weight: impl Fn(f64) -> f64) -> Place {
    let (first, second) = if index >= last as f64 {
        (last, last)
    } else if index < 0.0 {
        (0, 0)
    } else {
        (whole(index), whole(index) + 1)
    };
    // NumPy counts the last rank as -1 here. The two elements are one then, and the weight matters for a zero's sign only.
    let from = if index >= last as f64 { -1.0 } else { first as f64 };
    Place::Between(first, second, weight(index - from))
}

/// The rank of the method `lower`.
pub(crate) fn lower_rank(n: u64, q: f64) -> u64 {
    match Method::Lower.place(n, q) {
        Place::At(rank) | Place::Between(rank, ..) => rank,
    }
}

/// A rank; what is below 0 is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(rank: f64) -> u64 {
    rank as u64
}

/// The value between two elements a and b of a dtype, `t` of the way from a to b, in the dtype of the result.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn interpolated(a: Number, b: Number, t: f64, dtype: DType, result: DType) -> Number {
    let late = t >= 0.5;
    let weight = result.round(if late { 1.0 - t } else { t });
    let (from, difference) = match (a, b) {
        (Number::Float(a), Number::Float(b)) => (if late { b } else { a }, dtype.round(b - a)),
        (a, b) => {
            let (a, b) = (integer(a), integer(b));
            ((if late { b } else { a }) as f64, (b - a) as f64)
        }
    };
    if dtype.is_time() {
        // Ticks are counted exactly; of the distance whole ones are taken.
        let ticks = (difference * weight) as i64;
        let (Number::Int(a), Number::Int(b)) = (a, b) else { unreachable!("times are integers") };
        return Number::Int(if late { b.wrapping_sub(ticks) } else { a.wrapping_add(ticks) });
    }
    let part = result.round(difference * weight);
    Number::Float(result.round(if late { from - part } else { from + part }))
}

/// An integer's value.
fn integer(number: Number) -> i128 {
    match number {
        Number::Int(value) => value.into(),
        Number::UInt(value) => value.into(),
        Number::Bool(value) => value.into(),
        Number::Float(_) | Number::Complex(_) => unreachable!("floats are not integers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::METHODS;

    #[test]
    fn every_method_has_its_name() {
        let methods = METHODS.map(Method::named);
        for (index, method) in methods.iter().enumerate() {
            assert!(!methods[..index].contains(method), "{method:?}");
        }
    }

    #[test]
    fn places_are_within_the_ranks() {
        for method in METHODS.map(Method::named) {
            for n in [1, 2, 3, 10, 1 << 40] {
                for q in [0.0, 1e-300, 0.1, 0.5, 1.0 - f64::EPSILON / 2.0, 1.0] {
                    let ranks = match method.place(n, q) {
                        Place::At(rank) => [rank, rank],
                        Place::Between(first, second, _) => [first, second],
                    };
                    assert!(ranks.iter().all(|&rank| rank < n), "{method:?} of {n}, {q}: {ranks:?}");
                }
            }
        }
    }
}
