//! Approximate answers in one pass and little memory, asked for by name: `quantile_approx` and `n_unique_approx`.
//!
//! # Quantiles
//!
//! Elements are counted by their sign, their exponent and the upper m bits of their mantissa, as `HdrHistogram` does for integers.
//! A bin of floats is so [L, L(1 + w)) with w ≤ 2⁻ᵐ, and of the bin that has the wanted rank the answer is 2LU/(L + U), whose
//! relative distance from both ends L and U is the same: (U − L)/(U + L) ≤ w/(2 + w). (The sketch of Masson, Rim & Lee, PVLDB
//! 12 (2019), 2195–2205, has this estimate and this error, with bins that are exact powers.) Merging adds counts, so any order gives
//! the same answer. Only exponents that occur have bins.
//!
//! # Distinct values
//!
//! Of each element's hash p bits choose a register, which keeps the largest number of leading zeros, plus one, of the other bits
//! (Flajolet, Fusy, Gandouet & Meunier, `HyperLogLog`, DMTCS Proceedings AH (2007), 137–156). The number of values is estimated from
//! how many registers hold what: Ertl's improved raw estimator (arXiv:1702.01284, algorithm 6), which needs no correction for few
//! values or many. The hash is David Stafford's thirteenth mix of 64 bits, as it finishes `SplitMix64` (Steele, Lea &
//! Flood, OOPSLA 2014, 453–472).

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dtype::{Buffer, DType, Ordered, with_ordered};
use crate::kernel::{Accumulator, Entry, Input, Items, Request, Shape, Takes};
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, Parameter};
use crate::selection::lower_rank;
use crate::simd::Simd;
use crate::value::Value;
use crate::view::BLOCK;

// ---- quantiles ----

/// Bits of a float's mantissa, and what is above them: sign and exponent.
const MANTISSA: u32 = 52;
const OCTAVES: usize = 1 << (u64::BITS - MANTISSA);

/// The octave of negative floats' zero.
const NEGATIVE: usize = OCTAVES / 2;

/// Counts floats by magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Magnitudes {
    /// Bits of the mantissa that tell bins apart.
    bits: u32,
}

impl Magnitudes {
    /// So many bins to an octave that the error is at most this.
    fn within(relative_error: f64) -> Magnitudes {
        // The answer itself is rounded.
        let allowed = relative_error * (1.0 - 8.0 * f64::EPSILON);
        let error = |bits: u32| {
            let width = 0.5_f64.powi(bits.cast_signed());
            width / (2.0 + width)
        };
        Magnitudes { bits: (0..16).find(|&bits| error(bits) <= allowed).unwrap_or(16) }
    }

    /// The value of a bin of an octave, whose sign is not looked at.
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
    /// Where the bins of an octave start, in rows of bins; 0 if it has none yet.
    rows: Vec<u32>,
    /// A row for each octave that has bins, behind one that is always empty.
    counts: Vec<u64>,
    zeros: u64,
    missing: u64,
    /// Scratch: the octaves and bins of a block's elements.
    places: Vec<u32>,
}

impl Octaves {
    /// The row of an octave, which is made if it is not there.
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

