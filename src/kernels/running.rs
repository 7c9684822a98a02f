//! Running totals: one item per element, computed from all elements up to it.
//!
//! A first sweep finds the total of each chunk. The totals of the chunks before a chunk, joined in order, are carried
//! into it, and a second sweep continues from there within each chunk. Results depend only on the grid of chunks, not
//! on the workers. (G. E. Blelloch, Prefix sums and their applications, CMU-CS-90-190, section 1.)

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::array_writer::{ArrayWriter, PerChunk, array, fill, write_each};
use crate::dtype::{DType, Integer, Item, Ordered, Time, with_integer, with_ordered};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Piece, Request, Shape, Takes};
use crate::kernels::diff::time;
use crate::kernels::product::FloatProductState;
use crate::lanes::Double;
use crate::memory;
use crate::simd::Simd;
use crate::source::Output;

/// A total that grows element by element: a sum, a product or an extremum.
trait Running: Copy + fmt::Debug + Send + Sync + 'static {
    /// The type of the elements.
    type Item: Item;
    /// The type written for each element.
    type Value: Copy + Default;
    /// Whether NaN elements are left out.
    const OMITS: bool;

    /// The total of nothing.
    fn init() -> Self;
    /// Adds an element that counts.
    fn take(&mut self, item: Self::Item);
    /// Joins the total of the elements that follow.
    fn join(&mut self, next: &Self);
    /// The total in the written type, if it fits.
    fn value(&self, dtype: DType) -> Option<Self::Value>;
    /// Writes totals.
    fn write(output: &Output, start: usize, values: &[Self::Value]);

    /// Adds an element.
    #[inline(always)]
    fn add(&mut self, item: Self::Item) {
        if !(Self::OMITS && item.is_missing()) {
            self.take(item);
        }
    }

    /// Adds a block.
    #[inline(always)]
    fn add_all<S: Simd>(&mut self, _: S, block: Items<'_, Self::Item>) {
        block.iter().for_each(|&item| self.add(item));
    }
}

/// The total of a chunk.
#[derive(Debug, Clone, Copy)]
struct Total<R>(PhantomData<fn(R)>);

impl<R: Running> Accumulator for Total<R> {
    const NAME: &'static str = "total";

    type Item = R::Item;
    type State = R;

    fn init(&self) -> R {
        R::init()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut R, block: Items<'_, R::Item>) {
        state.add_all(simd, block);
    }

    fn combine(&self, state: &mut R, next: R) {
        state.join(&next);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

/// The running totals.
#[derive(Debug, Clone)]
struct Scan<R> {
    /// For each chunk, the total of all elements before it.
    carries: Arc<Vec<R>>,
    dtype: DType,
    output: Output,
    overflow: Error,
}

impl<R: Running> ArrayWriter for Scan<R> {
    const NAME: &'static str = "running totals";

    type Item = R::Item;

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, R::Item>) -> Result<(), Error> {
        let mut total = self.carries.get(piece.number).copied().unwrap_or_else(R::init);
        let each = |item| {
            total.add(item);
            total.value(self.dtype)
        };
        let fits = write_each(piece.own(), piece.start, each, |start, values| R::write(&self.output, start, values));
        if fits { Ok(()) } else { Err(self.overflow.clone()) }
    }
}

/// Requests the running totals of an expression, as an array of this dtype.
fn scan<R: Running>(input: &Input, expression: Expression, dtype: DType) -> Request {
    let remedy = "pass the array as float64 (x.astype(float)) for rounded results";
    let overflow = Error::Overflow { kernel: input.kernel, dtype, remedy };
    array(
        dtype,
        |len| len,
        move |output| {
            let (of, overflow) = (expression.clone(), overflow.clone());
            let totals = PerChunk(Total::<R>(PhantomData));
            Request::chain(expression.clone(), totals, vec![Scan::<R>::NAME], move |totals: &Vec<R>| {
                let mut carries = memory::with_room(totals.len());
                let mut total = R::init();
                for next in totals {
                    carries.push(total);
                    total.join(next);
                }
                let (output, overflow) = (output.clone(), overflow.clone());
                Ok(Answer::Next(fill(of.clone(), Scan { carries: Arc::new(carries), dtype, output, overflow })))
            })
        },
    )
}

/// A sum of floats, with its rounding errors carried along.
#[derive(Debug, Clone, Copy)]
struct FloatSum<const OMITS: bool>(Double);

impl<const OMITS: bool> Running for FloatSum<OMITS> {
    type Item = f64;
    type Value = f64;
    const OMITS: bool = OMITS;

    fn init() -> Self {
        FloatSum(Double::default())
    }

    #[inline(always)]
    fn take(&mut self, item: f64) {
        self.0.add(item);
    }

    fn join(&mut self, next: &Self) {
        self.0.merge(next.0);
    }

    #[inline(always)]
    fn value(&self, _: DType) -> Option<f64> {
        Some(self.0.value())
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[f64]) {
        output.write_floats(start, values);
    }

