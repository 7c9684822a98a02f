//! Sums, and statistics computed from sums alone.
//!
//! Floats are summed with [`Moments`], which `var` and related kernels share. Integers and times are summed exactly in
//! 128 bits, and complex numbers part by part. The elementwise step (|x|) is an expression, so that kernels share it
//! too.

use num_complex::Complex;

use crate::dtype::{DType, Integer, Item, Number, Time, with_integer};
use crate::error::Error;
use crate::expr::{Expression, Step};
use crate::grid::LANES;
use crate::kernel::{Accumulator, Entry, Input, Items, Request, Takes};
use crate::kernels::extrema;
use crate::kernels::moments::{self, Moments, MomentsState};
use crate::kernels::rescaled::{Noticed, Of, rescaled, scaled};
use crate::lanes::Double;
use crate::memory;
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::value::Value;

/// The exact sum of integers.
#[derive(Debug, Clone, Copy)]
struct IntegerSum<T> {
    item: std::marker::PhantomData<fn(T)>,
}

/// The number of integers, how many of them are NaT, and the sum of the others. The sum of 2^63 items of 64 bits fits.
#[derive(Debug, Clone, Copy, Default)]
struct IntegerSumState {
    count: u64,
    missing: u64,
    sum: i128,
}

impl<T: Integer> Accumulator for IntegerSum<T> {
    const NAME: &'static str = "sum";

    type Item = T;
    type State = IntegerSumState;

    const ORDER_FREE: bool = true;

    fn init(&self) -> IntegerSumState {
        IntegerSumState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut IntegerSumState, block: Items<'_, T>) {
        state.count += block.len() as u64;
        state.missing += u64::from(block.iter().map(|item| u32::from(item.is_missing())).sum::<u32>());
        state.sum += T::sum(&block);
    }