    /// The counts of an octave's bins; none if nothing was counted there.
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
        Octaves { rows: memory::filled(0, OCTAVES), counts, zeros: 0, missing: 0, places: Vec::new() }
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // what is shifted has a few bits left
    fn update<S: Simd>(&self, _: S, state: &mut Octaves, block: Items<'_, f64>) {
        let shift = MANTISSA - self.bits;
        for part in block.chunks(BLOCK) {
            let mut places = std::mem::take(&mut state.places);
            places.clear();
            // Adding 0 gives zeros one sign.
            memory::extend(&mut places, part.iter().map(|x| ((x + 0.0).to_bits() >> shift) as u32));
            let (mut zeros, mut missing) = (0_u32, 0_u32);
            for x in part {
                zeros += u32::from(*x == 0.0);
                missing += u32::from(x.is_nan());
            }
            state.zeros += u64::from(zeros);
            state.missing += u64::from(missing);
            for place in &places {
                let place = *place as usize;
                let row = state.row(place >> self.bits, self.bits);
                let bin = row << self.bits | (place & ((1 << self.bits) - 1));
                if let Some(count) = state.counts.get_mut(bin) {
                    *count += 1;
                }
            }
            state.places = places;
        }
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

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

/// The values of the bins that have elements and how many those are, in order.
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

/// The value of the bin that has the element of a rank.
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
    doc: "The quantiles, within a relative error, in one pass.\n\n\
          Each is within ``relative_error`` of the element of rank ``floor(q * (n - 1))``, which is ``np.quantile``'s with \
          ``method=\"lower\"``: it is at most ``relative_error * abs(element)`` away, and as float64. Zeros and infinities are \
          exact; below the smallest normal number, 2.2e-308, the error is at most ``3.4e-308 * relative_error``. NaN if there is a NaN; NaN of an empty array. Memory does not depend on the length: it is that of at most \
          512 counts for each power of two among the elements, and each worker.",
    parameters: &[
        Parameter {
            name: "q",
            accepts: Accepts::Parts(1.0),
            default: DefaultValue::Float(0.5),
            doc: "The part, or a sequence of them, which gives an array.",
        },
        Parameter {
            name: "relative_error",
            accepts: Accepts::RelativeError,
            default: DefaultValue::Float(0.01),
            doc: "How far an answer may be from the element, as a part of it.",
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

// ---- distinct values ----

/// The largest ranks of hashes, for 2^`precision` registers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Registers<T> {
    precision: u32,
    item: PhantomData<fn(T)>,
}

/// Scatters 64 bits. The odd number, `SplitMix64`'s first step, keeps 0 from being its own hash.
#[inline(always)]
fn hash(key: u64) -> u64 {
    let mut bits = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl<T: Ordered> Accumulator for Registers<T> {
    const NAME: &'static str = "registers";

    type Item = T;
    type State = Vec<u8>;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Vec<u8> {
        memory::filled(0, 1 << self.precision)
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // what is shifted has a few bits left
    fn update<S: Simd>(&self, _: S, registers: &mut Vec<u8>, block: Items<'_, T>) {
        for item in block.iter() {
            let hash = hash(item.canonical().key());
            // A one behind the bits that are left ends the zeros.
            let rest = hash << self.precision | 1 << (self.precision - 1);
            if let Some(register) = registers.get_mut((hash >> (u64::BITS - self.precision)) as usize) {
                *register = (*register).max(rest.leading_zeros() as u8 + 1);
            }
        }
    }

    fn combine(&self, registers: &mut Vec<u8>, next: Vec<u8>) {
        registers.iter_mut().zip(next).for_each(|(register, next)| *register = next.max(*register));
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

/// Ertl's estimate of the number of distinct values.
fn estimate(registers: &[u8]) -> f64 {
    let mut held = [0.0; u64::BITS as usize + 1];
    for &register in registers {
        if let Some(count) = held.get_mut(usize::from(register)) {
            *count += 1.0;
        }
    }
    let m = registers.len() as f64;
    // The largest rank: one more than the bits that do not choose a register.
    let most = (u64::BITS - registers.len().ilog2()) as usize + 1;
    let last = held.get(most).copied().unwrap_or(0.0);
    let middle = held.get(1..most).unwrap_or_default();
    let z = middle.iter().rev().fold(m * tau(1.0 - last / m), |z, count| 0.5 * (z + count)) + m * sigma(held[0] / m);
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

/// x + Σ x^(2ᵏ) 2^(k−1), from k = 1 on.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight *= 2.0;
        if sum == before {
            return sum;
        }
    }
}

/// (1 − x − Σ (1 − x^(2⁻ᵏ))² 2⁻ᵏ) / 3, from k = 1 on.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

pub(super) static N_UNIQUE_APPROX: Entry = Entry {
    name: "n_unique_approx",
    doc: "The number of distinct values, estimated in one pass.\n\n\
          The standard error is ``1.04 / sqrt(2 ** precision)`` of the number: 0.8 per cent with the default. Memory is \
          ``2 ** precision`` bytes per worker. All NaN are one value, and so are zeros of both signs. HyperLogLog, with the \
          estimator of O. Ertl (arXiv:1702.01284).",
    parameters: &[Parameter {
        name: "precision",
        accepts: Accepts::Precision,
        default: DefaultValue::Int(14),
        doc: "The number of registers, as a power of two.",
    }],
    numpy: "np.unique(x).size",
    takes: Takes::Ordered,
    approximate: true,
    examples: &["precision=7"],
    resolve: |arguments, input| {
        let precision = u32::try_from(arguments.int("precision")).unwrap_or(0);
        Ok(with_ordered!(input.dtype, T => {
            let registers = Registers::<T> { precision, item: PhantomData };
            Request::new(input.values(), registers, |registers: &Vec<u8>| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate is finite, and not negative
                let rounded = estimate(registers).round() as u64;
                Ok(Value::count(rounded))
            })
        }, else return Err(input.unsupported(Takes::Ordered))))
    },
    ..Entry::USUAL
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_as_wide_as_the_error_allows() {
        let bits = |error: f64| Magnitudes::within(error).bits;
        assert_eq!([0.5, 0.34, 0.33, 0.01, 0.001].map(bits), [0, 0, 1, 6, 9]);
        // One bin to an octave: an error of a third, but for rounding.
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

    #[test]
    fn nothing_is_estimated_of_nothing_and_much_of_full_registers() {
        assert_eq!(estimate(&[0; 16]), 0.0);
        assert_eq!(estimate(&[61; 16]), f64::INFINITY);
        let one = Registers::<u64> { precision: 10, item: PhantomData };
        let mut registers = Accumulator::init(&one);
        registers[7] = 3;
        assert!((estimate(&registers) - 1.0).abs() < 1e-3);
    }
}
