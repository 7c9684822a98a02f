//! The totals that run along an array: sums, products and extrema.
//!
//! A total takes one element after the other and knows its value at any time. It does not know where in the array it
//! is, and starts no pass.

use std::marker::PhantomData;

use crate::dtype::{DType, Integer, Item, Ordered, Time};
use crate::kernel::Items;
use crate::kernels::diff::time;
use crate::kernels::product::FloatProductState;
use crate::kernels::running::scan::Running;
use crate::lanes::Double;
use crate::simd::Simd;
use crate::source::Output;

/// A sum of floats, with its rounding errors carried along.
#[derive(Debug, Clone, Copy)]
pub(super) struct FloatSum<const OMITS: bool>(Double);

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
pub(super) struct FloatProduct<const OMITS: bool>(FloatProductState);

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
pub(super) struct IntegerSum<T>(i128, PhantomData<fn(T)>);

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
pub(super) struct Durations<const OMITS: bool>(Option<i128>);

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
pub(super) struct IntegerProduct<T>(i128, PhantomData<fn(T)>);

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
pub(super) struct Extreme<T, const MAX: bool, const OMITS: bool>(Option<T>);

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
