//! Sums and central moments up to the fourth: one state for `sum`, `mean`, `var`, `std`, `sem`, `skew`, `kurtosis`.
//!
//! With n elements x, their mean μ and Mₚ = Σ (x − μ)ᵖ:
//!
//! * a block's sum is kept with its rounding errors ([`Double`], in `lanes.rs`);
//! * a block's moments are taken in a second loop over the block (float32: in the only one), as sums sₚ = Σ dᵖ of the
//!   deviations d = x − m from the rounded mean m; what the rounding left over, e = μ − m, is taken out again (Björck's
//!   correction for p = 2, in Chan, Golub & LeVeque, The American Statistician 37 (1983), equation 1.7, and its binomial
//!   analogues):
//!   M₂ = s₂ − n e², M₃ = s₃ − 3 e s₂ + 2 n e³, M₄ = s₄ − 4 e s₃ + 6 e² s₂ − 3 n e⁴;
//! * blocks and chunks are merged with the formulas of Pébay (Sandia report SAND2008-6212, equations 2.1, 3.1 and
//!   their case p = 4), with δ the difference of the means.
//!
//! Elements with weights w are counted by them: n = Σ w, μ = Σ w x / n, Mₚ = Σ w (x − μ)ᵖ, and the formulas are the same.
//!
//! Elements whose powers leave float64 are gone over again in a scale of their own (`rescaled.rs`).
//!
//! The mean is kept as an unevaluated sum of two floats: δ is small beside μ, and one float would leave it few digits.

use std::marker::PhantomData;
use std::sync::Arc;

use num_complex::Complex;

use crate::ahead::Ahead;
use crate::dtype::{DType, Item, ItemType};
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Request, Takes};
use crate::kernels::counts;
use crate::kernels::rescaled::{Noticed, Of, WEIGHTS, rescaled, scaled};
use crate::lanes::{Double, LANES, powers, sum_and_powers, two_sum};
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::scale::Scale;
use crate::simd::Simd;
use crate::value::Value;

/// Sums (order 1), sums and squares (order 2), or everything up to fourth powers (order 4).
///
/// A higher order gives the lower ones the same bits, so it serves their kernels as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments<T> {
    order: u8,
    item: PhantomData<fn(T)>,
}

impl<T> Moments<T> {
    pub(super) fn up_to(order: u8) -> Moments<T> {
        Moments { order, item: PhantomData }
    }
}

/// What [`Moments`] accumulates; without elements all zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct MomentsState {
    /// How many elements, or the sum of their weights.
    pub(super) count: f64,
    pub(super) sum: Double,
    mean: Double,
    m2: f64,
    m3: f64,
    m4: f64,
    noticed: Noticed,
}

impl MomentsState {
    /// From the sums of powers of deviations from m, from which the mean is e away.
    #[inline(always)]
    fn about(m: f64, e: f64, n: f64, sum: Double, [s2, s3, s4]: [f64; 3]) -> MomentsState {
        let (high, low) = two_sum(m, e);
        MomentsState {
            count: n,
            sum,
            mean: Double { high, low },
            m2: not_below_zero(plus(s2, -n * e * e)),
            m3: plus(s3, -3.0 * e * s2 + 2.0 * n * e * e * e),
            m4: plus(s4, -4.0 * e * s3 + 6.0 * e * e * s2 - 3.0 * n * e * e * e * e),
            noticed: Noticed::default(),
        }
    }

    /// The same, with what is to be noticed of the elements whose moments they are, from order 2 on.
    #[inline(always)]
    fn noticing(mut self, order: u8, elements: impl Iterator<Item = f64> + Clone) -> MomentsState {
        let variance = if order == 1 { f64::INFINITY } else { self.m2 / self.count };
        self.noticed = Noticed::of(self.mean(), variance, elements);
        self
    }

