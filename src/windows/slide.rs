//! Sums, moments and extrema of windows.
//!
//! The array is cut into segments as long as a window. A window that is not itself a segment is the end of one and the
//! beginning of the next; what there is to know of every beginning and of every end is found in one walk over each segment,
//! and joined per window. The work does not depend on the window's size, and the bits not even on where pieces begin.
//! (M. van Herk, Pattern Recognition Letters 13 (1992), 517–521; J. Gil and M. Werman, IEEE Transactions on Pattern Analysis
//! and Machine Intelligence 15 (1993), 504–507, for extrema.)
//!
//! Sums are of differences from an element of their own, the first of a beginning and the last of an end. So a sum of squares
//! is at most as many times larger than that of the distances from the mean as there are elements, however far from zero
//! they lie; both are joined as in T. Chan, G. Golub and R. `LeVeque`, The American Statistician 37 (1983), 242–247, equation 2.1.
//!
//! Several segments are walked over at a time, one in each lane, which changes nothing for any of them.

use crate::error::Error;
use crate::fill::Fill;
use crate::kernel::{Piece, Reach};
use crate::memory;
use crate::simd::Simd;
use crate::view::Output;
use crate::windows::{CHUNK, Window};

/// Segments at a time.
const LANES: usize = 8;
/// The longest windows of which so many fit the cache.
const SHORT: usize = 1024;

/// What is asked of windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The variance, with these degrees of freedom less.
    Var(f64),
    /// Its root.
    Std(f64),
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Statistic {
    fn is_extreme(self) -> bool {
        matches!(self, Statistic::Min | Statistic::Max)
    }
}

/// An array that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) statistic: Statistic,
    /// Values without which a window has none itself.
    pub(crate) least: f64,
    pub(crate) output: Output,
}

/// Statistics of the same windows.
#[derive(Debug, Clone)]
pub(crate) struct Slides {
    pub(crate) window: Window,
    pub(crate) wanted: Vec<Wanted>,
}

impl Fill for Slides {
    const NAME: &'static str = "windows";

    type Item = f64;

    fn reach(&self) -> Reach {
        self.window.reach(CHUNK)
    }

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, f64>) -> Result<(), Error> {
        let sums = self.wanted.iter().any(|wanted| !wanted.statistic.is_extreme());
        let extremes = self.wanted.iter().any(|wanted| wanted.statistic.is_extreme());
        match (self.window.size <= SHORT, sums, extremes) {
            (true, true, true) => self.slide::<LANES, true, true>(piece),
            (true, true, false) => self.slide::<LANES, true, false>(piece),
            (true, false, _) => self.slide::<LANES, false, true>(piece),
            (false, true, true) => self.slide::<1, true, true>(piece),
            (false, true, false) => self.slide::<1, true, false>(piece),
            (false, false, _) => self.slide::<1, false, true>(piece),
        }
        Ok(())
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        let all = || self.wanted.iter().chain(&other.wanted).cloned().collect();
        (self.window == other.window).then(|| Slides { window: self.window, wanted: all() })
    }
}

/// What is known of a part of each segment: a beginning, or an end.
#[derive(Debug, Clone, Copy)]
struct Part<const L: usize> {
    count: [f64; L],
    /// Of differences from the segment's own element.
    sum: [f64; L],
    squares: [f64; L],
    low: [f64; L],
    high: [f64; L],
}

impl<const L: usize> Part<L> {
    const EMPTY: Part<L> = Part {
        count: [0.0; L],
        sum: [0.0; L],
        squares: [0.0; L],
        low: [f64::INFINITY; L],
        high: [f64::NEG_INFINITY; L],
    };

    /// Takes an element of each segment.
    #[inline(always)]
    fn take<const SUMS: bool, const EXTREMES: bool>(&mut self, items: &[f64; L], origins: &[f64; L]) {
        for lane in 0..L {
            let item = items[lane];
            let counts = item.is_finite();
            self.count[lane] += if counts { 1.0 } else { 0.0 };
            if SUMS {
                let distance = if counts { item - origins[lane] } else { 0.0 };
                self.sum[lane] += distance;
                self.squares[lane] += distance * distance;
            }
            if EXTREMES {
                let (low, high) = (self.low[lane], self.high[lane]);
                self.low[lane] = if counts & (item < low) { item } else { low };
                self.high[lane] = if counts & (item > high) { item } else { high };
            }
        }
    }

