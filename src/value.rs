//! A finished answer as plain data: no Python in it, printable and comparable in tests.

use num_complex::Complex;

use crate::dtype::{Buffer, DType, Number};

/// What a kernel answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// One number, to be handed out as a NumPy scalar of this dtype.
    Scalar(Number, DType),
    /// An array of this dtype, whose items these are.
    Array {
        /// The items.
        items: Buffer,
        /// The dtype; a time's unit is that of the input.
        dtype: DType,
    },
    /// A named tuple of this name.
    Record(&'static str, Vec<Value>),
    /// The items of a formula; none, if they were stored elsewhere.
    Items(Buffer),
}

impl Value {
    /// A float, rounded to `dtype` when it is handed out. There is one NaN: which one comes out of inf − inf or of two
    /// NaN depends on the instruction.
    pub fn float(value: f64, dtype: DType) -> Value {
        Value::Scalar(Value::number(value), dtype)
    }

    /// The number of [`Value::float`].
    pub fn number(value: f64) -> Number {
        Number::Float(one_nan(value))
    }

    /// A complex number, as [`Value::float`].
    pub fn complex(value: Complex<f64>, dtype: DType) -> Value {
        Value::Scalar(Number::Complex(Complex::new(one_nan(value.re), one_nan(value.im))), dtype)
    }

    /// A bool.
    pub fn bool(value: bool) -> Value {
        Value::Scalar(Number::Bool(value), DType::Bool)
    }

    /// A number of elements, or a position: NumPy's `intp`.
    pub fn count(value: u64) -> Value {
        Value::Scalar(Number::Int(i64::try_from(value).unwrap_or(i64::MAX)), DType::Int64)
    }
}

fn one_nan(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}
