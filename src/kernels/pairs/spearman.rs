//! Spearman's correlation: the pairs are collected, each array is ranked in its own dtype, and the ranks are
//! correlated.
//!
//! Ranks need all pairs at once. So this is the only kernel of two arrays whose memory grows with their length.

use super::Pair;
use super::joint::JointState;
use crate::dtype::{DType, Ordered};
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Exact, Input, Items, Request, Seals, Team};
use crate::memory;
use crate::prefetch::Prefetch;
use crate::selection::Ties;
use crate::simd::Simd;
use crate::value::Value;

/// Collects the pairs, and correlates their ranks when all pairs are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranked {
    /// Which parts of a pair hold the bits of keys, see [`Exact`].
    is_key: [bool; 2],
    /// Whether pairs with a NaN are left out.
    omits: bool,
}

impl Ranked {
    /// Requests Spearman's correlation of an input's pairs, which are read without rounding.
    pub(super) fn request(input: &Input) -> Request {
        let exact = input.exact.map(|Exact { pairs, is_key }| (Expression::of(pairs, DType::Complex128), is_key));
        let (pairs, is_key) = exact.unwrap_or((input.elements(), [false; 2]));
        Request::sealed(pairs, Ranked { is_key, omits: input.omits() }, Vec::new(), |joint: &JointState| {
            Ok(Answer::Value(Value::float(joint.correlation(), DType::Float64)))
        })
    }

    /// The keys of a pair's elements.
    fn keys(self, pair: &Pair) -> [u64; 2] {
        let key = |part: f64, is_key: bool| if is_key { part.to_bits() } else { part.canonical().key() };
        [key(pair.re, self.is_key[0]), key(pair.im, self.is_key[1])]
    }

    /// Whether an element is NaN. Keys are never NaN.
    fn is_missing(self, pair: &Pair) -> bool {
        (!self.is_key[0] && pair.re.is_nan()) || (!self.is_key[1] && pair.im.is_nan())
    }
}

impl Accumulator for Ranked {
    const NAME: &'static str = "joint ranks";

    type Item = Pair;
    /// The pairs of each chunk.
    type State = Vec<Vec<Pair>>;

    fn init(&self) -> Vec<Vec<Pair>> {
        memory::collected([Vec::new()])
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Vec<Vec<Pair>>, block: Items<'_, Pair>) {
        if let Some(last) = state.last_mut() {
            memory::extend(last, block.iter().copied());
        }
    }

    fn combine(&self, state: &mut Vec<Vec<Pair>>, next: Vec<Vec<Pair>>) {
        memory::extend(state, next);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

impl Seals for Ranked {
    /// The joint moments of the ranks.
    type Sealed = JointState;

    fn seal(&self, state: Vec<Vec<Pair>>, _: Option<usize>, team: &Team<'_>) -> JointState {
        let mut pairs = memory::joined(&state);
        drop(state);
        if self.omits {
            pairs.retain(|pair| !self.is_missing(pair));
        } else if pairs.iter().any(|pair| self.is_missing(pair)) {
            return JointState { n: pairs.len() as f64, xx: f64::NAN, ..JointState::default() };
        }
        let mut ranks: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        team.each(&mut ranks, |side, ranks| {
            let keys = pairs.iter().map(|pair| self.keys(pair)[side]);
            let mut sorted: Vec<(u64, u64)> = memory::collected(keys.zip(0..));
            sorted.sort_unstable();
            *ranks = memory::filled(0.0, sorted.len());
            Ties::Average.rank(&sorted, 0, |place, rank, _| {
                if let Some(own) = usize::try_from(place).ok().and_then(|place| ranks.get_mut(place)) {
                    *own = rank;
                }
            });
        });
        let [left, right] = &ranks;
        let ranks = left.iter().zip(right).map(|(&re, &im)| Pair { re, im });
        let mut joint = JointState::default();
        for block in memory::collected(ranks).chunks(crate::grid::BLOCK) {
            joint.merge(JointState::of(block, &Prefetch::default()));
        }
        joint
    }
}
