//! The number of distinct values, estimated in one pass and little memory: `n_unique_approx`.
//!
//! p bits of each element's hash choose a register. The register keeps the largest number of leading zeros, plus one,
//! of the other bits (Flajolet, Fusy, Gandouet & Meunier, `HyperLogLog`, DMTCS Proceedings AH (2007), 137–156). The
//! number of values is estimated from the histogram of the registers' contents with Ertl's improved raw estimator
//! (arXiv:1702.01284, algorithm 6), which needs no correction for few or for many values. The hash is David Stafford's
//! thirteenth mix of 64 bits, the last step of `SplitMix64` (Steele, Lea & Flood, OOPSLA 2014, 453–472).

use std::marker::PhantomData;

use crate::dtype::{Ordered, with_ordered};
use crate::kernel::{Accumulator, Entry, Items, Request, Takes};
use crate::memory;
use crate::parameters::{Accepts, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::value::Value;

/// Accumulates the largest rank of the hashes in each of 2^`precision` registers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Registers<T> {
    precision: u32,
    item: PhantomData<fn(T)>,
}

/// Hashes 64 bits. Adding the odd number, `SplitMix64`'s first step, ensures that the hash of 0 is not 0.
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
            // A one bit after the remaining bits limits the count of zeros.
            let rest = hash << self.precision | 1 << (self.precision - 1);
            if let Some(register) = registers.get_mut((hash >> (u64::BITS - self.precision)) as usize) {
                *register = (*register).max(rest.leading_zeros() as u8 + 1);
            }
        }
    }

    fn combine(&self, registers: &mut Vec<u8>, next: Vec<u8>) {
        registers.iter_mut().zip(next).for_each(|(register, next)| *register = next.max(*register));
    }

    fn unify(&self, other: &Self) -> Option<Self> {
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
          The relative standard error is ``1.04 / sqrt(2 ** precision)``: 0.8 per cent with the default. It needs ``2 \
          ** precision`` bytes of memory per worker. All NaN count as one value. +0 and -0 count as one value. The \
          method is HyperLogLog, with the estimator of O. Ertl (arXiv:1702.01284).",
    parameters: &[Parameter {
        name: "precision",
        accepts: Accepts::Precision,
        default: DefaultValue::Int(14),
        doc: "The base-2 logarithm of the number of registers.",
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
                // An estimate is finite, and not negative.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
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
    fn nothing_is_estimated_of_nothing_and_much_of_full_registers() {
        assert_eq!(estimate(&[0; 16]), 0.0);
        assert_eq!(estimate(&[61; 16]), f64::INFINITY);
        let one = Registers::<u64> { precision: 10, item: PhantomData };
        let mut registers = Accumulator::init(&one);
        registers[7] = 3;
        assert!((estimate(&registers) - 1.0).abs() < 1e-3);
    }
}