    /// One lane further: what was in the last lane leaves, `first` comes in.
    #[inline(always)]
    fn moved(&self, first: &Part<1>) -> Part<L> {
        let shift = |lanes: &[f64; L], first: f64| {
            let mut moved = [first; L];
            moved[1..].copy_from_slice(&lanes[..L - 1]);
            moved
        };
        Part {
            count: shift(&self.count, first.count[0]),
            sum: shift(&self.sum, first.sum[0]),
            squares: shift(&self.squares, first.squares[0]),
            low: shift(&self.low, first.low[0]),
            high: shift(&self.high, first.high[0]),
        }
    }

    fn last(&self) -> Part<1> {
        let last = L - 1;
        Part {
            count: [self.count[last]],
            sum: [self.sum[last]],
            squares: [self.squares[last]],
            low: [self.low[last]],
            high: [self.high[last]],
        }
    }
}

/// What is known of windows: the end of a segment, and the beginning of the next.
struct Joined<const L: usize> {
    count: [f64; L],
    sum: [f64; L],
    /// The squares of distances from the mean.
    squares: [f64; L],
    low: [f64; L],
    high: [f64; L],
}

impl<const L: usize> Joined<L> {
    #[inline(always)]
    fn new<const SUMS: bool, const EXTREMES: bool>(
        end: &Part<L>,
        end_origins: &[f64; L],
        beginning: &Part<L>,
        origins: &[f64; L],
    ) -> Joined<L> {
        let zero = [0.0; L];
        let mut joined = Joined { count: zero, sum: zero, squares: zero, low: zero, high: zero };
        for lane in 0..L {
            let (left, right) = (end.count[lane], beginning.count[lane]);
            joined.count[lane] = left + right;
            if SUMS {
                // Of no elements the sums are 0, and so are these.
                let (left_mean, right_mean) = (end.sum[lane] / left.max(1.0), beginning.sum[lane] / right.max(1.0));
                let left_squares = (end.squares[lane] - end.sum[lane] * left_mean).max(0.0);
                let right_squares = (beginning.squares[lane] - beginning.sum[lane] * right_mean).max(0.0);
                let apart = (origins[lane] - end_origins[lane]) + (right_mean - left_mean);
                let weight = left * right / (left + right).max(1.0);
                joined.squares[lane] =
                    left_squares + right_squares + if weight > 0.0 { apart * apart * weight } else { 0.0 };
                joined.sum[lane] =
                    (left * end_origins[lane] + end.sum[lane]) + (right * origins[lane] + beginning.sum[lane]);
            }
            if EXTREMES {
                joined.low[lane] = end.low[lane].min(beginning.low[lane]);
                joined.high[lane] = end.high[lane].max(beginning.high[lane]);
            }
        }
        joined
    }

    #[inline(always)]
    fn value(&self, statistic: Statistic, least: f64) -> [f64; L] {
        let values = match statistic {
            Statistic::Sum => {
                return std::array::from_fn(|lane| if self.count[lane] >= least { self.sum[lane] } else { f64::NAN });
            }
            Statistic::Mean => std::array::from_fn(|lane| self.sum[lane] / self.count[lane]),
            Statistic::Var(ddof) => std::array::from_fn(|lane| self.variance(lane, ddof)),
            Statistic::Std(ddof) => std::array::from_fn(|lane| self.variance(lane, ddof).sqrt()),
            Statistic::Min => self.low,
            Statistic::Max => self.high,
        };
        let least = least.max(1.0);
        std::array::from_fn(|lane| if self.count[lane] >= least { values[lane] } else { f64::NAN })
    }

    #[inline(always)]
    fn variance(&self, lane: usize, ddof: f64) -> f64 {
        let freedom = self.count[lane] - ddof;
        if freedom > 0.0 { self.squares[lane] / freedom } else { f64::NAN }
    }
}

