//! Products, and the geometric mean.
//!
//! A product of floats is kept as mantissa × 2ᵉˣᵖᵒⁿᵉⁿᵗ with an integer exponent. It neither overflows nor underflows
//! during the multiplication, so the result does not depend on the order of large and small factors. The mantissas of a
//! block, each in [1, 2), are multiplied in lanes; a lane takes 64 of them, and 2⁶⁴ is far below the largest float64.
//!
//! The geometric mean is 2^q exp₂((r + log₂ mantissa) / n), where the exponent is q n + r. It takes one logarithm for
//! the whole array instead of one per element.

use std::marker::PhantomData;

use crate::dtype::{Integer, with_integer};
use crate::error::Error;
use crate::grid::LANES;
use crate::kernel::{Accumulator, Entry, Input, Items, Request, Takes};
use crate::kernels::sums::integer;
use crate::parameters::Arguments;
use crate::scale::{compose, exponent, mantissa, parts};
use crate::simd::Simd;
use crate::value::Value;

/// The product of floats.
#[derive(Debug, Clone, Copy)]
struct FloatProduct;

/// The product of the factors that are neither zero, infinite nor NaN is ±mantissa × 2^exponent; the others are
/// recorded in flags.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own; none excludes another
pub(super) struct FloatProductState {
    count: u64,
    mantissa: f64,
    exponent: i64,
    negative_product: bool,
    negative_factor: bool,
    zero: bool,
    infinite: bool,
    nan: bool,
}

impl FloatProductState {
    pub(super) const ONE: FloatProductState = FloatProductState {
        count: 0,
        mantissa: 1.0,
        exponent: 0,
        negative_product: false,
        negative_factor: false,
        zero: false,
        infinite: false,
        nan: false,
    };

    /// Multiplies by one factor.
    #[inline(always)]
    pub(super) fn multiply(&mut self, x: f64) {
        self.count += 1;
        self.nan |= x.is_nan();
        self.zero |= x == 0.0;
        self.infinite |= x.is_infinite();
        self.negative_product ^= x.is_sign_negative();
        self.negative_factor |= x < 0.0;
        if x.is_finite() && x != 0.0 {
            let (mantissa, exponent) = parts(x.abs());
            self.exponent += exponent;
            self.mantissa *= mantissa;
            self.normalise();
        }
    }

    /// Brings the mantissa back into [1, 2).
    #[inline(always)]
    fn normalise(&mut self) {
        self.exponent += exponent(self.mantissa.to_bits());
        self.mantissa = mantissa(self.mantissa.to_bits());
    }

    /// Multiplies by the factors of another product.
    #[inline(always)]
    pub(super) fn join(&mut self, next: &FloatProductState) {
        self.count += next.count;
        self.mantissa *= next.mantissa;
        self.exponent += next.exponent;
        self.normalise();
        self.negative_product ^= next.negative_product;
        self.negative_factor |= next.negative_factor;
        self.zero |= next.zero;
        self.infinite |= next.infinite;
        self.nan |= next.nan;
    }

    /// The product.
    #[inline(always)]
    pub(super) fn value(&self) -> f64 {
        let magnitude = match self {
            FloatProductState { nan: true, .. } | FloatProductState { zero: true, infinite: true, .. } => {
                return f64::NAN;
            }
            FloatProductState { zero: true, .. } => 0.0,
            FloatProductState { infinite: true, .. } => f64::INFINITY,
            _ => compose(self.mantissa, self.exponent),
        };
        if self.negative_product { -magnitude } else { magnitude }
    }

    /// The n-th root of the product; NaN if a factor is negative.
    fn root(&self) -> f64 {
        let value = self.value();
        if self.count == 0 || self.negative_factor || value.is_nan() {
            f64::NAN
        } else if self.zero || self.infinite {
            value.abs()
        } else {
            // The exponent's whole part stays out of the logarithm, where it would cost digits. The true mean never
            // exceeds the largest element, but the last rounding may.
            let n = self.count.cast_signed();
            let (whole, rest) = (self.exponent.div_euclid(n), self.exponent.rem_euclid(n));
            compose(((rest as f64 + self.mantissa.log2()) / n as f64).exp2(), whole).min(f64::MAX)
        }
    }
}

impl Accumulator for FloatProduct {
    const NAME: &'static str = "product";

    type Item = f64;
    type State = FloatProductState;

