//! Sums and means of windows of integers. Nothing is rounded, so elements that leave the window are simply subtracted.

use std::marker::PhantomData;

use crate::array_writer::ArrayWriter;
use crate::dtype::Integer;
use crate::error::Error;
use crate::grid::CHUNK;
use crate::kernel::{Piece, Reach};
use crate::memory;
use crate::rounding::Divisor;
use crate::simd::Simd;
use crate::windows::Window;
use crate::windows::slide::Wanted;

/// Sums and means of the same windows.
#[derive(Debug, Clone)]
pub(crate) struct Totals<T> {
    window: Window,
    wanted: Vec<Wanted>,
    item: PhantomData<fn(T)>,
}

impl<T> Totals<T> {
    pub(crate) fn new(window: Window, wanted: Wanted) -> Totals<T> {
        Totals { window, wanted: vec![wanted], item: PhantomData }
    }
}

impl<T: Integer> ArrayWriter for Totals<T> {
    const NAME: &'static str = "sums of windows";

    type Item = T;

    fn reach(&self) -> Reach {
        self.window.reach(CHUNK)
    }

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, piece: &Piece<'_, T>) -> Result<(), Error> {
        self.slide(piece);
        Ok(())
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        let wanted = || self.wanted.iter().chain(&other.wanted).cloned().collect();
        (self.window == other.window).then(|| Totals { wanted: wanted(), ..*self })
    }
}

impl<T: Integer> Totals<T> {
    fn slide(&self, piece: &Piece<'_, T>) {
        let Window { size, after } = self.window;
        let (mut sum, mut count) = (0_i128, 0.0);
        let divisor = Divisor::new(size as f64);
        let item = |place: usize| piece.items.get(place).map(|item| item.wide());
        let mut parts: Vec<Vec<f64>> = self.wanted.iter().map(|_| memory::with_room(piece.own.len())).collect();
        for end in (piece.own.start + after + 1).saturating_sub(size)..piece.own.end + after {
            if let Some(item) = item(end) {
                sum += item;
                count += 1.0;
            }
            if end < piece.own.start + after {
                continue;
            }
            let (high, low) = rounded(sum);
            for (wanted, values) in self.wanted.iter().zip(&mut parts) {
                values.push(wanted.statistic.value([count, high, low], wanted.least, divisor));
            }
            if let Some(item) = (end + 1).checked_sub(size).and_then(item) {
                sum -= item;
                count -= 1.0;
            }
        }
        for (wanted, values) in self.wanted.iter().zip(&parts) {
            wanted.output.write_floats(piece.start, values);
        }
    }
}

/// The nearest float, and what that lacks.
#[allow(clippy::cast_possible_truncation)]
#[inline(always)]
fn rounded(sum: i128) -> (f64, f64) {
    const EXACT: i64 = 1 << 53;
    match i64::try_from(sum) {
        Ok(sum) if (-EXACT..=EXACT).contains(&sum) => (sum as f64, 0.0),
        _ => {
            let high = sum as f64;
            (high, (sum - high as i128) as f64)
        }
    }
}
