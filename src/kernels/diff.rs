//! Differences of neighbours, as an array: `diff`.
//!
//! To take n-th differences, each piece of the array also reads the n elements before it, so the pieces are
//! independent. Integers and times are subtracted exactly, and a difference that does not fit is an error. Floats are
//! rounded as in their own dtype.

use std::fmt;
use std::marker::PhantomData;

use crate::array_writer::{ArrayWriter, array, fill, write_each};
use crate::dtype::{DType, Integer, Item, Number, Time, with_integer};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Entry, Input, Piece, Reach, Request, Shape, Takes};
use crate::memory;
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::source::Output;

/// How two elements are subtracted.
trait Differs: Copy + fmt::Debug + Send + Sync + 'static {
    /// The elements.
    type Item: Item;
    /// The type in which differences are computed.
    type Wide: Copy + Default;
    /// The type of the written differences.
    type Value: Copy + Default;
    /// Converts an element to the wide type.
    fn widen(item: Self::Item) -> Self::Wide;
    /// The difference, rounded to the dtype.
    fn minus(left: Self::Wide, right: Self::Wide, dtype: DType) -> Self::Wide;
    /// The difference in the written type, if it fits.
    fn narrow(wide: Self::Wide) -> Option<Self::Value>;
    /// Writes differences.
    fn write(output: &Output, start: usize, values: &[Self::Value]);
}

/// Floats: each subtraction is rounded to their own dtype.
#[derive(Debug, Clone, Copy)]
struct Floats;

impl Differs for Floats {
    type Item = f64;
    type Wide = f64;
    type Value = f64;

    #[inline(always)]
    fn widen(item: f64) -> f64 {
        item
    }

    #[inline(always)]
    fn minus(left: f64, right: f64, dtype: DType) -> f64 {
        dtype.round(left - right)
    }

    #[inline(always)]
    fn narrow(wide: f64) -> Option<f64> {
        Some(wide)
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[f64]) {
        output.write_floats(start, values);
    }
}

/// Integers: exact in 128 bits. A difference that overflows 128 bits does not fit 64 bits either.
#[derive(Debug, Clone, Copy)]
struct Integers<T>(PhantomData<fn(T)>);

impl<T: Integer> Differs for Integers<T> {
    type Item = T;
    type Wide = i128;
    type Value = T;

    #[inline(always)]
    fn widen(item: T) -> i128 {
        item.wide()
    }

    #[inline(always)]
    fn minus(left: i128, right: i128, _: DType) -> i128 {
        left.saturating_sub(right)
    }

    #[inline(always)]
    fn narrow(wide: i128) -> Option<T> {
        let signed = i64::try_from(wide).map(Number::Int);
        let number = signed.or_else(|_| u64::try_from(wide).map(Number::UInt)).ok()?;
        Some(T::of_number(number)).filter(|item| item.wide() == wide)
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[T]) {
        output.write(start, values);
    }
}

/// Times: exact. A difference with a NaT is NaT; one that does not fit is an error.
#[derive(Debug, Clone, Copy)]
struct Times;

impl Differs for Times {
    type Item = Time;
    type Wide = Option<i128>;
    type Value = Time;

    #[inline(always)]
    fn widen(item: Time) -> Option<i128> {
        (item != Time::NAT).then_some(item.0.into())
    }

    #[inline(always)]
    fn minus(left: Option<i128>, right: Option<i128>, _: DType) -> Option<i128> {
        left.zip(right).map(|(left, right)| left.saturating_sub(right))
    }

    #[inline(always)]
    fn narrow(wide: Option<i128>) -> Option<Time> {
        time(wide)
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[Time]) {
        output.write(start, values);
    }
}

/// The time of this many units; NaT for `None`. Returns `None` if the number does not fit a time.
#[inline(always)]
pub(super) fn time(units: Option<i128>) -> Option<Time> {
    let Some(units) = units else { return Some(Time::NAT) };
    i64::try_from(units).ok().map(Time).filter(|time| *time != Time::NAT)
}

/// The differences of neighbours, repeated `times` times.
#[derive(Debug, Clone)]
struct Diff<D> {
    times: usize,
    output: Output,
    dtype: DType,
    overflow: Error,
    kind: PhantomData<fn(D)>,
}

impl<D: Differs> ArrayWriter for Diff<D> {
    const NAME: &'static str = "differences";

    type Item = D::Item;

    fn reach(&self) -> Reach {
        Reach { before: self.times, ..Reach::CHUNK }
    }

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, D::Item>) -> Result<(), Error> {
        let write = |start: usize, values: &[D::Value]| D::write(&self.output, start, values);
        // The difference at position i is computed from the elements i to i + `times`.
        let start = (piece.start - piece.own.start).max(piece.start.saturating_sub(self.times));
        let fits = if self.times == 1 {
            let next = piece.items.get(1..).unwrap_or_default();
            let mut before = piece.items.iter();
            let each = |item| {
                let before = before.next().copied().unwrap_or(item);
                D::narrow(D::minus(D::widen(item), D::widen(before), self.dtype))
            };
            write_each(next, start, each, write)
        } else {
            let mut wide: Vec<D::Wide> = memory::collected(piece.items.iter().map(|&item| D::widen(item)));
            for _ in 0..self.times.min(wide.len()) {
                for index in 1..wide.len() {
                    wide[index - 1] = D::minus(wide[index], wide[index - 1], self.dtype);
                }
                wide.pop();
            }
            write_each(&wide, start, D::narrow, write)
        };
        if fits { Ok(()) } else { Err(self.overflow.clone()) }
    }
}

/// Requests the differences of an expression's items, repeated `times` times.
fn differences<D: Differs>(expression: Expression, times: usize, dtype: DType, overflow: Error) -> Request {
    array(
        dtype,
        move |len| len.saturating_sub(times),
        move |output| {
            let overflow = overflow.clone();
            fill(expression.clone(), Diff::<D> { times, output, dtype, overflow, kind: PhantomData })
        },
    )
}

fn diff(arguments: &Arguments, input: &Input) -> Request {
    let times = usize::try_from(arguments.int("n")).unwrap_or(usize::MAX);
    let remedy = "pass the array in a wider or signed dtype, such as x.astype(np.int64) or x.astype(float)";
    let dtype = if input.dtype.is_time() && times > 0 { DType::Timedelta64 } else { input.dtype };
    let overflow = Error::Overflow { kernel: input.kernel, dtype, remedy };
    with_integer!(input.dtype, T => {
        differences::<Integers<T>>(input.elements(), times, dtype, overflow)
    }, else {
        if input.dtype.is_time() {
            differences::<Times>(input.elements(), times, dtype, overflow)
        } else {
            differences::<Floats>(input.elements().float64(), times, dtype, overflow)
        }
    })
}

pub(super) static DIFF: Entry = Entry {
    name: "diff",
    doc: "The n-th discrete difference of the elements. The result has n elements fewer.\n\n\
          A difference of integers that does not fit their dtype raises ``OverflowError``. NaN elements are never \
          left out, under any ``nan_policy``.",
    parameters: &[Parameter {
        name: "n",
        accepts: Accepts::IntFrom(0),
        default: DefaultValue::Int(1),
        doc: "How many times the difference is taken.",
    }],
    numpy: "np.diff(np.ravel(x), n=n)",
    takes: Takes::Measured,
    answers: Shape::Items,
    examples: &["n=3"],
    resolve: |arguments, input| Ok(diff(arguments, input)),
    ..Entry::USUAL
};
