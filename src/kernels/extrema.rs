//! The smallest and the largest element and their positions: one state for `min`, `max`, `ptp`, `argmin`, `argmax` and
//! their `nan…` versions, and `count_nan`.
//!
//! A block's extrema are found in lanes, without positions. Only a block that beats the best element so far is searched
//! for the position. The first of several equal elements wins, in whatever order the blocks arrive. NaN values are kept
//! apart: the state records the position of the first NaN, and the finish decides what to return.

use std::marker::PhantomData;

use crate::dtype::{Bool8, DType, Item, Number, Ordered, Time, with_ordered};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, NanPolicy, Request, Shape, Takes};
use crate::lanes::{extrema_f32, extrema_f64};
use crate::prefetch::Prefetch;
use crate::simd::Simd;
use crate::value::Value;

/// Both extrema and their positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extrema<T> {
    item: PhantomData<fn(T)>,
    /// Whether positions are requested. They are tracked in any case, but only with this flag are they positions in the
    /// array's own order.
    positions: bool,
}

impl<T> Extrema<T> {
    pub(super) fn new(positions: bool) -> Extrema<T> {
        Extrema { item: PhantomData, positions }
    }
}

/// An element and its position.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found<T> {
    item: T,
    at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ExtremaState<T> {
    min: Option<Found<T>>,
    max: Option<Found<T>>,
    missing: Option<Found<T>>,
    /// The number of missing elements.
    absent: u64,
}

impl<T: Copy> ExtremaState<T> {
    /// The number of missing elements.
    pub(super) fn absent(&self) -> u64 {
        self.absent
    }

    /// The extrema, if there are any and nothing is missing.
    pub(super) fn ends(&self) -> Option<(T, T)> {
        let ends = self.min.zip(self.max).map(|(min, max)| (min.item, max.item));
        ends.filter(|_| self.missing.is_none())
    }
}

/// Items whose extrema are known.
pub(super) trait HasExtrema: Ordered {
    /// The smallest and the largest non-missing item, and the number of missing items, computed with explicit SIMD
    /// vectors. `None` for an empty block, and for types without such a loop: there the compiler's vectorisation is as
    /// good.
    #[inline(always)]
    fn fast_extrema<S: Simd>(_: S, _: &[Self], _: &Prefetch) -> Option<(Self, Self, u32)> {
        None
    }
}

impl HasExtrema for Bool8 {}
impl HasExtrema for i8 {}
impl HasExtrema for i16 {}
impl HasExtrema for i32 {}
impl HasExtrema for i64 {}
impl HasExtrema for u8 {}
impl HasExtrema for u16 {}
impl HasExtrema for u32 {}
impl HasExtrema for u64 {}
impl HasExtrema for Time {}

impl HasExtrema for f32 {
    #[inline(always)]
    fn fast_extrema<S: Simd>(simd: S, items: &[f32], ahead: &Prefetch) -> Option<(f32, f32, u32)> {
        extrema_f32(simd, items, ahead)
    }
}

impl HasExtrema for f64 {
    #[inline(always)]
    fn fast_extrema<S: Simd>(simd: S, items: &[f64], ahead: &Prefetch) -> Option<(f64, f64, u32)> {
        extrema_f64(simd, items, ahead)
    }
}

impl<T: HasExtrema> Accumulator for Extrema<T> {
    const NAME: &'static str = "extrema";

    type Item = T;
    type State = ExtremaState<T>;

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        self.positions
    }

    fn init(&self) -> ExtremaState<T> {
        ExtremaState { min: None, max: None, missing: None, absent: 0 }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut ExtremaState<T>, block: Items<'_, T>) {
        let (min, max, absent) = match T::fast_extrema(simd, &block, block.ahead) {
            Some(found) => found,
            None => sweep(&block),
        };
        if state.min.is_none_or(|best| min.below(best.item) || (block.start < best.at && min == best.item)) {
            keep_first(&mut state.min, find(&block, block.start, |item| item == min), Ordered::below);
        }
        if state.max.is_none_or(|best| best.item.below(max) || (block.start < best.at && max == best.item)) {
            keep_first(&mut state.max, find(&block, block.start, |item| item == max), |new, old| old.below(new));
        }
        if absent > 0 {
            state.absent += u64::from(absent);
            if state.missing.is_none_or(|first| block.start < first.at) {
                state.missing = find(&block, block.start, Item::is_missing);
            }
        }
    }

    fn combine(&self, state: &mut ExtremaState<T>, next: ExtremaState<T>) {
        keep_first(&mut state.min, next.min, Ordered::below);
        keep_first(&mut state.max, next.max, |new, old| old.below(new));
        keep_first(&mut state.missing, next.missing, |_, _| false);
        state.absent += next.absent;
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        Some(Extrema::new(self.positions || other.positions))
    }
}

