//! Of two arrays: `cov`, `corr`, `dot`, `linregress`, `rmse`, `mae`. Their elements come in pairs, x as the real part and y as
//! the imaginary one.
//!
//! With the means μ and ν, M = Σ (x − μ)², N = Σ (y − ν)² and C = Σ (x − μ)(y − ν): a block's sums are taken about its rounded
//! means, in a second loop, and what rounding left over is taken out again as for the moments of one array
//! (`moments.rs`); blocks and chunks are merged with Pébay's formulas (SAND2008-6212, equations 2.1 and 3.3), δ and ε being the
//! differences of the means: M = M₁ + M₂ + δ² n₁n₂/n, C = C₁ + C₂ + δε n₁n₂/n. Where squares leave float64, each array has a
//! scale of its own (`rescaled.rs`).

use std::sync::Arc;

use num_complex::Complex;

use crate::ahead::Ahead;
use crate::dtype::{DType, Ordered};
use crate::expr::Expression;
use crate::kernel::{Accumulator, Answer, Entry, Exact, Input, Items, Request, Shape, Takes, Team};
use crate::kernels::rescaled::{Magnitudes, Noticed, Of, rescaled, scaled};
use crate::lanes::{Double, LANES, two_sum};
use crate::memory;
use crate::parameters::{Accepts, DefaultValue, Parameter};
use crate::scale::Scale;
use crate::selection::Ties;
use crate::simd::Simd;
use crate::student::two_sided;
use crate::value::Value;

/// A pair of elements.
type Pair = Complex<f64>;

/// Joint moments of two arrays.
#[derive(Debug, Clone, Copy)]
struct Joint;

/// What [`Joint`] accumulates; without pairs all zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct JointState {
    n: f64,
    mean_x: Double,
    mean_y: Double,
    xx: f64,
    yy: f64,
    xy: f64,
    noticed: [Noticed; 2],
}

/// Sums of so many functions of the pairs, in rows of lanes.
#[inline(always)]
fn sums<const N: usize>(pairs: &[Pair], ahead: &Ahead, function: impl Fn(f64, f64) -> [f64; N]) -> [f64; N] {
    let mut lanes = [[0.0; LANES]; N];
    let (rows, rest) = pairs.as_chunks::<LANES>();
    for row in rows {
        ahead.ask::<2>();
        for (lane, pair) in row.iter().enumerate() {
            let values = function(pair.re, pair.im);
            for (lanes, value) in lanes.iter_mut().zip(values) {
                lanes[lane] += value;
            }
        }
    }
    let mut totals = lanes.map(
        #[inline(always)]
        |lanes| {
            let mut width = LANES / 2;
            let mut lanes = lanes;
            while width > 0 {
                for lane in 0..width {
                    lanes[lane] += lanes[lane + width];
                }
                width /= 2;
            }
            lanes[0]
        },
    );
    for pair in rest {
        for (total, value) in totals.iter_mut().zip(function(pair.re, pair.im)) {
            *total += value;
        }
    }
    totals
}

impl JointState {
    #[inline(always)]
    fn of(pairs: &[Pair], ahead: &Ahead) -> JointState {
        let n = pairs.len() as f64;
        if pairs.is_empty() {
            return JointState::default();
        }
        let [x, y] = sums(pairs, ahead, |x, y| [x, y]);
        let (mean_x, mean_y) = (x / n, y / n);
        let [dx, dy, xx, yy, xy] = sums(pairs, ahead, |x, y| {
            let (dx, dy) = (x - mean_x, y - mean_y);
            [dx, dy, dx * dx, dy * dy, dx * dy]
        });
        let (ex, ey) = (dx / n, dy / n);
        let mean = |mean: f64, e: f64| {
            let (high, low) = two_sum(mean, e);
            Double { high, low }
        };
        JointState {
            n,
            mean_x: mean(mean_x, ex),
            mean_y: mean(mean_y, ey),
            xx: xx - n * ex * ex,
            yy: yy - n * ey * ey,
            xy: xy - n * ex * ey,
            noticed: [
                Noticed::of(mean_x, xx / n, pairs.iter().map(|pair| pair.re)),
                Noticed::of(mean_y, yy / n, pairs.iter().map(|pair| pair.im)),
            ],
        }
    }

