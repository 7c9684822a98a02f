//! Quantiles of windows.
//!
//! The elements of a piece and its neighbours are sorted once. From then on, an element is represented by its rank, and
//! a window by a set of ranks. The set is a bitmap whose words have a bitmap of their own, and so on, so that the next
//! rank of a set is found in a few steps. For each quantile, a cursor stays at its rank while elements come and go.

use crate::array_writer::ArrayWriter;
use crate::dtype::Ordered;
use crate::error::Error;
use crate::grid::CHUNK;
use crate::kernel::{Piece, Reach};
use crate::memory;
use crate::simd::Simd;
use crate::source::Output;
use crate::windows::Window;

/// An array that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// From 0 to 1.
    pub(crate) quantile: f64,
    /// Values without which a window has none itself.
    pub(crate) least: usize,
    pub(crate) output: Output,
}

/// Quantiles of the same windows.
#[derive(Debug, Clone)]
pub(crate) struct Quantiles {
    pub(crate) window: Window,
    pub(crate) wanted: Vec<Wanted>,
}

/// The levels of a bitmap: 64⁴ words of the lowest are more elements than a piece has.
const BITS: usize = 64;

/// A set of numbers below a limit.
struct Set {
    /// The bits of the numbers, of the words of these that are not 0, and so on up to a single word.
    levels: Vec<Vec<u64>>,
}

impl Set {
    fn new(limit: usize) -> Set {
        let mut levels = Vec::new();
        let mut len = limit.max(1);
        while levels.is_empty() || len > 1 {
            len = len.div_ceil(BITS);
            levels.push(memory::filled(0, len));
        }
        Set { levels }
    }

    fn insert(&mut self, mut number: usize) {
        for words in &mut self.levels {
            let Some(word) = words.get_mut(number / BITS) else { return };
            *word |= 1 << (number % BITS);
            number /= BITS;
        }
    }

    fn remove(&mut self, mut number: usize) {
        for words in &mut self.levels {
            let Some(word) = words.get_mut(number / BITS) else { return };
            *word &= !(1 << (number % BITS));
            if *word != 0 {
                return;
            }
            number /= BITS;
        }
    }

    /// The smallest number above this one.
    fn next(&self, mut number: usize) -> Option<usize> {
        for (level, words) in self.levels.iter().enumerate() {
            let (word, bit) = (number / BITS, number % BITS);
            // Those above, of which there are none for the last bit.
            let above = words.get(word)? & (u64::MAX << bit << 1);
            if above != 0 {
                let found = word * BITS + above.trailing_zeros() as usize;
                return self.descend(level, found, u64::trailing_zeros);
            }
            number = word;
        }
        None
    }

    /// The largest number below this one.
    fn previous(&self, mut number: usize) -> Option<usize> {
        for (level, words) in self.levels.iter().enumerate() {
            let (word, bit) = (number / BITS, number % BITS);
            let below = words.get(word)? & !(u64::MAX << bit);
            if below != 0 {
                let found = word * BITS + below.ilog2() as usize;
                return self.descend(level, found, u64::ilog2);
            }
            number = word;
        }
        None
    }

    /// From a bit of a level down to a number.
    fn descend(&self, level: usize, mut number: usize, pick: impl Fn(u64) -> u32) -> Option<usize> {
        for words in self.levels.iter().take(level).rev() {
            number = number * BITS + pick(*words.get(number)?) as usize;
        }
        Some(number)
    }
}

/// A member of a set, and how many there are below it.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    at: Option<usize>,
    below: usize,
}

impl Cursor {
    /// A number has come.
    fn inserted(&mut self, number: usize) {
        match self.at {
            Some(at) => self.below += usize::from(number < at),
            None => *self = Cursor { at: Some(number), below: 0 },
        }
    }

    /// A number is to go.
    fn removing(&mut self, number: usize, set: &Set) {
        match self.at {
            Some(at) if number < at => self.below -= 1,
            Some(at) if number == at => match set.next(at) {
                Some(next) => self.at = Some(next),
                None => *self = Cursor { at: set.previous(at), below: self.below.saturating_sub(1) },
            },
            _ => {}
        }
    }

