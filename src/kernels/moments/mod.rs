//! Sums and central moments up to the fourth: one state for `sum`, `mean`, `var`, `std`, `sem`, `skew`, `kurtosis`.
//!
//! With n elements x, their mean μ and Mₚ = Σ (x − μ)ᵖ:
//!
//! * a block's sum is kept with its rounding errors ([`Double`](crate::lanes::Double));
//! * a block's moments are taken in a second loop over the block (float32: in the only one), as sums sₚ = Σ dᵖ of the
//!   deviations d = x − m from the rounded mean m; the rounding error e = μ − m is then corrected (Björck's correction
//!   for p = 2, in Chan, Golub & LeVeque, The American Statistician 37 (1983), equation 1.7, and its binomial
//!   analogues): M₂ = s₂ − n e², M₃ = s₃ − 3 e s₂ + 2 n e³, M₄ = s₄ − 4 e s₃ + 6 e² s₂ − 3 n e⁴;
//! * blocks and chunks are merged with the formulas of Pébay (Sandia report SAND2008-6212, equations 2.1, 3.1 and
//!   their case p = 4), with δ the difference of the means.
//!
//! Elements with weights w count w times: n = Σ w, μ = Σ w x / n, Mₚ = Σ w (x − μ)ᵖ, and the formulas are the same.
//!
//! If powers of elements leave the range of float64, further passes read the elements in a scale of their own
//! (`rescaled.rs`).
//!
//! The mean is kept as an unevaluated sum of two floats: δ is small compared with μ, so with one float it would have
//! few correct digits.

mod accumulator;
mod central;
mod request;
mod state;

use crate::dtype::DType;
use crate::kernel::{Entry, Takes};
use crate::parameters::{Accepts, DefaultValue, Parameter};

pub(super) use accumulator::Moments;
pub(super) use central::MOMENT;
pub(super) use request::{finish, floats_in_scale, moments};
pub(super) use state::MomentsState;

/// M₂ / (n − ddof). Where n ≤ ddof, NumPy divides by zero, and its `nan…` versions return NaN.
pub(super) fn variance(state: &MomentsState, ddof: f64, omits: bool) -> f64 {
    let freedom = state.count - ddof;
    if state.count == 0.0 || (freedom <= 0.0 && omits) {
        return f64::NAN;
    }
    state.m2 / freedom.max(0.0)
}

const DDOF: Parameter = Parameter {
    name: "ddof",
    accepts: Accepts::Number,
    default: DefaultValue::Int(0),
    doc: "Delta degrees of freedom: the divisor is ``n - ddof``.",
};

const BIAS: Parameter = Parameter {
    name: "bias",
    accepts: Accepts::Bool,
    default: DefaultValue::Bool(true),
    doc: "If ``False``, the estimate is corrected for statistical bias.",
};

pub(super) static VAR: Entry = Entry {
    name: "var",
    doc: "The variance: the sum of squared deviations from the mean, divided by ``n - ddof``.\n\n\
          NaN for an empty array. NaN or inf where ``n <= ddof``, as in NumPy; with omitted NaN always NaN there, as \
          in ``np.nanvar``. Computed in float64 in two passes over each block in cache, and merged with Pébay's \
          formulas (SAND2008-6212). If squares leave the range of float64 (elements beyond about 1e±150), further \
          passes use scaled elements: the result is right whenever it fits float64.",
    parameters: &[DDOF],
    numpy: "np.var(x, ddof=ddof)",
    takes: Takes::Reals,
    examples: &["ddof=1", "ddof=2.5"],
    weighted: true,
    resolve: |arguments, input| {
        let (ddof, omits) = (arguments.number("ddof"), input.omits());
        Ok(finish(input, 2, 2, move |state| variance(state, ddof, omits)))
    },
    ..Entry::USUAL
};

pub(super) static NANVAR: Entry = VAR.omitting(
    "nanvar",
    "np.nanvar(x, ddof=ddof)",
    "The variance, ignoring NaN. NaN if at most ``ddof`` elements are left.\n\nComputed in the same way as ``var``.",
);

pub(super) static STD: Entry = Entry {
    name: "std",
    doc: "The standard deviation: the square root of the variance with the same ``ddof``.\n\n\
          NaN for an empty array. NaN or inf where ``n <= ddof``, as in NumPy. Right for elements of every magnitude, \
          like ``var``.",
    numpy: "np.std(x, ddof=ddof)",
    resolve: |arguments, input| {
        let (ddof, omits) = (arguments.number("ddof"), input.omits());
        Ok(finish(input, 2, 1, move |state| variance(state, ddof, omits).sqrt()))
    },
    ..VAR_PARTS
};

