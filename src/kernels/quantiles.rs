//! Quantiles, and what is made of them: `median`, `quantile`, `percentile`, `iqr`, `median_abs_deviation` and their `nan…`
//! versions.
//!
//! A quantile is taken at a *virtual index*, a place between two ranks. The methods are those of Hyndman & Fan (The American
//! Statistician 50 (1996), 361–365) and NumPy's further four; each is a [`Method`]. Between two elements a and b the
//! value is a + (b − a)·t, and b − (b − a)·(1 − t) for t ≥ 1/2, as NumPy computes it: with the same operations in the same
//! dtypes, so that the answer is NumPy's to the last bit. (But for integers so far apart that NumPy's subtraction of the
//! two wraps around; this one does not.)

use std::sync::Arc;

use crate::dtype::{Buffer, DType, Item, Number, Ordered, Sealed, Time, with_ordered};
use crate::error::Error;
use crate::expr::{Expression, Step};
use crate::kernel::{Answer, Entry, Input, Request, Shape, Takes};
use crate::kernels::sums;
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, EXACT, Parameter};
use crate::selection::{Picked, select, weighted};
use crate::value::Value;

/// Where a quantile lies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// At this rank.
    At(u64),
    /// Between two ranks, so far from the first to the second.
    Between(u64, u64, f64),
}

/// How a quantile is placed among n elements.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    InvertedCdf,
    AveragedInvertedCdf,
    ClosestObservation,
    /// n·q + α + q·(1 − α − β) − 1.
    Continuous(f64, f64),
    Linear,
    Lower,
    Higher,
    Midpoint,
    Nearest,
}

impl Method {
    fn named(name: &str) -> Method {
        match name {
            "inverted_cdf" => Method::InvertedCdf,
            "averaged_inverted_cdf" => Method::AveragedInvertedCdf,
            "closest_observation" => Method::ClosestObservation,
            "interpolated_inverted_cdf" => Method::Continuous(0.0, 1.0),
            "hazen" => Method::Continuous(0.5, 0.5),
            "weibull" => Method::Continuous(0.0, 0.0),
            "median_unbiased" => Method::Continuous(1.0 / 3.0, 1.0 / 3.0),
            "normal_unbiased" => Method::Continuous(3.0 / 8.0, 3.0 / 8.0),
            "lower" => Method::Lower,
            "higher" => Method::Higher,
            "midpoint" => Method::Midpoint,
            "nearest" => Method::Nearest,
            _ => Method::Linear,
        }
    }

    /// Whether every quantile is one of the elements.
    fn is_discrete(self) -> bool {
        matches!(
            self,
            Method::InvertedCdf | Method::ClosestObservation | Method::Lower | Method::Higher | Method::Nearest
        )
    }

    /// The place of the quantile q of n elements.
    fn place(self, n: u64, q: f64) -> Place {
        let last = n.saturating_sub(1);
        // From 0 to 1 times the last rank, as most methods measure it.
        let along = last as f64 * q;
        let at = |rank: f64| Place::At(whole(rank).min(last));
        // The rank above, unless the place below is met exactly (and, for one method, is odd).
        let rounded_up = |index: f64, met: bool| at(if met { index.floor() } else { index.floor() + 1.0 });
        match self {
            Method::InvertedCdf => {
                let index = n as f64 * q - 1.0;
                rounded_up(index, index == index.floor())
            }
            Method::ClosestObservation => {
                let index = n as f64 * q - 1.0 - 0.5;
                rounded_up(index, index == index.floor() && index.floor().rem_euclid(2.0) == 1.0)
            }
            Method::Lower => at(along.floor()),
            Method::Higher => at(along.ceil()),
            Method::Nearest => at(along.round_ties_even()),
            Method::Linear => between(along, last, |t| t),
            Method::Midpoint => {
                let index = 0.5 * (along.floor() + along.ceil());
                between(index, last, |_| if index == index.floor() { 0.0 } else { 0.5 })
            }
            Method::AveragedInvertedCdf => between(n as f64 * q - 1.0, last, |t| if t == 0.0 { 0.5 } else { 1.0 }),
            Method::Continuous(alpha, beta) => {
                between(n as f64 * q + (alpha + q * (1.0 - alpha - beta)) - 1.0, last, |t| t)
            }
        }
    }
}