    /// Goes to the member that has so many below it.
    fn seek(&mut self, below: usize, set: &Set) -> Option<usize> {
        while self.below != below {
            let at = self.at?;
            let forward = self.below < below;
            self.at = if forward { set.next(at) } else { set.previous(at) };
            self.below = if forward { self.below + 1 } else { self.below - 1 };
        }
        self.at
    }
}

impl Wanted {
    /// The quantile of so many elements, linear between two of them.
    fn value(&self, count: usize, cursor: &mut Cursor, set: &Set, sorted: &[u64]) -> f64 {
        if count < self.least.max(1) {
            return f64::NAN;
        }
        let item =
            |rank: Option<usize>| rank.and_then(|rank| sorted.get(rank)).map_or(f64::NAN, |key| f64::of_key(*key));
        let place = self.quantile * (count - 1) as f64;
        let below = whole(place).min(count - 1);
        let fraction = place - below as f64;
        let at = cursor.seek(below, set);
        let low = item(at);
        if fraction == 0.0 {
            return low;
        }
        let high = item(at.and_then(|at| set.next(at)));
        // From the nearer of the two, as NumPy does.
        if self.quantile == 0.5 {
            f64::midpoint(low, high)
        } else if fraction < 0.5 {
            low + (high - low) * fraction
        } else {
            high - (high - low) * (1.0 - fraction)
        }
    }
}

/// The whole part of a number that is not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> usize {
    number as usize
}

impl ArrayWriter for Quantiles {
    const NAME: &'static str = "quantiles of windows";

    type Item = f64;

    fn reach(&self) -> Reach {
        self.window.reach(CHUNK)
    }

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, f64>) -> Result<(), Error> {
        self.slide(piece);
        Ok(())
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        let all = || self.wanted.iter().chain(&other.wanted).cloned().collect();
        (self.window == other.window).then(|| Quantiles { window: self.window, wanted: all() })
    }
}

impl Quantiles {
    fn slide(&self, piece: &Piece<'_, f64>) {
        let Window { size, after } = self.window;
        // Read once: the array may change.
        let places = piece.items.iter().enumerate().filter(|(_, item)| item.is_finite());
        let mut order: Vec<(u64, usize)> = memory::with_room(piece.items.len());
        order.extend(places.map(|(place, item)| (item.key(), place)));
        order.sort_unstable();
        // Missing elements have no rank.
        let mut ranks = memory::filled(usize::MAX, piece.items.len());
        for (rank, &(_, place)) in order.iter().enumerate() {
            if let Some(known) = ranks.get_mut(place) {
                *known = rank;
            }
        }
        let sorted: Vec<u64> = memory::collected(order.iter().map(|(key, _)| *key));
        let mut set = Set::new(sorted.len());
        let mut cursors = vec![Cursor::default(); self.wanted.len()];
        let mut count = 0;
        let insert = |place: usize, set: &mut Set, cursors: &mut [Cursor], count: &mut usize| {
            if let Some(&rank) = ranks.get(place).filter(|rank| **rank != usize::MAX) {
                set.insert(rank);
                for cursor in cursors.iter_mut() {
                    cursor.inserted(rank);
                }
                *count += 1;
            }
        };
        let remove = |place: usize, set: &mut Set, cursors: &mut [Cursor], count: &mut usize| {
            if let Some(&rank) = ranks.get(place).filter(|rank| **rank != usize::MAX) {
                for cursor in cursors.iter_mut() {
                    cursor.removing(rank, set);
                }
                set.remove(rank);
                *count -= 1;
            }
        };
        // The window of the first element, but for its last one.
        for place in (piece.own.start + after).saturating_sub(size - 1)..piece.own.start + after {
            insert(place, &mut set, &mut cursors, &mut count);
        }
        let mut parts: Vec<Vec<f64>> = self.wanted.iter().map(|_| memory::with_room(piece.own.len())).collect();
        for place in piece.own.clone() {
            insert(place + after, &mut set, &mut cursors, &mut count);
            for ((wanted, cursor), values) in self.wanted.iter().zip(&mut cursors).zip(&mut parts) {
                values.push(wanted.value(count, cursor, &set, &sorted));
            }
            if let Some(first) = (place + after + 1).checked_sub(size) {
                remove(first, &mut set, &mut cursors, &mut count);
            }
        }
        for (wanted, values) in self.wanted.iter().zip(&parts) {
            wanted.output.write_floats(piece.start, values);
        }
    }
}
