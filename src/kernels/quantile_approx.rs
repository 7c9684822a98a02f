//! Quantiles within a relative error, in one pass with little memory: `quantile_approx`.
//!
//! Elements are counted by their sign, their exponent and the upper m bits of their mantissa, as `HdrHistogram` does
//! for integers. A bin of floats is thus [L, L(1 + w)) with w ≤ 2⁻ᵐ. For the bin [L, U) with the requested rank, the
//! result is 2LU/(L + U), which has the same relative distance from L and from U: (U − L)/(U + L) ≤ w/(2 + w). (The
//! sketch of Masson, Rim & Lee, PVLDB 12 (2019), 2195–2205, has this estimate and this error, with exact powers as bin
//! edges.) Merging adds counts, so the result does not depend on the order. Only exponents that occur have bins.

use std::sync::Arc;

use crate::dtype::{Buffer, DType};
use crate::grid::BLOCK;
use crate::kernel::{Accumulator, Entry, Input, Items, Request, Shape, Takes};
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, Parameter};
use crate::selection::lower_rank;
use crate::simd::Simd;
use crate::value::Value;

/// The number of bits of a float's mantissa. The bits above them are the exponent and the sign.
const MANTISSA: u32 = 52;
const OCTAVES: usize = 1 << (u64::BITS - MANTISSA);

/// The octave of −0, the first one of the negative floats.
const NEGATIVE: usize = OCTAVES / 2;

/// Counts floats by magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Magnitudes {
    /// Bits of the mantissa that select the bin within an octave.
    bits: u32,
}

impl Magnitudes {
    /// The least number of bins per octave that keeps the error within this limit.
    fn within(relative_error: f64) -> Magnitudes {
        // The result itself is rounded.
        let allowed = relative_error * (1.0 - 8.0 * f64::EPSILON);
        let error = |bits: u32| {
            let width = 0.5_f64.powi(bits.cast_signed());
            width / (2.0 + width)
        };
        Magnitudes { bits: (0..16).find(|&bits| error(bits) <= allowed).unwrap_or(16) }
    }

    /// The value of a bin of an octave, without the sign.
    fn value(self, octave: usize, bin: usize) -> f64 {
        let bins = f64::from(1_u32 << self.bits);
        let exponent = octave % NEGATIVE;
        let (low, high) = (bin as f64 / bins, (bin as f64 + 1.0) / bins);
        if exponent == 0 {
            // Subnormals, which lie as close together as the smallest normal ones.
            return f64::MIN_POSITIVE * low.midpoint(high);
        }
        let power = f64::from_bits((exponent as u64) << MANTISSA);
        let (low, high) = (1.0 + low, 1.0 + high);
        if power.is_finite() { power * (2.0 * low * high / (low + high)) } else { power }
    }
}

/// Counts per bin.
#[derive(Debug, Clone)]
struct Octaves {
    /// The row of an octave's bins; 0 if it has none yet.
    rows: Vec<u32>,
    /// One row of counts for each octave that has bins, after a first row that is always empty.
    counts: Vec<u64>,
    zeros: u64,
    missing: u64,
}

