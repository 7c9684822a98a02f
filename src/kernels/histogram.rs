//! Counts per bin, equal to NumPy's to the last count.
//!
//! NumPy's rule: bin i holds the elements with `edges[i] <= x < edges[i + 1]`, the last one its upper edge too. Places are
//! numbered from 1 for the first bin; 0 is below all of them, and one past the last is above.
//!
//! For bins of equal width the place is guessed as 1 + (x − first) × n / (last − first), in fixed point with
//! [`FRACTION`] bits after the point: one multiplication and one addition, to a number so large that its last bit is the
//! last of these. A guess so near a whole number that rounding could have moved it across is corrected by a comparison
//! with the true edges. For other bins the place is found by bisection.
//!
//! The guesses of a block go into a buffer in a loop over vectors; the counting, which no vector can do, follows
//! (`tally.rs`).

use std::sync::Arc;

use fearless_simd::{f64x8, prelude::*, u32x16};
use num_complex::Complex;

use crate::ahead::Ahead;
use crate::dtype::{Buffer, DType};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Request, Shape, Takes};
use crate::kernels::extrema;
use crate::kernels::widths::{Facts, Rule};
use crate::lanes::Double;
use crate::memory;
use crate::parameters::{Accepts, Argument, Arguments, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::tally::{BYTE_PLACES, Tally};
use crate::value::Value;
use crate::view::BLOCK;

/// Bits after the point of a guess, for elements at random. Few elements are so near an edge that their block has to be corrected: one in a thousand blocks.
const FRACTION: u32 = 24;
const ONE: f64 = (1 << FRACTION) as f64;
const MASK: u32 = (1 << FRACTION) - 1;

/// 2⁵² + 2⁵¹: a sum with this is rounded to a whole number, found in its lower 51 bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The bins.
#[derive(Debug, Clone, PartialEq)]
struct Bins {
    edges: Vec<f64>,
    dtype: DType,
    /// How places are guessed, for bins of equal width.
    uniform: Option<Guess>,
}

/// The guess of a place is x × `scale` + `offset`, whose lower bits are the place in fixed point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Guess {
    scale: f64,
    offset: f64,
    /// Guesses below and above are as good as these, which are outside.
    lowest: f64,
    highest: f64,
    /// How near a whole number a guess cannot be trusted.
    margin: u32,
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
                expected: format!("few enough to be told apart in {dtype} between {low:?} and {high:?}"),
            })
        }
    }

    fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// Counts over their sum and the bins' widths, divided in NumPy's order.
    fn densities(&self, counts: &[f64]) -> Vec<f64> {
        let total = counts.iter().sum::<f64>();
        let widths = self.edges.windows(2).map(|ends| self.dtype.round(ends[1] - ends[0]));
        memory::collected(counts.iter().zip(widths).map(|(&count, width)| count / width / total))
    }

    /// The place of x, from its number of edges at or below; NaN is below.
    fn bisect(&self, x: f64) -> usize {
        match self.edges.last() {
            Some(&last) if x == last => self.count(),
            _ => self.edges.partition_point(|&edge| edge <= x),
        }
    }
}

/// Counts of elements per place.
#[derive(Debug, Clone, PartialEq)]
struct Histogram {
    bins: Arc<Bins>,
}

/// A place as the buffer holds it.
trait Place: Copy + Into<u64> + TryFrom<usize> {
    const ZERO: Self;
    /// The places of guesses, which are handed over whole and by their lower halves.
    fn of<S: Simd>(guesses: &[u64; ROW], lower: &[u32x16<S>; ROW / 16], places: &mut [Self; ROW]);
}

impl Place for u8 {
    const ZERO: u8 = 0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn of<S: Simd>(_: &[u64; ROW], lower: &[u32x16<S>; ROW / 16], places: &mut [u8; ROW]) {
        let (places, _) = places.as_chunks_mut::<16>();
        for (places, lower) in places.iter_mut().zip(lower) {
            *places = (*lower >> FRACTION).to_array().map(|place| place as u8);
        }
    }
}

impl Place for u32 {
    const ZERO: u32 = 0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn of<S: Simd>(guesses: &[u64; ROW], _: &[u32x16<S>; ROW / 16], places: &mut [u32; ROW]) {
        // Without the bit that `ROUND` sets, and the exponent.
        *places = guesses.map(|guess| (guess >> FRACTION) as u32 & ((1 << (51 - FRACTION)) - 1));
    }
}

