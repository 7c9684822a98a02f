//! What a parameter accepts: each kind of [`Accepts`] as text and as a check of one argument.
//!
//! A kernel can rely on these checks. The kernel itself checks conditions on several arguments or on the array.

use super::argument::Argument;

/// The most bins that a histogram can have: their counts must fit in memory several times over.
pub(crate) const MAX_BINS: i64 = 10_000_000;

/// 2⁵³: smaller integers are exact as float64 and keep their order.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// The names of the rules for the number of bins, in alphabetical order.
pub(crate) const RULES: [&str; 7] = ["auto", "doane", "fd", "rice", "scott", "sqrt", "sturges"];

/// The names of the methods for quantiles, in the order of NumPy's documentation.
pub(crate) const METHODS: [&str; 13] = [
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "midpoint",
    "nearest",
];

/// The ways to rank equal elements.
const TIES: [&str; 5] = ["average", "min", "max", "dense", "ordinal"];

/// What a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accepts {
    /// `True` or `False`.
    Bool,
    /// A finite number.
    Number,
    /// An integer that is at least this one.
    IntFrom(i64),
    /// `1`, `2` or `inf`.
    NormOrder,
    /// A number of bins, a rule for it, or an ascending sequence of edges.
    Bins,
    /// `None`, or a pair of finite numbers in order.
    Range,
    /// A number from 0 to this one, or a sequence of such numbers.
    Parts(f64),
    /// A number from 0 to less than a half.
    Cut,
    /// A number from 0.001 to 0.5.
    RelativeError,
    /// An integer from 4 to 18.
    Precision,
    /// The name of a method for quantiles.
    Method,
    /// A pair of percentages in order.
    Percentiles,
    /// A number other than 0, or `"normal"`.
    Scale,
    /// `"median"` or `"mean"`.
    Center,
    /// `None`, or a positive number other than 1.
    Base,
    /// `None`, or an integer >= 0.
    MaybeCount,
    /// A number from 0 to 1.
    Part,
    /// The name of a way to rank equal elements.
    Ties,
    /// `None`, or a number > 0 and <= 1.
    Weight,
    /// `None`, or a number >= 1.
    Span,
    /// `None`, or a number > 0.
    Positive,
    /// `None`, or the key of an array.
    Name,
    /// The name of a way to correlate.
    Correlation,
}

