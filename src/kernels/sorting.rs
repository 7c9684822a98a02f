//! `sort` and `argsort`: all elements, or their positions, in order.

use crate::dtype::{Buffer, DType, Ordered, Sealed, with_ordered};
use crate::error::Error;
use crate::kernel::{Entry, Input, Request, Shape, Takes};
use crate::memory;
use crate::selection::sorted;
use crate::value::Value;

fn sort(input: &Input) -> Result<Request, Error> {
    let dtype = input.dtype;
    Ok(with_ordered!(dtype, T => {
        sorted::<T, u64>(input.elements(), input.omits(), move |keys, len| {
            let mut items = memory::with_room(len);
            items.extend(keys.map(T::of_key));
            Ok(Value::Array { items: <T as Sealed>::buffer(items), dtype })
        })
    }, else return Err(input.unsupported(Takes::Ordered))))
}

fn argsort(input: &Input) -> Result<Request, Error> {
    Ok(with_ordered!(input.dtype, T => {
        sorted::<T, (u64, u64)>(input.elements(), input.omits(), move |keys, len| {
            let mut items = memory::with_room(len);
            items.extend(keys.map(|(_, position)| position.cast_signed()));
            Ok(Value::Array { items: Buffer::Int64(items), dtype: DType::Int64 })
        })
    }, else return Err(input.unsupported(Takes::Ordered))))
}

pub(super) static SORT: Entry = Entry {
    name: "sort",
    doc: "The elements of the flattened array in ascending order, as a new array.\n\n\
          NaN comes last. -0 becomes +0, because the order does not distinguish them. Sorting takes memory for all \
          elements as 64-bit keys, and for the result.",
    numpy: "np.sort(x, axis=None)",
    takes: Takes::Ordered,
    answers: Shape::Items,
    resolve: |_, input| sort(input),
    ..Entry::USUAL
};

pub(super) static ARGSORT: Entry = Entry {
    name: "argsort",
    doc: "The positions in the flattened array that sort its elements.\n\n\
          Equal elements keep their order, as in a stable sort. NaN comes last. Sorting takes 16 bytes of memory per \
          element, and memory for the result.",
    numpy: "np.argsort(x, axis=None, kind='stable')",
    takes: Takes::Ordered,
    answers: Shape::Positions,
    resolve: |_, input| argsort(input),
    ..Entry::USUAL
};