/// Keeps the better candidate; of equal ones, the first.
#[inline(always)]
fn keep_first<T: Copy>(best: &mut Option<Found<T>>, new: Option<Found<T>>, better: impl Fn(T, T) -> bool) {
    let Some(new) = new else { return };
    let wins = |old: &Found<T>| better(new.item, old.item) || (new.at < old.at && !better(old.item, new.item));
    if best.as_ref().is_none_or(wins) {
        *best = Some(new);
    }
}

/// A block's smallest and largest element without NaN, and the number of NaN elements. If all elements are NaN, the
/// extrema are the limits of the type; the search for a position then finds nothing.
#[inline(always)]
fn sweep<T: Ordered>(block: &[T]) -> (T, T, u32) {
    // The lanes fill four AVX-512 registers. With fewer lanes the compiler unrolls the loop into scalar code.
    match size_of::<T>() {
        1 => sweep_lanes::<T, 256>(block),
        2 => sweep_lanes::<T, 128>(block),
        4 => sweep_lanes::<T, 64>(block),
        _ => sweep_lanes::<T, 32>(block),
    }
}

#[inline(always)]
fn sweep_lanes<T: Ordered, const LANES: usize>(block: &[T]) -> (T, T, u32) {
    let mut mins = [T::HIGHEST; LANES];
    let mut maxs = [T::LOWEST; LANES];
    let mut missing = [false; LANES];
    let (rows, rest) = block.as_chunks::<LANES>();
    // The last row is padded with an element of the block.
    let Some(&filler) = block.first() else { return (T::HIGHEST, T::LOWEST, 0) };
    let mut last = [filler; LANES];
    last[..rest.len()].copy_from_slice(rest);
    rows.iter().chain([&last]).for_each(
        #[inline(always)]
        |row| {
            for lane in 0..LANES {
                let item = row[lane];
                mins[lane] = if item.below(mins[lane]) { item } else { mins[lane] };
                maxs[lane] = if maxs[lane].below(item) { item } else { maxs[lane] };
                missing[lane] |= item.is_missing();
            }
        },
    );
    let min = mins.into_iter().fold(T::HIGHEST, |best, item| if item.below(best) { item } else { best });
    let max = maxs.into_iter().fold(T::LOWEST, |best, item| if best.below(item) { item } else { best });
    let any = missing.into_iter().fold(false, |any, lane| any | lane);
    // A block is short: 32 bits hold its count, in half the registers that 64 would take.
    (min, max, if any { block.iter().map(|item| u32::from(item.is_missing())).sum() } else { 0 })
}

/// The first element that passes the test.
#[inline(always)]
fn find<T: Ordered>(block: &[T], start: u64, test: impl Fn(T) -> bool) -> Option<Found<T>> {
    const STEP: usize = 128;
    // Whole steps are tested at once, which vectorises; the step with the hit is then searched item by item.
    let holds = |step: &[T]| step.iter().fold(false, |any, &item| any | test(item));
    let step = block.chunks(STEP).position(holds)?;
    let first = step * STEP;
    let within = block.get(first..)?.iter().position(|&item| test(item))?;
    Some(Found { item: *block.get(first + within)?, at: start + (first + within) as u64 })
}

/// The statistic that a kernel of this family computes from the state.
#[derive(Clone, Copy)]
enum Asks {
    Min,
    Max,
    Range,
    ArgMin,
    ArgMax,
}

