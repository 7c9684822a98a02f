//! The passes of all running totals: what a total has to offer ([`Running`]), and how it is carried along an array.
//!
//! A first sweep finds the total of each chunk. The totals of the chunks before a chunk, joined in order, are carried
//! into it, and a second sweep continues from there within each chunk. Results depend only on the grid of chunks, not
//! on the workers. (G. E. Blelloch, Prefix sums and their applications, CMU-CS-90-190, section 1.)
//!
//! Nothing here depends on what a total is a total of.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::array_writer::{ArrayWriter, PerChunk, array, fill, write_each};
use crate::dtype::{DType, Item};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Input, Items, Piece, Request};
use crate::memory;
use crate::simd::Simd;
use crate::source::Output;

/// A total that grows element by element: a sum, a product or an extremum.
pub(super) trait Running: Copy + fmt::Debug + Send + Sync + 'static {
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
pub(super) fn scan<R: Running>(input: &Input, expression: Expression, dtype: DType) -> Request {
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
