//! The elementwise operations that formulas are made of.
//!
//! Arithmetic uses the inner loops of NumPy's own ufuncs ([`Elementwise`]), so that results have NumPy's bits for every
//! dtype. Measured on AVX-512, in ns per element in cache: 0.17 to 0.21 for their `multiply`, `add` and `absolute`,
//! with blocks of 2048 or 4096 items, and 0.16 for our own loop of |x| (`mean_abs` minus `mean`). Own loops would gain
//! little and lose NumPy's bits. They are used where no ufunc exists (choosing, selecting, converting:
//! [`cast`](super::cast)), and where they are much faster ([`power`](super::power)).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use num_complex::Complex;

use crate::dtype::{Block, Bool8, Buffer, ItemType, Ordered, Sealed, for_each_item};
use crate::expr::flags::Flags;
use crate::expr::step::{Step, packed};
use crate::simd::Level;

/// The items that an operation reads.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    /// The items; a single one for a constant.
    pub block: Block<'a>,
    /// Whether the block has one item that stands for all elements.
    pub constant: bool,
}

/// A loop over blocks from outside of the core: it returns as many items as it gets, each computed from the items at
/// the same position.
pub trait Elementwise: fmt::Debug + Send + Sync {
    /// The type of the output's items.
    fn item(&self) -> ItemType;
    /// A number that identifies the loop: two loops with the same number compute the same.
    fn identity(&self) -> usize;
    /// Computes `len` items and returns the floating-point exceptions. All operands except constants have `len` items.
    fn run(&self, operands: &[Operand<'_>], output: &mut Buffer, len: usize) -> Flags;
}

/// An [`Elementwise`] that can be shared and compared.
#[derive(Debug, Clone)]
pub struct Loop(pub Arc<dyn Elementwise>);

impl PartialEq for Loop {
    fn eq(&self, other: &Loop) -> bool {
        self.0.identity() == other.0.identity()
    }
}

impl Eq for Loop {}

impl Hash for Loop {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.identity().hash(state);
    }
}

/// An operation of a formula.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A step, which takes one operand.
    Step(Step),
    /// A ufunc's inner loop.
    Ufunc(Loop),
    /// The second operand where the first is true, the third elsewhere: `np.where`.
    Where,
    /// The second operand's items where the first is true: `x[mask]`.
    Select,
    /// Whether each of several bools has the value given in the list.
    Every(Vec<bool>),
    /// Two float64 as one complex number.
    Pair,
    /// Two items as one complex number: float64 unchanged, 64-bit integers as the bits of their [keys](Ordered::key).
    Keys,
    /// The items of this many float64 operands, operand after operand.
    Columns(usize),
}

impl Operation {
    /// The type of the output's items for input items of these types.
    pub(super) fn item(&self, mut of: impl Iterator<Item = ItemType>) -> ItemType {
        match self {
            Operation::Step(step) => step.item(of.next().unwrap_or(ItemType::Float64)),
            Operation::Ufunc(Loop(function)) => function.item(),
            Operation::Where | Operation::Select => of.nth(1).unwrap_or(ItemType::Float64),
            Operation::Every(_) => ItemType::Bool,
            Operation::Pair | Operation::Keys => ItemType::Complex128,
            Operation::Columns(_) => ItemType::Float64,
        }
    }

    /// Whether the output has an item for each input item.
    pub(super) fn keeps_all(&self) -> bool {
        match self {
            Operation::Step(step) => step.keeps_all(),
            Operation::Select | Operation::Columns(_) => false,
            Operation::Ufunc(_) | Operation::Where | Operation::Every(_) | Operation::Pair | Operation::Keys => true,
        }
    }

    /// The largest number of output items per input item.
    pub(super) fn width(&self) -> usize {
        if let Operation::Columns(count) = self { *count } else { 1 }
    }

    /// Whether an operand's items may serve as they are.
    pub(super) fn can_pass(&self) -> bool {
        matches!(self, Operation::Step(_) | Operation::Select)
    }