fn extrema(input: &Input, asks: Asks) -> Result<Request, Error> {
    let input = *input;
    Ok(with_ordered!(input.dtype, T => {
        let positions = matches!(asks, Asks::ArgMin | Asks::ArgMax);
        let number = move |state: &ExtremaState<T>| number(asks, state);
        let finish = move |state: &ExtremaState<T>| answer(&input, asks, state).map(Answer::Value);
        let dtype = if positions { DType::Int64 } else { input.dtype };
        Request::number(input.elements(), Extrema::<T>::new(positions), dtype, number, finish)
    }, else return Err(input.unsupported(Takes::Ordered))))
}

/// The result if nothing is missing.
fn number<T: Ordered>(asks: Asks, state: &ExtremaState<T>) -> Option<Number> {
    let position = |at: u64| Number::Int(at.cast_signed());
    match (asks, state.missing) {
        (Asks::Min, None) => state.min.map(|min| unsigned_zero(min.item)),
        (Asks::Max, None) => state.max.map(|max| unsigned_zero(max.item)),
        (Asks::ArgMin, None) => state.min.map(|min| position(min.at)),
        (Asks::ArgMax, None) => state.max.map(|max| position(max.at)),
        _ => None,
    }
}

fn answer<T: Ordered>(input: &Input, asks: Asks, state: &ExtremaState<T>) -> Result<Value, Error> {
    let Input { kernel, dtype, nan_policy, .. } = *input;
    let positional = matches!(asks, Asks::ArgMin | Asks::ArgMax);
    let (min, max) = match (state.missing, state.min, state.max) {
        (Some(missing), ..) if nan_policy != NanPolicy::Omit => (missing, missing),
        (_, Some(min), Some(max)) => (min, max),
        (Some(_), ..) if positional => return Err(Error::AllNan { kernel, dtype }),
        (Some(missing), ..) => (missing, missing),
        _ => return Err(Error::Empty { kernel }),
    };
    Ok(match asks {
        Asks::Min => Value::Scalar(unsigned_zero(min.item), dtype),
        Asks::Max => Value::Scalar(unsigned_zero(max.item), dtype),
        Asks::ArgMin => Value::count(min.at),
        Asks::ArgMax => Value::count(max.at),
        Asks::Range if min.item.is_missing() => Value::Scalar(min.item.number(), range_type(dtype)),
        Asks::Range => range(kernel, min.item.number(), max.item.number(), dtype)?,
    })
}

/// Drops the sign of a zero: which of +0 and −0 is found first depends on the order of the sweep.
fn unsigned_zero<T: Ordered>(item: T) -> Number {
    match item.number() {
        Number::Float(value) => Number::Float(value + 0.0),
        other => other,
    }
}

/// The distance of two times is a timedelta.
fn range_type(dtype: DType) -> DType {
    if dtype.is_time() { DType::Timedelta64 } else { dtype }
}

/// `max - min` in the array's dtype, where integers could wrap.
fn range(kernel: &'static str, min: Number, max: Number, dtype: DType) -> Result<Value, Error> {
    let exact = match (min, max) {
        (Number::Float(min), Number::Float(max)) => return Ok(Value::float(max - min, dtype)),
        (Number::Int(min), Number::Int(max)) => i128::from(max) - i128::from(min),
        (Number::UInt(min), Number::UInt(max)) => i128::from(max) - i128::from(min),
        (min, max) => unreachable!("{min:?} and {max:?} are of one ordered dtype"),
    };
    let bits = 8 * dtype.size();
    let limit = if matches!(min, Number::UInt(_)) { 1_i128 << bits } else { 1_i128 << (bits - 1) };
    if exact >= limit {
        let remedy = "take 'max' and 'min' and subtract them in a wider dtype";
        return Err(Error::Overflow { kernel, dtype, remedy });
    }
    let number = match min {
        Number::UInt(_) => Number::UInt(u64::try_from(exact).unwrap_or(u64::MAX)),
        _ => Number::Int(i64::try_from(exact).unwrap_or(i64::MAX)),
    };
    Ok(Value::Scalar(number, range_type(dtype)))
}

