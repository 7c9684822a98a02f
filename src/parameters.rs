//! The parameters of kernels: what an argument may be, what a parameter accepts, and the checked arguments of one use.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::dtype::DType;
use crate::error::Error;

/// The value of a parameter. Numbers are compared as Python compares them: 1 and 1.0 are the same.
#[derive(Debug, Clone)]
pub enum Argument {
    /// Not given, where that means something.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A list or an array of numbers, and its dtype, which the kernel may hand back.
    Floats(Arc<Vec<f64>>, DType),
    /// A lower and an upper end, and the dtype that they came in, which means nothing to the kernel.
    Pair([f64; 2], DType),
    /// An integer beyond 64 bits: out of bounds everywhere.
    Huge,
    /// Anything else: accepted nowhere.
    Other,
}

impl PartialEq for Argument {
    fn eq(&self, other: &Argument) -> bool {
        match (self, other) {
            (Argument::None, Argument::None) => true,
            (Argument::Bool(left), Argument::Bool(right)) => left == right,
            (Argument::Int(left), Argument::Int(right)) => left == right,
            (Argument::Float(left), Argument::Float(right)) => left == right,
            (Argument::Int(int), Argument::Float(float)) | (Argument::Float(float), Argument::Int(int)) => {
                whole(*float) == Some(*int)
            }
            (Argument::Floats(left, left_dtype), Argument::Floats(right, right_dtype)) => {
                left == right && left_dtype == right_dtype
            }
            (Argument::Pair(left, _), Argument::Pair(right, _)) => left == right,
            (Argument::Text(left), Argument::Text(right)) => left == right,
            _ => false,
        }
    }
}

impl From<bool> for Argument {
    fn from(value: bool) -> Argument {
        Argument::Bool(value)
    }
}

impl From<i32> for Argument {
    fn from(value: i32) -> Argument {
        Argument::Int(value.into())
    }
}

impl From<i64> for Argument {
    fn from(value: i64) -> Argument {
        Argument::Int(value)
    }
}

impl From<usize> for Argument {
    fn from(value: usize) -> Argument {
        i64::try_from(value).map_or(Argument::Huge, Argument::Int)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Argument {
        Argument::Float(value)
    }
}

impl From<&str> for Argument {
    fn from(value: &str) -> Argument {
        Argument::Text(value.to_owned())
    }
}

impl From<Vec<f64>> for Argument {
    fn from(values: Vec<f64>) -> Argument {
        Argument::Floats(Arc::new(values), DType::Float64)
    }
}

impl From<&[f64]> for Argument {
    fn from(values: &[f64]) -> Argument {
        values.to_vec().into()
    }
}

impl<const N: usize> From<[f64; N]> for Argument {
    fn from(values: [f64; N]) -> Argument {
        values.to_vec().into()
    }
}

/// A lower and an upper end.
impl From<(f64, f64)> for Argument {
    fn from((low, high): (f64, f64)) -> Argument {
        [low, high].into()
    }
}

/// As Python writes it.
impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::None => f.write_str("None"),
            Argument::Bool(value) => f.write_str(if *value { "True" } else { "False" }),
            Argument::Int(value) => write!(f, "{value}"),
            Argument::Float(value) => write!(f, "{value:?}"),
            Argument::Text(value) => write!(f, "'{value}'"),
            Argument::Floats(values, _) => write!(f, "{values:?}"),
            Argument::Pair([low, high], _) => write!(f, "({low:?}, {high:?})"),
            Argument::Huge => f.write_str("an integer beyond 64 bits"),
            Argument::Other => f.write_str("something else"),
        }
    }
}

impl Hash for Argument {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Adding 0 drops a zero's sign, which makes no difference.
        let bits = |float: &f64| (float + 0.0).to_bits();
        match self {
            Argument::None | Argument::Huge | Argument::Other => {}
            Argument::Bool(value) => value.hash(state),
            Argument::Int(value) => value.hash(state),
            Argument::Float(value) => match whole(*value) {
                Some(int) => int.hash(state),
                None => bits(value).hash(state),
            },
            Argument::Floats(values, dtype) => {
                values.iter().map(bits).for_each(|bits| bits.hash(state));
                dtype.hash(state);
            }
            Argument::Text(text) => text.hash(state),
            Argument::Pair(ends, _) => ends.iter().map(bits).for_each(|bits| bits.hash(state)),
        }
    }
}

/// The integer that the float is, if it is one.
#[allow(clippy::cast_possible_truncation)]
fn whole(float: f64) -> Option<i64> {
    let limit = 2.0_f64.powi(63);
    (float.trunc() == float && (-limit..limit).contains(&float)).then_some(float as i64)
}

/// The most bins that a histogram can have: their counts must fit in memory several times over.
pub(crate) const MAX_BINS: i64 = 10_000_000;