    /// Whether elements in a scale would have other moments up to this order.
    pub(super) fn asks_for_scale(&self, order: u8) -> bool {
        let finite = match order {
            1 => self.sum.high.is_finite(),
            2 => self.m2.is_finite(),
            _ => self.m2.is_finite() && self.m3.is_finite() && self.m4.is_finite(),
        };
        let finite = finite && (self.count == 0.0 || WEIGHTS.contains(&self.count));
        let variance = if order == 1 { f64::INFINITY } else { self.m2 / self.count };
        self.noticed.asks_for_scale(order, self.mean(), variance, finite)
    }

    /// The same of elements whose weights were in a scale, and no longer are.
    fn weighing(self, scale: Scale) -> MomentsState {
        let undo = |sum: f64| scale.undo(sum, 1);
        let sum = Double { high: undo(self.sum.high), low: undo(self.sum.low) };
        let (m2, m3, m4) = (undo(self.m2), undo(self.m3), undo(self.m4));
        MomentsState { count: undo(self.count), sum, m2, m3, m4, ..self }
    }

    /// Takes the state of more elements, up to an order.
    #[inline(always)]
    fn merge(&mut self, next: MomentsState, order: u8) {
        if next.count == 0.0 || self.count == 0.0 {
            if self.count == 0.0 {
                *self = next;
            }
            return;
        }
        self.sum.merge(next.sum);
        self.noticed.merge(next.noticed);
        if order >= 2 {
            let (a, b) = (self.count, next.count);
            let n = a + b;
            let delta = (next.mean.high - self.mean.high) + (next.mean.low - self.mean.low);
            let (d_n, d2) = (delta / n, delta * delta);
            self.m4 = plus(
                self.m4 + next.m4,
                d2 * d_n * d_n * a * b * ((a * a - a * b + b * b) / n)
                    + 6.0 * d_n * d_n * (a * a * next.m2 + b * b * self.m2)
                    + 4.0 * d_n * (a * next.m3 - b * self.m3),
            );
            self.m3 =
                plus(self.m3 + next.m3, d2 * d_n * (a * b / n) * (a - b) + 3.0 * d_n * (a * next.m2 - b * self.m2));
            self.m2 = plus(self.m2 + next.m2, d2 * (a * b / n));
            let (high, error) = two_sum(self.mean.high, d_n * b);
            self.mean = Double { high, low: self.mean.low + error };
        }
        self.count += next.count;
    }

    /// Σx / n; NaN without elements.
    pub(super) fn mean(&self) -> f64 {
        self.sum.value() / self.count
    }

    /// The mean, and what a float lacks of it.
    pub(super) fn precise_mean(&self) -> Double {
        self.sum.over(self.count)
    }

    /// The standard deviation; NaN without elements. It takes order 2.
    pub(super) fn deviation(&self) -> f64 {
        (self.m2 / self.count).sqrt()
    }

    /// The mean of cubed standard scores. It takes order 4.
    pub(super) fn skewness(&self) -> f64 {
        self.m3 / self.count / self.deviation().powi(3)
    }
}

impl<T: HasMoments> Accumulator for Moments<T> {
    const NAME: &'static str = "moments";

    type Item = T;
    type State = MomentsState;

    fn init(&self) -> MomentsState {
        MomentsState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut MomentsState, block: Items<'_, T>) {
        if !block.is_empty() {
            self.combine(state, T::moments(simd, &block, block.ahead, self.order));
        }
    }

    #[inline(always)]
    fn combine(&self, state: &mut MomentsState, next: MomentsState) {
        state.merge(next, self.order);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        Some(Moments::up_to(self.order.max(other.order)))
    }
}

/// Floats whose moments are known.
pub(super) trait HasMoments: Item {
    /// The moments of a block, which is not empty, up to this order.
    fn moments<S: Simd>(simd: S, block: &[Self], ahead: &Ahead, order: u8) -> MomentsState;
}

