//! Sums, moments and extrema of windows.
//!
//! The array is divided into segments that are as long as a window. A window is either a segment, or the end of one
//! segment and the beginning of the next. One walk over each segment finds the state of every beginning and every end;
//! two of them are joined for each window. The work does not depend on the window's size, and the bits of the results
//! do not depend on where pieces begin. (M. van Herk, Pattern Recognition Letters 13 (1992), 517–521; J. Gil and M.
//! Werman, IEEE Transactions on Pattern Analysis and Machine Intelligence 15 (1993), 504–507, for extrema.)
//!
//! The walk goes over several segments at a time, one in each lane. This does not change the result of any segment.

use std::marker::PhantomData;
use std::ops::Range;

use fearless_simd::f64x8;

use crate::array_writer::ArrayWriter;
use crate::error::Error;
use crate::grid::CHUNK;
use crate::kernel::{Piece, Reach};
use crate::lanes::Double;
use crate::memory;
use crate::rounding::{Divisor, Lanes};
use crate::simd::Simd;
use crate::source::Output;
use crate::windows::Window;
use crate::windows::exact::Exact;
use crate::windows::parts::{Extremes, Part, Spread, Sums};

/// The longest windows of which eight fit the cache.
const SHORT: usize = 4096;

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
    window: Window,
    wanted: Vec<Wanted>,
}

impl ArrayWriter for Slides {
    const NAME: &'static str = "windows";

    type Item = f64;

    fn reach(&self) -> Reach {
        self.window.reach(CHUNK)
    }

    #[inline(always)]
    fn fill<S: Simd>(&self, simd: S, piece: &Piece<'_, f64>) -> Result<(), Error> {
        if self.window.size <= SHORT {
            self.slide::<f64x8<S>>(simd, piece);
        } else {
            self.slide::<f64>((), piece);
        }
        Ok(())
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        let all = || self.wanted.iter().chain(&other.wanted).cloned().collect();
        (self.window == other.window).then(|| Slides { window: self.window, wanted: all() })
    }
}

impl Slides {
    pub(crate) fn new(window: Window, wanted: Wanted) -> Slides {
        Slides { window, wanted: vec![wanted] }
    }

    #[inline(always)]
    fn slide<V: Lanes>(&self, token: V::Token, piece: &Piece<'_, f64>) {
        let place = Place {
            window: self.window,
            first: piece.start - piece.own.start,
            ends: piece.start + self.window.after..piece.start + self.window.after + piece.own.len(),
        };
        let mut sums = Walk::<V, Sums, 4>::new(token, self);
        let mut spread = Walk::<V, Spread, 5>::new(token, self);
        let mut extremes = Walk::<V, Extremes, 3>::new(token, self);
        let mut rows = memory::filled(V::splat(token, f64::NAN).floats(), self.window.size);
        let mut column = memory::filled(0.0, self.window.size);
        // Windows end in segments from this one on; what is known of the one before it comes first.
        let mut segment = (place.ends.start / place.window.size * place.window.size).saturating_sub(place.window.size);
        while segment < place.ends.end {
            place.load::<V>(segment, piece.items, &mut rows);
            sums.go(token, segment, &place, &rows, &mut column);
            spread.go(token, segment, &place, &rows, &mut column);
            extremes.go(token, segment, &place, &rows, &mut column);
            segment += V::COUNT * place.window.size;
        }
        sums.doubtful.retain(|window| place.ends.contains(window));
        if !sums.doubtful.is_empty() {
            sums.doubtful.sort_unstable();
            self.settle(&sums.wanted, piece, &sums.doubtful);
        }
    }

    /// Writes what follows from the sums of the windows that end with these elements, one after the other, without
    /// rounding.
    fn settle(&self, wanted: &[(&Wanted, Divisor)], piece: &Piece<'_, f64>, ends: &[usize]) {
        let Window { size, after } = self.window;
        let first = piece.start - piece.own.start;
        let (mut sum, mut count, mut known) = (Exact::ZERO, 0.0, 0..0);
        let finite = |places: Range<usize>| {
            let items = piece.items.get(places).unwrap_or_default();
            items.iter().copied().filter(|item| item.is_finite())
        };
        for &end in ends {
            let next = (end + 1).saturating_sub(size + first)..(end + 1 - first).min(piece.items.len());
            if next.start >= known.end {
                (sum, count, known) = (Exact::ZERO, 0.0, next.start..next.start);
            }
            for item in finite(known.start..next.start) {
                sum.add(-item);
                count -= 1.0;
            }
            for item in finite(known.end..next.end) {
                sum.add(item);
                count += 1.0;
            }
            known = next;
            let Double { high, low } = sum.value();
            for (wanted, divisor) in wanted {
                let value = wanted.statistic.value([count, high, low], wanted.least, *divisor);
                wanted.output.write_floats(end - after, &[value]);
            }
        }
    }
}

/// Where a piece is.
struct Place {
    window: Window,
    /// The number of its first known element.
    first: usize,
    /// Those of the last elements of its windows.
    ends: Range<usize>,
}

