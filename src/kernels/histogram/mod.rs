//! Counts per bin, exactly equal to NumPy's: `histogram`.
//!
//! NumPy's rule: bin i holds the elements with `edges[i] <= x < edges[i + 1]`, and the last bin includes its upper
//! edge. `bins` has the edges and `counting` the loops. This file has the first request (for the range, or for the
//! statistics that a rule needs) and the result.

mod bins;
mod counting;

use std::sync::Arc;

use crate::bin_counts::BinCounts;
use crate::dtype::{Buffer, DType};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Answer, Entry, Input, Request, Shape, Takes};
use crate::kernels::extrema;
use crate::kernels::widths::{Facts, Rule};
use crate::lanes::Double;
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, Parameter};
use crate::value::Value;
use bins::Bins;
use counting::{Histogram, Weighing};

/// The exact integer of a sum of integers, if it fits 64 bits.
#[allow(clippy::cast_possible_truncation)] // what is beyond 128 bits saturates, and is out of bounds then
fn whole(sum: Double) -> Option<i64> {
    i64::try_from((sum.high as i128).checked_add(sum.low as i128)?).ok()
}

/// Requests the sums of weights in known bins; integer weights have integer sums.
fn weighed(pairs: Expression, weights: DType, bins: Arc<Bins>, density: bool) -> Request {
    Request::new(pairs, Weighing(Histogram { bins: Arc::clone(&bins) }), move |sums: &Vec<Double>| {
        let sums = sums.get(1..=bins.count()).unwrap_or_default();
        let floats: Vec<f64> = memory::collected(sums.iter().map(|sum| sum.value()));
        let heights = if density {
            Value::Array { items: Buffer::Float64(bins.densities(&floats)), dtype: DType::Float64 }
        } else if weights.is_float() {
            Value::Array { items: Buffer::Float64(floats), dtype: DType::Float64 }
        } else {
            let remedy = "pass the weights as float64 (weights.astype(float)) for rounded ones";
            let dtype = DType::Int64;
            if sums.iter().any(|sum| whole(*sum).is_none()) {
                return Err(Error::Overflow { kernel: "histogram", dtype, remedy });
            }
            let sums = memory::collected(sums.iter().filter_map(|sum| whole(*sum)));
            Value::Array { items: Buffer::Int64(sums), dtype }
        };
        let edges = Value::Array { items: Buffer::Float64(memory::copied(&bins.edges)), dtype: bins.dtype };
        Ok(Value::Record("Histogram", vec![heights, edges]))
    })
}

/// Requests the counts in known bins, or the sums of weights if elements have weights.
fn counts(input: &Input, bins: Bins, density: bool) -> Request {
    let bins = Arc::new(bins);
    if let (Some(pairs), Some(weights)) = (input.weighted(), input.weights) {
        return weighed(pairs, weights.dtype, bins, density);
    }
    Request::new(input.floats(), Histogram { bins: Arc::clone(&bins) }, move |tally: &BinCounts| {
        let totals = tally.totals();
        let counts = totals.get(1..=bins.count()).unwrap_or_default();
        let heights = if density {
            let counts: Vec<f64> = memory::collected(counts.iter().map(|&count| count as f64));
            Value::Array { items: Buffer::Float64(bins.densities(&counts)), dtype: DType::Float64 }
        } else {
            let counts = memory::collected(counts.iter().map(|&count| i64::try_from(count).unwrap_or(i64::MAX)));
            Value::Array { items: Buffer::Int64(counts), dtype: DType::Int64 }
        };
        let edges = Value::Array { items: Buffer::Float64(memory::copied(&bins.edges)), dtype: bins.dtype };
        Ok(Value::Record("Histogram", vec![heights, edges]))
    })
}

