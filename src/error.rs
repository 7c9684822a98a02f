//! All errors of the crate, as one enum. Each variant has the wrong value and what is accepted instead.
//!
//! The messages name the argument, the value and the remedy; tests check them. The core returns no other errors, and
//! the Python face converts each variant to the built-in exception that a NumPy user expects (`py/errors.rs`).

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dtype::DType;
use crate::memory::OutOfMemory;

/// What went wrong in a request, in a pass or in a finish.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// No kernel has this name.
    UnknownKernel {
        /// The requested name, as the caller would write it.
        name: String,
        /// The kernel that is meant by it, if it is clear.
        meant: Option<&'static str>,
    },
    /// The kernel has no such parameter.
    UnknownParameter {
        /// The kernel's name.
        kernel: &'static str,
        /// The parameter's name as given.
        parameter: String,
        /// The parameters that the kernel has.
        accepted: Vec<&'static str>,
    },
    /// The parameter's value is of the wrong type.
    ParameterType {
        /// The kernel's name.
        kernel: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// The value as given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// The parameter's value is not accepted by the kernel.
    ParameterValue {
        /// The kernel's name.
        kernel: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// The value as given.
        value: String,
        /// What is accepted.
        expected: String,
    },
    /// The kernel does not support this element type.
    UnsupportedDtype {
        /// The kernel's name.
        kernel: &'static str,
        /// The array's element type.
        dtype: DType,
        /// The element types that the kernel takes.
        accepted: &'static str,
    },
    /// No kernel supports this dtype.
    ForeignDtype {
        /// The array's dtype, as NumPy shows it.
        dtype: String,
    },
    /// Weights were given for a kernel that takes none.
    Unweighted {
        /// The kernel's name.
        kernel: &'static str,
        /// The kernels that take weights.
        known: Vec<&'static str>,
    },
    /// Integers with weights that are too large to be exact as float64.
    Inexact {
        /// The kernel's name.
        kernel: &'static str,
        /// The integers' dtype.
        dtype: DType,
    },
    /// The array is empty, and the kernel needs at least one element.
    Empty {
        /// The kernel's name.
        kernel: &'static str,
    },
    /// The array has only NaN, and the kernel needs at least one other element.
    AllNan {
        /// The kernel's name.
        kernel: &'static str,
        /// The array's element type.
        dtype: DType,
    },
    /// `nan_policy="raise"` and there are NaN values.
    FoundNan {
        /// The number of NaN values.
        count: i64,
        /// The array's element type.
        dtype: DType,
    },
    /// The integer result does not fit NumPy's result dtype.
    Overflow {
        /// The kernel's name.
        kernel: &'static str,
        /// The result's dtype.
        dtype: DType,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The data have no finite range, which a histogram needs.
    HistogramRange {
        /// The lower end found in the data.
        low: f64,
        /// The upper end found in the data.
        high: f64,
    },
    /// The kernel's code panicked. This is a bug of fanfold; as an error it leaves the other kernels' results intact.
    Panic {
        /// The kernel's name.
        kernel: &'static str,
        /// The panic's message.
        message: String,
    },
    /// Memory could not be allocated.
    Memory {
        /// The names of the kernels that needed the memory.
        kernels: Vec<&'static str>,
        /// The number of bytes.
        bytes: usize,
    },
    /// A kernel of several arrays was requested for a single array.
    SeveralArrays {
        /// The kernel's name.
        kernel: &'static str,
    },
    /// Two results would have the same key.
    SameKey {
        /// The key.
        key: String,
    },
    /// No result has this key.
    NoAnswer {
        /// The requested key.
        key: String,
        /// The existing keys.
        known: Vec<String>,
    },
    /// The result does not have the requested type.
    OtherAnswer {
        /// The result's key.
        key: String,
        /// The result's type.
        found: String,
        /// The requested type.
        wanted: String,
    },
    /// The array has no such axis.
    NoAxis {
        /// The requested axis.
        axis: usize,
        /// The number of the array's axes.
        axes: usize,
    },
    /// The deadline passed before the work was done.
    Timeout {
        /// The limit, in seconds.
        seconds: f64,
    },
    /// The caller asked for the work to stop.
    Cancelled,
}

impl fmt::Display for Error {
    #[allow(clippy::too_many_lines)] // one or two lines per variant
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownKernel { name, meant: Some(meant) } => {
                write!(f, "unknown function \"{name}\": did you mean '{meant}'?")
            }
            Error::UnknownKernel { name, meant: None } => {
                write!(f, "unknown function \"{name}\": kernels::CATALOGUE lists the names")
            }
            Error::UnknownParameter { kernel, parameter, accepted } if accepted.is_empty() => {
                write!(f, "'{kernel}' has no parameter '{parameter}': it takes none")
            }
            Error::UnknownParameter { kernel, parameter, accepted } => {
                write!(f, "'{kernel}' has no parameter '{parameter}': it takes {}", accepted.join(", "))
            }
            Error::ParameterType { kernel, parameter, value, expected } => {
                write!(f, "'{kernel}': {parameter} must be {expected}, not {value}")
            }
            Error::ParameterValue { kernel, parameter, value, expected } => {
                write!(f, "'{kernel}': {parameter} must be {expected}, not {value}")
            }
            Error::UnsupportedDtype { kernel, dtype, accepted } => {
                write!(f, "'{kernel}' does not support an array of dtype {dtype}: it takes {accepted}")
            }
            Error::ForeignDtype { dtype } => write!(
                f,
                "data has dtype {dtype}, which no kernel supports: convert it first, for example with \
                 data.astype(float), or pick one field of a structured array"
            ),
            Error::Unweighted { kernel, known } => {
                write!(f, "'{kernel}' takes no weights: the kernels that take weights are {}", known.join(", "))
            }
            Error::Inexact { kernel, dtype } => write!(
                f,
                "'{kernel}': integers of 2**53 or more have no exact result with weights: pass data.astype(float) for \
                 a rounded result, not {dtype}"
            ),
            Error::Empty { kernel } => {
                write!(f, "'{kernel}' of an empty array is undefined: pass at least one element")
            }
            Error::AllNan { kernel, dtype } => {
                let missing = dtype.missing();
                write!(f, "'{kernel}' of an array of only {missing} is undefined: pass at least one other element")
            }
            Error::FoundNan { count, dtype } => write!(
                f,
                "nan_policy='raise' and the array holds {} {}: clean it, or pass nan_policy='omit' or 'propagate'",
                grouped(count),
                dtype.missing()
            ),
            Error::Overflow { kernel, dtype, remedy } => {
                write!(f, "'{kernel}': the exact result does not fit {dtype}: {remedy}")
            }
            Error::HistogramRange { low, high } => write!(
                f,
                "'histogram': the data's own range [{}, {}] is not finite: pass range=(low, high) or explicit bins",
                number(*low),
                number(*high)
            ),
            Error::Panic { kernel, message } => {
                write!(f, "'{kernel}' panicked: {message}; this is a bug of fanfold, please report it")
            }
            Error::Memory { kernels, bytes } => {
                let (shown, others) = kernels.split_at(kernels.len().min(SHOWN));
                for (index, kernel) in shown.iter().enumerate() {
                    write!(f, "{}'{kernel}'", if index == 0 { "" } else { ", " })?;
                }
                if !others.is_empty() {
                    write!(f, " and {} more", grouped(&others.len()))?;
                }
                write!(
                    f,
                    "{}{} bytes of memory could not be allocated: pass less data or fewer functions at a time, or \
                     raise the limit of the process's memory",
                    if kernels.is_empty() { "" } else { ": " },
                    grouped(bytes)
                )
            }
            Error::SeveralArrays { kernel } => {
                write!(f, "'{kernel}' takes several arrays, but there is only one: leave '{kernel}' out")
            }
            Error::SameKey { key } => {
                write!(f, "two results would have the key \"{key}\": give one of them another key with Kernel::named")
            }
            Error::NoAnswer { key, known } => {
                write!(f, "no result has the key \"{key}\": the keys are {}", known.join(", "))
            }
            Error::OtherAnswer { key, found, wanted } => {
                write!(f, "the result \"{key}\" is {found}, not {wanted}: Answers::get returns it unconverted")
            }
            Error::NoAxis { axis, axes } => {
                write!(f, "there is no axis {axis}: the array has ndim={axes}, and axes are numbered from 0")
            }
            Error::Timeout { seconds } => {
                write!(
                    f,
                    "timeout={} s passed before the work was done: pass a larger timeout or fewer functions",
                    number(*seconds)
                )
            }
            Error::Cancelled => write!(f, "the work was cancelled"),
        }
    }
}