/// Places that are computed at a time.
const ROW: usize = 32;

impl Histogram {
    /// The places of a block in bins of equal width.
    #[inline(always)]
    fn place<S: Simd, P: Place>(&self, simd: S, block: &[f64], ahead: &Ahead, guess: &Guess, places: &mut [P; BLOCK]) {
        let vector = |x: f64| f64x8::splat(simd, x);
        let (scale, offset) = (vector(guess.scale), vector(guess.offset));
        let (lowest, highest) = (vector(guess.lowest), vector(guess.highest));
        let (margin, mask) = (u32x16::splat(simd, guess.margin), u32x16::splat(simd, MASK));
        let mut nearest = [mask; ROW / 16];
        let (rows, rest) = block.as_chunks::<ROW>();
        // NaN is below, and near nothing.
        let mut last_row = [f64::NAN; ROW];
        last_row[..rest.len()].copy_from_slice(rest);
        let (place_rows, _) = places.as_chunks_mut::<ROW>();
        for (row, place_row) in rows.iter().chain([&last_row]).zip(place_rows) {
            ahead.ask::<1>();
            let (vectors, _) = row.as_chunks::<8>();
            let mut guesses = [0_u64; ROW];
            let (guess_vectors, _) = guesses.as_chunks_mut::<8>();
            for i in 0..ROW / 8 {
                let guess = f64x8::load_array_ref(simd, &vectors[i]) * scale + offset;
                // Not `max`: processors disagree on that of a NaN.
                let guess = guess.simd_ge(lowest).select(guess, lowest).min(highest);
                guess_vectors[i] = guess.to_array().map(f64::to_bits);
            }
            #[allow(clippy::cast_possible_truncation)]
            let lower = guesses.map(|guess| guess as u32);
            let (lower, _) = lower.as_chunks::<16>();
            let lower = [u32x16::load_array_ref(simd, &lower[0]), u32x16::load_array_ref(simd, &lower[1])];
            for i in 0..ROW / 16 {
                nearest[i] = ((lower[i] + margin) & mask).min(nearest[i]);
            }
            P::of(&guesses, &lower, place_row);
        }
        let nearest = nearest[0].min(nearest[1]).to_array();
        if nearest.into_iter().fold(false, |any, distance| any | (distance <= 2 * guess.margin)) {
            self.correct(block, places);
        }
    }

