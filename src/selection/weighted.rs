//! Quantiles of elements with weights: the first element at which the cumulative weight reaches a fraction of the total
//! weight.
//!
//! The elements of each chunk are sorted, with the cumulative weights. A quantile is then found by bisection over all
//! possible keys; each step adds up the weight below the key in every chunk. This takes memory for all pairs. (NumPy
//! sorts them all as well.)

use std::sync::Arc;

use num_complex::Complex;

use crate::dtype::{Item, Ordered};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Items, Request, Seals, Team};
use crate::memory;
use crate::simd::Simd;
use crate::value::Value;

/// Collects the pairs, and sorts those of each chunk.
#[derive(Debug, Clone, Copy)]
struct InOrder;

/// The keys and weights of the elements, per chunk.
#[derive(Debug, Default)]
struct Pairs {
    chunks: Vec<Vec<(u64, f64)>>,
    /// Whether an element is NaN.
    missing: bool,
}

/// The keys of a chunk's elements in order, and the cumulative weights.
type Run = Vec<(u64, f64)>;

/// The sorted pairs of all chunks.
#[derive(Debug)]
struct Runs {
    runs: Vec<Run>,
    /// Whether an element is NaN.
    missing: bool,
}

impl Accumulator for InOrder {
    const NAME: &'static str = "weighted order";

    type Item = Complex<f64>;
    type State = Pairs;

    fn init(&self) -> Pairs {
        Pairs { chunks: memory::collected([Vec::new()]), missing: false }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Pairs, block: Items<'_, Complex<f64>>) {
        let Some(chunk) = state.chunks.last_mut() else { return };
        // Elements of weight 0 are left out.
        for pair in block.iter().filter(|pair| pair.im != 0.0) {
            state.missing |= pair.re.is_missing();
            memory::push(chunk, (pair.re.canonical().key(), pair.im));
        }
    }

    fn combine(&self, state: &mut Pairs, next: Pairs) {
        state.missing |= next.missing;
        memory::extend(&mut state.chunks, next.chunks.into_iter().filter(|chunk| !chunk.is_empty()));
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(InOrder)
    }
}

impl Seals for InOrder {
    type Sealed = Runs;

    fn seal(&self, state: Pairs, _: Option<usize>, team: &Team<'_>) -> Runs {
        let Pairs { chunks: mut runs, missing } = state;
        team.each(&mut runs, |_, run| {
            // Sorts by the weights as well: otherwise the last bits of the sums would depend on the order of equal
            // elements.
            run.sort_unstable_by_key(|(key, weight)| (*key, weight.to_bits()));
            let mut sum = 0.0;
            for (_, weight) in run {
                sum += *weight;
                *weight = sum;
            }
        });
        Runs { runs, missing }
    }
}

impl Runs {
    /// The total weight of all elements up to a key.
    fn up_to(&self, key: u64) -> f64 {
        let sum = |run: &Run| {
            let end = run.partition_point(|(known, _)| *known <= key);
            end.checked_sub(1).and_then(|last| run.get(last)).map_or(0.0, |(_, sum)| *sum)
        };
        self.runs.iter().map(sum).sum()
    }

    /// The quantile of a fraction; NaN if there is none.
    fn quantile(&self, part: f64) -> f64 {
        let total = self.up_to(u64::MAX);
        let reaches = |key: u64| {
            let sum = self.up_to(key);
            sum > 0.0 && sum / total >= part
        };
        if self.missing || !reaches(u64::MAX) {
            return f64::NAN;
        }
        let (mut low, mut high) = (0, u64::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if reaches(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        f64::of_key(low)
    }
}

/// Requests the quantiles of pairs of elements and weights.
pub(crate) fn weighted(
    pairs: Expression,
    parts: Vec<f64>,
    finish: impl Fn(&[f64]) -> Result<Value, Error> + Send + Sync + 'static,
) -> Request {
    let finish = Arc::new(finish);
    Request::sealed(pairs, InOrder, Vec::new(), move |runs: &Runs| {
        let found: Vec<f64> = memory::collected(parts.iter().map(|&part| runs.quantile(part)));
        finish(&found).map(Answer::Value)
    })
}
