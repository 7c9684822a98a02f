//! Counts per bin, equal to NumPy's to the last count.
//!
//! NumPy's rule: bin i holds the elements with `edges[i] <= x < edges[i + 1]`, the last one its upper edge too. For bins
//! of equal width the place is guessed as (x − first) × n / (last − first); where the guess is so near an edge that
//! rounding could have moved it across, it is corrected by a comparison with the true edges. For other bins the place is
//! found by bisection.
//!
//! The guesses of a block go into a buffer in a loop over vectors; the counting, which no vector can do, follows
//! (`tally.rs`).

use std::sync::Arc;

use fearless_simd::{f64x8, prelude::*};

use crate::ahead::Ahead;
use crate::dtype::DType;
use crate::error::Error;
use crate::kernel::{
    Accepts, Accumulator, Answer, Argument, Arguments, DefaultValue, Entry, Input, Items, Parameter, Request, Takes,
};
use crate::kernels::extrema;
use crate::kernels::tally::{BYTE_PLACES, Tally};
use crate::simd::Simd;
use crate::value::Value;
use crate::view::BLOCK;

/// Adding this to a number below 2⁵¹ rounds it to an integer, found in the lower bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The bins.
#[derive(Debug, Clone, PartialEq)]
struct Bins {
    edges: Vec<f64>,
    dtype: DType,
    /// Bins per unit, and how far from an edge a guess can be trusted, in bins; for bins of equal width.
    uniform: Option<(f64, f64)>,
}

impl Bins {
    /// Bins between given edges, which rise.
    fn between(edges: Vec<f64>, dtype: DType) -> Bins {
        let (first, last) = (edges.first().copied().unwrap_or_default(), edges.last().copied().unwrap_or_default());
        let bins = (edges.len() - 1) as f64;
        let width = (last - first) / bins;
        // How far the edges are from a regular grid, and the guess from exact arithmetic, in bins.
        let off =
            edges.iter().enumerate().map(|(i, edge)| ((edge - first) / width - i as f64).abs()).fold(0.0, f64::max);
        let rounding = 8.0 * f64::EPSILON * (bins + first.abs().max(last.abs()) / width);
        let trust = off + rounding;
        // The guess is kept in 32 bits.
        let regular = trust < 0.25 && bins < f64::from(1 << 30) && (bins / (last - first)).is_finite();
        Bins { edges, dtype, uniform: regular.then(|| (bins / (last - first), trust)) }
    }

    /// `count` bins of equal width, with the edges that NumPy's `linspace` gives: computed in the data's dtype if the
    /// range is the data's, in float64 if it was given.
    fn regular(count: usize, low: f64, high: f64, dtype: DType, computed_in: DType) -> Result<Bins, Error> {
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
        let mut edges: Vec<f64> = (0..count).map(edge).collect();
        edges.push(dtype.round(high));
        if edges.is_sorted_by(|left, right| left < right) {
            Ok(Bins::between(edges, dtype))
        } else {
            Err(Error::ParameterValue {
                kernel: "histogram",
                parameter: "bins",
                value: count.to_string(),
                expected: format!("few enough to be told apart in {dtype} between {low:?} and {high:?}"),
            })
        }
    }

    fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// The bin of x, from its number of edges at or below: the true place, whatever was guessed.
    fn bisect(&self, x: f64) -> usize {
        let count = self.count();
        match self.edges.last() {
            Some(&last) if x == last => count - 1,
            Some(&last) if x < last => self.edges.partition_point(|&edge| edge <= x).checked_sub(1).unwrap_or(count),
            _ => count,
        }
    }
}

/// Counts of elements per bin; one more bin, the last, takes what is outside.
#[derive(Debug, Clone, PartialEq)]
struct Histogram {
    bins: Arc<Bins>,
}

/// A bin's number as the buffer holds it.
trait Place: Copy + Into<u64> + TryFrom<usize> {
    const ZERO: Self;
    /// The lower bits.
    fn truncate(bits: u64) -> Self;
}

impl Place for u8 {
    const ZERO: u8 = 0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn truncate(bits: u64) -> u8 {
        bits as u8
    }
}

impl Place for u32 {
    const ZERO: u32 = 0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn truncate(bits: u64) -> u32 {
        bits as u32
    }
}

/// Places that are computed at a time.
const ROW: usize = 16;

impl Histogram {
    /// The places of a block in bins of equal width.
    #[inline(always)]
    fn place<S: Simd, P: Place>(
        &self,
        simd: S,
        block: &[f64],
        ahead: &Ahead,
        (scale, trust): (f64, f64),
        places: &mut [P; BLOCK],
    ) {
        let [first, .., last] = self.bins.edges.as_slice() else { return };
        let vector = |x: f64| f64x8::splat(simd, x);
        let (first, last, scale) = (vector(*first), vector(*last), vector(scale));
        let (half, round, outside) = (vector(0.5), vector(ROUND), vector(self.bins.count() as f64));
        let mut farthest = [vector(0.0); 2];
        let (rows, rest) = block.as_chunks::<ROW>();
        // NaN is outside, and far from every edge.
        let mut last_row = [f64::NAN; ROW];
        last_row[..rest.len()].copy_from_slice(rest);
        let (place_rows, _) = places.as_chunks_mut::<ROW>();
        for (row, place_row) in rows.iter().chain([&last_row]).zip(place_rows) {
            ahead.ask::<1>();
            let (vectors, _) = row.as_chunks::<8>();
            let mut bits = [0_u64; ROW];
            let (bit_vectors, _) = bits.as_chunks_mut::<8>();
            for i in 0..2 {
                let x = f64x8::load_array_ref(simd, &vectors[i]);
                let inside = x.simd_ge(first) & x.simd_le(last);
                let position = inside.select((x - first) * scale - half, outside);
                let rounded = position + round;
                let distance = (position - (rounded - round)).abs();
                // Never NaN: what is outside was given a place.
                farthest[i] = distance.max(farthest[i]);
                bit_vectors[i] = rounded.to_array().map(f64::to_bits);
            }
            for i in 0..ROW {
                place_row[i] = P::truncate(bits[i]);
            }
        }
        let farthest = farthest[0].to_array().into_iter().chain(farthest[1].to_array());
        if farthest.fold(false, |any, distance| any | (distance > 0.5 - trust)) {
            self.correct(block, places);
        }
    }

