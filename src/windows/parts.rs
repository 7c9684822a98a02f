//! The state of a part of a window, and how the states of two parts are joined.
//!
//! A sum is kept in three floats: the rounded sum, the sum of its rounding errors, which TwoSum finds (T. Ogita, S.
//! Rump and S. Oishi, SIAM Journal on Scientific Computing 26 (2005), 1955–1988, algorithm 4.4), and a bound of the
//! rounding errors of that second sum. If these could change the last bit of the rounded sum, the sum is *in doubt*,
//! and `exact.rs` decides.
//!
//! Squares are squares of distances from the mean. An element is added as in B. P. Welford, Technometrics 4 (1962),
//! 419–420: with δ = x − μₙ₋₁, μₙ = μₙ₋₁ + δ/n and Mₙ = Mₙ₋₁ + δ (δ − δ/n). Parts are joined as in T. Chan, G. Golub
//! and R. `LeVeque`, The American Statistician 37 (1983), 242–247, equation 2.1. Nothing is subtracted from a sum of
//! squares, and the distances of equal elements are 0, however large the elements are. Every product, quotient and sum
//! is kept with its rounding error, so that a variance is rounded about once.

use crate::rounding::{Divisor, Lanes, quotient, times_inverse, two_product, two_sum};
use crate::windows::Statistic;

/// What is known of elements: this many floats, the first of which says how many elements there are.
pub(super) trait Part<const F: usize> {
    /// What is known of no elements.
    const EMPTY: [f64; F];

    /// Whether it serves this statistic.
    fn serves(statistic: Statistic) -> bool;

    /// Takes an element, if it is finite; most parts then have so many elements.
    fn take<V: Lanes>(part: &mut [V; F], item: V, most: Divisor);

    /// What is known of the elements of both, most of which are so many.
    fn join<V: Lanes>(left: &[V; F], right: &[V; F], most: Divisor) -> Joined<V>;

    /// NaN where what is joined is in doubt.
    #[inline(always)]
    fn doubt<V: Lanes>(joined: &Joined<V>) -> V {
        joined[0]
    }
}

/// What is known of a window: how many elements it has, and two figures of theirs.
pub(super) type Joined<V> = [V; 3];

/// The smallest float above 0.
const SMALLEST: f64 = f64::from_bits(1);

/// 1 and the element if it is finite, else 0 and `other`.
#[inline(always)]
fn counted<V: Lanes>(item: V, other: f64) -> (V, V) {
    let (size, limit) = (item.size(), item.all(f64::INFINITY));
    (size.less(limit, item.all(1.0), item.all(0.0)), size.less(limit, item, item.all(other)))
}

/// Sums: how many, the rounded sum, the sum of its rounding errors, and at least what that lacks.
///
/// Joined: the sum to the nearest float, and what it lacks; NaN if the sum is in doubt.
pub(super) struct Sums;

impl Part<4> for Sums {
    const EMPTY: [f64; 4] = [0.0; 4];

    fn serves(statistic: Statistic) -> bool {
        matches!(statistic, Statistic::Sum | Statistic::Mean)
    }

    #[inline(always)]
    fn take<V: Lanes>([count, sum, errors, lost]: &mut [V; 4], item: V, _: Divisor) {
        let (one, item) = counted(item, 0.0);
        *count = *count + one;
        let (next, error) = two_sum(*sum, item);
        *sum = next;
        let (next, error) = two_sum(*errors, error);
        *errors = next;
        *lost = *lost + error.size();
    }

    #[inline(always)]
    fn join<V: Lanes>(left: &[V; 4], right: &[V; 4], _: Divisor) -> Joined<V> {
        let (zero, four) = (left[0].all(0.0), left[0].all(4.0));
        let (sum, error) = two_sum(left[1], right[1]);
        let (errors, first) = two_sum(left[2], right[2]);
        let (errors, second) = two_sum(errors, error);
        let (sum, rest) = two_sum(sum, errors);
        let lost = (left[3] + right[3]) + (first.size() + second.size());
        // More than was lost, as this is rounded as well, and the sums below.
        let bound = zero.less(lost, lost * four + rest.size() * zero.all(f64::EPSILON), lost);
        let apart = (sum - (sum + (rest + bound))).size() + (sum - (sum + (rest - bound))).size();
        // What has overflowed is NaN here, and in doubt.
        [left[0] + right[0], sum, apart.less(zero.all(SMALLEST), rest, zero.all(f64::NAN))]
    }

    #[inline(always)]
    fn doubt<V: Lanes>(joined: &Joined<V>) -> V {
        joined[2]
    }
}

/// The spread: how many, the mean and its error, the sum of squares and its error.
///
/// Joined: the sum of squares and its error; NaN if it is beyond all floats.
pub(super) struct Spread;

impl Part<5> for Spread {
    const EMPTY: [f64; 5] = [0.0; 5];

    fn serves(statistic: Statistic) -> bool {
        matches!(statistic, Statistic::Var(_) | Statistic::Std(_))
    }

