//! An [`Entry`] of the catalogue: everything that is known about a kernel, and how its arguments become a [`Request`].
//!
//! Tests, documentation, stubs and benchmarks are made from entries. So every property of a kernel must be in its
//! entry.

use super::input::{Input, NanPolicy, Subject};
use super::request::Request;
use crate::dtype::DType;
use crate::error::{Error, guarded};
use crate::parameters::{Arguments, Parameter};

/// The shape of a kernel's answer for the elements that are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One number or time.
    Number,
    /// Where elements are: one index, or an array of them.
    Positions,
    /// A number for one quantile, an array for several.
    Quantiles,
    /// A square matrix, with a row for each of the arrays.
    Matrix,
    /// An array of items.
    Items,
    /// A named tuple.
    Record,
}

impl Shape {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Number => "number",
            Shape::Positions => "positions",
            Shape::Quantiles => "quantiles",
            Shape::Matrix => "matrix",
            Shape::Items => "items",
            Shape::Record => "record",
        }
    }
}

/// The element types that a kernel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// All of them.
    Any,
    /// Bool, integers, floats and complex numbers.
    Numbers,
    /// Everything that has a sum and a zero: numbers and timedeltas.
    Summed,
    /// Bool, integers and floats.
    Reals,
    /// Everything that has an order: reals and times.
    Ordered,
    /// Everything that has an order and a difference: not bool.
    Measured,
    /// Everything that has a mean: reals and timedeltas.
    Averaged,
    /// Integers and floats.
    Quantities,
    /// Pairs of numbers, as complex ones: the elements of two arrays of reals.
    Pairs,
    /// The elements of several arrays of reals, side by side as float64.
    Columns,
}

impl Takes {
    /// Whether the dtype is one of them.
    pub fn includes(self, dtype: DType) -> bool {
        match self {
            Takes::Any => true,
            Takes::Numbers => !dtype.is_time(),
            Takes::Summed => dtype != DType::Datetime64,
            Takes::Reals => !dtype.is_time() && !dtype.is_complex(),
            Takes::Ordered => !dtype.is_complex(),
            Takes::Measured => !dtype.is_complex() && dtype != DType::Bool,
            Takes::Averaged => !dtype.is_complex() && dtype != DType::Datetime64,
            Takes::Quantities => Takes::Reals.includes(dtype) && dtype != DType::Bool,
            Takes::Pairs => dtype == DType::Complex128,
            Takes::Columns => dtype == DType::Float64,
        }
    }

    /// The element types of the arrays that it goes over.
    #[must_use]
    pub fn of_arrays(self) -> Takes {
        if matches!(self, Takes::Pairs | Takes::Columns) { Takes::Reals } else { self }
    }

    /// The element types in words, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Takes::Any => "any dtype",
            Takes::Numbers => "bool, integers, floats and complex numbers",
            Takes::Summed => "bool, integers, floats, complex numbers and timedelta64",
            Takes::Reals | Takes::Pairs | Takes::Columns => "bool, integers and floats",
            Takes::Ordered => "bool, integers, floats, datetime64 and timedelta64",
            Takes::Measured => "integers, floats, datetime64 and timedelta64",
            Takes::Averaged => "bool, integers, floats and timedelta64",
            Takes::Quantities => "integers and floats",
        }
    }
}

/// One kernel of the catalogue. All that tests, documentation, stubs and benchmarks know of a kernel is here.
#[derive(Debug)]
pub struct Entry {
    /// NumPy's or SciPy's name.
    pub name: &'static str,
    /// The documentation: a first line, then meaning, degenerate cases and source.
    pub doc: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// The Python expression that gives the same answer, in `x`, `np`, `stats`, `special` and the parameters.
    pub numpy: &'static str,
    /// The element types.
    pub takes: Takes,
    /// The shape of its answer.
    pub answers: Shape,
    /// Whether the answer is only near to the expression's.
    pub approximate: bool,
    /// Choices of parameters to be tested, shown and timed, as keyword arguments that are Python literals (inf is
    /// 1e999); the defaults come by themselves.
    pub examples: &'static [&'static str],
    /// The policy that the kernel's name stands for, if it does: `nanmean` omits.
    pub nan_policy: Option<NanPolicy>,
    /// Whether elements can have weights: it then answers as if each were there as often as its weight says.
    pub weighted: bool,
    /// Passes over memory with the default parameters.
    pub passes: usize,
    /// What to accumulate and how to finish.
    pub resolve: fn(&Arguments, &Input) -> Result<Request, Error>,
}

impl Entry {
    /// What most kernels have in common; an entry says the rest.
    pub const USUAL: Entry = Entry {
        name: "",
        doc: "",
        parameters: &[],
        numpy: "",
        takes: Takes::Numbers,
        answers: Shape::Number,
        approximate: false,
        examples: &[],
        nan_policy: None,
        weighted: false,
        passes: 1,
        resolve: |_, _| unreachable!("an entry says what it accumulates"),
    };

    /// The kernel under its `nan…` name.
    #[must_use]
    pub const fn omitting(&self, name: &'static str, numpy: &'static str, doc: &'static str) -> Entry {
        Entry { name, numpy, doc, nan_policy: Some(NanPolicy::Omit), ..*self }
    }

    /// The request for one use of the kernel, unless the elements are of a type that it does not take.
    pub fn request(&self, arguments: &Arguments, subject: Subject, nan_policy: NanPolicy) -> Result<Request, Error> {
        let (kernel, dtype, is_weighted) = (self.name, subject.dtype, subject.weights.is_some());
        if !self.takes.includes(dtype) || (is_weighted && !Takes::Reals.includes(dtype)) {
            let accepted = match (is_weighted, self.takes.includes(DType::Bool)) {
                (false, _) => self.takes.describe(),
                (true, true) => "bool, integers and floats if elements have weights",
                (true, false) => "integers and floats if elements have weights",
            };
            return Err(Error::UnsupportedDtype { kernel, dtype, accepted });
        }
        let nan_policy = self.nan_policy.unwrap_or(nan_policy);
        let input = Input::new(self.name, subject, nan_policy);
        guarded(|| (self.resolve)(arguments, &input)).flatten().map_err(|error| error.of([kernel]))
    }
}