    #[inline(always)]
    fn merge(&mut self, next: JointState) {
        if next.n == 0.0 || self.n == 0.0 {
            if self.n == 0.0 {
                *self = next;
            }
            return;
        }
        for (noticed, next) in self.noticed.iter_mut().zip(next.noticed) {
            noticed.merge(next);
        }
        let n = self.n + next.n;
        let difference = |to: Double, from: Double| (to.high - from.high) + (to.low - from.low);
        let (dx, dy) = (difference(next.mean_x, self.mean_x), difference(next.mean_y, self.mean_y));
        let weight = self.n * next.n / n;
        self.xx += next.xx + dx * dx * weight;
        self.yy += next.yy + dy * dy * weight;
        self.xy += next.xy + dx * dy * weight;
        let move_by = |mean: &mut Double, distance: f64| {
            let (high, error) = two_sum(mean.high, distance);
            *mean = Double { high, low: mean.low + error };
        };
        move_by(&mut self.mean_x, dx / n * next.n);
        move_by(&mut self.mean_y, dy / n * next.n);
        self.n = n;
    }

    /// Whether pairs in scales would have other sums.
    fn asks_for_scale(&self) -> bool {
        let [x, y] = self.noticed;
        let finite = self.xx.is_finite() && self.yy.is_finite() && self.xy.is_finite();
        let asks = x.asks_for_scale(2, self.mean_x.value(), self.xx / self.n, finite)
            || y.asks_for_scale(2, self.mean_y.value(), self.yy / self.n, finite);
        asks && !x.is_infinite() && !y.is_infinite()
    }

    /// Pearson's correlation; rounding may not carry it beyond 1.
    fn correlation(&self) -> f64 {
        // One square root after the other: their product is where that of the squares overflows or vanishes.
        let r = self.xy / self.xx.sqrt() / self.yy.sqrt();
        if r.is_nan() { r } else { r.clamp(-1.0, 1.0) }
    }
}

impl Accumulator for Joint {
    const NAME: &'static str = "joint moments";

    type Item = Pair;
    type State = JointState;

    fn init(&self) -> JointState {
        JointState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut JointState, block: Items<'_, Pair>) {
        state.merge(JointState::of(&block, block.ahead));
    }

    fn combine(&self, state: &mut JointState, next: JointState) {
        state.merge(next);
    }

    fn cover(&self, _: &Self) -> Option<Self> {
        Some(Joint)
    }
}

/// A function of a pair, to be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    Product,
    Difference,
    /// In a scale.
    SquaredDifference(Scale),
}

/// The sum of a function of each pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SumOf(Term);

#[derive(Debug, Clone, Copy, Default)]
struct SumState {
    n: f64,
    sum: Double,
    /// Of the differences, if their squares are summed.
    noticed: Noticed,
}

impl SumState {
    /// The mean over the pairs; NaN without any.
    fn mean(&self) -> f64 {
        self.sum.value() / self.n
    }
}

impl Accumulator for SumOf {
    const NAME: &'static str = "sum over pairs";

    type Item = Pair;
    type State = SumState;

    fn init(&self) -> SumState {
        SumState::default()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut SumState, block: Items<'_, Pair>) {
        let square = |x: f64| x * x;
        let sum = match self.0 {
            Term::Product => Double::sum_of(simd, &block, block.ahead, |pair| pair.re * pair.im),
            Term::Difference => Double::sum_of(simd, &block, block.ahead, |pair| (pair.re - pair.im).abs()),
            Term::SquaredDifference(Scale::ONE) => {
                Double::sum_of(simd, &block, block.ahead, |pair| square(pair.re - pair.im))
            }
            Term::SquaredDifference(scale) => {
                // What is large is scaled before it is subtracted, what is small after: the elements may be larger than it.
                let (before, after) = if scale.shrinks() { (scale, Scale::ONE) } else { (Scale::ONE, scale) };
                let scaled = |pair: Pair| after.scaled(before.scaled(pair.re) - before.scaled(pair.im));
                Double::sum_of(simd, &block, block.ahead, |pair| square(scaled(pair)))
            }
        };
        let n = block.len() as f64;
        state.n += n;
        state.sum.merge(sum);
        if let Term::SquaredDifference(_) = self.0 {
            let mean = sum.value() / n;
            let differences = block.iter().map(|pair| pair.magnitudes(Of::Differences)[0]);
            state.noticed.merge(Noticed::of(mean, mean, differences));
        }
    }

