//! The position of each element among all: `zscore` and `rank`.

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
        // If the mean is large compared with the distances from it, its rounding error matters.
        let score = |item: f64| Some(((item - self.mean.high) - self.mean.low) / self.deviation);
        write_each(piece.own(), piece.start, score, |start, scores| self.output.write_floats(start, scores));
        Ok(())
    }
}

/// The distance from 1 to the next larger number.
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
                // Elements that differ only by rounding have no score. The limit is SciPy's.
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
          The mean is subtracted in twice the precision of a float, so that scores stay accurate where the elements \
          are far from zero. NaN everywhere if all elements are equal, or if there is a NaN; an omitted NaN gives NaN \
          only in its own position. Scores do not depend on the scale of the elements: if squares leave the range of \
          float64, further passes use scaled elements. The same as SciPy's ``stats.zscore``.",
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
    doc: "The rank of each element among all, starting from 1, as an array.\n\n\
          NaN everywhere if there is a NaN; an omitted NaN gives NaN only in its own position. Ranks are float64 if \
          the elements' dtype can hold NaN or if ``method=\"average\"``, and int64 otherwise. The same as SciPy's \
          ``stats.rankdata``.",
    parameters: &[Parameter {
        name: "method",
        accepts: Accepts::Ties,
        default: DefaultValue::Text("average"),
        doc: "The rank of equal elements: the mean (``\"average\"``), the smallest (``\"min\"``) or the largest \
              (``\"max\"``) of their ranks; one rank, and the next element gets the next rank (``\"dense\"``); or \
              different ranks in the order of their positions (``\"ordinal\"``).",
    }],
    numpy: "stats.rankdata(np.ravel(x), method=method)",
    takes: Takes::Reals,
    answers: Shape::Items,
    examples: &["method='min'", "method='max'", "method='dense'", "method='ordinal'"],
    resolve: rank,
    ..Entry::USUAL
};
