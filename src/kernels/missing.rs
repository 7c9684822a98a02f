//! The number of missing elements, NaN and NaT: for `count_nan`, and for `nan_policy="raise"`.

use crate::dtype::with_ordered;
use crate::kernel::{Entry, Input, Request, Takes};
use crate::kernels::counts;
use crate::kernels::extrema::Extrema;
use crate::value::Value;

/// The number of NaN values. `nan_policy="raise"` requests it for every array that can hold NaN.
///
/// The state of the extrema counts NaN too. A separate loop would make a plan with both a tenth slower.
pub(crate) fn missing(input: &Input) -> Request {
    with_ordered!(input.dtype, T => {
        Request::new(input.elements(), Extrema::<T>::new(false), |state| Ok(Value::count(state.absent())))
    }, else counts::missing_parts(input))
}

pub(super) static COUNT_NAN: Entry = Entry {
    name: "count_nan",
    doc: "The number of NaN (or NaT) elements, under every ``nan_policy``.",
    numpy: "np.count_nonzero(np.isnan(x))",
    takes: Takes::Any,
    resolve: |_, input| {
        if input.dtype.has_missing() { Ok(missing(input)) } else { Ok(Request::Length(|_| Value::count(0))) }
    },
    ..Entry::USUAL
};
