//! Statistics of sliding windows, as in pandas.

use crate::array_writer::{array, fill};
use crate::dtype::{DType, with_integer};
use crate::error::Error;
use crate::kernel::{Entry, Input, Request, Shape, Takes};
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, Parameter};
use crate::windows::{Quantile, Quantiles, Slides, Statistic, Totals, Wanted, Window};

const WINDOW: Parameter = Parameter {
    name: "window",
    accepts: Accepts::IntFrom(1),
    default: DefaultValue::Int(3),
    doc: "The number of elements in a window.",
};

const MIN_PERIODS: Parameter = Parameter {
    name: "min_periods",
    accepts: Accepts::MaybeCount,
    default: DefaultValue::None,
    doc: "The least number of values for a result; a window with fewer gives NaN. ``None`` stands for ``window``.",
};

const CENTER: Parameter = Parameter {
    name: "center",
    accepts: Accepts::Bool,
    default: DefaultValue::Bool(false),
    doc: "If ``True``, each element is in the middle of its window; otherwise it is the last one.",
};

const DDOF: Parameter = Parameter {
    name: "ddof",
    accepts: Accepts::IntFrom(0),
    default: DefaultValue::Int(1),
    doc: "Delta degrees of freedom: the divisor is ``n - ddof``.",
};

const QUANTILE: Parameter = Parameter {
    name: "q",
    accepts: Accepts::Part,
    default: DefaultValue::Float(0.5),
    doc: "The quantile, from 0 to 1.",
};

/// The positions of the windows, and how many values each must have.
struct Windows {
    size: usize,
    center: bool,
    least: usize,
}

impl Windows {
    fn new(arguments: &Arguments, input: &Input) -> Result<Windows, Error> {
        let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let size = count(arguments.int("window"));
        let least = match arguments.get("min_periods") {
            Argument::Int(least) => count(*least),
            _ => size,
        };
        if least > size {
            return Err(Error::ParameterValue {
                kernel: input.kernel,
                parameter: "min_periods",
                value: least.to_string(),
                expected: format!("at most window, which is {size}"),
            });
        }
        Ok(Windows { size, center: arguments.bool("center"), least })
    }
}

fn slide(statistic: Statistic, arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let Windows { size, center, least } = Windows::new(arguments, input)?;
    let expression = input.elements().float64();
    Ok(array(
        DType::Float64,
        |len| len,
        move |output| {
            let window = Window::new(size, center, output.len());
            fill(expression.clone(), Slides::new(window, Wanted { statistic, least: least as f64, output }))
        },
    ))
}

/// A sum or a mean: exact if the elements are exact.
fn total(statistic: Statistic, arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let Windows { size, center, least } = Windows::new(arguments, input)?;
    let expression = input.elements();
    with_integer!(input.dtype, T => {
        Ok(array(
            DType::Float64,
            |len| len,
            move |output| {
                let window = Window::new(size, center, output.len());
                fill(expression.clone(), Totals::<T>::new(window, Wanted { statistic, least: least as f64, output }))
            },
        ))
    }, else slide(statistic, arguments, input))
}

fn quantile(quantile: f64, arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let Windows { size, center, least } = Windows::new(arguments, input)?;
    let expression = input.elements().float64();
    Ok(array(
        DType::Float64,
        |len| len,
        move |output| {
            let window = Window::new(size, center, output.len());
            fill(expression.clone(), Quantiles { window, wanted: vec![Quantile { quantile, least, output }] })
        },
    ))
}

/// The common part of the window kernels.
const WINDOWED: Entry = Entry {
    name: "",
    doc: "",
    parameters: &[WINDOW, MIN_PERIODS, CENTER],
    numpy: "",
    takes: Takes::Reals,
    answers: Shape::Items,
    examples: &["window=4, min_periods=1, center=True", "window=1"],
    resolve: |arguments, input| total(Statistic::Sum, arguments, input),
    ..Entry::USUAL
};

pub(super) static ROLLING_SUM: Entry = Entry {
    name: "rolling_sum",
    doc: "The sum of each window, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas. Each sum is the float nearest to the exact sum, as in \
          ``math.fsum``; integers are summed exactly before this rounding. The time does not depend on the window's \
          size.",
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).sum().to_numpy()",
    examples: &["window=4, min_periods=0, center=True", "window=1"],
    resolve: |arguments, input| total(Statistic::Sum, arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_MEAN: Entry = Entry {
    name: "rolling_mean",
    doc: "The mean of each window, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas. Each mean is computed from the exact sum and rounded \
          once; if the sum is too large for float64, the mean is infinite. Several statistics of the same windows \
          share one pass over them.",
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).mean().to_numpy()",
    resolve: |arguments, input| total(Statistic::Mean, arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_VAR: Entry = Entry {
    name: "rolling_var",
    doc: "The variance of each window, as an array of float64; NaN where ``n <= ddof``.\n\n\
          NaN and infinities are missing values, as in pandas. Each variance is as exact as if it were computed with \
          twice the digits and then rounded. It is never negative, it is 0 where all values are equal, however large \
          they are, and values of earlier windows do not affect it. Squares of deviations beyond 1e±154 leave the \
          range of float64, as in NumPy.",
    parameters: &[WINDOW, MIN_PERIODS, CENTER, DDOF],
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).var(ddof=ddof).to_numpy()",
    examples: &["window=4, min_periods=1, center=True, ddof=0", "window=5"],
    resolve: |arguments, input| slide(Statistic::Var(arguments.number("ddof")), arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_STD: Entry = Entry {
    name: "rolling_std",
    doc: "The standard deviation of each window, as an array of float64; NaN where ``n <= ddof``.\n\n\
          The square root of ``rolling_var``.",
    parameters: &[WINDOW, MIN_PERIODS, CENTER, DDOF],
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).std(ddof=ddof).to_numpy()",
    examples: &["window=4, min_periods=1, center=True, ddof=0", "window=5"],
    resolve: |arguments, input| slide(Statistic::Std(arguments.number("ddof")), arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_MIN: Entry = Entry {
    name: "rolling_min",
    doc: "The smallest value of each window, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas.",
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).min().to_numpy()",
    resolve: |arguments, input| slide(Statistic::Min, arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_MAX: Entry = Entry {
    name: "rolling_max",
    doc: "The largest value of each window, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas.",
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).max().to_numpy()",
    resolve: |arguments, input| slide(Statistic::Max, arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_MEDIAN: Entry = Entry {
    name: "rolling_median",
    doc: "The median of each window, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas. Adding or removing an element takes a few steps, \
          whatever the window's size.",
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).median().to_numpy()",
    resolve: |arguments, input| quantile(0.5, arguments, input),
    ..WINDOWED
};

pub(super) static ROLLING_QUANTILE: Entry = Entry {
    name: "rolling_quantile",
    doc: "The quantile of each window, interpolated linearly between two elements, as an array of float64.\n\n\
          NaN and infinities are missing values, as in pandas. Several quantiles of the same windows share the \
          sorting.",
    parameters: &[WINDOW, QUANTILE, MIN_PERIODS, CENTER],
    numpy: "pd.Series(np.ravel(x)).rolling(window, min_periods, center).quantile(q).to_numpy()",
    examples: &["window=4, q=0.1, min_periods=1, center=True", "window=1", "window=5, q=1"],
    resolve: |arguments, input| quantile(arguments.number("q"), arguments, input),
    ..WINDOWED
};
