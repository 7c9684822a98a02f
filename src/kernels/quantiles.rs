//! Quantiles and statistics computed from them: `quantile`, `percentile`, `iqr` and their `nan…` versions.
//!
//! The [`Method`] decides which ranks a quantile needs and how it interpolates between their elements. This module
//! decides the dtype of the result, as in NumPy, and the result where no quantile exists. Elements with weights allow
//! only one method.

use std::sync::Arc;

use crate::dtype::{Buffer, DType, Item, Number, Sealed, with_ordered};
use crate::error::Error;
use crate::kernel::{Entry, Input, Request, Shape, Takes};
use crate::kernels::picked::{PickedNumbers, missing, ordered};
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, EXACT, Parameter};
use crate::selection::{Method, Place, interpolated, weighted};
use crate::value::Value;

/// The parameters of one use of `quantile`.
#[derive(Debug, Clone)]
struct Quantiles {
    q: Vec<f64>,
    method: Method,
    /// Whether the result is an array.
    is_array: bool,
    /// The dtype of the result.
    dtype: DType,
    /// Whether the result is an element itself, without interpolation.
    is_element: bool,
}

impl Quantiles {
    /// The quantiles of an argument; its values are divided by `divisor`.
    fn new(input: &Input, q: &Argument, divisor: f64, method: Method) -> Quantiles {
        // Dividing by 1 keeps every bit of a number.
        let fraction = |q: &f64| q / divisor;
        let (q, is_array, whole) = match q {
            Argument::Floats(q, dtype) => (memory::collected(q.iter().map(fraction)), true, !dtype.is_float()),
            Argument::Int(q) => (vec![fraction(&(*q as f64))], false, true),
            Argument::Float(q) => (vec![fraction(q)], false, false),
            _ => (Vec::new(), true, false),
        };
        // For the integers 0 and 1, NumPy returns the element itself, without interpolation.
        let is_element = method.is_discrete() || (method == Method::Linear && whole && divisor == 1.0);
        let keeps = is_element || input.dtype.is_time() || (input.dtype.is_float() && !is_array);
        let dtype = if keeps { input.dtype } else { DType::Float64 };
        Quantiles { q, method, is_array, dtype, is_element }
    }

    /// Requests the quantiles.
    fn request(self, input: &Input) -> Result<Request, Error> {
        let (quantiles, input) = (self, *input);
        ordered(&input, input.values(), quantiles.ranks(), move |picked| Ok(quantiles.answer(&input, picked)))
    }

    /// The needed ranks among n elements.
    fn ranks(&self) -> impl Fn(u64) -> Vec<u64> + Send + Sync + 'static {
        let (q, method) = (memory::copied(&self.q), self.method);
        move |n| {
            let ranks = q.iter().map(|&q| match method.place(n, q) {
                Place::At(rank) => [rank, rank],
                Place::Between(first, second, _) => [first, second],
            });
            memory::collected(ranks.flatten())
        }
    }

    fn answer(&self, input: &Input, picked: &PickedNumbers) -> Value {
        let nothing = picked.len == 0;
        let numbers: Vec<Number> = memory::collected(self.q.iter().map(|&q| self.number(input, picked, q)));
        // Without any elements, an integer dtype has no NaN for the result.
        let dtype = if nothing && !self.dtype.has_missing() { DType::Float64 } else { self.dtype };
        if self.is_array {
            Value::Array { items: buffer(dtype, &numbers), dtype }
        } else {
            match numbers.first() {
                Some(Number::Float(value)) => Value::float(*value, dtype),
                Some(number) => Value::Scalar(*number, dtype),
                None => unreachable!("there is a quantile for a number"),
            }
        }
    }

    /// The difference of two quantiles; NaN if there are not exactly two.
    fn range(&self, input: &Input, picked: &PickedNumbers) -> f64 {
        let ends: Vec<f64> = memory::collected(self.q.iter().map(|&q| self.number(input, picked, q).float()));
        if let [low, high] = ends.as_slice() { high - low } else { f64::NAN }
    }

    /// One quantile.
    fn number(&self, input: &Input, picked: &PickedNumbers, q: f64) -> Number {
        if picked.missing || picked.len == 0 {
            return missing(self.dtype);
        }
        match self.method.place(picked.len, q) {
            Place::At(rank) => picked.at(rank),
            Place::Between(first, _, _) if self.is_element => picked.at(first),
            Place::Between(first, second, t) => {
                interpolated(picked.at(first), picked.at(second), t, input.dtype, self.dtype)
            }
        }
    }
}