/// The place of a virtual index, limited to the ranks that there are.
fn between(index: f64, last: u64, weight: impl Fn(f64) -> f64) -> Place {
    let (first, second) = if index >= last as f64 {
        (last, last)
    } else if index < 0.0 {
        (0, 0)
    } else {
        (whole(index), whole(index) + 1)
    };
    // NumPy counts the last rank as -1 here. The two elements are one then, and the weight matters for a zero's sign only.
    let from = if index >= last as f64 { -1.0 } else { first as f64 };
    Place::Between(first, second, weight(index - from))
}

/// The rank of the method `lower`.
pub(super) fn lower_rank(n: u64, q: f64) -> u64 {
    match Method::Lower.place(n, q) {
        Place::At(rank) | Place::Between(rank, ..) => rank,
    }
}

/// A rank; what is below 0 is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(rank: f64) -> u64 {
    rank as u64
}

/// What a use of `quantile` asks for.
#[derive(Debug, Clone)]
struct Quantiles {
    q: Vec<f64>,
    method: Method,
    /// Whether the answer is an array.
    is_array: bool,
    /// The dtype of the answer, and whether elements come as they are.
    dtype: DType,
    is_element: bool,
}

impl Quantiles {
    /// The quantiles q, which were given as such an argument.
    fn new(input: &Input, q: &Argument, divisor: f64, method: Method) -> Quantiles {
        // Divided by 1 a number is what it is, also in its last bit.
        let fraction = |q: &f64| q / divisor;
        let (q, is_array, whole) = match q {
            Argument::Floats(q, dtype) => (memory::collected(q.iter().map(fraction)), true, !dtype.is_float()),
            Argument::Int(q) => (vec![fraction(&(*q as f64))], false, true),
            Argument::Float(q) => (vec![fraction(q)], false, false),
            _ => (Vec::new(), true, false),
        };
        // 0 and 1 as integers are ranks, so to speak: NumPy hands out those elements.
        let is_element = method.is_discrete() || (method == Method::Linear && whole && divisor == 1.0);
        let keeps = is_element || input.dtype.is_time() || (input.dtype.is_float() && !is_array);
        let dtype = if keeps { input.dtype } else { DType::Float64 };
        Quantiles { q, method, is_array, dtype, is_element }
    }

    /// The request for them.
    fn request(self, input: &Input) -> Result<Request, Error> {
        let (quantiles, input) = (self, *input);
        ordered(&input, input.values(), quantiles.ranks(), move |picked| Ok(quantiles.answer(&input, picked)))
    }

    /// The ranks that matter to them.
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
        // Integers of which none is left have no NaN.
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

    /// How far apart two quantiles are.
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

    /// The ranks that matter to them.
    pub(super) fn ranks(&self, n: u64) -> Vec<u64> {
        self.quantiles.ranks()(n)
    }

    /// How far apart they are.
    pub(super) fn distance(&self, picked: &PickedNumbers) -> f64 {
        self.quantiles.range(&self.input, picked)
    }
}

/// What is between two elements of a dtype, in the dtype of the result.
#[allow(clippy::cast_possible_truncation)]
fn interpolated(a: Number, b: Number, t: f64, dtype: DType, result: DType) -> Number {
    let late = t >= 0.5;
    let weight = result.round(if late { 1.0 - t } else { t });
    let (from, difference) = match (a, b) {
        (Number::Float(a), Number::Float(b)) => (if late { b } else { a }, dtype.round(b - a)),
        (a, b) => {
            let (a, b) = (integer(a), integer(b));
            ((if late { b } else { a }) as f64, (b - a) as f64)
        }
    };
    if dtype.is_time() {
        // Ticks are counted exactly; of the distance whole ones are taken.
        let ticks = (difference * weight) as i64;
        let (Number::Int(a), Number::Int(b)) = (a, b) else { unreachable!("times are integers") };
        return Number::Int(if late { b.wrapping_sub(ticks) } else { a.wrapping_add(ticks) });
    }
    let part = result.round(difference * weight);
    Number::Float(result.round(if late { from - part } else { from + part }))
}