/// 2⁵³: the integers below are exact as float64, in their order with all others too.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// The names of rules for the number of bins, in alphabetical order.
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
    /// An integer from this one on.
    IntFrom(i64),
    /// `1`, `2` or `inf`.
    NormOrder,
    /// A number of bins, a rule for it, or a rising sequence of edges.
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
    /// A number that is not 0, or `"normal"`.
    Scale,
    /// `"median"` or `"mean"`.
    Center,
    /// `None`, or a positive number other than 1.
    Base,
    /// `None`, or an integer from 0 on.
    MaybeCount,
    /// A number from 0 to 1.
    Part,
    /// The name of a way to rank equal elements.
    Ties,
    /// `None`, or a number above 0, and at most 1.
    Weight,
    /// `None`, or a number from 1 on.
    Span,
    /// `None`, or a number above 0.
    Positive,
    /// `None`, or the key of an array.
    Name,
    /// The name of a way to correlate.
    Correlation,
}

impl Accepts {
    /// For messages: what is accepted.
    pub fn describe(self) -> &'static str {
        match self {
            Accepts::Bool => "True or False",
            Accepts::Number => "a finite number",
            Accepts::IntFrom(0) => "an integer >= 0",
            Accepts::IntFrom(_) => "an integer >= 1",
            Accepts::NormOrder => "1, 2 or inf",
            Accepts::Bins => {
                "an integer from 1 to 10000000, a rising sequence of at least two finite edges, 'auto', 'doane', 'fd', 'rice', \
                 'scott', 'sqrt' or 'sturges'"
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

    /// The argument as the kernel gets it, or why it does not.
    fn take(self, argument: &Argument) -> Result<Argument, Refusal> {
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
enum Refusal {
    /// Its type is wrong.
    Type,
    /// Its value is: this is what it must be.
    Value(&'static str),
}

/// A parameter of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// NumPy's or SciPy's name for it.
    pub name: &'static str,
    /// What it accepts.
    pub accepts: Accepts,
    /// What it is if not given.
    pub default: DefaultValue,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

/// A parameter's default, in a form that a constant can hold.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum DefaultValue {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
    Pair(f64, f64),
}

impl DefaultValue {
    /// As an argument.
    pub fn argument(self) -> Argument {
        match self {
            DefaultValue::None => Argument::None,
            DefaultValue::Bool(value) => Argument::Bool(value),
            DefaultValue::Int(value) => Argument::Int(value),
            DefaultValue::Float(value) => Argument::Float(value),
            DefaultValue::Text(value) => Argument::Text(value.to_owned()),
            DefaultValue::Pair(low, high) => Argument::Pair([low, high], DType::Float64),
        }
    }
}

/// The checked parameters of one use of a kernel, in the order in which the kernel declares them.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Arguments(Vec<(&'static str, Argument)>);

impl Arguments {
    /// Checks what was given against what a kernel declares. `shown` is asked for the value of a parameter as the caller
    /// wrote it, for a message.
    pub fn check(
        kernel: &'static str,
        declared: &'static [Parameter],
        given: &[(String, Argument)],
        shown: impl Fn(&str) -> String,
    ) -> Result<Arguments, Error> {
        if let Some((name, _)) = given.iter().find(|(name, _)| declared.iter().all(|p| p.name != name)) {
            return Err(Error::UnknownParameter {
                kernel,
                parameter: name.clone(),
                accepted: declared.iter().map(|parameter| parameter.name).collect(),
            });
        }
        let checked = declared.iter().map(|&Parameter { name, accepts, default, .. }| {
            let given = given.iter().find(|(given, _)| given == name);
            let argument = given.map_or_else(|| default.argument(), |(_, argument)| argument.clone());
            accepts.take(&argument).map(|argument| (name, argument)).map_err(|refusal| {
                let (parameter, value) = (name, shown(name));
                match refusal {
                    Refusal::Type => Error::ParameterType { kernel, parameter, value, expected: accepts.describe() },
                    Refusal::Value(expected) => {
                        Error::ParameterValue { kernel, parameter, value, expected: expected.to_owned() }
                    }
                }
            })
        });
        checked.collect::<Result<_, _>>().map(Arguments)
    }

    /// The value of a declared parameter.
    pub fn get(&self, name: &str) -> &Argument {
        self.0.iter().find(|(known, _)| *known == name).map_or(&Argument::None, |(_, argument)| argument)
    }

    /// The value of a number.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Argument::Int(value) => *value as f64,
            Argument::Float(value) => *value,
            _ => f64::NAN,
        }
    }

    /// The value of an integer.
    pub fn int(&self, name: &str) -> i64 {
        if let Argument::Int(value) = self.get(name) { *value } else { 0 }
    }

    /// The value of a string.
    pub fn text(&self, name: &str) -> &str {
        if let Argument::Text(value) = self.get(name) { value } else { "" }
    }

    /// The value of a bool.
    pub fn bool(&self, name: &str) -> bool {
        self.get(name) == &Argument::Bool(true)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Argument)> {
        self.0.iter().map(|(name, argument)| (*name, argument))
    }
}
