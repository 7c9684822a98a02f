//! The state of moments: its fields, how two states are merged, and the statistics that follow directly.
//!
//! The formulas are in the header of `mod.rs`. This file reads no elements: [`about`](MomentsState::about) takes sums.

use crate::kernels::rescaled::{Noticed, WEIGHTS};
use crate::lanes::Double;
use crate::scale::Scale;

/// The moments of some elements; all fields are 0 without elements.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::kernels) struct MomentsState {
    /// The number of elements, or the sum of their weights.
    pub(in crate::kernels) count: f64,
    pub(in crate::kernels) sum: Double,
    pub(super) mean: Double,
    pub(super) m2: f64,
    pub(super) m3: f64,
    pub(super) m4: f64,
    pub(super) noticed: Noticed,
}

impl MomentsState {
    /// The moments that follow from sums of powers of deviations from m, where the mean is m + e.
    #[inline(always)]
    pub(super) fn about(m: f64, e: f64, n: f64, sum: Double, [s2, s3, s4]: [f64; 3]) -> MomentsState {
        MomentsState {
            count: n,
            sum,
            mean: Double::of_sum(m, e),
            m2: not_below_zero(plus(s2, -n * e * e)),
            m3: plus(s3, -3.0 * e * s2 + 2.0 * n * e * e * e),
            m4: plus(s4, -4.0 * e * s3 + 6.0 * e * e * s2 - 3.0 * n * e * e * e * e),
            noticed: Noticed::default(),
        }
    }

    /// Adds what is noticed about the elements to the moments; elements are checked from order 2 on.
    #[inline(always)]
    pub(super) fn noticing(mut self, order: u8, elements: impl Iterator<Item = f64> + Clone) -> MomentsState {
        let variance = if order == 1 { f64::INFINITY } else { self.m2 / self.count };
        self.noticed = Noticed::of(self.mean(), variance, elements);
        self
    }

    /// Whether the moments up to this order must be computed again from scaled elements.
    pub(in crate::kernels) fn asks_for_scale(&self, order: u8) -> bool {
        let finite = match order {
            1 => self.sum.high.is_finite(),
            2 => self.m2.is_finite(),
            _ => self.m2.is_finite() && self.m3.is_finite() && self.m4.is_finite(),
        };
        let finite = finite && (self.count == 0.0 || WEIGHTS.contains(&self.count));
        let variance = if order == 1 { f64::INFINITY } else { self.m2 / self.count };
        self.noticed.asks_for_scale(order, self.mean(), variance, finite)
    }

    /// Converts the moments back to the weights before they were scaled.
    pub(super) fn weighing(self, scale: Scale) -> MomentsState {
        let undo = |sum: f64| scale.undo(sum, 1);
        let sum = Double { high: undo(self.sum.high), low: undo(self.sum.low) };
        let (m2, m3, m4) = (undo(self.m2), undo(self.m3), undo(self.m4));
        MomentsState { count: undo(self.count), sum, m2, m3, m4, ..self }
    }

    /// Merges the state of further elements, up to an order.
    #[inline(always)]
    pub(super) fn merge(&mut self, next: MomentsState, order: u8) {
        if next.count == 0.0 || self.count == 0.0 {
            if self.count == 0.0 {
                *self = next;
            }
            return;
        }
        self.sum.merge(next.sum);
        self.noticed.merge(next.noticed);
        if order >= 2 {
            let (a, b) = (self.count, next.count);
            let n = a + b;
            let delta = next.mean.minus(self.mean);
            let (d_n, d2) = (delta / n, delta * delta);
            self.m4 = plus(
                self.m4 + next.m4,
                d2 * d_n * d_n * a * b * ((a * a - a * b + b * b) / n)
                    + 6.0 * d_n * d_n * (a * a * next.m2 + b * b * self.m2)
                    + 4.0 * d_n * (a * next.m3 - b * self.m3),
            );
            self.m3 =
                plus(self.m3 + next.m3, d2 * d_n * (a * b / n) * (a - b) + 3.0 * d_n * (a * next.m2 - b * self.m2));
            self.m2 = plus(self.m2 + next.m2, d2 * (a * b / n));
            self.mean.add(d_n * b);
        }
        self.count += next.count;
    }

    /// Σx / n; NaN without elements.
    pub(in crate::kernels) fn mean(&self) -> f64 {
        self.sum.value() / self.count
    }

    /// The mean in twice the precision.
    pub(in crate::kernels) fn precise_mean(&self) -> Double {
        self.sum.over(self.count)
    }

    /// The standard deviation; NaN without elements. Needs order 2.
    pub(in crate::kernels) fn deviation(&self) -> f64 {
        (self.m2 / self.count).sqrt()
    }

    /// The mean of cubed standard scores. Needs order 4.
    pub(in crate::kernels) fn skewness(&self) -> f64 {
        self.m3 / self.count / self.deviation().powi(3)
    }
}

/// A sum plus its correction. A sum of powers that has overflowed stays infinite, because its correction is
/// meaningless.
#[inline(always)]
fn plus(sum: f64, correction: f64) -> f64 {
    if sum.is_infinite() { sum } else { sum + correction }
}

/// A corrected sum of squares, at least 0: rounding in the correction may have made it negative.
#[inline(always)]
fn not_below_zero(squares: f64) -> f64 {
    if squares < 0.0 { 0.0 } else { squares }
}