impl Accepts {
    /// The accepted values as text, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Accepts::Bool => "True or False",
            Accepts::Number => "a finite number",
            Accepts::IntFrom(0) => "an integer >= 0",
            Accepts::IntFrom(_) => "an integer >= 1",
            Accepts::NormOrder => "1, 2 or inf",
            Accepts::Bins => {
                "an integer from 1 to 10000000, an ascending sequence of at least two finite edges, 'auto', 'doane', \
                 'fd', 'rice', 'scott', 'sqrt' or 'sturges'"
            }
            Accepts::Range => "None or a pair of finite numbers (low, high) with low <= high",
            Accepts::Parts(1.0) => "a number from 0 to 1 or a sequence of them",
            Accepts::Parts(_) => "a number from 0 to 100 or a sequence of them",
            Accepts::Cut => "a number >= 0 and < 0.5 (half of the elements at each end would leave none)",
            Accepts::RelativeError => "a number from 0.001 to 0.5",
            Accepts::Precision => "an integer from 4 to 18",
            Accepts::Method => {
                "'inverted_cdf', 'averaged_inverted_cdf', 'closest_observation', 'interpolated_inverted_cdf', 'hazen', \
                 'weibull', 'linear', 'median_unbiased', 'normal_unbiased', 'lower', 'higher', 'midpoint' or 'nearest'"
            }
            Accepts::Percentiles => "a pair of numbers (low, high) with 0 <= low <= high <= 100",
            Accepts::Scale => "a finite number other than 0, or 'normal'",
            Accepts::Center => "'median' or 'mean'",
            Accepts::Base => "None or a positive number other than 1",
            Accepts::MaybeCount => "None or an integer >= 0",
            Accepts::Part => "a number from 0 to 1",
            Accepts::Ties => "'average', 'min', 'max', 'dense' or 'ordinal'",
            Accepts::Weight => "None or a number > 0 and <= 1",
            Accepts::Span => "None or a number >= 1",
            Accepts::Positive => "None or a number > 0",
            Accepts::Name => "None or the key of an array",
            Accepts::Correlation => "'pearson' or 'spearman'",
        }
    }

    /// The argument as the kernel gets it, or the reason why it is not accepted.
    pub(super) fn take(self, argument: &Argument) -> Result<Argument, Refusal> {
        let accepted = match (self, argument) {
            (Accepts::Bool, Argument::Bool(_))
            | (Accepts::Percentiles, Argument::Pair(..))
            | (
                Accepts::Range
                | Accepts::Base
                | Accepts::MaybeCount
                | Accepts::Weight
                | Accepts::Span
                | Accepts::Positive,
                Argument::None,
            )
            | (Accepts::Name, Argument::None | Argument::Text(_))
            | (Accepts::Number, Argument::Int(_)) => true,
            (Accepts::Number, Argument::Float(value)) => value.is_finite(),
            (Accepts::IntFrom(least), Argument::Int(value)) => value >= &least,
            (Accepts::MaybeCount, Argument::Int(value)) => *value >= 0,
            (Accepts::Part, Argument::Int(value)) => matches!(value, 0 | 1),
            (Accepts::Part, Argument::Float(value)) => (0.0..=1.0).contains(value),
            (Accepts::Ties, Argument::Text(name)) => TIES.contains(&name.as_str()),
            (Accepts::Weight, Argument::Int(value)) => *value == 1,
            (Accepts::Weight, Argument::Float(value)) => *value > 0.0 && *value <= 1.0,
            (Accepts::Span | Accepts::Positive, Argument::Int(value)) => *value >= 1,
            (Accepts::Span, Argument::Float(value)) => value.is_finite() && *value >= 1.0,
            (Accepts::Positive, Argument::Float(value)) => value.is_finite() && *value > 0.0,
            (Accepts::NormOrder, Argument::Int(value)) => matches!(value, 1 | 2),
            (Accepts::NormOrder, Argument::Float(value)) => [1.0, 2.0, f64::INFINITY].contains(value),
            (Accepts::Bins, Argument::Text(name)) => RULES.contains(&name.as_str()),
            (Accepts::Bins, Argument::Int(value)) => (1..=MAX_BINS).contains(value),
            // Edges are compared as float64, and rounded integers would count in the wrong bin.
            (Accepts::Bins, Argument::Floats(edges, dtype))
                if !dtype.is_float() && edges.iter().any(|e| e.abs() >= EXACT) =>
            {
                return Err(Refusal::Value("floats (np.asarray(bins, float)) where integers reach 2**53"));
            }
            (Accepts::Bins, Argument::Floats(edges, _)) => {
                edges.len() >= 2 && edges.is_sorted() && edges.iter().all(|edge| edge.is_finite())
            }
            (Accepts::Parts(most), Argument::Int(value)) => (0.0..=most).contains(&(*value as f64)),
            (Accepts::Parts(most), Argument::Float(value)) => (0.0..=most).contains(value),
            (Accepts::Parts(most), Argument::Floats(values, _)) => {
                values.iter().all(|value| (0.0..=most).contains(value))
            }
            (Accepts::Cut, Argument::Int(value)) => *value == 0,
            (Accepts::Cut, Argument::Float(value)) => (0.0..0.5).contains(value),
            (Accepts::RelativeError, Argument::Float(value)) => (0.001..=0.5).contains(value),
            (Accepts::Precision, Argument::Int(value)) => (4..=18).contains(value),
            (Accepts::Method, Argument::Text(name)) => METHODS.contains(&name.as_str()),
            (Accepts::Correlation, Argument::Text(name)) => matches!(name.as_str(), "pearson" | "spearman"),
            (Accepts::Center, Argument::Text(name)) => matches!(name.as_str(), "median" | "mean"),
            (Accepts::Scale, Argument::Text(name)) => name == "normal",
            (Accepts::Base, Argument::Int(value)) => *value > 1,
            (Accepts::Base, Argument::Float(value)) => value.is_finite() && *value > 0.0 && *value != 1.0,
            (Accepts::Scale, Argument::Int(value)) => *value != 0,
            (Accepts::Scale, Argument::Float(value)) => value.is_finite() && *value != 0.0,
            (Accepts::Percentiles, Argument::Floats(ends, dtype)) => match *ends.as_slice() {
                [low, high] if low <= high && low >= 0.0 && high <= 100.0 => {
                    return Ok(Argument::Pair([low, high], *dtype));
                }
                _ => false,
            },
            (Accepts::Range, Argument::Floats(ends, dtype)) => match *ends.as_slice() {
                [low, high] if low <= high && low.is_finite() && high.is_finite() => {
                    if !(high - low).is_finite() {
                        return Err(Refusal::Value("so narrow that high - low is finite"));
                    }
                    return Ok(Argument::Pair([low, high], *dtype));
                }
                _ => false,
            },
            (Accepts::RelativeError, Argument::Int(_))
            | (
                Accepts::Number
                | Accepts::IntFrom(_)
                | Accepts::NormOrder
                | Accepts::Bins
                | Accepts::Parts(_)
                | Accepts::Cut
                | Accepts::RelativeError
                | Accepts::Precision
                | Accepts::Scale
                | Accepts::Base
                | Accepts::MaybeCount
                | Accepts::Part
                | Accepts::Weight
                | Accepts::Span
                | Accepts::Positive,
                Argument::Huge,
            ) => false,
            _ => return Err(Refusal::Type),
        };
        if accepted { Ok(argument.clone()) } else { Err(Refusal::Value(self.describe())) }
    }
}

/// Why an argument is not accepted.
pub(super) enum Refusal {
    /// The argument's type is wrong.
    Type,
    /// The argument's value is wrong; the text says what it must be.
    Value(&'static str),
}
