//! Joint moments: one state for `cov`, `corr` and `linregress`.
//!
//! With the means μ and ν, M = Σ (x − μ)², N = Σ (y − ν)² and C = Σ (x − μ)(y − ν): a block's sums are taken about its
//! rounded means, in a second loop, and the rounding error is corrected as for the moments of one array (`moments`);
//! blocks and chunks are merged with Pébay's formulas (SAND2008-6212, equations 2.1 and 3.3), with δ and ε the
//! differences of the means: M = M₁ + M₂ + δ² n₁n₂/n, C = C₁ + C₂ + δε n₁n₂/n. If squares leave the range of float64,
//! each array gets a scale of its own (`rescaled.rs`).

use std::sync::Arc;

use super::Pair;
use crate::dtype::DType;
use crate::expr::Expression;
use crate::grid::LANES;
use crate::kernel::{Accumulator, Answer, Input, Items, Request};
use crate::kernels::rescaled::{Noticed, Of, rescaled, scaled};
use crate::lanes::Double;
use crate::prefetch::Prefetch;
use crate::scale::Scale;
use crate::simd::Simd;
use crate::value::Value;

/// Joint moments of two arrays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joint;

/// The state of [`Joint`]; all fields are 0 without pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct JointState {
    pub(super) n: f64,
    pub(super) mean_x: Double,
    pub(super) mean_y: Double,
    pub(super) xx: f64,
    pub(super) yy: f64,
    pub(super) xy: f64,
    pub(super) noticed: [Noticed; 2],
}

/// The sums of N functions of the pairs, in rows of lanes.
#[inline(always)]
fn sums<const N: usize>(pairs: &[Pair], ahead: &Prefetch, function: impl Fn(f64, f64) -> [f64; N]) -> [f64; N] {
    let mut lanes = [[0.0; LANES]; N];
    let (rows, rest) = pairs.as_chunks::<LANES>();
    for row in rows {
        ahead.ask::<2>();
        for (lane, pair) in row.iter().enumerate() {
            let values = function(pair.re, pair.im);
            for (lanes, value) in lanes.iter_mut().zip(values) {
                lanes[lane] += value;
            }
        }
    }
    let mut totals = lanes.map(
        #[inline(always)]
        |lanes| {
            let mut width = LANES / 2;
            let mut lanes = lanes;
            while width > 0 {
                for lane in 0..width {
                    lanes[lane] += lanes[lane + width];
                }
                width /= 2;
            }
            lanes[0]
        },
    );
    for pair in rest {
        for (total, value) in totals.iter_mut().zip(function(pair.re, pair.im)) {
            *total += value;
        }
    }
    totals
}

impl JointState {
    #[inline(always)]
    pub(super) fn of(pairs: &[Pair], ahead: &Prefetch) -> JointState {
        let n = pairs.len() as f64;
        if pairs.is_empty() {
            return JointState::default();
        }
        let [x, y] = sums(pairs, ahead, |x, y| [x, y]);
        let (mean_x, mean_y) = (x / n, y / n);
        let [dx, dy, xx, yy, xy] = sums(pairs, ahead, |x, y| {
            let (dx, dy) = (x - mean_x, y - mean_y);
            [dx, dy, dx * dx, dy * dy, dx * dy]
        });
        let (ex, ey) = (dx / n, dy / n);
        JointState {
            n,
            mean_x: Double::of_sum(mean_x, ex),
            mean_y: Double::of_sum(mean_y, ey),
            xx: xx - n * ex * ex,
            yy: yy - n * ey * ey,
            xy: xy - n * ex * ey,
            noticed: [
                Noticed::of(mean_x, xx / n, pairs.iter().map(|pair| pair.re)),
                Noticed::of(mean_y, yy / n, pairs.iter().map(|pair| pair.im)),
            ],
        }
    }

    #[inline(always)]
    pub(super) fn merge(&mut self, next: JointState) {
        if next.n == 0.0 || self.n == 0.0 {
            if self.n == 0.0 {
                *self = next;
            }
            return;
        }
        for (noticed, next) in self.noticed.iter_mut().zip(next.noticed) {
            noticed.merge(next);
        }
        let n = self.n + next.n;
        let (dx, dy) = (next.mean_x.minus(self.mean_x), next.mean_y.minus(self.mean_y));
        let weight = self.n * next.n / n;
        self.xx += next.xx + dx * dx * weight;
        self.yy += next.yy + dy * dy * weight;
        self.xy += next.xy + dx * dy * weight;
        self.mean_x.add(dx / n * next.n);
        self.mean_y.add(dy / n * next.n);
        self.n = n;
    }

    /// Whether the sums must be computed again from scaled pairs.
    pub(super) fn asks_for_scale(&self) -> bool {
        let [x, y] = self.noticed;
        let finite = self.xx.is_finite() && self.yy.is_finite() && self.xy.is_finite();
        let asks = x.asks_for_scale(2, self.mean_x.value(), self.xx / self.n, finite)
            || y.asks_for_scale(2, self.mean_y.value(), self.yy / self.n, finite);
        asks && !x.is_infinite() && !y.is_infinite()
    }

    /// Pearson's correlation, limited to [−1, 1] against rounding.
    pub(super) fn correlation(&self) -> f64 {
        // Divides by one square root after the other: the product of the squares could overflow or underflow.
        let r = self.xy / self.xx.sqrt() / self.yy.sqrt();
        if r.is_nan() { r } else { r.clamp(-1.0, 1.0) }
    }
}

impl Accumulator for Joint {
    const NAME: &'static str = "joint moments";

    type Item = Pair;
    type State = JointState;

    fn init(&self) -> JointState {
        JointState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut JointState, block: Items<'_, Pair>) {
        state.merge(JointState::of(&block, block.ahead));
    }

    fn combine(&self, state: &mut JointState, next: JointState) {
        state.merge(next);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(Joint)
    }
}

/// Requests a float computed from the joint moments of the pairs and the scales of the two arrays.
pub(super) fn joint(input: &Input, value: impl Fn(&JointState, [Scale; 2]) -> f64 + Send + Sync + 'static) -> Request {
    let (pairs, value) = (input.values(), Arc::new(value));
    let own = Arc::clone(&value);
    let number =
        move |state: &JointState| (!state.asks_for_scale()).then(|| Value::number(own(state, [Scale::ONE; 2])));
    Request::number(pairs.clone(), Joint, DType::Float64, number, move |_| {
        let value = Arc::clone(&value);
        let value = move |state: &JointState, scales| Value::float(value(state, scales), DType::Float64);
        Ok(in_scales(pairs.clone(), value))
    })
}

/// Requests the joint moments of the pairs in suitable scales.
pub(super) fn in_scales(
    pairs: Expression,
    value: impl Fn(&JointState, [Scale; 2]) -> Value + Clone + Send + Sync + 'static,
) -> Answer {
    rescaled::<Pair>(pairs.clone(), Of::Elements, move |scales| {
        let value = value.clone();
        Request::new(scaled(pairs.clone(), scales), Joint, move |state| Ok(value(state, scales)))
    })
}