/// An integer's value.
fn integer(number: Number) -> i128 {
    match number {
        Number::Int(value) => value.into(),
        Number::UInt(value) => value.into(),
        Number::Bool(value) => value.into(),
        Number::Float(_) | Number::Complex(_) => unreachable!("floats are not integers"),
    }
}

/// What stands for no answer.
fn missing(dtype: DType) -> Number {
    if dtype.is_time() { Number::Int(Time::NAT.0) } else { Number::Float(f64::NAN) }
}

/// Numbers as items of a dtype's.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn buffer(dtype: DType, numbers: &[Number]) -> Buffer {
    with_ordered!(dtype, T => {
        let items = memory::collected(numbers.iter().map(|&number| <T as Item>::of_number(number)));
        <T as Sealed>::buffer(items)
    }, else unreachable!("complex numbers have no order"))
}

/// Elements of some ranks as numbers.
pub(super) struct PickedNumbers<'a> {
    /// How many elements there are.
    pub(super) len: u64,
    /// Whether one is NaN; see [`Picked`].
    pub(super) missing: bool,
    at: Box<dyn Fn(u64) -> Number + 'a>,
}

impl<'a> PickedNumbers<'a> {
    fn new<T: Ordered>(picked: &'a Picked<T>) -> PickedNumbers<'a> {
        PickedNumbers { len: picked.len, missing: picked.missing, at: Box::new(|rank| picked.at(rank).number()) }
    }

    /// The element of a rank that was wanted.
    pub(super) fn at(&self, rank: u64) -> Number {
        (self.at)(rank)
    }
}

/// Asks for the elements of the ranks that `wanted` says.
pub(super) fn ordered(
    input: &Input,
    expression: Expression,
    wanted: impl Fn(u64) -> Vec<u64> + Send + Sync + 'static,
    finish: impl Fn(&PickedNumbers) -> Result<Value, Error> + Send + Sync + 'static,
) -> Result<Request, Error> {
    Ok(with_ordered!(input.dtype, T => {
        debug_assert_eq!(expression.item(), T::TYPE);
        select::<T>(expression, wanted, move |picked| finish(&PickedNumbers::new(picked)).map(Answer::Value))
    }, else return Err(input.unsupported(Takes::Ordered))))
}

/// The two ranks in the middle, which may be one.
fn middle(n: u64) -> Vec<u64> {
    let last = n.saturating_sub(1);
    vec![last / 2, n / 2]
}

/// The mean of the one or two elements in the middle, in the dtypes of `np.mean`.
fn median_of(input: &Input, picked: &PickedNumbers) -> Value {
    let dtype = if input.dtype.is_time() { input.dtype } else { input.dtype.mean_type() };
    if picked.missing || picked.len == 0 {
        return match missing(dtype) {
            Number::Float(value) => Value::float(value, dtype),
            number => Value::Scalar(number, dtype),
        };
    }
    let ranks = middle(picked.len);
    let (a, b) = (picked.at(ranks[0]), picked.at(ranks[1]));
    let one = picked.len % 2 == 1;
    if let (true, Number::Int(a), Number::Int(b)) = (dtype.is_time(), a, b) {
        // Halves are dropped, as NumPy does.
        return Value::Scalar(Number::Int(if one { a } else { a.midpoint(b) }), dtype);
    }
    // A sum starts with 0, which takes the sign from a zero. Half precision is summed in single.
    let (a, b) = (a.float() + 0.0, b.float());
    let sum = if dtype == DType::Float16 { a + b } else { dtype.round(a + b) };
    Value::float(if one { a } else { dtype.round(sum / 2.0) }, dtype)
}

fn median(input: &Input, expression: Expression) -> Result<Request, Error> {
    let input = *input;
    ordered(&input, expression, middle, move |picked| Ok(median_of(&input, picked)))
}

/// The median of |x − center|, times 1 / `scale`.
fn median_deviation(input: &Input, center: f64, scale: f64) -> Result<Answer, Error> {
    let input = *input;
    let deviation = |expression: Expression| expression.then(Step::deviation(center, input.dtype));
    // Integers deviate from a mean of two by a fraction.
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

/// The scale by which a deviation is that of a normal distribution, if asked by name.
fn scale(arguments: &Arguments, normal: f64) -> f64 {
    if let Argument::Text(_) = arguments.get("scale") { normal } else { arguments.number("scale") }
}

/// The quantiles, `q` being parts of this whole.
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
        // Integers of which none is left have no NaN.
        let nothing = found.iter().any(|item| item.is_nan());
        let dtype = if nothing { quantiles.dtype.mean_type() } else { quantiles.dtype };
        let numbers: Vec<Number> = memory::collected(found.iter().map(|&item| of_float(item, dtype)));
        Ok(match numbers.as_slice() {
            &[number] if !quantiles.is_array => Value::Scalar(number, dtype),
            numbers => Value::Array { items: buffer(dtype, numbers), dtype },
        })
    }))
}