pub(super) static HISTOGRAM: Entry = Entry {
    name: "histogram",
    doc: "The number of elements in each bin, and the bins' edges: a named tuple ``(counts, edges)``.\n\n\
          The counts are exactly those of ``np.histogram``: every bin but the last is half-open, and comparisons \
          with the edges decide the bin of an element. NaN and elements outside of the bins are not counted. An \
          integer ``bins`` without ``range`` uses the range from the smallest to the largest element, which an \
          extra pass finds first.\n\n\
          If ``bins`` is a name, a rule chooses the number of bins, after an extra pass: ``\"sturges\"``, \
          ``\"sqrt\"`` and ``\"rice\"`` use the number of elements, ``\"scott\"`` also their standard deviation and \
          ``\"doane\"`` also their skewness; ``\"fd\"`` and ``\"auto\"`` use their quartiles, which take two passes. \
          Where NumPy's own moments are inexact (in float16, for nearly equal elements, or if squares overflow), the \
          number of bins follows from the exact moments.",
    parameters: &[
        Parameter {
            name: "bins",
            accepts: Accepts::Bins,
            default: DefaultValue::Int(10),
            doc: "The number of bins of equal width, the name of a rule for it, or the ascending sequence of edges.",
        },
        Parameter {
            name: "range",
            accepts: Accepts::Range,
            default: DefaultValue::None,
            doc: "The lower and upper end ``(low, high)`` of the bins; ``None`` stands for the smallest and the \
                  largest element.",
        },
        Parameter {
            name: "density",
            accepts: Accepts::Bool,
            default: DefaultValue::Bool(false),
            doc: "If ``True``, counts are divided by their sum and by the bins' widths.",
        },
    ],
    numpy: "np.histogram(x, bins=bins, range=range, density=density)",
    takes: Takes::Reals,
    answers: Shape::Record,
    examples: &[
        "bins=100, range=(-3.0, 3.0)",
        "bins=[-1.0, 0.0, 0.5, 4.0]",
        "bins=[0, 1, 2, 3]",
        "bins=7, density=True",
        "bins='auto', range=(-1.0, 1.5)",
        "bins='rice', density=True",
        "bins='sturges'",
    ],
    weighted: true,
    passes: 2,
    resolve: histogram,
    ..Entry::USUAL
};

fn histogram(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let density = arguments.bool("density");
    let count = match arguments.get("bins") {
        Argument::Floats(edges, dtype) => {
            return Ok(counts(input, Bins::between(memory::copied(edges), *dtype), density));
        }
        Argument::Int(count) => usize::try_from(*count).unwrap_or(usize::MAX),
        Argument::Text(name) => return by_rule(Rule::named(name), arguments, input),
        _ => 1,
    };
    let dtype = input.dtype.mean_type();
    if let Argument::Pair([low, high], _) = arguments.get("range") {
        return Ok(counts(input, Bins::regular(count, *low, *high, dtype, DType::Float64)?, density));
    }
    let input = *input;
    extrema::bounds(&input, vec!["histogram between them"], move |bounds| {
        let (low, high) = bounds.unwrap_or((0.0, 1.0));
        check_range(low, high)?;
        let computed_in = if bounds.is_some() { dtype } else { DType::Float64 };
        Bins::regular(count, low, high, dtype, computed_in).map(|bins| Answer::Next(counts(&input, bins, density)))
    })
}

/// Requests a histogram whose number of bins follows from a rule.
fn by_rule(rule: Rule, arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let (input, density, dtype) = (*input, arguments.bool("density"), input.dtype.mean_type());
    if input.weights.is_some() {
        let expected = "a number of bins or their edges where elements have weights".to_owned();
        let value = format!("'{}'", arguments.text("bins"));
        return Err(Error::ParameterValue { kernel: input.kernel, parameter: "bins", value, expected });
    }
    let range = if let Argument::Pair(ends, _) = arguments.get("range") { Some(*ends) } else { None };
    // The elements are compared with the ends in their own dtype.
    let within = range.map(|[low, high]| if low == high { [low - 0.5, high + 0.5] } else { [low, high] });
    let request = rule.request(&input, within.map(|ends| ends.map(|end| dtype.round(end))))?;
    Ok(request.then(["histogram with as many bins as the rule says"], move |facts| {
        let facts = Facts::of(&facts);
        let own = if facts.is_of_nothing() { [0.0, 1.0] } else { [facts.low, facts.high] };
        let [low, high] = range.unwrap_or(own);
        check_range(low, high)?;
        let computed_in = if range.is_some() || facts.is_of_nothing() { DType::Float64 } else { dtype };
        let count = rule.bins(&facts, input.dtype, [low, high], computed_in)?;
        Bins::regular(count, low, high, dtype, computed_in).map(|bins| Answer::Next(counts(&input, bins, density)))
    }))
}

/// Returns an error for data without a finite range.
fn check_range(low: f64, high: f64) -> Result<(), Error> {
    if low.is_finite() && high.is_finite() { Ok(()) } else { Err(Error::HistogramRange { low, high }) }
}