    /// Computes into `output`, unless an operand's items serve as they are.
    pub(super) fn apply<'b>(
        &self,
        level: Level,
        of: &[usize],
        operand: impl Fn(&usize) -> Operand<'b>,
        output: &mut Buffer,
        flags: &mut Flags,
    ) -> Computed {
        if let (Operation::Step(step), [only]) = (self, of) {
            let items = step.apply(level, operand(only).block, output, flags);
            return items.map_or(Computed::Same(0), Computed::Items);
        }
        let operands: Vec<Operand<'b>> = of.iter().map(operand).collect();
        let lens = operands.iter().filter(|operand| !operand.constant).map(|operand| operand.block.len());
        // A concurrent writer can make two selections differ in length.
        let len = lens.min().unwrap_or(0).min(output.len());
        Computed::Items(match (self, operands.as_slice()) {
            (Operation::Ufunc(Loop(function)), operands) => {
                flags.add(function.run(operands, output, len));
                len
            }
            (Operation::Where, [condition, yes, no]) => {
                choose_any(level, *condition, *yes, *no, output, len);
                len
            }
            (Operation::Select, [mask, values]) => match select_any(level, mask.block, values.block, output, len) {
                Some(kept) => kept,
                None => return Computed::Same(1),
            },
            (Operation::Every(expected), operands) => {
                every(level, expected, operands, output, len);
                len
            }
            (Operation::Pair, [real, imaginary]) => {
                pair(level, items(*real), items(*imaginary), output, len);
                len
            }
            (Operation::Keys, [first, second]) => {
                let Some(output) = Complex::of_mut(output).and_then(|output| output.get_mut(..len)) else {
                    unreachable!("a pair's register is complex");
                };
                keys(first.block, output, |pair, part| pair.re = part);
                keys(second.block, output, |pair, part| pair.im = part);
                len
            }
            (Operation::Columns(count), columns) => {
                let len = len.min(output.len() / count);
                let places = f64::of_mut(output).map(|output| output.chunks_mut(len.max(1))).into_iter().flatten();
                for (place, column) in places.zip(columns) {
                    place.iter_mut().zip(items(*column)).for_each(|(place, &item)| *place = item);
                }
                count * len
            }
            _ => unreachable!("an operation is given its operands"),
        })
    }
}

/// What an operation has computed.
pub(super) enum Computed {
    /// So many items, in the output.
    Items(usize),
    /// Nothing: the items of the operand of this number serve as they are.
    Same(usize),
}

macro_rules! for_any_item {
    ($($variant:ident: $item:ty,)*) => {
        fn choose_any(
            level: Level, condition: Operand<'_>, yes: Operand<'_>, no: Operand<'_>, output: &mut Buffer, len: usize,
        ) {
            match yes.block { $(Block::$variant(_) => choose::<$item>(level, condition, yes, no, output, len),)* }
        }

        fn select_any(level: Level, mask: Block<'_>, values: Block<'_>, output: &mut Buffer, len: usize) -> Option<usize> {
            match values { $(Block::$variant(_) => select::<$item>(level, mask, values, output, len),)* }
        }
    };
}

for_each_item!(for_any_item);

/// The operand's items.
#[inline(always)]
fn items<T: Sealed>(operand: Operand<'_>) -> &[T] {
    T::of(operand.block).unwrap_or_default()
}

