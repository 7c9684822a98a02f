//! Converts positions among the counted elements to positions among all elements.
//!
//! If elements are missing or left out by a mask, a sweep gets each block without them, and numbers the remaining
//! elements from the block's start on ([`crate::expr::Operation::Select`]).

use crate::dtype::{Bool8, Buffer, DType, Number, Sealed};
use crate::grid::BLOCK;
use crate::simd::Level;
use crate::source::View;
use crate::value::Value;

/// A kernel's positions among all elements. `counting` has the numbers of the views that mark the counted elements,
/// with the value for counted elements.
pub(super) fn among_all(value: Value, views: &[View<'_>], counting: &[(usize, bool)]) -> Value {
    if counting.is_empty() {
        return value;
    }
    let mut places = Places { views, counting, scratch: Buffer::new(DType::Bool.item(), BLOCK) };
    match value {
        Value::Scalar(Number::Int(number), dtype) => Value::Scalar(Number::Int(places.of(number)), dtype),
        Value::Array { items: Buffer::Int64(mut items), dtype } => {
            for number in &mut items {
                *number = places.of(*number);
            }
            Value::Array { items: Buffer::Int64(items), dtype }
        }
        other => other,
    }
}

struct Places<'a> {
    views: &'a [View<'a>],
    counting: &'a [(usize, bool)],
    scratch: Buffer,
}

impl Places<'_> {
    /// The position of the element with this number. (If bools were overwritten meanwhile, it may not exist; then the
    /// number itself.)
    fn of(&mut self, number: i64) -> i64 {
        let Ok(among) = usize::try_from(number) else { return number };
        let start = among / BLOCK * BLOCK;
        let len = self.views.first().map_or(0, View::len).saturating_sub(start).min(BLOCK);
        let mut counts = [true; BLOCK];
        let counts = &mut counts[..len];
        for &(view, value) in self.counting {
            let Some(view) = self.views.get(view) else { continue };
            let block = view.load(Level::current(), start, len, &mut self.scratch);
            let bools = Bool8::of(block).unwrap_or_default();
            counts.iter_mut().zip(bools).for_each(|(counts, item)| *counts &= (item.0 != 0) == value);
        }
        let mut places = counts.iter().zip(start..).filter_map(|(&counts, place)| counts.then_some(place));
        places.nth(among - start).and_then(|place| i64::try_from(place).ok()).unwrap_or(number)
    }
}