/// An element that differences are taken from: none so large that they could overflow, if they need not.
#[inline(always)]
fn origin(item: Option<&f64>) -> f64 {
    item.copied().filter(|item| item.abs() < f64::MAX / 4.0).unwrap_or(0.0)
}

impl Slides {
    #[inline(always)]
    fn slide<const L: usize, const SUMS: bool, const EXTREMES: bool>(&self, piece: &Piece<'_, f64>) {
        let Window { size, after } = self.window;
        let first = piece.start - piece.own.start;
        let (start, end) = (piece.start + after, piece.start + after + piece.own.len());
        let mut rows = memory::filled([f64::NAN; L], size);
        let mut beginnings = memory::filled(Part::<L>::EMPTY, size);
        // The last one is that of no elements.
        let mut ends = memory::filled(Part::<L>::EMPTY, size + 1);
        let mut before = memory::filled(Part::<1>::EMPTY, size + 1);
        let mut before_origin = 0.0;
        let mut values: Vec<Vec<[f64; L]>> = self.wanted.iter().map(|_| memory::filled([0.0; L], size)).collect();
        let mut column = memory::filled(0.0, size);
        // Windows end in segments from this one on; what is known of the one before it comes first.
        let mut segment = (start / size * size).saturating_sub(size);
        while segment < end {
            let (mut origins, mut end_origins) = ([0.0; L], [0.0; L]);
            for lane in 0..L {
                let (from, to) = (segment + lane * size, segment + (lane + 1) * size);
                // The segment may reach beyond what is known on both sides.
                let known = from.clamp(first, first + piece.items.len())..to.clamp(first, first + piece.items.len());
                let items = piece.items.get(known.start - first..known.end - first).unwrap_or_default();
                origins[lane] = origin(items.iter().find(|item| item.is_finite()));
                end_origins[lane] = origin(items.iter().rfind(|item| item.is_finite()));
                if items.len() < size {
                    for row in &mut rows {
                        row[lane] = f64::NAN;
                    }
                }
                let places = rows.iter_mut().skip(known.start.saturating_sub(from));
                places.zip(items).for_each(|(row, &item)| row[lane] = item);
            }
            let (mut beginning, mut ending) = (Part::<L>::EMPTY, Part::<L>::EMPTY);
            let backwards = rows.iter().zip(&mut ends).rev();
            for ((row, place), (back, end)) in rows.iter().zip(&mut beginnings).zip(backwards) {
                beginning.take::<SUMS, EXTREMES>(row, &origins);
                *place = beginning;
                ending.take::<SUMS, EXTREMES>(back, &end_origins);
                *end = ending;
            }
            let mut left_origins = [before_origin; L];
            left_origins[1..].copy_from_slice(&end_origins[..L - 1]);
            let parts = beginnings.iter().zip(ends.iter().skip(1)).zip(before.iter().skip(1));
            for (row, ((beginning, end), before)) in parts.enumerate() {
                let joined = Joined::new::<SUMS, EXTREMES>(&end.moved(before), &left_origins, beginning, &origins);
                for (wanted, values) in self.wanted.iter().zip(&mut values) {
                    if let Some(place) = values.get_mut(row) {
                        *place = joined.value(wanted.statistic, wanted.least);
                    }
                }
            }
            for (wanted, values) in self.wanted.iter().zip(&values) {
                for lane in 0..L {
                    column.iter_mut().zip(values).for_each(|(place, row)| *place = row[lane]);
                    // Those of the windows that end in this piece.
                    let whole = segment + lane * size;
                    let (from, to) = (whole.max(start), (whole + size).min(end));
                    if from < to {
                        let known = column.get(from - whole..to - whole).unwrap_or_default();
                        wanted.output.write_floats(from - after, known);
                    }
                }
            }
            before.iter_mut().zip(&ends).for_each(|(before, end)| *before = end.last());
            before_origin = end_origins[L - 1];
            segment += L * size;
        }
    }
}
