//! Running totals: one item per element, computed from all elements up to it.
//!
//! This file has the entries, and chooses the total for each dtype. The totals are in `totals.rs`; `scan.rs` carries
//! any of them along an array.

mod scan;
mod totals;

use crate::dtype::{with_integer, with_ordered};
use crate::error::Error;
use crate::kernel::{Entry, Input, Request, Shape, Takes};
use scan::scan;
use totals::{Durations, Extreme, FloatProduct, FloatSum, IntegerProduct, IntegerSum};

fn sum(input: &Input) -> Request {
    let dtype = input.dtype.sum_type();
    with_integer!(input.dtype, T => {
        scan::<IntegerSum<T>>(input, input.elements(), dtype)
    }, else if dtype.is_time() {
        let elements = input.elements();
        if input.omits() { scan::<Durations<true>>(input, elements, dtype) } else { scan::<Durations<false>>(input, elements, dtype) }
    } else {
        let floats = input.elements().float64();
        if input.omits() { scan::<FloatSum<true>>(input, floats, dtype) } else { scan::<FloatSum<false>>(input, floats, dtype) }
    })
}

fn product(input: &Input) -> Request {
    let dtype = input.dtype.sum_type();
    with_integer!(input.dtype, T => {
        scan::<IntegerProduct<T>>(input, input.elements(), dtype)
    }, else {
        let floats = input.elements().float64();
        if input.omits() {
            scan::<FloatProduct<true>>(input, floats, dtype)
        } else {
            scan::<FloatProduct<false>>(input, floats, dtype)
        }
    })
}

fn extreme<const MAX: bool>(input: &Input) -> Result<Request, Error> {
    Ok(with_ordered!(input.dtype, T => {
        if input.omits() {
            scan::<Extreme<T, MAX, true>>(input, input.elements(), input.dtype)
        } else {
            scan::<Extreme<T, MAX, false>>(input, input.elements(), input.dtype)
        }
    }, else return Err(input.unsupported(Takes::Ordered))))
}

pub(super) static CUMSUM: Entry = Entry {
    name: "cumsum",
    doc: "The cumulative sum: for each element, the sum of all elements up to it, as an array.\n\n\
          Floats are summed in float64 with their rounding errors carried along, so that errors do not grow with the \
          length. Integers and timedelta64 are summed exactly: a sum that does not fit NumPy's result dtype raises \
          ``OverflowError``. An omitted NaN (or NaT) counts as 0, as in ``np.nancumsum``.",
    numpy: "np.cumsum(x)",
    takes: Takes::Averaged,
    answers: Shape::Items,
    passes: 2,
    resolve: |_, input| Ok(sum(input)),
    ..Entry::USUAL
};

pub(super) static CUMPROD: Entry = Entry {
    name: "cumprod",
    doc: "The cumulative product: for each element, the product of all elements up to it, as an array.\n\n\
          Floats neither overflow nor underflow in between: a product that is too small for float64 can become large \
          again. Integers are multiplied exactly: a product that does not fit NumPy's result dtype raises \
          ``OverflowError``. An omitted NaN counts as 1, as in ``np.nancumprod``.",
    numpy: "np.cumprod(x)",
    takes: Takes::Reals,
    answers: Shape::Items,
    passes: 2,
    resolve: |_, input| Ok(product(input)),
    ..Entry::USUAL
};

pub(super) static CUMMAX: Entry = Entry {
    name: "cummax",
    doc: "The cumulative maximum: for each element, the largest element up to it, as an array.\n\n\
          NaN from the first NaN on. If NaN is omitted, the result is NaN only before the first other element, as in \
          ``np.fmax.accumulate``.",
    numpy: "np.maximum.accumulate(np.ravel(x))",
    takes: Takes::Ordered,
    answers: Shape::Items,
    passes: 2,
    resolve: |_, input| extreme::<true>(input),
    ..Entry::USUAL
};

pub(super) static CUMMIN: Entry = Entry {
    name: "cummin",
    doc: "The cumulative minimum: for each element, the smallest element up to it, as an array.\n\n\
          NaN from the first NaN on. If NaN is omitted, the result is NaN only before the first other element, as in \
          ``np.fmin.accumulate``.",
    numpy: "np.minimum.accumulate(np.ravel(x))",
    takes: Takes::Ordered,
    answers: Shape::Items,
    passes: 2,
    resolve: |_, input| extreme::<false>(input),
    ..Entry::USUAL
};