impl std::error::Error for Error {}

/// A number as Python writes it, except that whole numbers have no decimal point.
fn number(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x == 0.0 || x.is_infinite() || (1e-4..1e16).contains(&x.abs()) {
        return x.to_string();
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// The number of names that a message shows.
const SHOWN: usize = 8;

/// An integer with its digits grouped by three.
fn grouped(number: &impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Error {
    /// Adds these kernels' names to a panic or memory error that names no kernel yet. Other errors stay unchanged.
    #[must_use]
    pub(crate) fn of(self, names: impl IntoIterator<Item = &'static str>) -> Error {
        match self {
            Error::Panic { kernel: "", message } => {
                Error::Panic { kernel: names.into_iter().next().unwrap_or_default(), message }
            }
            Error::Memory { kernels, bytes } if kernels.is_empty() => {
                Error::Memory { kernels: names.into_iter().collect(), bytes }
            }
            other => other,
        }
    }
}

/// Runs an action that may panic or fail to allocate memory. The error names no kernel; the caller adds it.
pub(crate) fn guarded<R>(action: impl FnOnce() -> R) -> Result<R, Error> {
    catch_unwind(AssertUnwindSafe(action)).map_err(|panic| match panic.downcast_ref() {
        Some(&OutOfMemory { bytes }) => Error::Memory { kernels: Vec::new(), bytes },
        None => Error::Panic { kernel: "", message: panic_message(panic.as_ref()) },
    })
}

/// The panic's message, if it is text.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        let written = [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (2.0, "2"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (-1.5e300, "-1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (2.5e-7, "2.5e-07"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (x, text) in written {
            assert_eq!(number(x), text);
        }
    }
}
