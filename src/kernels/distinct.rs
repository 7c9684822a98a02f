//! Statistics of the distinct values and their counts: `n_unique`, `unique`, `value_counts`, `mode`, `entropy`.

use crate::dtype::{Buffer, DType, Item, Number, Sealed, with_ordered};
use crate::error::Error;
use crate::kernel::{Entry, Input, Request, Shape, Takes};
use crate::memory;
use crate::parameters::{Accepts, Argument, DefaultValue, Parameter};
use crate::selection::{Distinct, distinct};
use crate::value::Value;

/// Requests the distinct values, for any ordered dtype.
macro_rules! ask {
    ($input:expr, |$values:ident: $T:ident| $finish:expr) => {{
        let input = *$input;
        Ok(with_ordered!(input.dtype, $T => {
            distinct::<$T>(input.values(), move |$values: &Distinct<'_, $T>| $finish(&input))
        }, else return Err(input.unsupported(Takes::Ordered))))
    }};
}

/// Counts of elements as an array.
fn counts_array(counts: &[u64]) -> Value {
    let counts = memory::collected(counts.iter().map(|count| count.cast_signed()));
    Value::Array { items: Buffer::Int64(counts), dtype: DType::Int64 }
}

fn values_array<T: Sealed>(values: Vec<T>, dtype: DType) -> Value {
    Value::Array { items: T::buffer(values), dtype }
}

pub(super) static N_UNIQUE: Entry = Entry {
    name: "n_unique",
    doc: "The number of distinct values.\n\nAll NaN count as one value. +0 and -0 count as one value.",
    numpy: "np.unique(x).size",
    takes: Takes::Ordered,
    resolve: |_, input| -> Result<Request, Error> {
        ask!(input, |values: T| |_: &Input| {
            let mut count = 0;
            values.each(|_, _| count += 1);
            Ok(Value::count(count))
        })
    },
    ..Entry::USUAL
};

pub(super) static UNIQUE: Entry = Entry {
    name: "unique",
    doc: "The distinct values in ascending order.\n\n\
          All NaN count as one value, which comes last. +0 and -0 count as one value.",
    numpy: "np.unique(x)",
    takes: Takes::Ordered,
    answers: Shape::Items,
    resolve: |_, input| {
        ask!(input, |values: T| |input: &Input| {
            let mut found = Vec::new();
            values.each(|value, _| memory::push(&mut found, value));
            Ok(values_array(found, input.dtype))
        })
    },
    ..Entry::USUAL
};

pub(super) static VALUE_COUNTS: Entry = Entry {
    name: "value_counts",
    doc: "The distinct values in ascending order, and their counts: a named tuple ``(values, counts)``.\n\n\
          All NaN count as one value, which comes last. +0 and -0 count as one value.",
    numpy: "np.unique(x, return_counts=True)",
    takes: Takes::Ordered,
    answers: Shape::Record,
    resolve: |_, input| {
        ask!(input, |values: T| |input: &Input| {
            let (mut found, mut counts) = (Vec::new(), Vec::new());
            values.each(|value, count| {
                memory::push(&mut found, value);
                memory::push(&mut counts, count);
            });
            Ok(Value::Record("ValueCounts", vec![values_array(found, input.dtype), counts_array(&counts)]))
        })
    },
    ..Entry::USUAL
};

pub(super) static MODE: Entry = Entry {
    name: "mode",
    doc: "The value that occurs most often, and its count: a named tuple ``(mode, count)``.\n\n\
          If several values are equally frequent, the mode is the smallest. All NaN count as one value, which is \
          larger than all others. For an empty array, the mode is NaN and the count is 0.",
    numpy: "stats.mode(x, axis=None)",
    takes: Takes::Quantities,
    answers: Shape::Record,
    resolve: |_, input| {
        ask!(input, |values: T| |input: &Input| {
            let mut best: Option<(T, u64)> = None;
            values.each(|value, count| {
                if best.is_none_or(|(_, most)| count > most) {
                    best = Some((value, count));
                }
            });
            let (mode, count) = match best.map(|(value, count)| (Item::number(value), count)) {
                Some((Number::Float(value), count)) => (Value::float(value, input.dtype), Value::count(count)),
                Some((number, count)) => (Value::Scalar(number, input.dtype), Value::count(count)),
                None => {
                    let dtype = input.dtype.mean_type();
                    (Value::float(f64::NAN, dtype), Value::float(0.0, dtype))
                }
            };
            Ok(Value::Record("Mode", vec![mode, count]))
        })
    },
    ..Entry::USUAL
};

pub(super) static ENTROPY: Entry = Entry {
    name: "entropy",
    doc: "The entropy of the distinct values: -Σ p log p.\n\n\
          p is the fraction of the elements that have a value. For an empty array the entropy is 0. C. E. Shannon, \
          Bell System Technical Journal 27 (1948), 379-423.",
    parameters: &[Parameter {
        name: "base",
        accepts: Accepts::Base,
        default: DefaultValue::None,
        doc: "The base of the logarithm: 2 gives bits, ``None`` stands for e.",
    }],
    numpy: "stats.entropy(np.unique(x, return_counts=True)[1], base=base) if x.size else np.float64(0)",
    takes: Takes::Ordered,
    examples: &["base=2", "base=10.5"],
    resolve: |arguments, input| {
        let base = if arguments.get("base") == &Argument::None { None } else { Some(arguments.number("base")) };
        ask!(input, |values: T| |_: &Input| {
            let (mut total, mut counts) = (0_u64, Vec::new());
            values.each(|_, count| {
                total += count;
                memory::push(&mut counts, count);
            });
            // Equal counts have equal terms. Few counts are distinct, so few terms are rounded.
            counts.sort_unstable();
            let groups = counts.chunk_by(|left, right| left == right);
            let information = groups.map(|group| {
                let part = group.first().map_or(1.0, |&count| count as f64 / total as f64);
                -(group.len() as f64) * part * part.ln()
            });
            let entropy: f64 = information.sum::<f64>() + 0.0;
            Ok(Value::float(base.map_or(entropy, |base| entropy / base.ln()), DType::Float64))
        })
    },
    ..Entry::USUAL
};
