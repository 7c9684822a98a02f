//! Where each element is among all: in standard deviations from the mean, and by rank.

use crate::array_writer::{ArrayWriter, array, fill, write_each};
use crate::dtype::{DType, with_ordered};
use crate::error::Error;
use crate::kernel::{Answer, Entry, Input, Piece, Request, Shape, Takes};
use crate::kernels::moments::{moments, variance};
use crate::kernels::rescaled::scaled;
use crate::lanes::Double;
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::scale::Scale;
use crate::selection::{Ties, ranks};
use crate::simd::Simd;
use crate::source::Output;

/// Distances from a mean, in standard deviations.
#[derive(Debug, Clone)]
struct Standardised {
    mean: Double,
    deviation: f64,
    output: Output,
}

impl ArrayWriter for Standardised {
    const NAME: &'static str = "distances from the mean";

    type Item = f64;

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, f64>) -> Result<(), Error> {
        // Where the mean is large beside the distances from it, its rounding is not small beside them.
        let score = |item: f64| Some(((item - self.mean.high) - self.mean.low) / self.deviation);
        write_each(piece.own(), piece.start, score, |start, scores| self.output.write_floats(start, scores));
        Ok(())
    }
}

/// The distance of 1 from the next number.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::Float16 => 2_f64.powi(-10),
        DType::Float32 => f32::EPSILON.into(),
        _ => f64::EPSILON,
    }
}

fn zscore(arguments: &Arguments, input: &Input) -> Request {
    let (ddof, dtype, input) = (arguments.number("ddof"), input.dtype.mean_type(), *input);
    array(
        dtype,
        |len| len,
        move |output| {
            moments(&input, 2, vec![Standardised::NAME], move |state, scale| {
                let (mean, deviation) = (state.precise_mean(), variance(state, ddof, true).sqrt());
                // What differs by rounding only has no score: SciPy draws the line here.
                let is_constant = deviation <= (epsilon(dtype) * mean.high).abs();
                let deviation = if is_constant { f64::NAN } else { deviation };
                let scores = Standardised { mean, deviation, output: output.clone() };
                let elements = scaled(input.elements().float64(), [scale, Scale::ONE]);
                Ok(Answer::Next(fill(elements, scores)))
            })
        },
    )
}

pub(super) static ZSCORE: Entry = Entry {
    name: "zscore",
    doc: "The distance of each element from the mean, in standard deviations, as an array.\n\n\
          The mean is subtracted to twice the digits of a float, so that no score is lost far from zero. NaN everywhere if all \
          elements are equal, and if there is a NaN, unless it is left out: then it is NaN in its own place only. It does not \
          depend on scale: squares that leave float64 are taken of scaled elements, in further passes. SciPy's \
          ``stats.zscore``.",
    parameters: &[Parameter {
        name: "ddof",
        accepts: Accepts::Number,
        default: DefaultValue::Int(0),
        doc: "Delta degrees of freedom: the divisor of the variance is ``n - ddof``.",
    }],
    numpy: "stats.zscore(np.ravel(x), ddof=ddof)",
    takes: Takes::Reals,
    answers: Shape::Items,
    examples: &["ddof=1"],
    passes: 2,
    resolve: |arguments, input| Ok(zscore(arguments, input)),
    ..Entry::USUAL
};

fn rank(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let ties = Ties::named(arguments.text("method"));
    // NaN has no whole rank.
    let whole = ties != Ties::Average && !input.dtype.has_missing();
    let dtype = if whole { DType::Int64 } else { DType::Float64 };
    let (expression, omits) = (input.elements(), input.omits());
    Ok(with_ordered!(input.dtype, T => {
        array(dtype, |len| len, move |output| ranks::<T>(expression.clone(), omits, ties, output))
    }, else return Err(input.unsupported(Takes::Ordered))))
}

pub(super) static RANK: Entry = Entry {
    name: "rank",
    doc: "The rank of each element among all, from 1 on, as an array.\n\n\
          Of equal elements, each has the mean of their ranks, or the smallest or largest of them; or equal ones have one rank \
          and the next has the next; or they have ranks in the order in which they come. NaN everywhere if there is a NaN, \
          unless it is left out: then it is NaN in its own place only. Where NaN is possible, and for means, ranks are \
          float64, else int64. SciPy's ``stats.rankdata``.",
    parameters: &[Parameter {
        name: "method",
        accepts: Accepts::Ties,
        default: DefaultValue::Text("average"),
        doc: "What equal elements get.",
    }],
    numpy: "stats.rankdata(np.ravel(x), method=method)",
    takes: Takes::Reals,
    answers: Shape::Items,
    examples: &["method='min'", "method='max'", "method='dense'", "method='ordinal'"],
    resolve: rank,
    ..Entry::USUAL
};
