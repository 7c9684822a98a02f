//! Sums of a function of each pair: `dot`, `rmse` and `mae`.
//!
//! Such a sum needs no means, so it takes one loop over a block. If squared differences leave the range of float64,
//! they are summed again in a scale (`rescaled.rs`).

use super::{PARTS, Pair, number};
use crate::dtype::DType;
use crate::kernel::{Accumulator, Entry, Input, Items, Request};
use crate::kernels::rescaled::{Magnitudes, Noticed, Of, rescaled};
use crate::lanes::Double;
use crate::scale::Scale;
use crate::simd::Simd;
use crate::value::Value;

/// A function of a pair, to be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    Product,
    Difference,
    /// The square of the scaled difference.
    SquaredDifference(Scale),
}

/// The sum of a function of each pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SumOf(Term);

#[derive(Debug, Clone, Copy, Default)]
struct SumState {
    n: f64,
    sum: Double,
    /// What was noticed about the differences, if their squares are summed.
    noticed: Noticed,
}

impl SumState {
    /// The mean over the pairs; NaN without pairs.
    fn mean(&self) -> f64 {
        self.sum.value() / self.n
    }
}

impl Accumulator for SumOf {
    const NAME: &'static str = "sum over pairs";

    type Item = Pair;
    type State = SumState;

    fn init(&self) -> SumState {
        SumState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut SumState, block: Items<'_, Pair>) {
        let square = |x: f64| x * x;
        let sum = match self.0 {
            Term::Product => Double::sum_of(simd, &block, block.ahead, |pair| pair.re * pair.im),
            Term::Difference => Double::sum_of(simd, &block, block.ahead, |pair| (pair.re - pair.im).abs()),
            Term::SquaredDifference(Scale::ONE) => {
                Double::sum_of(simd, &block, block.ahead, |pair| square(pair.re - pair.im))
            }
            Term::SquaredDifference(scale) => {
                // Large elements are scaled before the subtraction. Small differences are scaled after it, because the
                // elements may be larger.
                let (before, after) = if scale.shrinks() { (scale, Scale::ONE) } else { (Scale::ONE, scale) };
                let scaled = |pair: Pair| after.scaled(before.scaled(pair.re) - before.scaled(pair.im));
                Double::sum_of(simd, &block, block.ahead, |pair| square(scaled(pair)))
            }
        };
        let n = block.len() as f64;
        state.n += n;
        state.sum.merge(sum);
        if let Term::SquaredDifference(_) = self.0 {
            let mean = sum.value() / n;
            let differences = block.iter().map(|pair| pair.magnitudes(Of::Differences)[0]);
            state.noticed.merge(Noticed::of(mean, mean, differences));
        }
    }

    fn combine(&self, state: &mut SumState, next: SumState) {
        state.n += next.n;
        state.sum.merge(next.sum);
        state.noticed.merge(next.noticed);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

pub(in crate::kernels) static DOT: Entry = Entry {
    name: "dot",
    doc: "The dot product of two arrays, in float64; 0 for empty arrays.\n\n\
          Each product is rounded and may leave the range of float64, as in NumPy. The sum carries its rounding \
          errors along, like ``sum``.",
    numpy: "np.dot(np.ravel(x) * 1.0, np.ravel(y) * 1.0)",
    resolve: |_, input| Ok(number(input.values(), SumOf(Term::Product), |state| state.sum.value())),
    ..PARTS
};

pub(in crate::kernels) static RMSE: Entry = Entry {
    name: "rmse",
    doc: "The root mean square error: the square root of the mean of squared differences.\n\n\
          NaN for empty arrays. If squares leave the range of float64, further passes use scaled differences.",
    numpy: "np.sqrt(np.mean(np.square(x * 1.0 - y * 1.0)))",
    resolve: |_, input| Ok(rmse(input)),
    ..PARTS
};

fn rmse(input: &Input) -> Request {
    let pairs = input.values();
    let root = |state: &SumState| state.mean().sqrt();
    let number = move |state: &SumState| {
        let (mean, finite) = (state.mean(), state.sum.high.is_finite());
        (!state.noticed.asks_for_scale(2, mean, mean, finite)).then(|| Value::number(root(state)))
    };
    let squares = SumOf(Term::SquaredDifference(Scale::ONE));
    Request::number(pairs.clone(), squares, DType::Float64, number, move |_| {
        let pairs = pairs.clone();
        Ok(rescaled::<Pair>(pairs.clone(), Of::Differences, move |[scale, _]| {
            let squares = SumOf(Term::SquaredDifference(scale));
            Request::new(pairs.clone(), squares, move |state| {
                Ok(Value::float(scale.undo(root(state), 1), DType::Float64))
            })
        }))
    })
}

pub(in crate::kernels) static MAE: Entry = Entry {
    name: "mae",
    doc: "The mean absolute error: the mean of the absolute differences; NaN for empty arrays.",
    numpy: "np.mean(np.abs(x * 1.0 - y * 1.0))",
    resolve: |_, input| Ok(number(input.values(), SumOf(Term::Difference), SumState::mean)),
    ..PARTS
};