impl HasMoments for f64 {
    /// The sum first, then the powers of deviations from the rounded mean.
    #[inline(always)]
    fn moments<S: Simd>(simd: S, block: &[f64], ahead: &Ahead, order: u8) -> MomentsState {
        let sum = Double::sum(simd, block, ahead);
        let n = block.len() as f64;
        let Double { high: m, low: e } = sum.over(n);
        let moments = match order {
            1 => MomentsState { count: n, sum, ..MomentsState::default() },
            2 => MomentsState::about(m, e, n, sum, powers::<S, f64, 2>(simd, block, ahead, m)),
            _ => MomentsState::about(m, e, n, sum, powers::<S, f64, 4>(simd, block, ahead, m)),
        };
        moments.noticing(order, block.iter().copied())
    }
}

impl HasMoments for f32 {
    /// All in one loop, about the mean m of the block's first elements.
    ///
    /// Float64 has 29 more digits than the data, so deviations from m are exact unless they are tiny, and nothing of note
    /// is lost where e is taken out: m being a mean of 32 of the elements, M₂ ≥ 32 e², so that n e² ≤ 128 M₂. Measured for
    /// eleven statistics, in cache: 0.58 ns per element where two loops, as for float64, took 0.65.
    #[inline(always)]
    fn moments<S: Simd>(simd: S, block: &[f32], ahead: &Ahead, order: u8) -> MomentsState {
        let first = block.get(..LANES).unwrap_or(block);
        // As a float32, so that most differences from it are exact: what cancels then cancels.
        #[allow(clippy::cast_possible_truncation)]
        let mean = (first.iter().map(|&x| f64::from(x)).sum::<f64>() / first.len() as f64) as f32;
        let m = if mean.is_finite() { f64::from(mean) } else { 0.0 };
        let n = block.len() as f64;
        let (sum, powers) = match order {
            1 => {
                let sum = Double::sum(simd, block, ahead);
                let noticed = Noticed::infinite(!sum.high.is_finite());
                return MomentsState { count: n, sum, noticed, ..MomentsState::default() };
            }
            2 => sum_and_powers::<S, f32, 2, true>(simd, block, ahead, m),
            _ => sum_and_powers::<S, f32, 4, true>(simd, block, ahead, m),
        };
        let mean = sum.over(n);
        // NaN where there are infinities, whichever side of the mean they are on.
        let powers = powers.map(|power| if mean.high.is_finite() { power } else { f64::NAN });
        let noticed = Noticed::infinite(!mean.high.is_finite());
        MomentsState { noticed, ..MomentsState::about(m, (mean.high - m) + mean.low, n, sum, powers) }
    }
}

/// The same of elements that have weights: as if each were there as often as its weight says, a weight being any number from
/// 0 on.
#[derive(Debug, Clone, Copy)]
struct WeightedMoments {
    order: u8,
}

impl Accumulator for WeightedMoments {
    const NAME: &'static str = "weighted moments";

    type Item = Complex<f64>;
    type State = MomentsState;

    fn init(&self) -> MomentsState {
        MomentsState::default()
    }

    /// The sums of weights and of weighted elements first, then those of weighted powers of deviations from the rounded mean.
    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut MomentsState, block: Items<'_, Complex<f64>>) {
        let weight = Double::sum_of(simd, &block, block.ahead, |pair| pair.im).value();
        if weight == 0.0 {
            return;
        }
        let sum = Double::sum_of(simd, &block, block.ahead, |pair| weigh(pair.re, pair.im));
        let mean = sum.value() / weight;
        let power = |power: i32| {
            Double::sum_of(simd, &block, block.ahead, |pair| weigh((pair.re - mean).powi(power), pair.im)).value()
        };
        let moments = match self.order {
            1 => MomentsState { count: weight, sum, ..MomentsState::default() },
            2 => MomentsState::about(mean, power(1) / weight, weight, sum, [power(2), 0.0, 0.0]),
            _ => MomentsState::about(mean, power(1) / weight, weight, sum, [power(2), power(3), power(4)]),
        };
        let elements = block.iter().map(|pair| if pair.im == 0.0 { 0.0 } else { pair.re });
        state.merge(moments.noticing(self.order, elements), self.order);
    }

    fn combine(&self, state: &mut MomentsState, next: MomentsState) {
        state.merge(next, self.order);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        Some(WeightedMoments { order: self.order.max(other.order) })
    }
}