    /// Mends the places that are on the wrong side of an edge: a guess is off by one at most.
    #[inline(never)]
    fn correct<P: Place>(&self, block: &[f64], places: &mut [P; BLOCK]) {
        let edges = self.bins.edges.as_slice();
        for (place, &x) in places.iter_mut().zip(block) {
            let guess = usize::try_from((*place).into()).map_or(edges.len(), |guess| guess.min(edges.len()));
            // The first edge at or above the place and the one before it; the last edge belongs to the bin below.
            let too_low = edges.get(guess).is_some_and(|&edge| x > edge || (x == edge && guess + 1 < edges.len()));
            let too_high = guess
                .checked_sub(1)
                .and_then(|below| edges.get(below))
                .is_some_and(|&edge| if guess == edges.len() { x <= edge } else { x < edge });
            let mended = guess + usize::from(too_low) - usize::from(too_high);
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
        Tally::new(self.bins.count() + 2)
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, tally: &mut Tally, block: Items<'_, f64>) {
        let Some(guess) = &self.bins.uniform else {
            return block.iter().for_each(|&x| tally.count_one(self.bins.bisect(x)));
        };
        for part in block.chunks(BLOCK) {
            if self.bins.count() + 2 <= BYTE_PLACES {
                let mut places = [u8::ZERO; BLOCK];
                self.place(simd, part, block.ahead, guess, &mut places);
                tally.count_bytes(places.get(..part.len()).unwrap_or_default());
            } else {
                let mut places = [u32::ZERO; BLOCK];
                self.place(simd, part, block.ahead, guess, &mut places);
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

/// Sums of the weights of the elements in each place.
#[derive(Debug, Clone, PartialEq)]
struct Weighing(Histogram);

impl Accumulator for Weighing {
    const NAME: &'static str = "weighted histogram";

    type Item = Complex<f64>;
    type State = Vec<Double>;

    fn init(&self) -> Vec<Double> {
        memory::filled(Double::default(), self.0.bins.count() + 2)
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, sums: &mut Vec<Double>, block: Items<'_, Complex<f64>>) {
        for part in block.chunks(BLOCK / 4) {
            let (mut places, mut elements) = ([u32::ZERO; BLOCK], [f64::NAN; BLOCK / 4]);
            elements.iter_mut().zip(part).for_each(|(element, pair)| *element = pair.re);
            let elements = elements.get(..part.len()).unwrap_or_default();
            if let Some(guess) = &self.0.bins.uniform {
                self.0.place(simd, elements, block.ahead, guess, &mut places);
            } else {
                for (place, &x) in places.iter_mut().zip(elements) {
                    *place = u32::try_from(self.0.bins.bisect(x)).unwrap_or(u32::ZERO);
                }
            }
            for (&place, pair) in places.iter().zip(part) {
                if let Some(sum) = sums.get_mut(place as usize) {
                    sum.add(pair.im);
                }
            }
        }
    }

    fn combine(&self, sums: &mut Vec<Double>, next: Vec<Double>) {
        sums.iter_mut().zip(next).for_each(|(sum, next)| sum.merge(next));
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}

/// The integer that a sum of integers is.
#[allow(clippy::cast_possible_truncation)] // what is beyond 128 bits saturates, and is out of bounds then
fn whole(sum: Double) -> Option<i64> {
    i64::try_from((sum.high as i128).checked_add(sum.low as i128)?).ok()
}

/// The sums of weights in known bins. Whole weights make whole sums.
fn weighed(pairs: Expression, weights: DType, bins: Arc<Bins>, density: bool) -> Request {
    Request::new(pairs, Weighing(Histogram { bins: Arc::clone(&bins) }), move |sums: &Vec<Double>| {
        let sums = sums.get(1..=bins.count()).unwrap_or_default();
        let floats: Vec<f64> = memory::collected(sums.iter().map(|sum| sum.value()));
        let heights = if density {
            Value::Array { items: Buffer::Float64(bins.densities(&floats)), dtype: DType::Float64 }
        } else if weights.is_float() {
            Value::Array { items: Buffer::Float64(floats), dtype: DType::Float64 }
        } else {
            let remedy = "pass the weights as float64 (weights.astype(float)) for rounded ones";
            let dtype = DType::Int64;
            if sums.iter().any(|sum| whole(*sum).is_none()) {
                return Err(Error::Overflow { kernel: "histogram", dtype, remedy });
            }
            let sums = memory::collected(sums.iter().filter_map(|sum| whole(*sum)));
            Value::Array { items: Buffer::Int64(sums), dtype }
        };
        let edges = Value::Array { items: Buffer::Float64(memory::copied(&bins.edges)), dtype: bins.dtype };
        Ok(Value::Record("Histogram", vec![heights, edges]))
    })
}

/// The request for known bins.
fn counts(input: &Input, bins: Bins, density: bool) -> Request {
    let bins = Arc::new(bins);
    if let (Some(pairs), Some(weights)) = (input.weighted(), input.weights) {
        return weighed(pairs, weights.dtype, bins, density);
    }
    Request::new(input.floats(), Histogram { bins: Arc::clone(&bins) }, move |tally: &Tally| {
        let totals = tally.totals();
        let counts = totals.get(1..=bins.count()).unwrap_or_default();
        let heights = if density {
            let counts: Vec<f64> = memory::collected(counts.iter().map(|&count| count as f64));
            Value::Array { items: Buffer::Float64(bins.densities(&counts)), dtype: DType::Float64 }
        } else {
            let counts = memory::collected(counts.iter().map(|&count| i64::try_from(count).unwrap_or(i64::MAX)));
            Value::Array { items: Buffer::Int64(counts), dtype: DType::Int64 }
        };
        let edges = Value::Array { items: Buffer::Float64(memory::copied(&bins.edges)), dtype: bins.dtype };
        Ok(Value::Record("Histogram", vec![heights, edges]))
    })
}

pub(super) static HISTOGRAM: Entry = Entry {
    name: "histogram",
    doc: "The number of elements in each bin, and the bins' edges: a named tuple ``(counts, edges)``.\n\n\
          Equal to ``np.histogram`` to the last count: every bin is half-open but the last, and an element is counted where \
          a comparison with the edges puts it. NaN and what lies outside is not counted. An integer ``bins`` without \
          ``range`` takes the smallest and largest element, found in a pass before, as its range.\n\n\
          A name leaves the number of bins to a rule, which takes a pass before: ``\"sturges\"``, ``\"sqrt\"`` and ``\"rice\"`` \
          go by the number of elements, ``\"scott\"`` by their standard deviation as well and ``\"doane\"`` by their skewness; \
          ``\"fd\"`` and ``\"auto\"`` by their quartiles, and take two. Where NumPy's own moments are inexact (in float16, of nearly \
          equal elements, where squares overflow) the number of bins is that of the exact ones.",
    parameters: &[
        Parameter {
            name: "bins",
            accepts: Accepts::Bins,
            default: DefaultValue::Int(10),
            doc: "The number of bins of equal width, a rule for it, or the rising sequence of edges.",
        },
        Parameter {
            name: "range",
            accepts: Accepts::Range,
            default: DefaultValue::None,
            doc: "The lower and upper end ``(low, high)`` of the bins; the data's own if ``None``.",
        },
        Parameter {
            name: "density",
            accepts: Accepts::Bool,
            default: DefaultValue::Bool(false),
            doc: "If ``True``, counts are divided by their sum and the bins' widths.",
        },
    ],
    numpy: "np.histogram(x, bins=bins, range=range, density=density)",
    takes: Takes::Reals,
    answers: Shape::Record,
    examples: &[
        "bins=100, range=(-3.0, 3.0)",
        "bins=[-1.0, 0.0, 0.5, 4.0]",
        "bins=[0, 1, 2, 3]",
        "bins=7, density=True",
        "bins='auto', range=(-1.0, 1.5)",
        "bins='rice', density=True",
        "bins='sturges'",
    ],
    weighted: true,
    passes: 2,
    resolve: histogram,
    ..Entry::USUAL
};

fn histogram(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let density = arguments.bool("density");
    let count = match arguments.get("bins") {
        Argument::Floats(edges, dtype) => {
            return Ok(counts(input, Bins::between(memory::copied(edges), *dtype), density));
        }
        Argument::Int(count) => usize::try_from(*count).unwrap_or(usize::MAX),
        Argument::Text(name) => return by_rule(Rule::named(name), arguments, input),
        _ => 1,
    };
    let dtype = input.dtype.mean_type();
    if let Argument::Pair([low, high], _) = arguments.get("range") {
        return Ok(counts(input, Bins::regular(count, *low, *high, dtype, DType::Float64)?, density));
    }
    let input = *input;
    extrema::bounds(&input, vec!["histogram between them"], move |bounds| {
        let (low, high) = bounds.unwrap_or((0.0, 1.0));
        check_range(low, high)?;
        let computed_in = if bounds.is_some() { dtype } else { DType::Float64 };
        Bins::regular(count, low, high, dtype, computed_in).map(|bins| Answer::Next(counts(&input, bins, density)))
    })
}

/// As many bins as a rule says.
fn by_rule(rule: Rule, arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let (input, density, dtype) = (*input, arguments.bool("density"), input.dtype.mean_type());
    if input.weights.is_some() {
        let expected = "a number of bins or their edges where elements have weights".to_owned();
        let value = format!("'{}'", arguments.text("bins"));
        return Err(Error::ParameterValue { kernel: input.kernel, parameter: "bins", value, expected });
    }
    let range = if let Argument::Pair(ends, _) = arguments.get("range") { Some(*ends) } else { None };
    // The elements are compared with the ends in their own dtype.
    let within = range.map(|[low, high]| if low == high { [low - 0.5, high + 0.5] } else { [low, high] });
    let request = rule.request(&input, within.map(|ends| ends.map(|end| dtype.round(end))))?;
    Ok(request.then(["histogram with as many bins as the rule says"], move |facts| {
        let facts = Facts::of(&facts);
        let own = if facts.is_of_nothing() { [0.0, 1.0] } else { [facts.low, facts.high] };
        let [low, high] = range.unwrap_or(own);
        check_range(low, high)?;
        let computed_in = if range.is_some() || facts.is_of_nothing() { DType::Float64 } else { dtype };
        let count = rule.bins(&facts, input.dtype, [low, high], computed_in)?;
        Bins::regular(count, low, high, dtype, computed_in).map(|bins| Answer::Next(counts(&input, bins, density)))
    }))
}

/// That the data have a range.
fn check_range(low: f64, high: f64) -> Result<(), Error> {
    if low.is_finite() && high.is_finite() { Ok(()) } else { Err(Error::HistogramRange { low, high }) }
}