    fn combine(&self, state: &mut SumState, next: SumState) {
        state.n += next.n;
        state.sum.merge(next.sum);
        state.noticed.merge(next.noticed);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

/// Collects the pairs, and correlates their ranks once it has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ranked {
    /// Which parts are the bits of keys, see [`Exact`].
    is_key: [bool; 2],
    /// Whether pairs with a NaN are left out.
    omits: bool,
}

#[derive(Debug, Default)]
struct RankedState {
    pairs: Vec<Vec<Pair>>,
    /// Of the ranks.
    joint: JointState,
}

impl Ranked {
    /// The pairs of an input, as exact as they are.
    fn request(input: &Input) -> Request {
        let exact = input.exact.map(|Exact { pairs, is_key }| (Expression::of(pairs, DType::Complex128), is_key));
        let (pairs, is_key) = exact.unwrap_or((input.elements(), [false; 2]));
        number(pairs, Ranked { is_key, omits: input.omits() }, |state| state.joint.correlation())
    }

    /// The keys of a pair's elements.
    fn keys(self, pair: &Pair) -> [u64; 2] {
        let key = |part: f64, is_key: bool| if is_key { part.to_bits() } else { part.canonical().key() };
        [key(pair.re, self.is_key[0]), key(pair.im, self.is_key[1])]
    }

    /// Whether an element is NaN. Keys have none.
    fn is_missing(self, pair: &Pair) -> bool {
        (!self.is_key[0] && pair.re.is_nan()) || (!self.is_key[1] && pair.im.is_nan())
    }
}

impl Accumulator for Ranked {
    const NAME: &'static str = "joint ranks";

    type Item = Pair;
    type State = RankedState;

    fn init(&self) -> RankedState {
        RankedState { pairs: memory::collected([Vec::new()]), joint: JointState::default() }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut RankedState, block: Items<'_, Pair>) {
        if let Some(last) = state.pairs.last_mut() {
            memory::extend(last, block.iter().copied());
        }
    }

    fn combine(&self, state: &mut RankedState, next: RankedState) {
        memory::extend(&mut state.pairs, next.pairs);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }

    fn settle(&self, state: &mut RankedState, _: bool, team: &Team<'_>) {
        let mut pairs = memory::joined(&std::mem::take(&mut state.pairs));
        if self.omits {
            pairs.retain(|pair| !self.is_missing(pair));
        } else if pairs.iter().any(|pair| self.is_missing(pair)) {
            state.joint = JointState { n: pairs.len() as f64, xx: f64::NAN, ..JointState::default() };
            return;
        }
        let mut ranks: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        team.each(&mut ranks, |side, ranks| {
            let keys = pairs.iter().map(|pair| self.keys(pair)[side]);
            let mut sorted: Vec<(u64, u64)> = memory::collected(keys.zip(0..));
            sorted.sort_unstable();
            *ranks = memory::filled(0.0, sorted.len());
            Ties::Average.rank(&sorted, 0, |place, rank, _| {
                if let Some(own) = usize::try_from(place).ok().and_then(|place| ranks.get_mut(place)) {
                    *own = rank;
                }
            });
        });
        let [left, right] = &ranks;
        let ranks = left.iter().zip(right).map(|(&re, &im)| Pair { re, im });
        state.joint = JointState::default();
        for block in memory::collected(ranks).chunks(crate::view::BLOCK) {
            state.joint.merge(JointState::of(block, &Ahead::default()));
        }
    }
}

/// A float that follows from the joint moments of the pairs, or of pairs in scales.
fn joint(input: &Input, value: impl Fn(&JointState, [Scale; 2]) -> f64 + Send + Sync + 'static) -> Request {
    let (pairs, value) = (input.values(), Arc::new(value));
    let own = Arc::clone(&value);
    let number =
        move |state: &JointState| (!state.asks_for_scale()).then(|| Value::number(own(state, [Scale::ONE; 2])));
    Request::number(pairs.clone(), Joint, DType::Float64, number, move |_| {
        let value = Arc::clone(&value);
        let value = move |state: &JointState, scales| Value::float(value(state, scales), DType::Float64);
        Ok(in_scales(pairs.clone(), value))
    })
}

/// Asks for the joint moments of the pairs in the scales that suit them.
fn in_scales(
    pairs: Expression,
    value: impl Fn(&JointState, [Scale; 2]) -> Value + Clone + Send + Sync + 'static,
) -> Answer {
    rescaled::<Pair>(pairs.clone(), Of::Elements, move |scales| {
        let value = value.clone();
        Request::new(scaled(pairs.clone(), scales), Joint, move |state| Ok(value(state, scales)))
    })
}

/// A float64 that follows from a state.
fn number<A: Accumulator>(
    expression: Expression,
    accumulator: A,
    value: impl Fn(&A::State) -> f64 + Send + Sync + 'static,
) -> Request {
    let number = move |state: &A::State| Some(Value::number(value(state)));
    Request::number(expression, accumulator, DType::Float64, number, |_| unreachable!("there is always a number"))
}

const fn column(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, accepts: Accepts::Name, default: DefaultValue::None, doc }
}