/// A sum and what corrects it; a sum of powers that has overflowed stays infinite, whatever nonsense the correction is.
#[inline(always)]
fn plus(sum: f64, correction: f64) -> f64 {
    if sum.is_infinite() { sum } else { sum + correction }
}

/// A sum of squares, which what was taken out of it may have left below 0 by a rounding.
#[inline(always)]
fn not_below_zero(squares: f64) -> f64 {
    if squares < 0.0 { 0.0 } else { squares }
}

/// What follows from the moments of the elements that count, up to an order, which may be those of elements in a scale.
pub(super) fn moments(
    input: &Input,
    order: u8,
    then: Vec<&'static str>,
    finish: impl Fn(&MomentsState, Scale) -> Result<Answer, Error> + Send + Sync + 'static,
) -> Request {
    let (of, finish) = (*input, Arc::new(finish));
    let finish = move |state: &MomentsState| {
        if state.asks_for_scale(order) {
            Ok(in_scale(&of, order, Arc::clone(&finish)))
        } else {
            finish(state, Scale::ONE)
        }
    };
    if let Some(pairs) = input.weighted() {
        return Request::chain(pairs, WeightedMoments { order }, then, finish);
    }
    match input.dtype.item() {
        ItemType::Float32 => Request::chain(input.values(), Moments::<f32>::up_to(order), then, finish),
        _ => Request::chain(input.floats(), Moments::<f64>::up_to(order), then, finish),
    }
}

/// Asks for the moments of the elements in the scale that suits them.
fn in_scale(
    input: &Input,
    order: u8,
    finish: Arc<impl Fn(&MomentsState, Scale) -> Result<Answer, Error> + Send + Sync + 'static>,
) -> Answer {
    let Some(pairs) = input.weighted() else { return floats_in_scale(input.floats(), order, finish) };
    rescaled::<Complex<f64>>(pairs.clone(), Of::Weighted, move |scales| {
        let finish = Arc::clone(&finish);
        let finish = move |state: &MomentsState| finish(&state.weighing(scales[1]), scales[0]);
        Request::chain(scaled(pairs.clone(), scales), WeightedMoments { order }, Vec::new(), finish)
    })
}

/// The same of float64.
pub(super) fn floats_in_scale(
    floats: Expression,
    order: u8,
    finish: Arc<impl Fn(&MomentsState, Scale) -> Result<Answer, Error> + Send + Sync + 'static>,
) -> Answer {
    rescaled::<f64>(floats.clone(), Of::Elements, move |scales| {
        let finish = Arc::clone(&finish);
        let finish = move |state: &MomentsState| finish(state, scales[0]);
        Request::chain(scaled(floats.clone(), scales), Moments::<f64>::up_to(order), Vec::new(), finish)
    })
}

/// A float of NumPy's dtype that follows from the moments. `degree` is that of the statistic, see [`crate::scale`].
pub(super) fn finish(
    input: &Input,
    order: u8,
    degree: i64,
    value: impl Fn(&MomentsState) -> f64 + Send + Sync + 'static,
) -> Request {
    let (of, dtype, value) = (*input, input.mean_type(), Arc::new(value));
    let own = Arc::clone(&value);
    // A sum that overflows is infinite, as NumPy's is. With weights it may be that of a mean which is not.
    let sums = order == 1 && input.weights.is_none();
    let number = move |state: &MomentsState| (sums || !state.asks_for_scale(order)).then(|| Value::number(own(state)));
    let otherwise = move |_: &MomentsState| {
        let value = Arc::clone(&value);
        let finish = move |state: &MomentsState, scale: Scale| {
            Ok(Answer::Value(Value::float(scale.undo(value(state), degree), dtype)))
        };
        Ok(in_scale(&of, order, Arc::new(finish)))
    };
    if let Some(pairs) = input.weighted() {
        return Request::number(pairs, WeightedMoments { order }, dtype, number, otherwise);
    }
    match input.dtype.item() {
        ItemType::Float32 => Request::number(input.values(), Moments::<f32>::up_to(order), dtype, number, otherwise),
        _ => Request::number(input.floats(), Moments::<f64>::up_to(order), dtype, number, otherwise),
    }
}

