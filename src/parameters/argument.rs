//! The value of a parameter as given: an [`Argument`], and the conversions to it.
//!
//! Nothing is checked here. Arguments are compared and hashed like Python values, so that equal uses of a kernel are
//! recognised and computed once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::dtype::DType;

/// The value of a parameter. Numbers are compared as in Python: 1 equals 1.0.
#[derive(Debug, Clone)]
pub enum Argument {
    /// `None`, where it has a meaning.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A list or an array of numbers, and its dtype, which the kernel may return.
    Floats(Arc<Vec<f64>>, DType),
    /// A lower and an upper end, and their dtype, which kernels ignore.
    Pair([f64; 2], DType),
    /// An integer beyond 64 bits: out of bounds for every parameter.
    Huge,
    /// Anything else: no parameter accepts it.
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
        // Adding 0 turns −0 into +0; the two are equal.
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

/// The float as an integer, if it is a whole number.
#[allow(clippy::cast_possible_truncation)]
fn whole(float: f64) -> Option<i64> {
    let limit = 2.0_f64.powi(63);
    (float.trunc() == float && (-limit..limit).contains(&float)).then_some(float as i64)
}