/// The quartiles, as NumPy's rules for histograms take them.
#[derive(Debug, Clone)]
pub(super) struct Quartiles {
    input: Input,
    quantiles: Quantiles,
}

impl Quartiles {
    pub(super) fn new(input: &Input) -> Quartiles {
        let percentages = Argument::Floats(Arc::new(vec![25.0, 75.0]), DType::Float64);
        Quartiles { input: *input, quantiles: Quantiles::new(input, &percentages, 100.0, Method::Linear) }
    }

    /// The needed ranks among n elements.
    pub(super) fn ranks(&self, n: u64) -> Vec<u64> {
        self.quantiles.ranks()(n)
    }

    /// The difference of the two quartiles.
    pub(super) fn distance(&self, picked: &PickedNumbers) -> f64 {
        self.quantiles.range(&self.input, picked)
    }
}

/// Numbers as items of a dtype other than complex.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn buffer(dtype: DType, numbers: &[Number]) -> Buffer {
    with_ordered!(dtype, T => {
        let items = memory::collected(numbers.iter().map(|&number| <T as Item>::of_number(number)));
        <T as Sealed>::buffer(items)
    }, else unreachable!("complex numbers have no order"))
}

/// The argument `scale`, where `"normal"` stands for the given number.
pub(super) fn scale(arguments: &Arguments, normal: f64) -> f64 {
    if let Argument::Text(_) = arguments.get("scale") { normal } else { arguments.number("scale") }
}

/// Requests the quantiles; `whole` is the value of `q` that stands for all elements: 1 or 100.
fn quantiles(arguments: &Arguments, input: &Input, whole: f64) -> Result<Request, Error> {
    let method = Method::named(arguments.text("method"));
    let quantiles = Quantiles::new(input, arguments.get("q"), whole, method);
    let Some(pairs) = input.weighted() else { return quantiles.request(input) };
    if method != Method::InvertedCdf {
        let value = format!("'{}'", arguments.text("method"));
        let expected = "'inverted_cdf' where elements have weights".to_owned();
        return Err(Error::ParameterValue { kernel: input.kernel, parameter: "method", value, expected });
    }
    let kernel = input.kernel;
    Ok(weighted(pairs, memory::copied(&quantiles.q), move |found| {
        if !quantiles.dtype.is_float() && found.iter().any(|item| item.abs() >= EXACT) {
            return Err(Error::Inexact { kernel, dtype: quantiles.dtype });
        }
        // Without any elements, an integer dtype has no NaN for the result.
        let nothing = found.iter().any(|item| item.is_nan());
        let dtype = if nothing { quantiles.dtype.mean_type() } else { quantiles.dtype };
        let numbers: Vec<Number> = memory::collected(found.iter().map(|&item| of_float(item, dtype)));
        Ok(match numbers.as_slice() {
            &[number] if !quantiles.is_array => Value::Scalar(number, dtype),
            numbers => Value::Array { items: buffer(dtype, numbers), dtype },
        })
    }))
}

/// Converts a float to a number of this dtype.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn of_float(item: f64, dtype: DType) -> Number {
    match dtype {
        DType::UInt64 => Number::UInt(item as u64),
        _ if dtype.is_float() => Value::number(item),
        _ => Number::Int(item as i64),
    }
}

const METHOD: Parameter = Parameter {
    name: "method",
    accepts: Accepts::Method,
    default: DefaultValue::Text("linear"),
    doc: "How to interpolate between two elements: one of NumPy's thirteen methods.",
};

