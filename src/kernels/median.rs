//! The middle element: `median` and `nanmedian`.
//!
//! The median equals the quantile 1/2 up to rounding: it takes the mean of two elements as `np.mean` does, while the
//! quantile methods interpolate.

use crate::dtype::{DType, Number};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Entry, Input, Request, Takes};
use crate::kernels::picked::{PickedNumbers, missing, ordered};
use crate::value::Value;

/// The two middle ranks of n elements; for odd n they are the same.
pub(super) fn middle(n: u64) -> Vec<u64> {
    let last = n.saturating_sub(1);
    vec![last / 2, n / 2]
}

/// The mean of the one or two middle elements, in the dtype of `np.mean`.
pub(super) fn median_of(input: &Input, picked: &PickedNumbers) -> Value {
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
        // Halves are dropped, as in NumPy.
        return Value::Scalar(Number::Int(if one { a } else { a.midpoint(b) }), dtype);
    }
    // A sum starts with 0, which turns −0 into +0. float16 is summed in float32.
    let (a, b) = (a.float() + 0.0, b.float());
    let sum = if dtype == DType::Float16 { a + b } else { dtype.round(a + b) };
    Value::float(if one { a } else { dtype.round(sum / 2.0) }, dtype)
}

/// Requests the median of an expression's items.
pub(super) fn median(input: &Input, expression: Expression) -> Result<Request, Error> {
    let input = *input;
    ordered(&input, expression, middle, move |picked| Ok(median_of(&input, picked)))
}

pub(super) static MEDIAN: Entry = Entry {
    name: "median",
    doc: "The median: the middle element, or the mean of the two middle elements.\n\n\
          Equal to NumPy's to the last bit. NaN if there is a NaN; NaN for an empty array.",
    numpy: "np.median(x)",
    takes: Takes::Averaged,
    passes: 1,
    resolve: |_, input| median(input, input.values()),
    ..Entry::USUAL
};

pub(super) static NANMEDIAN: Entry =
    MEDIAN.omitting("nanmedian", "np.nanmedian(x)", "The median, ignoring NaN.\n\nNaN if there are no other elements.");