    fn combine(&self, state: &mut IntegerSumState, next: IntegerSumState) {
        state.count += next.count;
        state.missing += next.missing;
        state.sum += next.sum;
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

/// An exact integer in NumPy's result dtype, or an error if it does not fit.
pub(super) fn integer(kernel: &'static str, exact: i128, dtype: DType) -> Result<Value, Error> {
    let number = match dtype {
        DType::UInt64 => u64::try_from(exact).ok().map(Number::UInt),
        // In times, the smallest integer is NaT.
        _ => i64::try_from(exact).ok().filter(|&ticks| !dtype.is_time() || Time(ticks) != Time::NAT).map(Number::Int),
    };
    let remedy = "pass the array as float64 (x.astype(float)) for a rounded result, or use 'mean'";
    number.map(|number| Value::Scalar(number, dtype)).ok_or(Error::Overflow { kernel, dtype, remedy })
}

/// Requests a statistic computed from the sum and the number of durations; `None` stands for NaT.
fn durations(input: &Input, value: fn(i128, u64) -> Option<i128>) -> Request {
    let (kernel, dtype, omits) = (input.kernel, input.dtype, input.omits());
    let sum = IntegerSum::<Time> { item: std::marker::PhantomData };
    Request::new(input.elements(), sum, move |state| {
        let counts = omits || state.missing == 0;
        match value(state.sum, state.count - state.missing).filter(|_| counts) {
            Some(exact) => integer(kernel, exact, dtype),
            None => Ok(Value::Scalar(Number::Int(Time::NAT.0), dtype)),
        }
    })
}

/// The sum of complex numbers, part by part.
#[derive(Debug, Clone, Copy)]
struct ComplexSum<T> {
    part: std::marker::PhantomData<fn(T)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ComplexSumState {
    count: u64,
    re: Double,
    im: Double,
}

impl<T: Copy + Into<f64> + 'static> Accumulator for ComplexSum<T>
where
    Complex<T>: Item,
    Self: std::fmt::Debug,
{
    const NAME: &'static str = "sum";

    type Item = Complex<T>;
    type State = ComplexSumState;

    fn init(&self) -> ComplexSumState {
        ComplexSumState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut ComplexSumState, block: Items<'_, Complex<T>>) {
        state.count += block.len() as u64;
        state.re.merge(Double::sum_of(simd, &block, block.ahead, |z| z.re.into()));
        state.im.merge(Double::sum_of(simd, &block, block.ahead, |z| z.im.into()));
    }

    fn combine(&self, state: &mut ComplexSumState, next: ComplexSumState) {
        state.count += next.count;
        state.re.merge(next.re);
        state.im.merge(next.im);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

fn complex(input: &Input, finish: fn(Complex<f64>, f64) -> Complex<f64>) -> Request {
    let (expression, dtype) = (input.values(), input.dtype);
    let finish = move |state: &ComplexSumState| {
        let sum = Complex::new(state.re.value(), state.im.value());
        Ok(Value::complex(finish(sum, state.count as f64), dtype))
    };
    let part = std::marker::PhantomData;
    if dtype == DType::Complex64 {
        Request::new(expression, ComplexSum::<f32> { part }, finish)
    } else {
        Request::new(expression, ComplexSum::<f64> { part: std::marker::PhantomData }, finish)
    }
}

/// Requests a float of NumPy's dtype computed from the sum of an expression.
fn of_sum(input: &Input, expression: Expression, value: fn(&MomentsState) -> f64) -> Request {
    let dtype = input.dtype.mean_type();
    Request::new(expression, Moments::<f64>::up_to(1), move |state| Ok(Value::float(value(state), dtype)))
}

/// The sum of squares.
#[derive(Debug, Clone, Copy)]
struct Squares;

#[derive(Debug, Clone, Default)]
struct SquaresState {
    count: f64,
    sum: Double,
    noticed: Noticed,
    /// The squares of the current block.
    squares: Vec<f64>,
}

impl SquaresState {
    /// The mean of the squares; NaN without elements.
    fn mean(&self) -> f64 {
        self.sum.value() / self.count
    }

    /// Whether the sum must be computed again from scaled elements.
    fn asks_for_scale(&self) -> bool {
        self.noticed.asks_for_scale(2, self.mean(), self.mean(), self.sum.high.is_finite())
    }
}

impl Accumulator for Squares {
    const NAME: &'static str = "sum of squares";

    type Item = f64;
    type State = SquaresState;

    fn init(&self) -> SquaresState {
        SquaresState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut SquaresState, block: Items<'_, f64>) {
        let sum = if block.len() <= 8 * LANES {
            Double::sum_of(simd, &block, block.ahead, |x| x * x)
        } else {
            state.squares.clear();
            memory::extend(&mut state.squares, block.iter().map(|x| x * x));
            Double::sum(simd, &state.squares, block.ahead)
        };
        let n = block.len() as f64;
        let mean = sum.value() / n;
        state.count += n;
        state.sum.merge(sum);
        state.noticed.merge(Noticed::of(mean, mean, block.iter().copied()));
    }

    fn combine(&self, state: &mut SquaresState, next: SquaresState) {
        state.count += next.count;
        state.sum.merge(next.sum);
        state.noticed.merge(next.noticed);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

/// Requests a float of NumPy's dtype computed from the sum of squares. `degree` is the statistic's degree, see
/// [`crate::scale`].
fn of_squares(input: &Input, degree: i64, value: fn(&SquaresState) -> f64) -> Request {
    let (dtype, floats) = (input.dtype.mean_type(), input.floats());
    let number = move |state: &SquaresState| (!state.asks_for_scale()).then(|| Value::number(value(state)));
    Request::number(floats.clone(), Squares, dtype, number, move |_| {
        let floats = floats.clone();
        Ok(rescaled::<f64>(floats.clone(), Of::Elements, move |scales| {
            let undone = move |state: &SquaresState| scales[0].undo(value(state), degree);
            Request::new(scaled(floats.clone(), scales), Squares, move |state| Ok(Value::float(undone(state), dtype)))
        }))
    })
}

pub(super) static SUM: Entry = Entry {
    name: "sum",
    doc: "The sum; 0 for an empty array.\n\n\
          Floats are summed in float64 with their rounding errors carried along (Knuth's TwoSum), as if with twice \
          the digits: the error is that of a single rounding, unless nearly all digits cancel. For float32, the \
          errors are carried along once per eight elements; float64 adds these eight exactly unless they differ by a \
          factor of more than 2**26. Integers and timedelta64 are summed exactly: a sum that does not fit NumPy's \
          result dtype raises ``OverflowError`` instead of wrapping.",
    numpy: "np.sum(x)",
    takes: Takes::Summed,
    weighted: true,
    resolve: sum,
    ..Entry::USUAL
};

pub(super) static NANSUM: Entry = SUM.omitting(
    "nansum",
    "np.nansum(x)",
    "The sum, ignoring NaN (and NaT); 0 if no element is left.\n\n\
     As accurate as ``sum``. Unlike this kernel, ``np.nansum`` does not leave out NaT.",
);

fn sum(_: &Arguments, input: &Input) -> Result<Request, Error> {
    if input.weights.is_some() {
        return Ok(moments::finish(input, 1, 1, |state| state.sum.value()));
    }
    let (kernel, dtype) = (input.kernel, input.dtype.sum_type());
    if dtype.is_time() {
        return Ok(durations(input, |sum, _| Some(sum)));
    }
    if dtype.is_complex() {
        return Ok(complex(input, |sum, _| sum));
    }
    Ok(with_integer!(input.dtype, T => {
        let sum = IntegerSum::<T> { item: std::marker::PhantomData };
        Request::new(input.elements(), sum, move |state| integer(kernel, state.sum, dtype))
    }, else moments::finish(input, 1, 1, |state| state.sum.value())))
}

pub(super) static MEAN: Entry = Entry {
    name: "mean",
    doc: "The arithmetic mean: the sum divided by the number of elements; NaN for an empty array.\n\n\
          Integers and timedelta64 are summed exactly, so that their mean does not overflow. For floats, a sum too \
          large for float64 makes the mean infinite, as in NumPy. The mean of timedelta64 has their unit, and the \
          remainder of the division is dropped, as in NumPy.",
    numpy: "np.mean(x)",
    takes: Takes::Summed,
    weighted: true,
    resolve: mean,
    ..Entry::USUAL
};

pub(super) static AVERAGE: Entry = Entry {
    name: "average",
    doc: "The arithmetic mean, under NumPy's name for a mean with weights.\n\n\
          The same as ``mean``, except that it does not take timedelta64; neither does ``np.average``.",
    numpy: "np.average(x)",
    takes: Takes::Numbers,
    ..MEAN
};

fn mean(_: &Arguments, input: &Input) -> Result<Request, Error> {
    if input.dtype.is_time() {
        return Ok(durations(input, |sum, count| sum.checked_div(count.into())));
    }
    if input.dtype.is_complex() {
        return Ok(complex(input, |sum, count| sum / count));
    }
    if input.weights.is_some() {
        return Ok(moments::finish(input, 1, 1, MomentsState::mean));
    }
    Ok(with_integer!(input.dtype, T => {
        let sum = IntegerSum::<T> { item: std::marker::PhantomData };
        Request::new(input.elements(), sum, |state| {
            Ok(Value::float(state.sum as f64 / state.count as f64, DType::Float64))
        })
    }, else moments::finish(input, 1, 1, MomentsState::mean)))
}

pub(super) static NANMEAN: Entry = MEAN.omitting(
    "nanmean",
    "np.nanmean(x)",
    "The arithmetic mean, ignoring NaN (and NaT); NaN if no element is left.\n\n\
     As accurate as ``mean``. Unlike this kernel, ``np.nanmean`` does not leave out NaT.",
);

pub(super) static RMS: Entry = Entry {
    name: "rms",
    doc: "The root mean square: the square root of the mean of squares; NaN for an empty array.\n\n\
          If squares leave the range of float64, further passes use scaled elements.",
    numpy: "np.sqrt(np.mean(np.square(x * 1.0)))",
    takes: Takes::Reals,
    resolve: |_, input| Ok(of_squares(input, 1, |state| state.mean().sqrt())),
    ..Entry::USUAL
};

pub(super) static MEAN_ABS: Entry = Entry {
    name: "mean_abs",
    doc: "The mean of the absolute values; NaN for an empty array.\n\nA sum too large for float64 makes it infinite.",
    numpy: "np.mean(np.abs(x * 1.0))",
    takes: Takes::Reals,
    resolve: |_, input| Ok(of_sum(input, input.floats().then(Step::Absolute), MomentsState::mean)),
    ..Entry::USUAL
};

pub(super) static NORM: Entry = Entry {
    name: "norm",
    doc: "The norm of the elements as one vector; 0 for an empty array.\n\n\
          ``ord=2`` is the Euclidean norm, ``ord=1`` the sum of the absolute values, and ``ord=inf`` the largest \
          absolute value. If squares leave the range of float64, further passes use scaled elements.",
    parameters: &[Parameter {
        name: "ord",
        accepts: Accepts::NormOrder,
        default: DefaultValue::Int(2),
        doc: "The order of the norm: 1, 2 or inf.",
    }],
    numpy: "np.linalg.norm(np.ravel(x), ord=ord)",
    takes: Takes::Reals,
    examples: &["ord=1", "ord=1e999"],
    resolve: |arguments, input| {
        let order = arguments.number("ord");
        Ok(if order == 1.0 {
            of_sum(input, input.floats().then(Step::Absolute), |state| state.sum.value())
        } else if order == 2.0 {
            of_squares(input, 1, |state| state.sum.value().sqrt())
        } else {
            extrema::largest(input, input.floats().then(Step::Absolute))
        })
    },
    ..Entry::USUAL
};

pub(super) static HMEAN: Entry = Entry {
    name: "hmean",
    doc: "The harmonic mean: n divided by the sum of reciprocals; 0 if an element is 0.\n\n\
          NaN for an empty array, and if an element is negative. The same as SciPy's ``stats.hmean``.",
    numpy: "stats.hmean(x * 1.0, axis=None)",
    takes: Takes::Reals,
    resolve: |_, input| {
        let dtype = input.dtype.mean_type();
        Ok(Request::new(input.floats(), Reciprocals, move |state| {
            let mean = if state.negative { f64::NAN } else { state.count as f64 / state.sum.value() };
            Ok(Value::float(mean, dtype))
        }))
    },
    ..Entry::USUAL
};

/// The sum of reciprocals, and whether there was a negative element.
#[derive(Debug, Clone, Copy)]
struct Reciprocals;

#[derive(Debug, Clone, Copy, Default)]
struct ReciprocalsState {
    count: u64,
    sum: Double,
    negative: bool,
}

impl Accumulator for Reciprocals {
    const NAME: &'static str = "sum of reciprocals";

    type Item = f64;
    type State = ReciprocalsState;

    fn init(&self) -> ReciprocalsState {
        ReciprocalsState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut ReciprocalsState, block: Items<'_, f64>) {
        state.count += block.len() as u64;
        // The absolute value turns −0 into 0; other negative elements have no harmonic mean anyway.
        state.sum.merge(Double::sum_of(simd, &block, block.ahead, |x| 1.0 / x.abs()));
        state.negative |= block.iter().fold(false, |negative, &x| negative | (x < 0.0));
    }

    fn combine(&self, state: &mut ReciprocalsState, next: ReciprocalsState) {
        state.count += next.count;
        state.sum.merge(next.sum);
        state.negative |= next.negative;
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}
