//! The elementwise steps: one table, one loop each.

use num_complex::Complex;

use crate::dtype::{Block, Bool8, Buffer, Item, ItemType, Sealed, Time};
use crate::simd::Level;

/// One elementwise step of a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Leaves out NaN and NaT; the only step that may shorten a block.
    Valid,
    /// Converts a real item to float64, as NumPy's `astype` does.
    Float64,
    /// |x| of a float64.
    Absolute,
    /// x² of a float64.
    Square,
}

impl Step {
    /// Its name in plans.
    pub fn name(self) -> &'static str {
        match self {
            Step::Valid => "valid",
            Step::Float64 => "float64",
            Step::Absolute => "abs",
            Step::Square => "square",
        }
    }

    /// What comes out if this item goes in.
    pub(super) fn item(self, input: ItemType) -> ItemType {
        match self {
            Step::Valid => input,
            Step::Float64 | Step::Absolute | Step::Square => ItemType::Float64,
        }
    }

    /// Computes the step into `output` and says how many items came out, or `None` if the input serves as it is.
    pub(super) fn apply(self, level: Level, input: Block<'_>, output: &mut Buffer) -> Option<usize> {
        match self {
            Step::Valid => valid(level, input, output),
            Step::Float64 => float64(level, input, output),
            Step::Absolute => {
                map(level, input, output, |x: f64| x.abs());
                Some(input.len())
            }
            Step::Square => {
                map(level, input, output, |x: f64| x * x);
                Some(input.len())
            }
        }
    }
}

/// One item out for each item in.
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

#[allow(clippy::cast_precision_loss)]
fn float64(level: Level, input: Block<'_>, output: &mut Buffer) -> Option<usize> {
    match input {
        Block::Bool(_) => map(level, input, output, |x: Bool8| f64::from(u8::from(x.0 != 0))),
        Block::Int8(_) => map(level, input, output, |x: i8| f64::from(x)),
        Block::Int16(_) => map(level, input, output, |x: i16| f64::from(x)),
        Block::Int32(_) => map(level, input, output, |x: i32| f64::from(x)),
        Block::Int64(_) => map(level, input, output, |x: i64| x as f64),
        Block::UInt8(_) => map(level, input, output, |x: u8| f64::from(x)),
        Block::UInt16(_) => map(level, input, output, |x: u16| f64::from(x)),
        Block::UInt32(_) => map(level, input, output, |x: u32| f64::from(x)),
        Block::UInt64(_) => map(level, input, output, |x: u64| x as f64),
        Block::Float32(_) => map(level, input, output, |x: f32| f64::from(x)),
        Block::Float64(_) => return None,
        Block::Complex64(_) | Block::Complex128(_) | Block::Time(_) => {
            unreachable!("kernels of reals do not take {:?}", input)
        }
    }
    Some(input.len())
}

fn valid(level: Level, input: Block<'_>, output: &mut Buffer) -> Option<usize> {
    match input {
        Block::Float32(items) => compress(level, items, output),
        Block::Float64(items) => compress(level, items, output),
        Block::Complex64(items) => compress::<Complex<f32>>(level, items, output),
        Block::Complex128(items) => compress::<Complex<f64>>(level, items, output),
        Block::Time(items) => compress::<Time>(level, items, output),
        _ => None,
    }
}

/// Moves the items that are there to the front. Most blocks have nothing missing and are handed on as they are.
fn compress<T: Item>(level: Level, input: &[T], output: &mut Buffer) -> Option<usize> {
    let Some(output) = T::of_mut(output) else {
        unreachable!("the graph gives each step the items it is made for");
    };
    level.run(
        #[inline(always)]
        || {
            if input.iter().filter(|item| item.is_missing()).count() == 0 {
                return None;
            }
            // Every item is written, the next over it if it is missing: no branch to mispredict.
            let mut kept = 0;
            for &item in input {
                if let Some(place) = output.get_mut(kept) {
                    *place = item;
                }
                kept += usize::from(!item.is_missing());
            }
            // A racing writer can make the two loops disagree, so the count is bounded by what was written.
            Some(kept.min(input.len()))
        },
    )
}