    fn init(&self) -> FloatProductState {
        FloatProductState::ONE
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut FloatProductState, block: Items<'_, f64>) {
        let mut next = FloatProductState::ONE;
        // Zero, subnormal, infinite and NaN are the numbers whose exponent has all bits clear or all bits set.
        let special = |x: f64| (x.to_bits().wrapping_add(1 << 52) >> 53) & 0x3ff == 0;
        if block.iter().fold(false, |any, &x| any | special(x)) {
            for &x in block.iter() {
                next.multiply(x);
            }
        } else {
            let mut mantissas = [1.0; LANES];
            let mut exponents = [0_i64; LANES];
            let mut signs = [0_u64; LANES];
            let mut any_sign = [0_u64; LANES];
            let (rows, rest) = block.as_chunks::<LANES>();
            for row in rows {
                for lane in 0..LANES {
                    let bits = row[lane].to_bits();
                    mantissas[lane] *= mantissa(bits);
                    exponents[lane] += exponent(bits);
                    signs[lane] ^= bits;
                    any_sign[lane] |= bits;
                }
            }
            for lane in 0..LANES {
                next.mantissa *= mantissa(mantissas[lane].to_bits());
                next.exponent += exponents[lane] + exponent(mantissas[lane].to_bits());
                next.normalise();
                next.negative_product ^= signs[lane] >> 63 == 1;
                next.negative_factor |= any_sign[lane] >> 63 == 1;
            }
            next.count = (rows.len() * LANES) as u64;
            for &x in rest {
                next.multiply(x);
            }
        }
        self.combine(state, next);
    }

    #[inline(always)]
    fn combine(&self, state: &mut FloatProductState, next: FloatProductState) {
        state.join(&next);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

/// The exact product of integers, if it fits 64 bits.
#[derive(Debug, Clone, Copy)]
struct IntegerProduct<T> {
    item: PhantomData<fn(T)>,
}

/// Multiplying by a nonzero integer never reduces the magnitude. So a product that is too large stays too large unless
/// a factor is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
struct IntegerProductState {
    magnitude: Option<u64>,
    negative: bool,
    zero: bool,
}

impl IntegerProductState {
    #[inline(always)]
    fn multiply(&mut self, magnitude: Option<u64>) {
        self.magnitude = self.magnitude.zip(magnitude).and_then(|(left, right)| left.checked_mul(right));
    }

    /// The product, or a value that fits no dtype.
    fn exact(self) -> i128 {
        match self.magnitude {
            _ if self.zero => 0,
            Some(magnitude) if self.negative => -i128::from(magnitude),
            Some(magnitude) => magnitude.into(),
            None => i128::MAX,
        }
    }
}

impl<T: Integer> Accumulator for IntegerProduct<T> {
    const NAME: &'static str = "product";

    type Item = T;
    type State = IntegerProductState;

    const ORDER_FREE: bool = true;

    fn init(&self) -> IntegerProductState {
        IntegerProductState { magnitude: Some(1), negative: false, zero: false }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut IntegerProductState, block: Items<'_, T>) {
        for &item in block.iter() {
            let value = item.wide();
            state.zero |= value == 0;
            state.negative ^= value < 0;
            if value != 0 && state.magnitude.is_some() {
                state.multiply(u64::try_from(value.unsigned_abs()).ok());
            }
        }
    }

    fn combine(&self, state: &mut IntegerProductState, next: IntegerProductState) {
        state.zero |= next.zero;
        state.negative ^= next.negative;
        state.multiply(next.magnitude);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        Some(*self)
    }
}

pub(super) static PROD: Entry = Entry {
    name: "prod",
    doc: "The product; 1 for an empty array.\n\n\
          Floats are multiplied with a 64-bit exponent, so that intermediate products neither overflow nor underflow. \
          Integers are multiplied exactly: a product that does not fit NumPy's result dtype raises ``OverflowError`` \
          instead of wrapping.",
    numpy: "np.prod(x)",
    takes: Takes::Reals,
    resolve: prod,
    ..Entry::USUAL
};

pub(super) static NANPROD: Entry = PROD.omitting(
    "nanprod",
    "np.nanprod(x)",
    "The product, ignoring NaN; 1 if no element is left.\n\nComputed in the same way as ``prod``.",
);

fn prod(_: &Arguments, input: &Input) -> Result<Request, Error> {
    let (kernel, dtype) = (input.kernel, input.dtype.sum_type());
    Ok(with_integer!(input.dtype, T => {
        let product = IntegerProduct::<T> { item: PhantomData };
        Request::new(input.elements(), product, move |state| integer(kernel, state.exact(), dtype))
    }, else Request::new(input.floats(), FloatProduct, move |state| Ok(Value::float(state.value(), dtype)))))
}

pub(super) static GMEAN: Entry = Entry {
    name: "gmean",
    doc: "The geometric mean: the n-th root of the product; 0 if an element is 0.\n\n\
          NaN for an empty array, and if an element is negative. The same as SciPy's ``stats.gmean``.",
    numpy: "stats.gmean(x * 1.0, axis=None)",
    takes: Takes::Reals,
    resolve: |_, input| {
        let dtype = input.dtype.mean_type();
        Ok(Request::new(input.floats(), FloatProduct, move |state| Ok(Value::float(state.root(), dtype))))
    },
    ..Entry::USUAL
};