pub(super) static QUANTILE: Entry = Entry {
    name: "quantile",
    doc: "The quantiles: values that the given fractions of the elements do not exceed.\n\n\
          Equal to NumPy's to the last bit, with NumPy's dtype: the elements' dtype if they are floats and ``q`` is a \
          single number, float64 if ``q`` is a sequence. NaN if there is a NaN; NaN for an empty array.",
    parameters: &[
        Parameter {
            name: "q",
            accepts: Accepts::Parts(1.0),
            default: DefaultValue::Float(0.5),
            doc: "The fraction, or a sequence of fractions; a sequence gives an array.",
        },
        METHOD,
    ],
    numpy: "np.quantile(x, q=q, method=method)",
    takes: Takes::Measured,
    answers: Shape::Quantiles,
    examples: &[
        "q=[0.01, 0.25, 0.5, 0.99]",
        "q=0.3, method='inverted_cdf'",
        "q=0.35, method='averaged_inverted_cdf'",
        "q=[0.1, 0.5], method='closest_observation'",
        "q=0.4, method='interpolated_inverted_cdf'",
        "q=0.45, method='hazen'",
        "q=[0.0, 0.7, 1.0], method='weibull'",
        "q=0.55, method='median_unbiased'",
        "q=0.6, method='normal_unbiased'",
        "q=0.65, method='lower'",
        "q=[0.3, 0.9], method='higher'",
        "q=0.7, method='midpoint'",
        "q=0.75, method='nearest'",
        "q=1",
    ],
    weighted: true,
    passes: 1,
    resolve: |arguments, input| quantiles(arguments, input, 1.0),
    ..Entry::USUAL
};

pub(super) static NANQUANTILE: Entry = QUANTILE.omitting(
    "nanquantile",
    "np.nanquantile(x, q=q, method=method)",
    "The quantiles, ignoring NaN.\n\nOtherwise the same as ``quantile``.",
);

pub(super) static PERCENTILE: Entry = Entry {
    name: "percentile",
    doc: "The percentiles: values that the given percentages of the elements do not exceed.\n\n\
          The same as ``quantile`` of ``q / 100``.",
    parameters: &[
        Parameter {
            name: "q",
            accepts: Accepts::Parts(100.0),
            default: DefaultValue::Float(50.0),
            doc: "The percentage, or a sequence of percentages; a sequence gives an array.",
        },
        METHOD,
    ],
    numpy: "np.percentile(x, q=q, method=method)",
    takes: Takes::Measured,
    answers: Shape::Quantiles,
    examples: &["q=[5, 95]", "q=37.5, method='hazen'"],
    weighted: true,
    passes: 1,
    resolve: |arguments, input| quantiles(arguments, input, 100.0),
    ..Entry::USUAL
};

pub(super) static NANPERCENTILE: Entry = PERCENTILE.omitting(
    "nanpercentile",
    "np.nanpercentile(x, q=q, method=method)",
    "The percentiles, ignoring NaN.\n\nOtherwise the same as ``percentile``.",
);

pub(super) static IQR: Entry = Entry {
    name: "iqr",
    doc: "The interquartile range: the difference of two percentiles.\n\nNaN for an empty array.",
    parameters: &[
        Parameter {
            name: "rng",
            accepts: Accepts::Percentiles,
            default: DefaultValue::Pair(25.0, 75.0),
            doc: "The two percentages.",
        },
        Parameter {
            name: "scale",
            accepts: Accepts::Scale,
            default: DefaultValue::Float(1.0),
            doc: "The number that the result is divided by. With ``\"normal\"`` the result estimates the standard \
                  deviation of normally distributed data.",
        },
        Parameter {
            name: "interpolation",
            accepts: Accepts::Method,
            default: DefaultValue::Text("linear"),
            doc: "The interpolation method, as for ``quantile``.",
        },
    ],
    numpy: "stats.iqr(x, rng=rng, scale=scale, interpolation=interpolation)",
    takes: Takes::Quantities,
    examples: &["rng=(10.0, 90.0)", "scale='normal'", "interpolation='midpoint'"],
    passes: 1,
    resolve: |arguments, input| {
        let &Argument::Pair([low, high], _) = arguments.get("rng") else { unreachable!("the range is checked") };
        let both = Argument::Floats(Arc::new(vec![low, high]), DType::Float64);
        let quantiles = Quantiles::new(input, &both, 100.0, Method::named(arguments.text("interpolation")));
        // 2 √2 erf⁻¹(1/2): the range of a normal distribution of variance 1.
        let (scale, dtype) = (scale(arguments, 1.348_979_500_392_163_4), input.dtype.mean_type());
        let input = *input;
        ordered(&input, input.values(), quantiles.ranks(), move |picked| {
            Ok(Value::float(dtype.round(quantiles.range(&input, picked) / scale), dtype))
        })
    },
    ..Entry::USUAL
};