/// M₂ / (n − ddof). NumPy divides by zero where n ≤ ddof; its `nan…` versions answer NaN there.
pub(super) fn variance(state: &MomentsState, ddof: f64, omits: bool) -> f64 {
    let freedom = state.count - ddof;
    if state.count == 0.0 || (freedom <= 0.0 && omits) {
        return f64::NAN;
    }
    state.m2 / freedom.max(0.0)
}

const DDOF: Parameter = Parameter {
    name: "ddof",
    accepts: Accepts::Number,
    default: DefaultValue::Int(0),
    doc: "Delta degrees of freedom: the divisor is ``n - ddof``.",
};

const BIAS: Parameter = Parameter {
    name: "bias",
    accepts: Accepts::Bool,
    default: DefaultValue::Bool(true),
    doc: "If ``False``, the estimate is corrected for statistical bias.",
};

pub(super) static VAR: Entry = Entry {
    name: "var",
    doc: "The variance: the sum of squared deviations from the mean over ``n - ddof``.\n\n\
          NaN of an empty array; NaN or inf where ``n <= ddof``, as in NumPy, and NaN if NaN values are omitted, as in \
          ``np.nanvar``. Computed in float64 in two passes over each block in cache, merged with Pébay's formulas \
          (SAND2008-6212). Where squares leave float64, about beyond 1e±150, further passes go over scaled elements: it is \
          right whenever the answer is a float64.",
    parameters: &[DDOF],
    numpy: "np.var(x, ddof=ddof)",
    takes: Takes::Reals,
    examples: &["ddof=1", "ddof=2.5"],
    weighted: true,
    resolve: |arguments, input| {
        let (ddof, omits) = (arguments.number("ddof"), input.omits());
        Ok(finish(input, 2, 2, move |state| variance(state, ddof, omits)))
    },
    ..Entry::USUAL
};

pub(super) static NANVAR: Entry = VAR.omitting(
    "nanvar",
    "np.nanvar(x, ddof=ddof)",
    "The variance; NaN elements are left out. NaN where no more than ``ddof`` others are left.\n\nComputed as ``var`` is.",
);

pub(super) static STD: Entry = Entry {
    name: "std",
    doc: "The standard deviation: the square root of the variance with the same ``ddof``.\n\n\
          NaN of an empty array; NaN or inf where ``n <= ddof``, as in NumPy. Right for elements of every magnitude, as ``var`` is.",
    numpy: "np.std(x, ddof=ddof)",
    resolve: |arguments, input| {
        let (ddof, omits) = (arguments.number("ddof"), input.omits());
        Ok(finish(input, 2, 1, move |state| variance(state, ddof, omits).sqrt()))
    },
    ..VAR_PARTS
};

/// What `std` and `sem` have in common with `var`.
const VAR_PARTS: Entry = Entry {
    name: "",
    doc: "",
    parameters: &[DDOF],
    numpy: "",
    takes: Takes::Reals,
    examples: &["ddof=1"],
    weighted: true,
    resolve: |_, input| Ok(finish(input, 2, 1, |_| f64::NAN)),
    ..Entry::USUAL
};

pub(super) static NANSTD: Entry = STD.omitting(
    "nanstd",
    "np.nanstd(x, ddof=ddof)",
    "The standard deviation; NaN elements are left out. NaN where no more than ``ddof`` others are left.\n\n\
     Computed as ``std`` is.",
);

