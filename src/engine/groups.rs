//! Groups: the elements that have one label, put one behind the other in their own order, so that each group is a row.
//!
//! This is a counting sort by label. Labels are numbers within a known range; what is outside is left out. The elements are
//! counted per label, then each worker puts those of some labels in their places: it reads all labels, but writes to a
//! part of the memory that is its own. (Each worker writing what it reads would need places of its own per label,
//! which a million labels do not leave in any cache.)
//!
//! Another thread may change the labels between the count and the placing: a place that is not there is not written to.

use std::ops::Range;
use std::sync::Mutex;

use crate::dtype::{Block, Buffer, Item, ItemType, Number, Sealed, for_each_item};
use crate::engine::control::Control;
use crate::engine::latch::lock;
use crate::engine::pool::Workers;
use crate::engine::team::each;
use crate::error::Error;
use crate::simd::Level;
use crate::view::{BLOCK, View};

/// What stands for an element that is left out.
const OUT: u32 = u32::MAX;

/// Labels that a grouping can tell apart at most.
pub const MOST_LABELS: usize = OUT as usize;

/// Which elements make which group.
#[derive(Debug)]
pub struct Groups {
    /// The place of each element's label in the range.
    codes: Vec<u32>,
    /// The codes that occur, in order.
    present: Vec<u32>,
    /// Where each of these groups starts, and where the last one ends.
    starts: Vec<usize>,
    /// How many codes there can be.
    range: usize,
}

impl Groups {
    /// The groups of elements whose labels lie from `low` on within so many numbers, and for which the mask is true, if
    /// there is one.
    ///
    /// # Errors
    ///
    /// If the run is stopped.
    ///
    /// # Panics
    ///
    /// If there are more labels than [`MOST_LABELS`]: a bug of the caller's.
    pub fn new(
        labels: &View<'_>,
        low: i128,
        range: usize,
        mask: Option<&View<'_>>,
        workers: &Workers,
        control: &Control<'_>,
    ) -> Result<Groups, Error> {
        assert!(range <= MOST_LABELS, "labels are few enough");
        let mut codes = vec![OUT; labels.len()];
        let share = labels.len().div_ceil(4 * workers.count()).max(BLOCK).next_multiple_of(BLOCK);
        let counts = Mutex::new(vec![0_u64; range]);
        let parts: Vec<Mutex<&mut [u32]>> = codes.chunks_mut(share).map(Mutex::new).collect();
        let level = Level::current();
        each(workers, parts.len(), control, &|index| {
            let Some(part) = parts.get(index) else { return };
            let mut part = lock(part);
            let mut scratch = Buffer::new(labels.dtype().item(), BLOCK);
            let mut mask_scratch = Buffer::new(ItemType::Bool, BLOCK);
            for (number, codes) in part.chunks_mut(BLOCK).enumerate() {
                let start = index * share + number * BLOCK;
                encode(labels.load(level, start, codes.len(), &mut scratch), low, range, codes);
                let chosen = mask.map(|mask| mask.load(level, start, codes.len(), &mut mask_scratch));
                if let Some(Block::Bool(chosen)) = chosen {
                    for (code, chosen) in codes.iter_mut().zip(chosen) {
                        *code = if chosen.0 == 0 { OUT } else { *code };
                    }
                }
            }
            let mut own = vec![0_u64; range];
            for &code in part.iter() {
                if let Some(count) = own.get_mut(code as usize) {
                    *count += 1;
                }
            }
            lock(&counts).iter_mut().zip(own).for_each(|(all, own)| *all += own);
        })?;
        control.check()?;
        let counts = std::mem::take(&mut *lock(&counts));
        let mut groups = Groups { codes, present: Vec::new(), starts: vec![0], range };
        let mut end = 0;
        for (code, &count) in (0_u32..).zip(&counts) {
            if count > 0 {
                end += usize::try_from(count).unwrap_or(usize::MAX);
                groups.present.push(code);
                groups.starts.push(end);
            }
        }
        Ok(groups)
    }

    /// The codes that occur, in order.
    pub fn present(&self) -> &[u32] {
        &self.present
    }

    /// Where each group starts, and where the last one ends.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The elements, each group's one behind the other.
    ///
    /// # Errors
    ///
    /// If the run is stopped.
    pub fn arranged(&self, view: &View<'_>, workers: &Workers, control: &Control<'_>) -> Result<Buffer, Error> {
        let mut arranged = Buffer::new(view.dtype().item(), self.starts.last().copied().unwrap_or(0));
        macro_rules! arrange {
            ($($variant:ident: $item:ty,)*) => {
                match &mut arranged { $(Buffer::$variant(items) => {
                    self.place::<$item>(items, workers, control, |level, start, len, scratch, put| {
                        put(<$item>::of(view.load(level, start, len, scratch)).unwrap_or_default());
                    })?;
                })* }
            };
        }
        for_each_item!(arrange);
        Ok(arranged)
    }

