//! The median distance from the center: `median_abs_deviation`.
//!
//! A first request finds the center, which is the median or the mean. A second request finds the median of the
//! distances from it. The distances are computed block by block and are never stored as an array.

use crate::dtype::DType;
use crate::error::Error;
use crate::expr::{Expression, Step};
use crate::kernel::{Answer, Entry, Input, Takes};
use crate::kernels::median::{median, median_of, middle};
use crate::kernels::picked::ordered;
use crate::kernels::quantiles::scale;
use crate::kernels::sums;
use crate::parameters::{Accepts, DefaultValue, Parameter};
use crate::value::Value;

/// Requests the median of |x − center|, divided by `scale`.
fn median_deviation(input: &Input, center: f64, scale: f64) -> Result<Answer, Error> {
    let input = *input;
    let deviation = |expression: Expression| expression.then(Step::deviation(center, input.dtype));
    // The median of integers can be a fraction, and then so are the distances.
    let (expression, dtype) = if input.dtype.is_float() {
        (deviation(input.values()), input.dtype)
    } else {
        (deviation(input.floats()), DType::Float64)
    };
    let of = Input { dtype, ..input };
    let request = ordered(&of, expression, middle, move |picked| {
        let Value::Scalar(number, dtype) = median_of(&of, picked) else { unreachable!("a median is one number") };
        Ok(Value::float(dtype.round(number.float() / dtype.round(scale)), dtype))
    })?;
    Ok(Answer::Next(request))
}

pub(super) static MEDIAN_ABS_DEVIATION: Entry = Entry {
    name: "median_abs_deviation",
    doc: "The median of the absolute distances from the center.\n\nNaN if there is a NaN; NaN for an empty array.",
    parameters: &[
        Parameter {
            name: "scale",
            accepts: Accepts::Scale,
            default: DefaultValue::Float(1.0),
            doc: "The number that the result is divided by. With ``\"normal\"`` the result estimates the standard \
                  deviation of normally distributed data.",
        },
        Parameter {
            name: "center",
            accepts: Accepts::Center,
            default: DefaultValue::Text("median"),
            doc: "The center from which distances are measured: ``\"median\"`` or ``\"mean\"``.",
        },
    ],
    numpy: "stats.median_abs_deviation(x, scale=scale, center={'median': np.median, 'mean': np.mean}[center])",
    takes: Takes::Reals,
    examples: &["scale='normal'", "center='mean'", "scale=2.0"],
    passes: 2,
    resolve: |arguments, input| {
        // Φ⁻¹(3/4): the deviation of a normal distribution of variance 1.
        let (input, scale) = (*input, scale(arguments, 0.674_489_750_196_081_7));
        let center = if arguments.text("center") == "mean" {
            (sums::MEAN.resolve)(arguments, &input)?
        } else {
            median(&input, input.values())?
        };
        let steps = ["distances from the center near their median"];
        Ok(center.then(steps, move |center| match center {
            Value::Scalar(center, dtype) if center.float().is_nan() => Ok(Answer::Value(Value::float(f64::NAN, dtype))),
            Value::Scalar(center, dtype) => median_deviation(&input, dtype.round(center.float()), scale),
            other => unreachable!("a center is a number, not {other:?}"),
        }))
    },
    ..Entry::USUAL
};