impl Place {
    /// Puts segments into rows, one in each lane, from this one on.
    #[inline(always)]
    fn load<V: Lanes>(&self, segment: usize, items: &[f64], rows: &mut [V::Floats]) {
        let size = self.window.size;
        for lane in 0..V::COUNT {
            let (from, to) = (segment + lane * size, segment + (lane + 1) * size);
            // The segment may reach beyond what is known on both sides.
            let known =
                from.clamp(self.first, self.first + items.len())..to.clamp(self.first, self.first + items.len());
            let items = items.get(known.start - self.first..known.end - self.first).unwrap_or_default();
            if items.len() < size {
                for row in rows.iter_mut() {
                    row.as_mut()[lane] = f64::NAN;
                }
            }
            for (row, &item) in rows.iter_mut().skip(known.start.saturating_sub(from)).zip(items) {
                row.as_mut()[lane] = item;
            }
        }
    }
}

/// What is known of segments as they are walked over.
struct Walk<'a, V: Lanes, P, const F: usize> {
    wanted: Vec<(&'a Wanted, Divisor)>,
    /// As many elements as a part has at most, step by step.
    steps: Vec<Divisor>,
    /// Of every beginning of a segment, and every end; the last is that of no elements.
    beginnings: Vec<[V; F]>,
    ends: Vec<[V; F]>,
    /// The ends of the segment before.
    before: Vec<[f64; F]>,
    /// What is wanted, row by row.
    values: Vec<V::Floats>,
    /// The last elements of windows that are in doubt.
    doubtful: Vec<usize>,
    part: PhantomData<P>,
}

impl<'a, V: Lanes, P: Part<F>, const F: usize> Walk<'a, V, P, F> {
    #[inline(always)]
    fn new(token: V::Token, slides: &'a Slides) -> Self {
        let wanted = slides.wanted.iter().filter(|wanted| P::serves(wanted.statistic));
        let wanted: Vec<_> = wanted.map(|wanted| (wanted, wanted.statistic.divisor(slides.window.size))).collect();
        let size = if wanted.is_empty() { 0 } else { slides.window.size };
        let empty = Self::empty(token);
        Walk {
            beginnings: memory::filled(empty, size),
            ends: memory::filled(empty, size + 1),
            before: memory::filled(P::EMPTY, size + 1),
            steps: memory::collected((1..=size).map(|n| Divisor::new(n as f64))),
            values: memory::filled(V::splat(token, 0.0).floats(), size * wanted.len()),
            wanted,
            doubtful: Vec::new(),
            part: PhantomData,
        }
    }

    #[inline(always)]
    fn empty(token: V::Token) -> [V; F] {
        let mut empty = [V::splat(token, 0.0); F];
        for (known, x) in empty.iter_mut().zip(P::EMPTY) {
            *known = V::splat(token, x);
        }
        empty
    }

    /// Walks over segments and writes what follows for the windows that end in them.
    #[inline(always)]
    fn go(&mut self, token: V::Token, segment: usize, place: &Place, rows: &[V::Floats], column: &mut [f64]) {
        if self.wanted.is_empty() {
            return;
        }
        let (mut beginning, mut ending) = (Self::empty(token), Self::empty(token));
        let backwards = rows.iter().zip(&mut self.ends).rev();
        for (((row, known), (back, end)), &step) in
            rows.iter().zip(&mut self.beginnings).zip(backwards).zip(&self.steps)
        {
            P::take(&mut beginning, V::load(token, row), step);
            *known = beginning;
            P::take(&mut ending, V::load(token, back), step);
            *end = ending;
        }
        let size = place.window.size;
        let whole = Divisor::new(size as f64);
        let parts = self.beginnings.iter().zip(self.ends.iter().skip(1)).zip(self.before.iter().skip(1));
        let mut doubt = V::splat(token, 0.0);
        for (row, ((beginning, end), before)) in parts.clone().enumerate() {
            let joined = P::join(&moved(end, before), beginning, whole);
            for (number, (wanted, divisor)) in self.wanted.iter().enumerate() {
                if let Some(value) = self.values.get_mut(number * size + row) {
                    *value = wanted.statistic.value(joined, wanted.least, *divisor).floats();
                }
            }
            doubt = doubt + P::doubt(&joined);
        }
        // Seldom: so it is looked for once more.
        if doubt.floats().as_ref().iter().any(|doubt| doubt.is_nan()) {
            for (row, ((beginning, end), before)) in parts.enumerate() {
                let doubts = P::doubt(&P::join(&moved(end, before), beginning, whole)).floats();
                let lanes = doubts.as_ref().iter().enumerate().filter(|(_, doubt)| doubt.is_nan());
                memory::extend(&mut self.doubtful, lanes.map(|(lane, _)| segment + lane * size + row));
            }
        }
        for ((wanted, _), values) in self.wanted.iter().zip(self.values.chunks_exact(size)) {
            for lane in 0..V::COUNT {
                // Those of the windows that end in this piece.
                let whole = segment + lane * size;
                let (from, to) = (whole.max(place.ends.start), (whole + size).min(place.ends.end));
                if from < to {
                    for (place, value) in column.iter_mut().zip(values) {
                        *place = value.as_ref()[lane];
                    }
                    let known = column.get(from - whole..to - whole).unwrap_or_default();
                    wanted.output.write_floats(from - place.window.after, known);
                }
            }
        }
        for (before, end) in self.before.iter_mut().zip(&self.ends) {
            for (before, end) in before.iter_mut().zip(end) {
                *before = end.floats().as_ref()[V::COUNT - 1];
            }
        }
    }
}

/// What is known of ends, beside what is known of the beginnings of the segments after them.
#[inline(always)]
fn moved<V: Lanes, const F: usize>(ends: &[V; F], before: &[f64; F]) -> [V; F] {
    let mut moved = *ends;
    for (known, &before) in moved.iter_mut().zip(before) {
        *known = known.moved(before);
    }
    moved
}