    /// The positions of the elements, each group's one behind the other.
    ///
    /// # Errors
    ///
    /// If the run is stopped.
    pub fn positions(&self, workers: &Workers, control: &Control<'_>) -> Result<Buffer, Error> {
        let mut positions = vec![0_i64; self.starts.last().copied().unwrap_or(0)];
        self.place::<i64>(&mut positions, workers, control, |_, start, len, _, put| {
            let start = (start as u64).cast_signed();
            put(&(start..).take(len).collect::<Vec<i64>>());
        })?;
        Ok(Buffer::Int64(positions))
    }

    /// Puts items in their places. Each worker does so for some groups, of about as many elements as any other's.
    fn place<T: Sealed>(
        &self,
        items: &mut [T],
        workers: &Workers,
        control: &Control<'_>,
        load: impl Fn(Level, usize, usize, &mut Buffer, &mut dyn FnMut(&[T])) + Sync,
    ) -> Result<(), Error> {
        let mut rest = items;
        let mut shares: Vec<Mutex<(Range<usize>, &mut [T])>> = Vec::new();
        for groups in self.shares(workers.count()) {
            let len = self.starts[groups.end] - self.starts[groups.start];
            let (own, others) = rest.split_at_mut(len.min(rest.len()));
            shares.push(Mutex::new((groups, own)));
            rest = others;
        }
        let level = Level::current();
        each(workers, shares.len(), control, &|index| {
            let Some(share) = shares.get(index) else { return };
            let mut share = lock(share);
            let (groups, own) = &mut *share;
            let Some(&first) = self.starts.get(groups.start) else { return };
            // The next place of each code; for those of other workers beyond the end.
            let mut next = vec![usize::MAX; self.range];
            for (&code, &start) in self.present[groups.clone()].iter().zip(&self.starts[groups.clone()]) {
                next[code as usize] = start - first;
            }
            let mut scratch = Buffer::new(T::TYPE, BLOCK);
            for (number, codes) in self.codes.chunks(BLOCK).enumerate() {
                if control.is_stopped() {
                    break;
                }
                load(level, number * BLOCK, codes.len(), &mut scratch, &mut |block| {
                    for (&code, &item) in codes.iter().zip(block) {
                        let Some(place) = next.get_mut(code as usize) else { continue };
                        if let Some(slot) = own.get_mut(*place) {
                            *slot = item;
                            *place += 1;
                        }
                    }
                });
            }
        })?;
        control.check()
    }

    /// The groups in so many parts, of about as many elements each.
    fn shares(&self, count: usize) -> Vec<Range<usize>> {
        let all = self.starts.last().copied().unwrap_or(0);
        let mut shares = Vec::with_capacity(count);
        let mut start = 0;
        for share in 1..=count {
            let end = self.starts.partition_point(|&start| start < all * share / count).max(start);
            shares.push(start..end.min(self.present.len()));
            start = end.min(self.present.len());
        }
        if let Some(last) = shares.last_mut() {
            last.end = self.present.len();
        }
        shares
    }
}

/// The places of labels in the range.
fn encode(labels: Block<'_>, low: i128, range: usize, codes: &mut [u32]) {
    macro_rules! encode {
        ($($variant:ident: $item:ty,)*) => {
            match labels { $(Block::$variant(labels) => {
                for (code, &label) in codes.iter_mut().zip(labels) {
                    *code = encoded(Item::number(label), low, range);
                }
            })* }
        };
    }
    for_each_item!(encode);
}

#[inline(always)]
fn encoded(label: Number, low: i128, range: usize) -> u32 {
    let label = match label {
        Number::Int(label) => i128::from(label),
        Number::UInt(label) => i128::from(label),
        Number::Bool(label) => i128::from(label),
        Number::Float(_) | Number::Complex(_) => return OUT,
    };
    match usize::try_from(label - low) {
        Ok(code) if code < range => u32::try_from(code).unwrap_or(OUT),
        _ => OUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;

    #[test]
    fn elements_come_behind_each_other_in_their_own_order() {
        let labels = [3_i32, -1, 3, 7, -1, 3, 100];
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let view = View::of(&labels, DType::Int32);
        for workers in [1, 2, 5] {
            let workers = Workers::new(workers).unwrap_or(Workers::Caller);
            let Ok(groups) = Groups::new(&view, -1, 9, None, &workers, &Control::none()) else { unreachable!() };
            assert_eq!(groups.present(), [0, 4, 8]);
            assert_eq!(groups.starts(), [0, 2, 5, 6]);
            let values = groups.arranged(&View::of(&values, DType::Float64), &workers, &Control::none());
            assert_eq!(values, Ok(Buffer::Float64(vec![1.0, 4.0, 0.0, 2.0, 5.0, 3.0])));
            let positions = groups.positions(&workers, &Control::none());
            assert_eq!(positions, Ok(Buffer::Int64(vec![1, 4, 0, 2, 5, 3])));
        }
    }
}