/// The largest item of a float64 expression, or 0 if there is none: the norm of order inf.
pub(super) fn largest(input: &Input, expression: Expression) -> Request {
    let dtype = input.dtype.mean_type();
    Request::new(expression, Extrema::<f64>::new(false), move |state| {
        let largest = state.missing.or(state.max).map_or(0.0, |found| found.item);
        Ok(Value::float(largest, dtype))
    })
}

/// The extrema of the array's elements as float64. A histogram without a range needs them first. NaN if there is a NaN
/// and NaN is not omitted; `None` for an empty array.
pub(super) fn bounds(
    input: &Input,
    then: Vec<&'static str>,
    next: impl Fn(Option<(f64, f64)>) -> Result<Answer, Error> + Send + Sync + 'static,
) -> Result<Request, Error> {
    let input = *input;
    Ok(with_ordered!(input.dtype, T => {
        Request::chain(input.elements(), Extrema::<T>::new(false), then, move |state| {
            let float = |found: Option<Found<T>>| found.map(|found| found.item.number().float());
            let missing = if input.omits() { None } else { state.missing.map(|_| (f64::NAN, f64::NAN)) };
            next(missing.or(float(state.min).zip(float(state.max))))
        })
    }, else return Err(input.unsupported(Takes::Reals))))
}

pub(super) static MIN: Entry = Entry {
    name: "min",
    doc: "The smallest element; NaN if there is a NaN.\n\nAn empty array raises ``ValueError``.",
    numpy: "np.min(x)",
    takes: Takes::Ordered,
    resolve: |_, input| extrema(input, Asks::Min),
    ..Entry::USUAL
};

pub(super) static NANMIN: Entry = MIN.omitting(
    "nanmin",
    "np.nanmin(x)",
    "The smallest element, ignoring NaN. NaN if all elements are NaN.\n\nAn empty array raises ``ValueError``.",
);

pub(super) static MAX: Entry = Entry {
    name: "max",
    doc: "The largest element; NaN if there is a NaN.\n\nAn empty array raises ``ValueError``.",
    numpy: "np.max(x)",
    takes: Takes::Ordered,
    resolve: |_, input| extrema(input, Asks::Max),
    ..Entry::USUAL
};

pub(super) static NANMAX: Entry = MAX.omitting(
    "nanmax",
    "np.nanmax(x)",
    "The largest element, ignoring NaN. NaN if all elements are NaN.\n\nAn empty array raises ``ValueError``.",
);

pub(super) static PTP: Entry = Entry {
    name: "ptp",
    doc: "The range of the elements (\"peak to peak\"): the largest element minus the smallest.\n\n\
          An empty array raises ``ValueError``; an integer range that does not fit the array's dtype raises \
          ``OverflowError`` instead of wrapping.",
    numpy: "np.ptp(x)",
    takes: Takes::Measured,
    resolve: |_, input| extrema(input, Asks::Range),
    ..Entry::USUAL
};

pub(super) static ARGMIN: Entry = Entry {
    name: "argmin",
    doc: "The position of the first smallest element in the flattened array, or of the first NaN.\n\n\
          An empty array raises ``ValueError``.",
    numpy: "np.argmin(x)",
    takes: Takes::Ordered,
    answers: Shape::Positions,
    resolve: |_, input| extrema(input, Asks::ArgMin),
    ..Entry::USUAL
};

pub(super) static NANARGMIN: Entry = ARGMIN.omitting(
    "nanargmin",
    "np.nanargmin(x)",
    "The position of the first smallest element in the flattened array, ignoring NaN (and NaT).\n\n\
     An empty array raises ``ValueError``, and so does an array of only NaN.",
);

pub(super) static ARGMAX: Entry = Entry {
    name: "argmax",
    doc: "The position of the first largest element in the flattened array, or of the first NaN.\n\n\
          An empty array raises ``ValueError``.",
    numpy: "np.argmax(x)",
    takes: Takes::Ordered,
    answers: Shape::Positions,
    resolve: |_, input| extrema(input, Asks::ArgMax),
    ..Entry::USUAL
};

pub(super) static NANARGMAX: Entry = ARGMAX.omitting(
    "nanargmax",
    "np.nanargmax(x)",
    "The position of the first largest element in the flattened array, ignoring NaN (and NaT).\n\n\
     An empty array raises ``ValueError``, and so does an array of only NaN.",
);
