//! The mean without the smallest and the largest elements: `trim_mean`.
//!
//! Of n elements the t = ⌊p·n⌋ smallest and the t largest are cut off. A selection finds the elements a and b at the
//! ranks t and n − 1 − t, and a sweep sums the elements between the two. Elements equal to a or b are counted, not
//! summed: (number of elements ≤ a) − t copies of a remain, and (number of elements ≥ b) − t copies of b. No digits
//! cancel, so the mean is as accurate as any other. (On trimmed means and their use: Tukey, Annals of Mathematical
//! Statistics 33 (1962), 1–67.)

use crate::dtype::{Buffer, DType};
use crate::error::Error;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Request, Takes};
use crate::kernels::picked::{PickedNumbers, ordered};
use crate::lanes::Double;
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::value::Value;

/// The sum of the elements between two elements, and the counts of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Between {
    low: f64,
    high: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct BetweenState {
    sum: Double,
    at_most_low: u64,
    at_least_high: u64,
}

impl Accumulator for Between {
    const NAME: &'static str = "sum between two elements";

    type Item = f64;
    type State = BetweenState;

    fn init(&self) -> BetweenState {
        BetweenState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut BetweenState, block: Items<'_, f64>) {
        let &Between { low, high } = self;
        state.sum.merge(Double::sum_of(
            simd,
            &block,
            block.ahead,
            #[inline(always)]
            |x| if low < x && x < high { x } else { 0.0 },
        ));
        let (mut at_most_low, mut at_least_high) = (0, 0);
        for &x in block.iter() {
            at_most_low += u64::from(x <= low);
            at_least_high += u64::from(x >= high);
        }
        state.at_most_low += at_most_low;
        state.at_least_high += at_least_high;
    }

    fn combine(&self, state: &mut BetweenState, next: BetweenState) {
        state.sum.merge(next.sum);
        state.at_most_low += next.at_most_low;
        state.at_least_high += next.at_least_high;
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

/// The number of elements cut off at each end.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `int` of Python, of less than half of n
fn cut(part: f64, n: u64) -> u64 {
    (part * n as f64) as u64
}

pub(super) static TRIM_MEAN: Entry = Entry {
    name: "trim_mean",
    doc: "The mean without a given fraction of the smallest and of the largest elements.\n\n\
          ``int(proportiontocut * n)`` of n elements are cut off at each end, as in SciPy's ``stats.trim_mean``. NaN \
          if there is a NaN; NaN for an empty array. As accurate as ``mean``.",
    parameters: &[Parameter {
        name: "proportiontocut",
        accepts: Accepts::Cut,
        default: DefaultValue::Float(0.1),
        doc: "The fraction that is cut off at each end.",
    }],
    numpy: "stats.trim_mean(x, proportiontocut=proportiontocut, axis=None)",
    takes: Takes::Reals,
    examples: &["proportiontocut=0.25", "proportiontocut=0", "proportiontocut=0.49"],
    passes: 2,
    resolve: trim_mean,
    ..Entry::USUAL
};

fn trim_mean(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let (input, part) = (*input, arguments.number("proportiontocut"));
    let dtype = input.dtype.mean_type();
    let ends = move |n: u64| n.checked_sub(1).map(|last| (cut(part, n), last.saturating_sub(cut(part, n))));
    let wanted = move |n: u64| ends(n).map_or(Vec::new(), |(low, high)| vec![low, high]);
    let picked = move |picked: &PickedNumbers| {
        let Some((low, high)) = ends(picked.len).filter(|(low, high)| !picked.missing && low <= high) else {
            return Ok(Value::float(f64::NAN, dtype));
        };
        let (low, high) = (picked.at(low).float(), picked.at(high).float());
        if low == high {
            return Ok(Value::float(low, dtype));
        }
        Ok(Value::Array { items: Buffer::Float64(vec![picked.len as f64, low, high]), dtype: DType::Float64 })
    };
    let request = ordered(&input, input.values(), wanted, picked)?;
    Ok(request.then(["the sum of what is left"], move |value| {
        let &[n, low, high] = (match &value {
            Value::Array { items: Buffer::Float64(found), .. } => found.as_slice(),
            _ => return Ok(Answer::Value(value)),
        }) else {
            unreachable!("a number and two elements")
        };
        Ok(Answer::Next(between(&input, n, part, low, high)))
    }))
}

/// The mean of the remaining elements out of `n`; `low` is the smallest of them and `high` the largest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // n was a number of elements
fn between(input: &Input, n: f64, part: f64, low: f64, high: f64) -> Request {
    let (dtype, cut) = (input.dtype.mean_type(), cut(part, n as u64));
    Request::new(input.floats(), Between { low, high }, move |state: &BetweenState| {
        // Each count is at least 1, unless the array changes during the pass.
        let (lows, highs) = (state.at_most_low.saturating_sub(cut), state.at_least_high.saturating_sub(cut));
        let sum = state.sum.value() + (lows as f64 * low + highs as f64 * high);
        Ok(Value::float(sum / (n - 2.0 * cut as f64), dtype))
    })
}
