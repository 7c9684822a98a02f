//! Bins: their edges, equal to NumPy's, and how the bin of an element is guessed or found by bisection.
//!
//! Places number the bins from 1. Place 0 is below all bins, and the place after the last bin is above all. For bins of
//! equal width, the place is guessed as 1 + (x − first) × n / (last − first), in fixed point with [`FRACTION`] bits
//! after the point. That takes one multiplication and one addition of a number so large that the last bit of the sum is
//! the last fractional bit. Nothing is counted here.

use crate::dtype::DType;
use crate::error::Error;
use crate::memory;

/// Bits after the point of a guess. With 24 bits, few blocks have an element so near an edge that they must be
/// corrected: one block in a thousand for random elements.
pub(super) const FRACTION: u32 = 24;
const ONE: f64 = (1 << FRACTION) as f64;
pub(super) const MASK: u32 = (1 << FRACTION) - 1;

/// 2⁵² + 2⁵¹: adding this rounds a number to an integer, found in the lower 51 bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The bins: their edges, and how to find an element's bin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    pub(super) edges: Vec<f64>,
    pub(super) dtype: DType,
    /// How to guess places, for bins of equal width.
    pub(super) uniform: Option<Guess>,
}

/// The guess of a place is x × `scale` + `offset`, whose lower bits are the place in fixed point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Guess {
    pub(super) scale: f64,
    pub(super) offset: f64,
    /// Guesses below `lowest` or above `highest` are clipped to them; both are outside of the bins.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// A guess nearer than this to a whole number may be wrong.
    pub(super) margin: u32,
}

impl Bins {
    /// Bins between given ascending edges.
    pub(super) fn between(edges: Vec<f64>, dtype: DType) -> Bins {
        let (first, last) = (edges.first().copied().unwrap_or_default(), edges.last().copied().unwrap_or_default());
        let bins = (edges.len() - 1) as f64;
        let width = (last - first) / bins;
        // The distance of the edges from a regular grid, and the error of the guess, in bins.
        let off =
            edges.iter().enumerate().map(|(i, edge)| ((edge - first) / width - i as f64).abs()).fold(0.0, f64::max);
        let rounding = 8.0 * f64::EPSILON * (bins + first.abs().max(last.abs()) / width);
        let trust = off + rounding;
        let scale = bins / (last - first) * ONE;
        let offset = ROUND + ONE - first * scale;
        // A guess has 50 bits.
        let regular = trust < 0.25 && bins < f64::from(1 << 26) && scale.is_finite() && (last - first).is_finite();
        let uniform = regular.then(|| Guess {
            scale,
            offset,
            lowest: ROUND + 0.5 * ONE,
            highest: ROUND + (bins + 1.5) * ONE,
            // The offset and the sum are rounded to whole numbers.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            margin: (trust * ONE).ceil() as u32 + 2,
        });
        Bins { edges, dtype, uniform }
    }

    /// `count` bins of equal width, with the edges of NumPy's `linspace`. They are computed in the data's dtype if the
    /// range comes from the data, and in float64 if it was given.
    pub(super) fn regular(count: usize, low: f64, high: f64, dtype: DType, computed_in: DType) -> Result<Bins, Error> {
        let (low, high) =
            if low == high { (computed_in.round(low - 0.5), computed_in.round(high + 0.5)) } else { (low, high) };
        let delta = computed_in.round(high - low);
        let divisor = computed_in.round(count as f64);
        let step = computed_in.round(delta / divisor);
        let edge = |i: usize| {
            let place = computed_in.round(i as f64);
            let offset = if step == 0.0 {
                computed_in.round(computed_in.round(place / divisor) * delta)
            } else {
                computed_in.round(place * step)
            };
            dtype.round(computed_in.round(offset + low))
        };
        let mut edges: Vec<f64> = memory::with_room(count.saturating_add(1));
        edges.extend((0..count).map(edge));
        edges.push(dtype.round(high));
        if edges.is_sorted_by(|left, right| left < right) {
            Ok(Bins::between(edges, dtype))
        } else {
            Err(Error::ParameterValue {
                kernel: "histogram",
                parameter: "bins",
                value: count.to_string(),
                expected: format!("few enough for distinct edges in {dtype} between {low:?} and {high:?}"),
            })
        }
    }

    /// The number of bins.
    pub(super) fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// Counts divided by the bins' widths and by their sum, in NumPy's order.
    pub(super) fn densities(&self, counts: &[f64]) -> Vec<f64> {
        let total = counts.iter().sum::<f64>();
        let widths = self.edges.windows(2).map(|ends| self.dtype.round(ends[1] - ends[0]));
        memory::collected(counts.iter().zip(widths).map(|(&count, width)| count / width / total))
    }

    /// The place of x: the number of edges at or below it. NaN is below all bins.
    pub(super) fn bisect(&self, x: f64) -> usize {
        match self.edges.last() {
            Some(&last) if x == last => self.count(),
            _ => self.edges.partition_point(|&edge| edge <= x),
        }
    }
}