pub(super) static SEM: Entry = Entry {
    name: "sem",
    doc: "The standard error of the mean: the standard deviation over the square root of n.\n\n\
          NaN of fewer than two elements. Right for elements of every magnitude, as ``var`` is. SciPy's ``stats.sem``, with its \
          default ``ddof=1``.",
    parameters: &[Parameter { default: DefaultValue::Int(1), ..DDOF }],
    numpy: "stats.sem(x, axis=None, ddof=ddof)",
    examples: &["ddof=0"],
    resolve: |arguments, input| {
        let (ddof, omits) = (arguments.number("ddof"), input.omits());
        Ok(finish(input, 2, 1, move |state| {
            let error = variance(state, ddof, omits).sqrt() / (state.count).sqrt();
            if state.count <= 1.0 { f64::NAN } else { error }
        }))
    },
    ..VAR_PARTS
};

/// SciPy's bound (since 1.17) below which the data are constant up to rounding, and a normalised moment has no meaning.
fn is_constant(state: &MomentsState, dtype: DType) -> bool {
    let epsilon = match dtype {
        DType::Float16 => f64::powi(2.0, -10),
        DType::Float32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    state.m2 / state.count <= (epsilon * state.mean()).powi(2)
}

pub(super) static SKEW: Entry = Entry {
    name: "skew",
    doc: "The skewness: the third central moment over the 3/2 power of the second (Fisher-Pearson).\n\n\
          NaN of an empty and of a constant array. It does not depend on scale: cubes that leave float64 (about beyond 1e±75) \
          are taken of scaled elements, in further passes. SciPy's ``stats.skew``.",
    parameters: &[BIAS],
    numpy: "stats.skew(x, axis=None, bias=bias)",
    takes: Takes::Reals,
    examples: &["bias=False"],
    weighted: true,
    resolve: |arguments, input| {
        let (bias, dtype) = (arguments.bool("bias"), input.dtype);
        Ok(finish(input, 4, 0, move |state| {
            let n = state.count;
            if state.count == 0.0 || is_constant(state, dtype) {
                return f64::NAN;
            }
            let skew = (state.m3 / n) / (state.m2 / n).powf(1.5);
            if bias || state.count <= 2.0 { skew } else { ((n - 1.0) * n).sqrt() / (n - 2.0) * skew }
        }))
    },
    ..Entry::USUAL
};

pub(super) static KURTOSIS: Entry = Entry {
    name: "kurtosis",
    doc: "The kurtosis: the fourth central moment over the square of the second.\n\n\
          NaN of an empty and of a constant array. It does not depend on scale, as ``skew`` does not. SciPy's ``stats.kurtosis``.",
    parameters: &[
        Parameter {
            name: "fisher",
            accepts: Accepts::Bool,
            default: DefaultValue::Bool(true),
            doc: "If ``True``, 3 is subtracted, so that a normal distribution has 0.",
        },
        BIAS,
    ],
    numpy: "stats.kurtosis(x, axis=None, fisher=fisher, bias=bias)",
    takes: Takes::Reals,
    examples: &["fisher=False", "bias=False"],
    weighted: true,
    resolve: |arguments, input| {
        let (fisher, bias, dtype) = (arguments.bool("fisher"), arguments.bool("bias"), input.dtype);
        Ok(finish(input, 4, 0, move |state| {
            let n = state.count;
            if state.count == 0.0 || is_constant(state, dtype) {
                return f64::NAN;
            }
            let ratio = (state.m4 / n) / (state.m2 / n).powi(2);
            let pearson = if bias || state.count <= 3.0 {
                ratio
            } else {
                ((n * n - 1.0) * ratio - 3.0 * (n - 1.0).powi(2)) / ((n - 2.0) * (n - 3.0)) + 3.0
            };
            if fisher { pearson - 3.0 } else { pearson }
        }))
    },
    ..Entry::USUAL
};

pub(super) static MOMENT: Entry = Entry {
    name: "moment",
    doc: "A central moment: the mean of the deviations from the mean, raised to ``order``.\n\n\
          NaN of an empty array. Powers that leave float64 are taken of scaled elements, in further passes. SciPy's \
          ``stats.moment``.",
    parameters: &[Parameter {
        name: "order",
        accepts: Accepts::IntFrom(0),
        default: DefaultValue::Int(1),
        doc: "The power.",
    }],
    numpy: "stats.moment(x, order=order, axis=None)",
    takes: Takes::Reals,
    examples: &["order=2", "order=3", "order=4", "order=5", "order=8"],
    weighted: true,
    resolve: moment,
    ..Entry::USUAL
};

fn moment(arguments: &Arguments, input: &Input) -> Result<Request, Error> {
    let order = arguments.int("order");
    let mean = |state: &MomentsState, sum: f64| sum / state.count;
    Ok(match order {
        0 | 1 => {
            let value = if order == 0 { 1.0 } else { 0.0 };
            if input.weights.is_none() {
                return Ok(counts::constant(input, value));
            }
            finish(input, 1, 0, move |state| if state.mean().is_nan() { f64::NAN } else { value })
        }
        2 => finish(input, 2, 2, move |state| mean(state, state.m2)),
        3 => finish(input, 4, 3, move |state| mean(state, state.m3)),
        4 => finish(input, 4, 4, move |state| mean(state, state.m4)),
        _ => {
            // Powers above the fourth are rare: a second pass around the known mean is simpler than merging them all.
            let input = *input;
            moments(&input, 1, vec!["moment"], move |state, scale| {
                Ok(Answer::Next(central(&input, scale, state.mean(), state.count, order)))
            })
        }
    })
}

/// A central moment of a high order, with the mean and the number of elements; both are in a scale.
fn central(input: &Input, scale: Scale, mean: f64, n: f64, order: i64) -> Request {
    let input = *input;
    let finish = move |sum: &Double| {
        if scale == Scale::ONE && mean.is_finite() && !sum.high.is_finite() {
            // The elements are finite: the mean is.
            let next = move |[scale, _]: [Scale; 2]| central(&input, scale, scale.scaled(mean), n, order);
            return Ok(match input.weighted() {
                Some(pairs) => rescaled::<Complex<f64>>(pairs, Of::Weighted, next),
                None => rescaled::<f64>(input.floats(), Of::Elements, next),
            });
        }
        Ok(Answer::Value(Value::float(scale.undo(sum.value() / n, order), input.mean_type())))
    };
    let scales = [scale, Scale::ONE];
    match input.weighted() {
        Some(pairs) => {
            Request::chain(scaled(pairs, scales), CentralPower::<Complex<f64>>::new(mean, order), Vec::new(), finish)
        }
        None => {
            Request::chain(scaled(input.floats(), scales), CentralPower::<f64>::new(mean, order), Vec::new(), finish)
        }
    }
}

/// An element, and what it weighs.
trait Weighed: Item {
    fn element(self) -> f64;
    fn weight(self) -> f64;
}

impl Weighed for f64 {
    #[inline(always)]
    fn element(self) -> f64 {
        self
    }

    #[inline(always)]
    fn weight(self) -> f64 {
        1.0
    }
}

impl Weighed for Complex<f64> {
    #[inline(always)]
    fn element(self) -> f64 {
        self.re
    }

    #[inline(always)]
    fn weight(self) -> f64 {
        self.im
    }
}

/// Times its weight. What weighs nothing is not there, not even if it is infinite.
#[inline(always)]
fn weigh(x: f64, weight: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { x * weight }
}

/// Σ w (x − μ)ᵖ for a known μ.
#[derive(Debug, Clone, PartialEq)]
struct CentralPower<T> {
    mean: f64,
    order: f64,
    item: PhantomData<fn(T)>,
}

impl<T> CentralPower<T> {
    fn new(mean: f64, order: i64) -> CentralPower<T> {
        CentralPower { mean, order: order as f64, item: PhantomData }
    }
}

impl<T: Weighed> Accumulator for CentralPower<T> {
    const NAME: &'static str = "sum of central powers";

    type Item = T;
    type State = Double;

    fn init(&self) -> Double {
        Double::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut Double, block: Items<'_, T>) {
        let power = |item: T| weigh((item.element() - self.mean).powf(self.order), item.weight());
        state.merge(Double::sum_of(simd, &block, block.ahead, power));
    }

    fn combine(&self, state: &mut Double, next: Double) {
        state.merge(next);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}
