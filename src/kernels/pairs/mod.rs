//! Statistics of two arrays: `cov`, `corr`, `dot`, `linregress`, `rmse`, `mae`.
//!
//! Their elements come in pairs: x is the real part and y the imaginary part of a complex number. Each file has a state
//! of its own: `joint` moments, `pair_sums` plain sums, `spearman` ranks. This file has the common part of the kernels,
//! and the statistics that follow directly from joint moments.

mod joint;
mod line;
mod pair_sums;
mod spearman;

use num_complex::Complex;

use crate::dtype::DType;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Entry, Request, Takes};
use crate::parameters::{Accepts, DefaultValue, Parameter};
use crate::scale::Scale;
use crate::value::Value;
use joint::joint;
use spearman::Ranked;

pub(super) use line::LINREGRESS;
pub(super) use pair_sums::{DOT, MAE, RMSE};

/// A pair of elements.
type Pair = Complex<f64>;

/// Requests a float64 computed from a state.
fn number<A: Accumulator>(
    expression: Expression,
    accumulator: A,
    value: impl Fn(&A::State) -> f64 + Send + Sync + 'static,
) -> Request {
    let number = move |state: &A::State| Some(Value::number(value(state)));
    Request::number(expression, accumulator, DType::Float64, number, |_| unreachable!("there is always a number"))
}

const fn column(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, accepts: Accepts::Name, default: DefaultValue::None, doc }
}

const X: Parameter = column("x", "The key of the first array; ``None`` stands for the first of exactly two arrays.");
const Y: Parameter = column("y", "The key of the second array; ``None`` stands for the second of exactly two arrays.");

/// The common part of the kernels of this family.
const PARTS: Entry = Entry {
    name: "",
    doc: "",
    parameters: &[X, Y],
    numpy: "",
    takes: Takes::Pairs,
    resolve: |_, input| Ok(joint(input, |_, _| f64::NAN)),
    ..Entry::USUAL
};

pub(super) static COV: Entry = Entry {
    name: "cov",
    doc: "The covariance of two arrays.\n\n\
          The sum of the products of deviations from the means, divided by ``n - ddof``; NaN where ``n <= ddof``. \
          Computed in float64 in two passes over each block in cache, and merged with Pébay's formulas \
          (SAND2008-6212). If squares leave the range of float64, further passes scale each array on its own.",
    parameters: &[
        X,
        Y,
        Parameter {
            name: "ddof",
            accepts: Accepts::Number,
            default: DefaultValue::Int(1),
            doc: "Delta degrees of freedom: the divisor is ``n - ddof``.",
        },
    ],
    numpy: "np.cov(np.ravel(x), np.ravel(y), ddof=ddof)[0, 1]",
    examples: &["ddof=0"],
    resolve: |arguments, input| {
        let ddof = arguments.number("ddof");
        Ok(joint(input, move |state, [x, y]| Scale::back(covariance(state.xy, state.n, ddof), &[(x, 1), (y, 1)])))
    },
    ..PARTS
};

/// A sum of products divided by the degrees of freedom; NaN if there are none.
pub(super) fn covariance(sum: f64, n: f64, ddof: f64) -> f64 {
    if n - ddof > 0.0 { sum / (n - ddof) } else { f64::NAN }
}

pub(super) static CORR: Entry = Entry {
    name: "corr",
    doc: "The correlation of two arrays: Pearson's, or Spearman's, which correlates the ranks.\n\n\
          NaN for fewer than two elements, and if all elements of an array are equal. Equal elements get the mean of \
          their ranks. Pearson's equals ``scipy.stats.pearsonr`` and does not depend on the scale of either array. \
          Spearman's equals ``scipy.stats.spearmanr``; it ranks elements in their own dtype and takes memory for all \
          pairs and their ranks.",
    parameters: &[
        X,
        Y,
        Parameter {
            name: "method",
            accepts: Accepts::Correlation,
            default: DefaultValue::Text("pearson"),
            doc: "``\"pearson\"`` correlates the elements, ``\"spearman\"`` their ranks.",
        },
    ],
    numpy: "np.corrcoef(np.ravel(x), np.ravel(y))[0, 1] if method == 'pearson' else \
            stats.spearmanr(np.ravel(x), np.ravel(y)).statistic",
    examples: &["method='spearman'"],
    resolve: |arguments, input| {
        Ok(match arguments.text("method") {
            "spearman" => Ranked::request(input),
            _ => joint(input, |state, _| state.correlation()),
        })
    },
    ..PARTS
};
