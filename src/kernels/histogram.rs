//! Counts per bin, equal to NumPy's to the last count.
//!
//! NumPy's rule: bin i holds the elements with `edges[i] <= x < edges[i + 1]`, the last one its upper edge too. For bins
//! of equal width the place is guessed as (x − first) × n / (last − first); where the guess is so near an edge that
//! rounding could have moved it across, it is corrected by a comparison with the true edges. For other bins the place is
//! found by bisection.
//!
//! The guesses of a block go into a buffer in a loop that vectorises; the counting, which cannot, follows. Counts are
//! kept four times over, so that equal neighbours do not wait for each other's store.

use std::sync::Arc;

use crate::dtype::DType;
use crate::error::Error;
use crate::kernel::{
    Accepts, Accumulator, Answer, Argument, Arguments, DefaultValue, Entry, Input, Parameter, Request, Takes,
};
use crate::kernels::extrema;
use crate::simd::Simd;
use crate::value::Value;
use crate::view::BLOCK;

/// Tables that share the counting, up to this many bins: beyond, they would leave the cache.
const TABLES: usize = 4;
const BINS_FOR_TABLES: usize = 4096;

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
                expected: format!("few enough to be told apart in {dtype} between {low} and {high}"),
            })
        }
    }

    fn count(&self) -> usize {
        self.edges.len() - 1
    }

    fn tables(&self) -> usize {
        if self.count() <= BINS_FOR_TABLES { TABLES } else { 1 }
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

impl Histogram {
    /// The places of a block in equal bins. `true` if a place needs a look at the edges.
    #[inline(always)]
    fn guess(&self, block: &[f64], places: &mut [u32; BLOCK], scale: f64, trust: f64) -> bool {
        let [first, .., last] = self.bins.edges.as_slice() else { return true };
        let outside = self.bins.count() as f64;
        let near = 0.5 - trust;
        let mut doubtful = 0_u64;
        for (place, &x) in places.iter_mut().zip(block) {
            let inside = (x >= *first) & (x <= *last);
            let position = if inside { (x - *first) * scale - 0.5 } else { outside };
            let rounded = position + ROUND;
            let distance = (position - (rounded - ROUND)).abs();
            doubtful |= u64::from(distance > near);
            // The lower half of the bits is the integer.
            #[allow(clippy::cast_possible_truncation)]
            let low = rounded.to_bits() as u32;
            *place = low;
        }
        doubtful != 0
    }

    /// Mends the places that are near an edge.
    #[cold]
    fn correct(&self, block: &[f64], places: &mut [u32; BLOCK], scale: f64, trust: f64) {
        let [first, .., last] = self.bins.edges.as_slice() else { return };
        for (place, &x) in places.iter_mut().zip(block) {
            let position = (x - first) * scale;
            let doubtful = (position - position.round()).abs() <= 2.0 * trust;
            if doubtful && x >= *first && x <= *last {
                // Truncation cannot happen: equal bins are fewer than 2³⁰.
                *place = u32::try_from(self.bins.bisect(x)).unwrap_or(u32::MAX);
            }
        }
    }
}

impl Accumulator for Histogram {
    type Item = f64;
    type State = Vec<u64>;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Vec<u64> {
        vec![0; (self.bins.count() + 1) * self.bins.tables()]
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, counts: &mut Vec<u64>, block: &[f64], _: u64) {
        let mut places = [0_u32; BLOCK];
        let Some((scale, trust)) = self.bins.uniform else {
            let tables = self.bins.tables();
            for &x in block {
                if let Some(count) = counts.get_mut(self.bins.bisect(x) * tables) {
                    *count += 1;
                }
            }
            return;
        };
        for part in block.chunks(BLOCK) {
            if self.guess(part, &mut places, scale, trust) {
                self.correct(part, &mut places, scale, trust);
            }
            let places = places.get(..part.len()).unwrap_or_default();
            if self.bins.tables() == TABLES {
                let (rows, rest) = places.as_chunks::<TABLES>();
                for row in rows {
                    for (table, &place) in row.iter().enumerate() {
                        increment(counts, place as usize * TABLES + table);
                    }
                }
                rest.iter().for_each(|&place| increment(counts, place as usize * TABLES));
            } else {
                places.iter().for_each(|&place| increment(counts, place as usize));
            }
        }
    }

    fn combine(&self, counts: &mut Vec<u64>, next: Vec<u64>) {
        for (count, other) in counts.iter_mut().zip(next) {
            *count += other;
        }
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}

/// Adds one to a count. The check costs nothing beside the store, and no data can make it write elsewhere.
#[inline(always)]
fn increment(counts: &mut [u64], place: usize) {
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}

/// The request for known bins.
fn counts(input: &Input, bins: Bins) -> Request {
    let bins = Arc::new(bins);
    Request::new(input.floats(), Histogram { bins: Arc::clone(&bins) }, move |state: &Vec<u64>| {
        let of_bin = |tables: &[u64]| i64::try_from(tables.iter().sum::<u64>()).unwrap_or(i64::MAX);
        let counts = state.chunks(bins.tables()).take(bins.count()).map(of_bin).collect();
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
    if let Argument::Floats(range, _) = arguments.get("range") {
        let [low, high] = range.as_slice() else { unreachable!("a range is checked to be a pair") };
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