impl Octaves {
    /// The row of an octave. It is created if it does not exist.
    #[inline(always)]
    fn row(&mut self, octave: usize, bits: u32) -> usize {
        match self.rows.get(octave) {
            Some(&row) if row > 0 => row as usize,
            _ => self.new_row(octave, bits),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_row(&mut self, octave: usize, bits: u32) -> usize {
        let row = self.counts.len() >> bits;
        memory::lengthen(&mut self.counts, (row + 1) << bits, 0);
        if let Some(place) = self.rows.get_mut(octave) {
            // There are no more rows than octaves.
            *place = u32::try_from(row).unwrap_or(0);
        }
        row
    }

    /// The counts of an octave's bins; empty if nothing was counted there.
    fn bins(&self, octave: usize, bits: u32) -> &[u64] {
        match self.rows.get(octave) {
            Some(&row) if row > 0 => {
                self.counts.get((row as usize) << bits..(row as usize + 1) << bits).unwrap_or_default()
            }
            _ => &[],
        }
    }
}

impl Accumulator for Magnitudes {
    const NAME: &'static str = "counts of magnitudes";

    type Item = f64;
    type State = Octaves;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Octaves {
        let counts = memory::filled(0, 1 << self.bits);
        Octaves { rows: memory::filled(0, OCTAVES), counts, zeros: 0, missing: 0 }
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // what is shifted has a few bits left
    fn update<S: Simd>(&self, _: S, state: &mut Octaves, block: Items<'_, f64>) {
        let shift = MANTISSA - self.bits;
        let mut places = block.scratch.take_words();
        for part in block.chunks(BLOCK) {
            let places = places.get_mut(..part.len()).unwrap_or_default();
            for (place, x) in places.iter_mut().zip(part) {
                // Adding 0 turns −0 into +0.
                *place = ((x + 0.0).to_bits() >> shift) as u32;
            }
            let (mut zeros, mut missing) = (0_u32, 0_u32);
            for x in part {
                zeros += u32::from(*x == 0.0);
                missing += u32::from(x.is_nan());
            }
            state.zeros += u64::from(zeros);
            state.missing += u64::from(missing);
            for place in &*places {
                let place = *place as usize;
                let row = state.row(place >> self.bits, self.bits);
                let bin = row << self.bits | (place & ((1 << self.bits) - 1));
                if let Some(count) = state.counts.get_mut(bin) {
                    *count += 1;
                }
            }
        }
        block.scratch.keep_words(places);
    }

    fn combine(&self, state: &mut Octaves, next: Octaves) {
        for octave in 0..OCTAVES {
            let more = next.bins(octave, self.bits);
            if !more.is_empty() {
                let first = state.row(octave, self.bits) << self.bits;
                let counts = state.counts.get_mut(first..).unwrap_or_default();
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
        }
        state.zeros += next.zeros;
        state.missing += next.missing;
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

/// The values of the nonempty bins and their counts, in ascending order.
fn in_order(magnitudes: Magnitudes, state: &Octaves) -> Vec<(f64, u64)> {
    let values = |octave: usize| {
        let bins = state.bins(octave, magnitudes.bits).iter().enumerate();
        // Zeros are in the first bin of subnormals.
        let count =
            move |bin, count: u64| if (octave, bin) == (0, 0) { count.saturating_sub(state.zeros) } else { count };
        bins.map(move |(bin, &all)| (magnitudes.value(octave, bin), count(bin, all)))
    };
    let negative = (NEGATIVE..OCTAVES).flat_map(values).map(|(value, count)| (-value, count));
    let mut found: Vec<(f64, u64)> = memory::collected(negative.filter(|(_, count)| *count > 0));
    found.reverse();
    memory::push(&mut found, (0.0, state.zeros));
    memory::extend(&mut found, (0..NEGATIVE).flat_map(values).filter(|(_, count)| *count > 0));
    found
}

/// The value of the bin that holds the element at a rank.
fn at(values: &[(f64, u64)], rank: u64) -> f64 {
    let mut below = 0;
    let found = values.iter().find(|(_, count)| {
        below += count;
        rank < below
    });
    found.map_or(f64::NAN, |(value, _)| *value)
}

pub(super) static QUANTILE_APPROX: Entry = Entry {
    name: "quantile_approx",
    doc: "The quantiles within a relative error, in one pass.\n\n\
          The exact quantile is the element at rank ``floor(q * (n - 1))``, as in ``np.quantile`` with \
          ``method=\"lower\"``. The result is a float64 at most ``relative_error * abs(element)`` away from it. Zeros \
          and infinities are exact; below the smallest normal number, 2.2e-308, the error is at most ``3.4e-308 * \
          relative_error``. NaN if there is a NaN; NaN for an empty array. The memory does not depend on the length: \
          it is at most 512 counts for each power of two among the elements, for each worker.",
    parameters: &[
        Parameter {
            name: "q",
            accepts: Accepts::Parts(1.0),
            default: DefaultValue::Float(0.5),
            doc: "The fraction, or a sequence of fractions; a sequence gives an array.",
        },
        Parameter {
            name: "relative_error",
            accepts: Accepts::RelativeError,
            default: DefaultValue::Float(0.01),
            doc: "The largest allowed distance between result and element, as a fraction of the element.",
        },
    ],
    numpy: "np.quantile(x.astype(np.float64), q=q, method='lower')",
    takes: Takes::Reals,
    approximate: true,
    answers: Shape::Quantiles,
    examples: &["q=[0.01, 0.25, 0.5, 0.99]", "q=0.3, relative_error=0.001", "q=[0.0, 1.0], relative_error=0.5"],
    resolve: |arguments, input| Ok(quantile_approx(arguments, input)),
    ..Entry::USUAL
};

fn quantile_approx(arguments: &Arguments, input: &Input) -> Request {
    let (q, is_array) = match arguments.get("q") {
        Argument::Floats(q, _) => (Arc::clone(q), true),
        _ => (Arc::new(vec![arguments.number("q")]), false),
    };
    let magnitudes = Magnitudes::within(arguments.number("relative_error"));
    Request::new(input.floats(), magnitudes, move |state: &Octaves| {
        let values = if state.missing > 0 { Vec::new() } else { in_order(magnitudes, state) };
        let n = values.iter().map(|(_, count)| count).sum();
        let found: Vec<f64> = memory::collected(q.iter().map(|&q| at(&values, lower_rank(n, q))));
        Ok(match found.as_slice() {
            &[value] if !is_array => Value::float(value, DType::Float64),
            _ => Value::Array { items: Buffer::Float64(found), dtype: DType::Float64 },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_as_wide_as_the_error_allows() {
        let bits = |error: f64| Magnitudes::within(error).bits;
        assert_eq!([0.5, 0.34, 0.33, 0.01, 0.001].map(bits), [0, 0, 1, 6, 9]);
        // One bin per octave: an error of a third, up to rounding.
        assert_eq!([1.0 / 3.0, 1.0 / 3.0 + 1e-12].map(bits), [1, 0]);
    }

    #[test]
    fn a_value_is_as_far_from_both_ends_of_its_bin() {
        let magnitudes = Magnitudes { bits: 3 };
        for (octave, bin) in [(1, 0), (1023, 0), (1023, 7), (1500, 3), (2046, 7)] {
            let value = magnitudes.value(octave, bin);
            let end = |bin: u64| f64::from_bits((octave as u64) << MANTISSA | bin << (MANTISSA - 3));
            let (low, high) = (end(bin as u64), end(bin as u64) * ((9.0 + bin as f64) / (8.0 + bin as f64)));
            assert!(low < value && (high.is_infinite() || value < high), "{octave}, {bin}: {value}");
            let off = (value - low) / low;
            assert!((off - 1.0 / (17.0 + 2.0 * bin as f64)).abs() < 1e-15, "{octave}, {bin}: {off}");
        }
        assert_eq!(magnitudes.value(2047, 0), f64::INFINITY);
    }
}