    #[inline(always)]
    fn take<V: Lanes>([count, mean, mean_error, squares, squares_error]: &mut [V; 5], item: V, most: Divisor) {
        let (zero, unit) = (item.all(0.0), item.all(1.0));
        let (one, item) = counted(item, 0.0);
        // The first one is the mean.
        *mean = zero.less(*count, *mean, item);
        *count = *count + one;
        let (distance, error) = two_sum(item, zero - *mean);
        let (distance, error) = normal(distance, error - *mean_error);
        // What is missing is where the mean is.
        let (distance, error) = (distance * one, error * one);
        let some = unit.less(*count, *count, unit);
        let (part, part_error) = times_inverse(distance, error, some, most.inverse(some));
        let (next, rounding) = two_sum(*mean, part);
        *mean = next;
        *mean_error = *mean_error + (rounding + part_error);
        let (left, left_error) = normal(distance, zero - part);
        let left_error = left_error + (error - part_error);
        let (square, square_error) = two_product(distance, left);
        let square_error = square_error + (distance * left_error + error * left);
        let (next, rounding) = two_sum(*squares, square);
        *squares = next;
        *squares_error = *squares_error + (rounding + square_error);
    }

    #[inline(always)]
    fn join<V: Lanes>(left: &[V; 5], right: &[V; 5], most: Divisor) -> Joined<V> {
        let (zero, one) = (left[0].all(0.0), left[0].all(1.0));
        let count = left[0] + right[0];
        let some = one.less(count, count, one);
        let pairs = left[0] * right[0] * left[0].all(4.0);
        let (weight, weight_error) = times_inverse(pairs, zero, some, most.inverse(some));
        // Half the distance of the means, whose square overflows no sooner than the sum does; none from nothing.
        let half = zero.less(pairs, left[0].all(0.5), zero);
        let (apart, error) = two_sum(right[1] * half, left[1] * (zero - half));
        let (apart, error) = normal(apart, error + (right[2] - left[2]) * half);
        let (square, square_error) = two_product(apart, apart);
        let square_error = square_error + (apart + apart) * error;
        let (between, between_error) = two_product(square, weight);
        let between_error = between_error + (square * weight_error + square_error * weight);
        let (squares, first) = two_sum(left[3], right[3]);
        let (squares, second) = two_sum(squares, between);
        let (squares, error) = normal(squares, (left[4] + right[4]) + ((first + second) + between_error));
        [count, squares, error]
    }
}

/// A sum of two floats of which the first is not the smaller one: the nearest float, and the rest.
#[inline(always)]
fn normal<V: Lanes>(large: V, small: V) -> (V, V) {
    let sum = large + small;
    (sum, (large - sum) + small)
}

/// The extremes: how many, the smallest and the largest, which is what is joined, too.
pub(super) struct Extremes;

impl Part<3> for Extremes {
    const EMPTY: [f64; 3] = [0.0, f64::INFINITY, f64::NEG_INFINITY];

    fn serves(statistic: Statistic) -> bool {
        matches!(statistic, Statistic::Min | Statistic::Max)
    }

    #[inline(always)]
    fn take<V: Lanes>([count, low, high]: &mut [V; 3], item: V, _: Divisor) {
        let (one, below) = counted(item, f64::INFINITY);
        let (_, above) = counted(item, f64::NEG_INFINITY);
        *count = *count + one;
        *low = below.less(*low, below, *low);
        *high = high.less(above, above, *high);
    }

    #[inline(always)]
    fn join<V: Lanes>(left: &[V; 3], right: &[V; 3], _: Divisor) -> Joined<V> {
        let low = right[1].less(left[1], right[1], left[1]);
        let high = left[2].less(right[2], right[2], left[2]);
        [left[0] + right[0], low, high]
    }
}

impl Statistic {
    /// What is divided by for most windows of so many elements.
    pub(super) fn divisor(self, size: usize) -> Divisor {
        let ddof = match self {
            Statistic::Var(ddof) | Statistic::Std(ddof) => ddof,
            _ => 0.0,
        };
        Divisor::new(size as f64 - ddof)
    }

    /// Its value; NaN of fewer elements than these.
    #[inline(always)]
    pub(super) fn value<V: Lanes>(self, joined: Joined<V>, least: f64, divisor: Divisor) -> V {
        let [count, first, second] = joined;
        let (value, least) = match self {
            Statistic::Sum => (first, least),
            Statistic::Mean => (mean(joined, divisor), least.max(1.0)),
            Statistic::Var(ddof) => (variance(joined, ddof, divisor), least.max(1.0)),
            Statistic::Std(ddof) => (variance(joined, ddof, divisor).root(), least.max(1.0)),
            Statistic::Min => (first, least.max(1.0)),
            Statistic::Max => (second, least.max(1.0)),
        };
        count.less(count.all(least), count.all(f64::NAN), value)
    }
}

/// From a sum, which may have overflowed.
#[inline(always)]
fn mean<V: Lanes>([count, sum, error]: Joined<V>, divisor: Divisor) -> V {
    let (mean, _) = quotient(sum, error, count, divisor.inverse(count));
    sum.size().less(count.all(f64::INFINITY), mean, sum)
}

/// From a sum of squares.
#[inline(always)]
fn variance<V: Lanes>([count, squares, error]: Joined<V>, ddof: f64, divisor: Divisor) -> V {
    let (freedom, infinity) = (count - count.all(ddof), count.all(f64::INFINITY));
    let (variance, _) = quotient(squares, error, freedom, divisor.inverse(freedom));
    let variance = variance.less(infinity, variance, infinity);
    count.all(0.0).less(freedom, variance, count.all(f64::NAN))
}