#[inline(always)]
fn choose<T: Sealed>(
    level: Level,
    condition: Operand<'_>,
    yes: Operand<'_>,
    no: Operand<'_>,
    output: &mut Buffer,
    len: usize,
) {
    let (conditions, yes_items, no_items): (&[Bool8], &[T], &[T]) = (items(condition), items(yes), items(no));
    let Some(output) = T::of_mut(output).and_then(|output| output.get_mut(..len)) else { return };
    let pick = |condition: Bool8, yes: T, no: T| if condition.0 != 0 { yes } else { no };
    level.run(
        #[inline(always)]
        || match (condition.constant, yes.constant, no.constant) {
            (false, false, false) => {
                for (((y, &c), &a), &b) in output.iter_mut().zip(conditions).zip(yes_items).zip(no_items) {
                    *y = pick(c, a, b);
                }
            }
            (false, true, false) => {
                let a = yes_items.first().copied().unwrap_or_default();
                for ((y, &c), &b) in output.iter_mut().zip(conditions).zip(no_items) {
                    *y = pick(c, a, b);
                }
            }
            (false, false, true) => {
                let b = no_items.first().copied().unwrap_or_default();
                for ((y, &c), &a) in output.iter_mut().zip(conditions).zip(yes_items) {
                    *y = pick(c, a, b);
                }
            }
            (false, true, true) => {
                let (a, b) =
                    (yes_items.first().copied().unwrap_or_default(), no_items.first().copied().unwrap_or_default());
                for (y, &c) in output.iter_mut().zip(conditions) {
                    *y = pick(c, a, b);
                }
            }
            (true, ..) => {
                let first = conditions.first().is_some_and(|condition| condition.0 != 0);
                let (chosen, constant) = if first { (yes_items, yes.constant) } else { (no_items, no.constant) };
                if constant {
                    output.fill(chosen.first().copied().unwrap_or_default());
                } else {
                    for (y, &x) in output.iter_mut().zip(chosen) {
                        *y = x;
                    }
                }
            }
        },
    );
}

/// Whether each bool operand has its expected value.
#[inline(always)]
fn every(level: Level, expected: &[bool], operands: &[Operand<'_>], output: &mut Buffer, len: usize) {
    let Some(output) = Bool8::of_mut(output).and_then(|output| output.get_mut(..len)) else {
        unreachable!("it is a bool whether all are as expected");
    };
    output.fill(Bool8(1));
    for (&expected, &operand) in expected.iter().zip(operands) {
        level.run(
            #[inline(always)]
            || {
                for (all, own) in output.iter_mut().zip(items::<Bool8>(operand)) {
                    all.0 &= u8::from((own.0 != 0) == expected);
                }
            },
        );
    }
}

/// Moves the items whose mask is true to the front; `None` if that is all of them.
#[inline(always)]
fn select<T: Sealed>(
    level: Level,
    mask: Block<'_>,
    values: Block<'_>,
    output: &mut Buffer,
    len: usize,
) -> Option<usize> {
    let (Some(mask), Some(values), Some(output)) = (Bool8::of(mask), T::of(values), T::of_mut(output)) else {
        unreachable!("a mask is bool, and the output holds what the values do");
    };
    level.run(
        #[inline(always)]
        || {
            let (chosen, items) = (mask.get(..len).unwrap_or_default(), values.get(..len).unwrap_or_default());
            // In most blocks nothing is missing.
            if values.len() == len && chosen.iter().all(|chosen| chosen.0 != 0) {
                return None;
            }
            Some(packed(items, chosen.iter().map(|chosen| chosen.0 != 0), output))
        },
    )
}

/// Two floats as one complex number.
#[inline(always)]
fn pair(level: Level, real: &[f64], imaginary: &[f64], output: &mut Buffer, len: usize) {
    let Some(output) = Complex::of_mut(output).and_then(|output| output.get_mut(..len)) else {
        unreachable!("a pair's register is complex");
    };
    level.run(
        #[inline(always)]
        || {
            for ((pair, &re), &im) in output.iter_mut().zip(real).zip(imaginary) {
                *pair = Complex { re, im };
            }
        },
    );
}

/// Writes floats, or the bits of integers' keys, to one part of each pair.
fn keys(block: Block<'_>, pairs: &mut [Complex<f64>], put: impl Fn(&mut Complex<f64>, f64)) {
    match block {
        Block::Int64(items) => pairs.iter_mut().zip(items).for_each(|(pair, x)| put(pair, f64::from_bits(x.key()))),
        Block::UInt64(items) => pairs.iter_mut().zip(items).for_each(|(pair, x)| put(pair, f64::from_bits(x.key()))),
        Block::Float64(items) => pairs.iter_mut().zip(items).for_each(|(pair, &x)| put(pair, x)),
        _ => unreachable!("other items are float64 by now"),
    }
}