    /// Mends the places that are on the wrong side of an edge: a guess is off by one bin at most.
    #[inline(never)]
    fn correct<P: Place>(&self, block: &[f64], places: &mut [P; BLOCK]) {
        let [first, .., last] = self.bins.edges.as_slice() else { return };
        let top = self.bins.count() - 1;
        for (place, &x) in places.iter_mut().zip(block) {
            if !(x >= *first && x <= *last) {
                continue;
            }
            let guess = usize::try_from((*place).into()).map_or(top, |guess| guess.min(top));
            let (Some(&low), Some(&high)) = (self.bins.edges.get(guess), self.bins.edges.get(guess + 1)) else {
                continue;
            };
            let mended = if x < low { guess.saturating_sub(1) } else { guess + usize::from(x >= high && guess < top) };
            *place = P::try_from(mended).unwrap_or(*place);
        }
    }
}

impl Accumulator for Histogram {
    const NAME: &'static str = "histogram";

    type Item = f64;
    type State = Tally;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Tally {
        Tally::new(self.bins.count() + 1)
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, tally: &mut Tally, block: Items<'_, f64>) {
        let Some(uniform) = self.bins.uniform else {
            return block.iter().for_each(|&x| tally.count_one(self.bins.bisect(x)));
        };
        for part in block.chunks(BLOCK) {
            if self.bins.count() < BYTE_PLACES {
                let mut places = [u8::ZERO; BLOCK];
                self.place(simd, part, block.ahead, uniform, &mut places);
                tally.count_bytes(places.get(..part.len()).unwrap_or_default());
            } else {
                let mut places = [u32::ZERO; BLOCK];
                self.place(simd, part, block.ahead, uniform, &mut places);
                tally.count_words(places.get(..part.len()).unwrap_or_default());
            }
        }
    }

    fn combine(&self, tally: &mut Tally, next: Tally) {
        tally.merge(next);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}

/// The request for known bins.
fn counts(input: &Input, bins: Bins) -> Request {
    let bins = Arc::new(bins);
    Request::new(input.floats(), Histogram { bins: Arc::clone(&bins) }, move |tally: &Tally| {
        let counts = tally.totals().into_iter().take(bins.count());
        let counts = counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).collect();
        Ok(Value::Histogram { counts, edges: bins.edges.clone(), edges_dtype: bins.dtype })
    })
}

pub(super) static HISTOGRAM: Entry = Entry {
    name: "histogram",
    doc: "The number of elements in each bin, and the bins' edges: a named tuple ``(counts, edges)``.\n\n\
          Equal to ``np.histogram`` to the last count: every bin is half-open but the last, and an element is counted where \
          a comparison with the edges puts it. NaN and what lies outside is not counted. An integer ``bins`` without \
          ``range`` takes the smallest and largest element, found in a pass before, as its range.",
    parameters: &[
        Parameter {
            name: "bins",
            accepts: Accepts::Bins,
            default: DefaultValue::Int(10),
            doc: "The number of bins of equal width, or the rising sequence of edges.",
        },
        Parameter {
            name: "range",
            accepts: Accepts::Range,
            default: DefaultValue::None,
            doc: "The lower and upper end ``(low, high)`` of the bins; the data's own if ``None``.",
        },
    ],
    numpy: "np.histogram(x, bins=bins, range=range)",
    takes: Takes::Reals,
    examples: &["bins=100, range=(-3.0, 3.0)", "bins=[-1.0, 0.0, 0.5, 4.0]", "bins=[0, 1, 2, 3]", "bins=7"],
    nan_policy: None,
    passes: 2,
    resolve: histogram,
};

fn histogram(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let count = match arguments.get("bins") {
        Argument::Floats(edges, dtype) => return Ok(counts(input, Bins::between(edges.clone(), *dtype))),
        Argument::Int(count) => usize::try_from(*count).unwrap_or(usize::MAX),
        _ => 1,
    };
    let dtype = input.dtype.mean_type();
    if let Argument::Pair([low, high], _) = arguments.get("range") {
        return Ok(counts(input, Bins::regular(count, *low, *high, dtype, DType::Float64)?));
    }
    let input = *input;
    extrema::bounds(&input, vec!["histogram"], move |bounds| {
        let (low, high) = bounds.unwrap_or((0.0, 1.0));
        if !(low.is_finite() && high.is_finite()) {
            return Err(Error::HistogramRange { low, high });
        }
        let computed_in = if bounds.is_some() { dtype } else { DType::Float64 };
        Bins::regular(count, low, high, dtype, computed_in).map(|bins| Answer::Next(counts(&input, bins)))
    })
}