const X: Parameter = column("x", "The key of the first array; of the only two there are, the first, if ``None``.");
const Y: Parameter = column("y", "The key of the second array; of the only two there are, the second, if ``None``.");

/// What the kernels of this family have in common.
const PARTS: Entry = Entry {
    name: "",
    doc: "",
    parameters: &[X, Y],
    numpy: "",
    takes: Takes::Pairs,
    resolve: |_, input| Ok(joint(input, |_, _| f64::NAN)),
    ..Entry::USUAL
};

pub(super) static COV: Entry = Entry {
    name: "cov",
    doc: "The covariance of two arrays.\n\n\
          The sum of the products of deviations from the means over ``n - ddof``; NaN where ``n <= ddof``. Computed in float64 \
          in two passes over each block in cache, merged with Pébay's formulas (SAND2008-6212). Where squares leave float64, \
          further passes take each array in a scale of its own.",
    parameters: &[
        X,
        Y,
        Parameter {
            name: "ddof",
            accepts: Accepts::Number,
            default: DefaultValue::Int(1),
            doc: "Delta degrees of freedom: the divisor is ``n - ddof``.",
        },
    ],
    numpy: "np.cov(np.ravel(x), np.ravel(y), ddof=ddof)[0, 1]",
    examples: &["ddof=0"],
    resolve: |arguments, input| {
        let ddof = arguments.number("ddof");
        Ok(joint(input, move |state, [x, y]| Scale::back(covariance(state.xy, state.n, ddof), &[(x, 1), (y, 1)])))
    },
    ..PARTS
};

/// A sum of products over the degrees of freedom; NaN if there are none.
pub(super) fn covariance(sum: f64, n: f64, ddof: f64) -> f64 {
    if n - ddof > 0.0 { sum / (n - ddof) } else { f64::NAN }
}

pub(super) static CORR: Entry = Entry {
    name: "corr",
    doc: "The correlation of two arrays: Pearson's, or Spearman's, which is that of the ranks.\n\n\
          NaN of an array whose elements are all equal, and of fewer than two. Equal elements have the mean of their ranks. \
          Pearson's is ``scipy.stats.pearsonr``'s, and does not depend on the scale of either array. Spearman's is \
          ``scipy.stats.spearmanr``'s, which ranks elements in their own dtype, and takes memory for all pairs and their ranks.",
    parameters: &[
        X,
        Y,
        Parameter {
            name: "method",
            accepts: Accepts::Correlation,
            default: DefaultValue::Text("pearson"),
            doc: "Whether elements are correlated, or their ranks.",
        },
    ],
    numpy: "np.corrcoef(np.ravel(x), np.ravel(y))[0, 1] if method == 'pearson' else \
            stats.spearmanr(np.ravel(x), np.ravel(y)).statistic",
    examples: &["method='spearman'"],
    resolve: |arguments, input| {
        Ok(match arguments.text("method") {
            "spearman" => Ranked::request(input),
            _ => joint(input, |state, _| state.correlation()),
        })
    },
    ..PARTS
};

pub(super) static DOT: Entry = Entry {
    name: "dot",
    doc: "The dot product of two arrays, in float64; 0 of empty ones.\n\n\
          Products are rounded, and leave float64 as NumPy's do; their sum carries its rounding errors along, as that of one \
          array does.",
    numpy: "np.dot(np.ravel(x) * 1.0, np.ravel(y) * 1.0)",
    resolve: |_, input| Ok(number(input.values(), SumOf(Term::Product), |state| state.sum.value())),
    ..PARTS
};