/// The common part of `std`, `sem` and `var`.
const VAR_PARTS: Entry = Entry {
    name: "",
    doc: "",
    parameters: &[DDOF],
    numpy: "",
    takes: Takes::Reals,
    examples: &["ddof=1"],
    weighted: true,
    resolve: |_, input| Ok(finish(input, 2, 1, |_| f64::NAN)),
    ..Entry::USUAL
};

pub(super) static NANSTD: Entry = STD.omitting(
    "nanstd",
    "np.nanstd(x, ddof=ddof)",
    "The standard deviation, ignoring NaN. NaN if at most ``ddof`` elements are left.\n\n\
     Computed in the same way as ``std``.",
);

pub(super) static SEM: Entry = Entry {
    name: "sem",
    doc: "The standard error of the mean: the standard deviation divided by the square root of n.\n\n\
          NaN for fewer than two elements. Right for elements of every magnitude, like ``var``. The same as SciPy's \
          ``stats.sem``, with its default ``ddof=1``.",
    parameters: &[Parameter { default: DefaultValue::Int(1), ..DDOF }],
    numpy: "stats.sem(x, axis=None, ddof=ddof)",
    examples: &["ddof=0"],
    resolve: |arguments, input| {
        let (ddof, omits) = (arguments.number("ddof"), input.omits());
        Ok(finish(input, 2, 1, move |state| {
            let error = variance(state, ddof, omits).sqrt() / (state.count).sqrt();
            if state.count <= 1.0 { f64::NAN } else { error }
        }))
    },
    ..VAR_PARTS
};

/// Whether the data are constant up to rounding, so that a normalised moment has no meaning. The limit is SciPy's since
/// 1.17.
fn is_constant(state: &MomentsState, dtype: DType) -> bool {
    let epsilon = match dtype {
        DType::Float16 => f64::powi(2.0, -10),
        DType::Float32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    state.m2 / state.count <= (epsilon * state.mean()).powi(2)
}

pub(super) static SKEW: Entry = Entry {
    name: "skew",
    doc: "The skewness: the third central moment divided by the second to the power 3/2 (Fisher-Pearson).\n\n\
          NaN for an empty or constant array. It does not depend on the scale of the elements: if cubes leave the \
          range of float64 (elements beyond about 1e±75), further passes use scaled elements. The same as SciPy's \
          ``stats.skew``.",
    parameters: &[BIAS],
    numpy: "stats.skew(x, axis=None, bias=bias)",
    takes: Takes::Reals,
    examples: &["bias=False"],
    weighted: true,
    resolve: |arguments, input| {
        let (bias, dtype) = (arguments.bool("bias"), input.dtype);
        Ok(finish(input, 4, 0, move |state| {
            let n = state.count;
            if state.count == 0.0 || is_constant(state, dtype) {
                return f64::NAN;
            }
            let skew = (state.m3 / n) / (state.m2 / n).powf(1.5);
            if bias || state.count <= 2.0 { skew } else { ((n - 1.0) * n).sqrt() / (n - 2.0) * skew }
        }))
    },
    ..Entry::USUAL
};

pub(super) static KURTOSIS: Entry = Entry {
    name: "kurtosis",
    doc: "The kurtosis: the fourth central moment divided by the square of the second.\n\n\
          NaN for an empty or constant array. It does not depend on the scale of the elements, like ``skew``. The \
          same as SciPy's ``stats.kurtosis``.",
    parameters: &[
        Parameter {
            name: "fisher",
            accepts: Accepts::Bool,
            default: DefaultValue::Bool(true),
            doc: "If ``True``, 3 is subtracted, so that a normal distribution has kurtosis 0.",
        },
        BIAS,
    ],
    numpy: "stats.kurtosis(x, axis=None, fisher=fisher, bias=bias)",
    takes: Takes::Reals,
    examples: &["fisher=False", "bias=False"],
    weighted: true,
    resolve: |arguments, input| {
        let (fisher, bias, dtype) = (arguments.bool("fisher"), arguments.bool("bias"), input.dtype);
        Ok(finish(input, 4, 0, move |state| {
            let n = state.count;
            if state.count == 0.0 || is_constant(state, dtype) {
                return f64::NAN;
            }
            let ratio = (state.m4 / n) / (state.m2 / n).powi(2);
            let pearson = if bias || state.count <= 3.0 {
                ratio
            } else {
                ((n * n - 1.0) * ratio - 3.0 * (n - 1.0).powi(2)) / ((n - 2.0) * (n - 3.0)) + 3.0
            };
            if fisher { pearson - 3.0 } else { pearson }
        }))
    },
    ..Entry::USUAL
};
