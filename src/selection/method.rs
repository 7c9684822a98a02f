//! The methods for quantiles: the position of a quantile among the ranks, and the interpolation between two elements.
//!
//! A quantile has a *virtual index*, a position between two ranks. The methods are those of Hyndman & Fan (The American
//! Statistician 50 (1996), 361–365) and NumPy's further four; each is a [`Method`]. Between two elements a and b the
//! value is a + (b − a)·t, and b − (b − a)·(1 − t) for t ≥ 1/2, as NumPy computes it: with the same operations in the
//! same dtypes, so that the result is NumPy's to the last bit. (The exception: integers so far apart that NumPy's
//! subtraction wraps around; this one does not.)

use crate::dtype::{DType, Number};

/// The position of a quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// At this rank.
    At(u64),
    /// Between two ranks, at this fraction of the way from the first to the second.
    Between(u64, u64, f64),
}

/// How the position of a quantile among n elements is computed.
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
    /// The method with this name; `linear` for an unknown name.
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

    /// The position of the quantile q of n elements.
    pub(crate) fn place(self, n: u64, q: f64) -> Place {
        let last = n.saturating_sub(1);
        // q times the last rank, as most methods compute it.
        let along = last as f64 * q;
        let at = |rank: f64| Place::At(whole(rank).min(last));
        // The rank above, unless the index is exactly the rank below (and, for one method, that rank is odd).
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

/// The position of a virtual index, limited to the existing ranks.
fn between(index: f64, last: u64, weight: impl Fn(f64) -> f64) -> Place {
    let (first, second) = if index >= last as f64 {
        (last, last)
    } else if index < 0.0 {
        (0, 0)
    } else {
        (whole(index), whole(index) + 1)
    };
    // NumPy uses -1 for the last rank here. The two elements are then the same, and the weight only affects the sign of
    // a zero.
    let from = if index >= last as f64 { -1.0 } else { first as f64 };
    Place::Between(first, second, weight(index - from))
}

/// The rank of the method `lower`.
pub(crate) fn lower_rank(n: u64, q: f64) -> u64 {
    match Method::Lower.place(n, q) {
        Place::At(rank) | Place::Between(rank, ..) => rank,
    }
}

/// A float as a rank; 0 if it is negative.
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
        // Times are exact: the fraction of the distance is cut off to whole units.
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