pub(super) static RMSE: Entry = Entry {
    name: "rmse",
    doc: "The root mean square error: the square root of the mean of squared differences; NaN of empty arrays.\n\n\
          Squares that leave float64 are taken of scaled differences, in further passes.",
    numpy: "np.sqrt(np.mean(np.square(x * 1.0 - y * 1.0)))",
    resolve: |_, input| Ok(rmse(input)),
    ..PARTS
};

fn rmse(input: &Input) -> Request {
    let pairs = input.values();
    let root = |state: &SumState| state.mean().sqrt();
    let number = move |state: &SumState| {
        let (mean, finite) = (state.mean(), state.sum.high.is_finite());
        (!state.noticed.asks_for_scale(2, mean, mean, finite)).then(|| Value::number(root(state)))
    };
    let squares = SumOf(Term::SquaredDifference(Scale::ONE));
    Request::number(pairs.clone(), squares, DType::Float64, number, move |_| {
        let pairs = pairs.clone();
        Ok(rescaled::<Pair>(pairs.clone(), Of::Differences, move |[scale, _]| {
            let squares = SumOf(Term::SquaredDifference(scale));
            Request::new(pairs.clone(), squares, move |state| {
                Ok(Value::float(scale.undo(root(state), 1), DType::Float64))
            })
        }))
    })
}

pub(super) static MAE: Entry = Entry {
    name: "mae",
    doc: "The mean absolute error: the mean of the absolute differences; NaN of empty arrays.",
    numpy: "np.mean(np.abs(x * 1.0 - y * 1.0))",
    resolve: |_, input| Ok(number(input.values(), SumOf(Term::Difference), SumState::mean)),
    ..PARTS
};

pub(super) static LINREGRESS: Entry = Entry {
    name: "linregress",
    answers: Shape::Record,
    doc: "The line through points x, y with the least squared distances along y.\n\n\
          A named tuple ``(slope, intercept, rvalue, pvalue, stderr, intercept_stderr)``: ``rvalue`` is the correlation, ``pvalue`` that of a two-sided test of the slope being 0, by Student's t-distribution; \
          the errors are standard errors. NaN of fewer than two points, and where all x are equal. Right for elements of every \
          magnitude, as ``cov`` is. SciPy's ``stats.linregress``.",
    numpy: "stats.linregress(np.ravel(x), np.ravel(y))",
    resolve: |_, input| Ok(linregress(input)),
    ..PARTS
};

fn linregress(input: &Input) -> Request {
    let pairs = input.values();
    Request::chain(pairs.clone(), Joint, Vec::new(), move |state: &JointState| {
        Ok(if state.asks_for_scale() {
            in_scales(pairs.clone(), line)
        } else {
            Answer::Value(line(state, [Scale::ONE; 2]))
        })
    })
}

fn line(state: &JointState, [x, y]: [Scale; 2]) -> Value {
    let r = state.correlation();
    let slope = state.xy / state.xx;
    let (mean_x, mean_y) = (state.mean_x.value(), state.mean_y.value());
    let freedom = state.n - 2.0;
    let (p, error) = if freedom > 0.0 {
        // So that a line through all points has an answer too.
        let tiny = 1e-20;
        let t = r * (freedom / ((1.0 - r + tiny) * (1.0 + r + tiny))).sqrt();
        (two_sided(t, freedom), ((1.0 - r * r) * state.yy / state.xx / freedom).sqrt())
    } else if freedom == 0.0 && !slope.is_nan() {
        // Two points lie on a line.
        (if state.yy == 0.0 { 1.0 } else { 0.0 }, 0.0)
    } else {
        (f64::NAN, f64::NAN)
    };
    let intercept_error = error * (state.xx / state.n + mean_x * mean_x).sqrt();
    let (per_x, as_y) = ([(y, 1), (x, -1)], [(y, 1)]);
    let fields = [
        Scale::back(slope, &per_x),
        Scale::back(mean_y - slope * mean_x, &as_y),
        r,
        p,
        Scale::back(error, &per_x),
        Scale::back(intercept_error, &as_y),
    ];
    Value::Record("LinearRegression", fields.map(|field| Value::float(field, DType::Float64)).to_vec())
}