/// The number that a float stands for, of this dtype.
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
    doc: "How a quantile between two elements is found: one of NumPy's thirteen.",
};

pub(super) static QUANTILE: Entry = Entry {
    name: "quantile",
    doc: "The quantiles: what a given part of the elements is not above.\n\n\
          NumPy's to the last bit, with the dtype it has there: that of the elements for one number `q` and floats, \
          float64 for a sequence of them. NaN if there is a NaN; NaN of an empty array.",
    parameters: &[
        Parameter {
            name: "q",
            accepts: Accepts::Parts(1.0),
            default: DefaultValue::Float(0.5),
            doc: "The part, or a sequence of them, which gives an array.",
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
    passes: 2,
    resolve: |arguments, input| quantiles(arguments, input, 1.0),
    ..Entry::USUAL
};

pub(super) static NANQUANTILE: Entry = QUANTILE.omitting(
    "nanquantile",
    "np.nanquantile(x, q=q, method=method)",
    "The quantiles; NaN elements are left out.\n\nOtherwise as ``quantile``.",
);

pub(super) static PERCENTILE: Entry = Entry {
    name: "percentile",
    doc: "The percentiles: what a given percentage of the elements is not above.\n\n\
          ``quantile`` of ``q / 100``.",
    parameters: &[
        Parameter {
            name: "q",
            accepts: Accepts::Parts(100.0),
            default: DefaultValue::Float(50.0),
            doc: "The percentage, or a sequence of them, which gives an array.",
        },
        METHOD,
    ],
    numpy: "np.percentile(x, q=q, method=method)",
    takes: Takes::Measured,
    answers: Shape::Quantiles,
    examples: &["q=[5, 95]", "q=37.5, method='hazen'"],
    weighted: true,
    passes: 2,
    resolve: |arguments, input| quantiles(arguments, input, 100.0),
    ..Entry::USUAL
};

pub(super) static NANPERCENTILE: Entry = PERCENTILE.omitting(
    "nanpercentile",
    "np.nanpercentile(x, q=q, method=method)",
    "The percentiles; NaN elements are left out.\n\nOtherwise as ``percentile``.",
);

pub(super) static MEDIAN: Entry = Entry {
    name: "median",
    doc: "The element in the middle, or the mean of the two.\n\n\
          NumPy's to the last bit. NaN if there is a NaN; NaN of an empty array.",
    numpy: "np.median(x)",
    takes: Takes::Averaged,
    passes: 2,
    resolve: |_, input| median(input, input.values()),
    ..Entry::USUAL
};

pub(super) static NANMEDIAN: Entry = MEDIAN.omitting(
    "nanmedian",
    "np.nanmedian(x)",
    "The element in the middle, or the mean of the two; NaN elements are left out.\n\nNaN if there is nothing else.",
);

pub(super) static IQR: Entry = Entry {
    name: "iqr",
    doc: "The interquartile range: how far apart two percentiles are.\n\nNaN of an empty array.",
    parameters: &[
        Parameter {
            name: "rng",
            accepts: Accepts::Percentiles,
            default: DefaultValue::Pair(25.0, 75.0),
            doc: "The percentages of the two.",
        },
        Parameter {
            name: "scale",
            accepts: Accepts::Scale,
            default: DefaultValue::Float(1.0),
            doc: "What the range is divided by; ``\"normal\"`` makes it the standard deviation of normal data.",
        },
        Parameter {
            name: "interpolation",
            accepts: Accepts::Method,
            default: DefaultValue::Text("linear"),
            doc: "The method of ``quantile``.",
        },
    ],
    numpy: "stats.iqr(x, rng=rng, scale=scale, interpolation=interpolation)",
    takes: Takes::Quantities,
    examples: &["rng=(10.0, 90.0)", "scale='normal'", "interpolation='midpoint'"],
    passes: 2,
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

pub(super) static MEDIAN_ABS_DEVIATION: Entry = Entry {
    name: "median_abs_deviation",
    doc: "The median distance from the center.\n\nNaN if there is a NaN; NaN of an empty array.",
    parameters: &[
        Parameter {
            name: "scale",
            accepts: Accepts::Scale,
            default: DefaultValue::Float(1.0),
            doc: "What the distance is divided by; ``\"normal\"`` makes it the standard deviation of normal data.",
        },
        Parameter {
            name: "center",
            accepts: Accepts::Center,
            default: DefaultValue::Text("median"),
            doc: "From where distances are taken: ``\"median\"`` or ``\"mean\"``.",
        },
    ],
    numpy: "stats.median_abs_deviation(x, scale=scale, center={'median': np.median, 'mean': np.mean}[center])",
    takes: Takes::Reals,
    examples: &["scale='normal'", "center='mean'", "scale=2.0"],
    passes: 4,
    resolve: |arguments, input| {
        // Φ⁻¹(3/4): the deviation of a normal distribution of variance 1.
        let (input, scale) = (*input, scale(arguments, 0.674_489_750_196_081_7));
        let center = if arguments.text("center") == "mean" {
            (sums::MEAN.resolve)(arguments, &input)?
        } else {
            median(&input, input.values())?
        };
        let steps = ["counts of the distances from the center", "the distances in the bins that matter"];
        Ok(center.then(steps, move |center| match center {
            Value::Scalar(center, dtype) if center.float().is_nan() => Ok(Answer::Value(Value::float(f64::NAN, dtype))),
            Value::Scalar(center, dtype) => median_deviation(&input, dtype.round(center.float()), scale),
            other => unreachable!("a center is a number, not {other:?}"),
        }))
    },
    ..Entry::USUAL
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::METHODS;

    #[test]
    fn every_method_has_its_name() {
        let methods = METHODS.map(Method::named);
        for (index, method) in methods.iter().enumerate() {
            assert!(!methods[..index].contains(method), "{method:?}");
        }
    }

    #[test]
    fn places_are_within_the_ranks() {
        for method in METHODS.map(Method::named) {
            for n in [1, 2, 3, 10, 1 << 40] {
                for q in [0.0, 1e-300, 0.1, 0.5, 1.0 - f64::EPSILON / 2.0, 1.0] {
                    let ranks = match method.place(n, q) {
                        Place::At(rank) => [rank, rank],
                        Place::Between(first, second, _) => [first, second],
                    };
                    assert!(ranks.iter().all(|&rank| rank < n), "{method:?} of {n}, {q}: {ranks:?}");
                }
            }
        }
    }
}
