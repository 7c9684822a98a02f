//! Everything that can go wrong, as one enum: what the value was and what would have been right.
//!
//! The messages name the argument, the value and the remedy; tests pin them. The core raises nothing else, and the Python
//! face turns each variant into the built-in exception a NumPy user expects (`py/errors.rs`).

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
        /// The name asked for, as the caller would write it.
        name: String,
        /// The nearest name of the catalogue, if one is near.
        nearest: Option<&'static str>,
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
    /// The parameter's value is outside what the kernel can do.
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
    /// The kernel has no meaning for this element type.
    UnsupportedDtype {
        /// The kernel's name.
        kernel: &'static str,
        /// The array's element type.
        dtype: DType,
        /// The element types that the kernel takes.
        accepted: &'static str,
    },
    /// No kernel has a meaning for such elements.
    ForeignDtype {
        /// The array's dtype, as NumPy shows it.
        dtype: String,
    },
    /// Weights, for a kernel that has no meaning for them.
    Unweighted {
        /// The kernel's name.
        kernel: &'static str,
        /// The kernels that take weights.
        known: Vec<&'static str>,
    },
    /// Integers too large to be told apart, where each has a weight.
    Inexact {
        /// The kernel's name.
        kernel: &'static str,
        /// Their dtype.
        dtype: DType,
    },
    /// An empty array, for a kernel that needs at least one element.
    Empty {
        /// The kernel's name.
        kernel: &'static str,
    },
    /// Nothing but NaN, for a kernel that needs at least one other element.
    AllNan {
        /// The kernel's name.
        kernel: &'static str,
        /// The array's element type.
        dtype: DType,
    },
    /// `nan_policy="raise"` and there are NaN values.
    FoundNan {
        /// How many.
        count: i64,
        /// The array's element type.
        dtype: DType,
    },
    /// An integer result that does not fit the dtype that NumPy gives it.
    Overflow {
        /// The kernel's name.
        kernel: &'static str,
        /// The result's dtype.
        dtype: DType,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A histogram's range that the data made impossible.
    HistogramRange {
        /// The lower end found in the data.
        low: f64,
        /// The upper end found in the data.
        high: f64,
    },
    /// The kernel's code panicked. A bug of ours, told as an error so that the others' results survive.
    Panic {
        /// The kernel's name.
        kernel: &'static str,
        /// What the panic said.
        message: String,
    },
    /// Memory that could not be had.
    Memory {
        /// The names of the kernels that it was for.
        kernels: Vec<&'static str>,
        /// How many bytes it was.
        bytes: usize,
    },
    /// A kernel of several arrays, asked for of one.
    SeveralArrays {
        /// The kernel's name.
        kernel: &'static str,
    },
    /// Two answers would have one key.
    SameKey {
        /// The key.
        key: String,
    },
    /// No answer has this key.
    NoAnswer {
        /// The key asked for.
        key: String,
        /// The keys that there are.
        known: Vec<String>,
    },
    /// The answer is not what it was asked for as.
    OtherAnswer {
        /// Its key.
        key: String,
        /// What it is.
        found: String,
        /// What it was asked for as.
        wanted: String,
    },
    /// The array has no such axis.
    NoAxis {
        /// The axis asked for.
        axis: usize,
        /// How many axes the array has.
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
    #[allow(clippy::too_many_lines)] // a line or two for each
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownKernel { name, nearest } => {
                write!(f, "unknown function \"{name}\"")?;
                match nearest {
                    Some(nearest) => write!(f, ": did you mean '{nearest}'?"),
                    None => {
                        write!(f, ": fanfold.kernels() lists the names; any other function can be passed as a callable")
                    }
                }
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
                write!(f, "'{kernel}' has no meaning for an array of dtype {dtype}: it takes {accepted}")
            }
            Error::ForeignDtype { dtype } => write!(
                f,
                "data has dtype {dtype}, which has no kernels: convert it first, for example with data.astype(float), or \
                 pick one field of a structured array"
            ),
            Error::Unweighted { kernel, known } => {
                write!(f, "'{kernel}' takes no weights: those that do are {}", known.join(", "))
            }
            Error::Inexact { kernel, dtype } => write!(
                f,
                "'{kernel}': integers of 2**53 and more have no exact answer with weights: pass data.astype(float) for a \
                 rounded one, not {dtype}"
            ),
            Error::Empty { kernel } => {
                write!(f, "'{kernel}' of an empty array does not exist: pass at least one element")
            }
            Error::AllNan { kernel, dtype } => {
                let missing = dtype.missing();
                write!(
                    f,
                    "'{kernel}' of an array of nothing but {missing} does not exist: pass at least one other element"
                )
            }
            Error::FoundNan { count, dtype } => write!(
                f,
                "nan_policy='raise' and the array holds {count} {}: clean it, or pass nan_policy='omit' or 'propagate'",
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
                    write!(f, " and {} more", others.len())?;
                }
                write!(
                    f,
                    "{}{} bytes of memory could not be had: pass less data or fewer functions at a time, or raise the \
                     limit of the process's memory",
                    if kernels.is_empty() { "" } else { ": " },
                    grouped(*bytes)
                )
            }
            Error::SeveralArrays { kernel } => {
                write!(f, "'{kernel}' goes over several arrays, and there is one: leave it out")
            }
            Error::SameKey { key } => {
                write!(f, "two answers would be called \"{key}\": give one another key, with Kernel::named")
            }
            Error::NoAnswer { key, known } => {
                write!(f, "no answer is called \"{key}\": there are {}", known.join(", "))
            }
            Error::OtherAnswer { key, found, wanted } => {
                write!(f, "the answer \"{key}\" is {found}, not {wanted}: Answers::get gives it as it is")
            }
            Error::NoAxis { axis, axes } => {
                write!(f, "there is no axis {axis}: the array has {axes}, numbered from 0")
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

/// A number as Python writes it, but for the point after a whole one.
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

/// Names that a message shows.
const SHOWN: usize = 8;

/// An integer with its digits in groups of three.
pub(crate) fn grouped(number: usize) -> String {
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
    /// The same, of these kernels, if it is one that any can have and that does not say yet whose it is.
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

/// Does something that may panic, or find no memory. Whose error that is, the caller knows.
pub(crate) fn guarded<R>(action: impl FnOnce() -> R) -> Result<R, Error> {
    catch_unwind(AssertUnwindSafe(action)).map_err(|panic| match panic.downcast_ref() {
        Some(&OutOfMemory { bytes }) => Error::Memory { kernels: Vec::new(), bytes },
        None => Error::Panic { kernel: "", message: panic_message(panic.as_ref()) },
    })
}

/// What a panic said, if it said it in words.
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
