//! The elementwise steps: leaving out NaN or what is outside a range, conversions, absolute values, powers, scaling,
//! distances from a center.
//!
//! A step takes one operand, and its loops are our own, compiled once per instruction set. What takes several is in
//! `operation`.

use num_complex::Complex;

use crate::dtype::{Block, Buffer, DType, Item, ItemType, Sealed, Time};
use crate::expr::cast::{cast, halve};
use crate::expr::flags::Flags;
use crate::expr::power::powers;
use crate::scale::Scale;
use crate::simd::Level;

/// One elementwise step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Leaves out NaN and NaT. Only this step and the next may shorten a block.
    Valid,
    /// Keeps only float64 between two ends, including the ends.
    Within(Ends),
    /// Converts items, as NumPy's `astype` does.
    Cast(ItemType),
    /// Rounds floats to float16, whose items are float32.
    Half,
    /// |x| of a float64.
    Absolute,
    /// A float to an integer power, one of [`EXPONENTS`](super::EXPONENTS).
    Power(u8),
    /// Scales a float64 by the first scale, or both parts of a complex number, each by its own scale.
    Scaled(Scale, Scale),
    /// |x − c| of a float, in its own precision.
    Deviation(Center),
}

/// A lower and an upper end, as the bits of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    low: u64,
    high: u64,
}

/// The center of deviations: a float, as its bits, and the dtype to which deviations are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Center {
    bits: u64,
    dtype: DType,
}

impl Step {
    /// |x − c| of floats of this dtype.
    pub fn deviation(center: f64, dtype: DType) -> Step {
        Step::Deviation(Center { bits: center.to_bits(), dtype })
    }

    /// Keeps only float64 from `low` to `high`.
    pub fn within(low: f64, high: f64) -> Step {
        Step::Within(Ends { low: low.to_bits(), high: high.to_bits() })
    }

    /// The step's name in plans.
    pub fn name(self) -> &'static str {
        match self {
            Step::Valid => "valid",
            Step::Within(_) => "within",
            Step::Cast(item) => item.dtype().name(),
            Step::Half => DType::Float16.name(),
            Step::Absolute => "abs",
            Step::Power(_) => "power",
            Step::Scaled(..) => "scaled",
            Step::Deviation(_) => "deviation",
        }
    }

    /// The type of the output's items for input items of this type.
    pub(super) fn item(self, input: ItemType) -> ItemType {
        match self {
            Step::Valid | Step::Scaled(..) | Step::Deviation(_) | Step::Power(_) => input,
            Step::Cast(item) => item,
            Step::Half => ItemType::Float32,
            Step::Within(_) | Step::Absolute => ItemType::Float64,
        }
    }

    /// Whether the output has an item for each input item.
    pub(super) fn keeps_all(self) -> bool {
        match self {
            Step::Valid | Step::Within(_) => false,
            Step::Cast(_) | Step::Half | Step::Absolute | Step::Power(_) | Step::Scaled(..) | Step::Deviation(_) => {
                true
            }
        }
    }

    /// Computes the step into `output` and returns the number of items, or `None` if the input can be used unchanged.
    pub(super) fn apply(self, level: Level, input: Block<'_>, output: &mut Buffer, flags: &mut Flags) -> Option<usize> {
        match self {
            Step::Valid => valid(level, input, output),
            Step::Within(ends) => {
                let (low, high) = (f64::from_bits(ends.low), f64::from_bits(ends.high));
                compress(level, f64::of(input).unwrap_or_default(), output, |x| (low <= x) & (x <= high))
            }
            Step::Cast(item) if input.item() == item => None,
            Step::Cast(_) => {
                flags.add(cast(level, input, output));
                Some(input.len())
            }
            Step::Half => {
                flags.add(halve(level, input, output));
                Some(input.len())
            }
            Step::Absolute => {
                map(level, input, output, |x: f64| x.abs());
                Some(input.len())
            }
            Step::Power(exponent) => {
                flags.add(powers(level, exponent, input, output));
                Some(input.len())
            }
            Step::Scaled(first, second) => {
                match input.item() {
                    ItemType::Complex128 => map(level, input, output, |pair: Complex<f64>| Complex {
                        re: first.scaled(pair.re),
                        im: second.scaled(pair.im),
                    }),
                    _ => map(level, input, output, |x: f64| first.scaled(x)),
                }
                Some(input.len())
            }
            Step::Deviation(center) => {
                center.deviations(level, input, output);
                Some(input.len())
            }
        }
    }
}

impl Center {
    #[allow(clippy::cast_possible_truncation)]
    fn deviations(self, level: Level, input: Block<'_>, output: &mut Buffer) {
        let center = f64::from_bits(self.bits);
        match (input.item(), self.dtype) {
            (ItemType::Float32, DType::Float16) => {
                let rounded = |x: f32| self.dtype.round(f64::from(x) - center).abs() as f32;
                map(level, input, output, rounded);
            }
            (ItemType::Float32, _) => {
                let center = center as f32;
                map(level, input, output, |x: f32| (x - center).abs());
            }
            _ => map(level, input, output, |x: f64| (x - center).abs()),
        }
    }
}

/// Computes one output item per input item.
#[inline(always)]
fn map<T: Sealed, U: Sealed>(level: Level, input: Block<'_>, output: &mut Buffer, f: impl Fn(T) -> U) {
    let (Some(input), Some(output)) = (T::of(input), U::of_mut(output)) else {
        unreachable!("the graph gives each step the items it is made for");
    };
    level.run(
        #[inline(always)]
        || {
            for (y, &x) in output.iter_mut().zip(input) {
                *y = f(x);
            }
        },
    );
}

/// Leaves out NaN and NaT; `None` if there are none.
fn valid(level: Level, input: Block<'_>, output: &mut Buffer) -> Option<usize> {
    match input {
        Block::Float32(items) => compress(level, items, output, is_there),
        Block::Float64(items) => compress(level, items, output, is_there),
        Block::Complex64(items) => compress::<Complex<f32>>(level, items, output, is_there),
        Block::Complex128(items) => compress::<Complex<f64>>(level, items, output, is_there),
        Block::Time(items) => compress::<Time>(level, items, output, is_there),
        _ => None,
    }
}

#[inline(always)]
fn is_there<T: Item>(item: T) -> bool {
    !item.is_missing()
}

/// Moves the kept items to the front of the output, and returns how many there are.
#[inline(always)]
pub(super) fn packed<T: Copy>(items: &[T], keeps: impl Iterator<Item = bool>, output: &mut [T]) -> usize {
    // Every item is written, and overwritten by the next one if it is not kept. This avoids a branch.
    let mut kept = 0;
    for (&item, keeps) in items.iter().zip(keeps) {
        if let Some(place) = output.get_mut(kept) {
            *place = item;
        }
        kept += usize::from(keeps);
    }
    kept.min(output.len())
}

/// Moves the kept items to the front. Most blocks keep all items and are passed on unchanged.
#[inline(always)]
fn compress<T: Item>(level: Level, input: &[T], output: &mut Buffer, keeps: impl Fn(T) -> bool) -> Option<usize> {
    let Some(output) = T::of_mut(output) else {
        unreachable!("the graph gives each step the items it is made for");
    };
    level.run(
        #[inline(always)]
        || {
            if input.iter().filter(|item| !keeps(**item)).count() == 0 {
                return None;
            }
            Some(packed(input, input.iter().map(|item| keeps(*item)), output))
        },
    )
}