    #[inline(always)]
    fn add_all<S: Simd>(&mut self, simd: S, block: Items<'_, f64>) {
        let counted = |x: f64| if OMITS && x.is_nan() { 0.0 } else { x };
        self.0.merge(Double::sum_of(simd, &block, block.ahead, counted));
    }
}

/// A product of floats without intermediate overflow or underflow.
#[derive(Debug, Clone, Copy)]
struct FloatProduct<const OMITS: bool>(FloatProductState);

impl<const OMITS: bool> Running for FloatProduct<OMITS> {
    type Item = f64;
    type Value = f64;
    const OMITS: bool = OMITS;

    fn init() -> Self {
        FloatProduct(FloatProductState::ONE)
    }

    #[inline(always)]
    fn take(&mut self, item: f64) {
        self.0.multiply(item);
    }

    fn join(&mut self, next: &Self) {
        self.0.join(&next.0);
    }

    #[inline(always)]
    fn value(&self, _: DType) -> Option<f64> {
        Some(self.0.value())
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[f64]) {
        output.write_floats(start, values);
    }
}

/// An exact integer as the 64 bits to write, if it fits the dtype.
#[inline(always)]
fn bits(exact: i128, dtype: DType) -> Option<i64> {
    if dtype == DType::UInt64 { u64::try_from(exact).ok().map(u64::cast_signed) } else { i64::try_from(exact).ok() }
}

/// A sum of integers, exact.
#[derive(Debug, Clone, Copy)]
struct IntegerSum<T>(i128, PhantomData<fn(T)>);

impl<T: Integer> Running for IntegerSum<T> {
    type Item = T;
    type Value = i64;
    const OMITS: bool = false;

    fn init() -> Self {
        IntegerSum(0, PhantomData)
    }

    #[inline(always)]
    fn take(&mut self, item: T) {
        self.0 += item.wide();
    }

    fn join(&mut self, next: &Self) {
        self.0 += next.0;
    }

    #[inline(always)]
    fn value(&self, dtype: DType) -> Option<i64> {
        bits(self.0, dtype)
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[i64]) {
        output.write_bits(start, values);
    }

    #[inline(always)]
    fn add_all<S: Simd>(&mut self, _: S, block: Items<'_, T>) {
        self.0 += T::sum(&block);
    }
}

/// A sum of durations, exact; `None` from the first NaT on.
#[derive(Debug, Clone, Copy)]
struct Durations<const OMITS: bool>(Option<i128>);

impl<const OMITS: bool> Running for Durations<OMITS> {
    type Item = Time;
    type Value = Time;
    const OMITS: bool = OMITS;

    fn init() -> Self {
        Durations(Some(0))
    }

    #[inline(always)]
    fn take(&mut self, item: Time) {
        self.0 = self.0.filter(|_| !item.is_missing()).map(|sum| sum + item.wide());
    }

    fn join(&mut self, next: &Self) {
        self.0 = self.0.zip(next.0).map(|(sum, more)| sum + more);
    }

    #[inline(always)]
    fn value(&self, _: DType) -> Option<Time> {
        time(self.0)
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[Time]) {
        output.write(start, values);
    }
}

/// A product of integers, exact while it fits 64 bits. After an overflow, only a zero makes it fit again.
#[derive(Debug, Clone, Copy)]
struct IntegerProduct<T>(i128, PhantomData<fn(T)>);

impl<T: Integer> Running for IntegerProduct<T> {
    type Item = T;
    type Value = i64;
    const OMITS: bool = false;

    fn init() -> Self {
        IntegerProduct(1, PhantomData)
    }

    #[inline(always)]
    fn take(&mut self, item: T) {
        self.multiply(item.wide());
    }

    fn join(&mut self, next: &Self) {
        self.multiply(next.0);
    }

    #[inline(always)]
    fn value(&self, dtype: DType) -> Option<i64> {
        bits(self.0, dtype)
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[i64]) {
        output.write_bits(start, values);
    }
}

impl<T> IntegerProduct<T> {
    #[inline(always)]
    fn multiply(&mut self, factor: i128) {
        self.0 = self.0.checked_mul(factor).unwrap_or(i128::MAX);
    }
}

/// The largest or the smallest element.
#[derive(Debug, Clone, Copy)]
struct Extreme<T, const MAX: bool, const OMITS: bool>(Option<T>);

impl<T: Ordered, const MAX: bool, const OMITS: bool> Running for Extreme<T, MAX, OMITS> {
    type Item = T;
    type Value = T;
    const OMITS: bool = OMITS;

    fn init() -> Self {
        Extreme(None)
    }

    #[inline(always)]
    fn take(&mut self, item: T) {
        self.0 = Some(match self.0 {
            Some(best) if best.is_missing() => best,
            Some(best) if item.is_missing() || (if MAX { best.below(item) } else { item.below(best) }) => item,
            Some(best) => best,
            None => item,
        });
    }

    fn join(&mut self, next: &Self) {
        if let Some(item) = next.0 {
            self.take(item);
        }
    }

    /// Before the first counted element, all elements were NaN.
    #[inline(always)]
    fn value(&self, _: DType) -> Option<T> {
        Some(self.0.unwrap_or_else(|| T::of_key(u64::MAX)))
    }

    #[inline(always)]
    fn write(output: &Output, start: usize, values: &[T]) {
        output.write(start, values);
    }
}

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
