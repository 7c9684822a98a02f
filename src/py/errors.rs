//! Converts the core's errors to Python exceptions: to built-in classes where one fits, and to one class of our own.

use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

pyo3::create_exception!(
    fanfold,
    KernelPanic,
    PyRuntimeError,
    "A kernel's code panicked. The other functions' results are not affected; please report it."
);

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        let message = error.to_string();
        match error {
            Error::UnknownParameter { .. }
            | Error::ParameterType { .. }
            | Error::UnsupportedDtype { .. }
            | Error::ForeignDtype { .. } => PyTypeError::new_err(message),
            Error::ParameterValue { .. }
            | Error::Unweighted { .. }
            | Error::Empty { .. }
            | Error::AllNan { .. }
            | Error::FoundNan { .. }
            | Error::HistogramRange { .. }
            // These occur only in the Rust face.
            | Error::UnknownKernel { .. }
            | Error::SeveralArrays { .. }
            | Error::SameKey { .. }
            | Error::NoAnswer { .. }
            | Error::OtherAnswer { .. }
            | Error::NoAxis { .. } => PyValueError::new_err(message),
            Error::Overflow { .. } | Error::Inexact { .. } => PyOverflowError::new_err(message),
            Error::Timeout { .. } => PyTimeoutError::new_err(message),
            Error::Memory { .. } => PyMemoryError::new_err(message),
            Error::Panic { .. } => KernelPanic::new_err(message),
            Error::Cancelled => PyRuntimeError::new_err(message),
        }
    }
}
