//! Of two arrays: `cov`, `corr`, `dot`, `linregress`, `rmse`, `mae`. Their elements come in pairs, x as the real part and y as
//! the imaginary one.
//!
//! With the means μ and ν, M = Σ (x − μ)², N = Σ (y − ν)² and C = Σ (x − μ)(y − ν): a block's sums are taken about its rounded
//! means, in a second loop, and what rounding left over is taken out again as for the moments of one array
//! (`moments.rs`); blocks and chunks are merged with Pébay's formulas (SAND2008-6212, equations 2.1 and 3.3), δ and ε being the
//! differences of the means: M = M₁ + M₂ + δ² n₁n₂/n, C = C₁ + C₂ + δε n₁n₂/n.

use num_complex::Complex;

use crate::ahead::Ahead;
use crate::dtype::{DType, Item, Ordered};
use crate::expr::Expression;
use crate::kernel::{Accumulator, Entry, Input, Items, Request, Takes, Team};
use crate::lanes::{Double, LANES, two_sum};
use crate::memory;
use crate::parameters::{Accepts, DefaultValue, Parameter};
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
    SquaredDifference,
    Difference,
}

/// The sum of a function of each pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SumOf(Term);

#[derive(Debug, Clone, Copy, Default)]
struct SumState {
    n: f64,
    sum: Double,
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
        state.n += block.len() as f64;
        state.sum.merge(match self.0 {
            Term::Product => Double::sum_of(simd, &block, block.ahead, |pair| pair.re * pair.im),
            Term::Difference => Double::sum_of(simd, &block, block.ahead, |pair| (pair.re - pair.im).abs()),
            Term::SquaredDifference => Double::sum_of(simd, &block, block.ahead, |pair| {
                let difference = pair.re - pair.im;
                difference * difference
            }),
        });
    }

    fn combine(&self, state: &mut SumState, next: SumState) {
        state.n += next.n;
        state.sum.merge(next.sum);
    }

    fn cover(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

/// Collects the pairs, and correlates their ranks once it has them all.
#[derive(Debug, Clone, Copy)]
struct Ranked;

#[derive(Debug, Default)]
struct RankedState {
    pairs: Vec<Vec<Pair>>,
    /// Of the ranks.
    joint: JointState,
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

    fn cover(&self, _: &Self) -> Option<Self> {
        Some(Ranked)
    }

    fn settle(&self, state: &mut RankedState, _: bool, team: &Team<'_>) {
        let pairs = memory::joined(&std::mem::take(&mut state.pairs));
        if pairs.iter().any(|pair| pair.is_missing()) {
            state.joint = JointState { n: pairs.len() as f64, xx: f64::NAN, ..JointState::default() };
            return;
        }
        let mut ranks: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        team.each(&mut ranks, |side, ranks| {
            let key = |pair: &Pair| if side == 0 { pair.re } else { pair.im }.canonical().key();
            *ranks = mean_ranks(memory::collected(pairs.iter().map(key).zip(0..)));
        });
        let [left, right] = &ranks;
        let ranks = left.iter().zip(right).map(|(&re, &im)| Pair { re, im });
        state.joint = JointState::default();
        for block in memory::collected(ranks).chunks(crate::view::BLOCK) {
            state.joint.merge(JointState::of(block, &Ahead::default()));
        }
    }
}

/// The rank of each key from 1 on, equal ones having the mean of theirs; keys come with their places.
fn mean_ranks(mut keys: Vec<(u64, usize)>) -> Vec<f64> {
    keys.sort_unstable();
    let mut ranks = memory::filled(0.0, keys.len());
    let mut first = 1;
    for equal in keys.chunk_by(|left, right| left.0 == right.0) {
        let last = first + equal.len() - 1;
        for &(_, place) in equal {
            if let Some(rank) = ranks.get_mut(place) {
                *rank = f64::midpoint(first as f64, last as f64);
            }
        }
        first = last + 1;
    }
    ranks
}

/// What follows from the joint moments, as a float.
fn joint(input: &Input, value: impl Fn(&JointState) -> f64 + Clone + Send + Sync + 'static) -> Request {
    number(input.values(), Joint, value)
}

/// A float64 that follows from a state.
fn number<A: Accumulator>(
    expression: Expression,
    accumulator: A,
    value: impl Fn(&A::State) -> f64 + Clone + Send + Sync + 'static,
) -> Request {
    let own = value.clone();
    Request::number(
        expression,
        accumulator,
        DType::Float64,
        move |state| Some(Value::number(own(state))),
        move |state| Ok(Value::float(value(state), DType::Float64)),
    )
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
    examples: &[],
    nan_policy: None,
    weighted: false,
    passes: 1,
    resolve: |_, input| Ok(joint(input, |_| f64::NAN)),
};

pub(super) static COV: Entry = Entry {
    name: "cov",
    doc: "The covariance of two arrays.\n\n\
          The sum of the products of deviations from the means over ``n - ddof``; NaN where ``n <= ddof``. Computed in float64 in two passes over each block in cache, merged with Pébay's formulas \
          (SAND2008-6212).",
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
        Ok(joint(input, move |state| covariance(state.xy, state.n, ddof)))
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
          Pearson's is ``scipy.stats.pearsonr``'s, Spearman's ``scipy.stats.spearmanr``'s, which takes memory for all pairs \
          and their ranks.",
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
            "spearman" => number(input.values(), Ranked, |state| state.joint.correlation()),
            _ => joint(input, JointState::correlation),
        })
    },
    ..PARTS
};

/// The mean of a sum over all pairs.
fn mean_of(input: &Input, term: Term, value: fn(f64) -> f64) -> Request {
    number(input.values(), SumOf(term), move |state| value(state.sum.value() / state.n))
}

pub(super) static DOT: Entry = Entry {
    name: "dot",
    doc: "The dot product of two arrays, in float64; 0 of empty ones.\n\n\
          Products are rounded; their sum carries its rounding errors along, as that of one array does.",
    numpy: "np.dot(np.ravel(x) * 1.0, np.ravel(y) * 1.0)",
    resolve: |_, input| Ok(number(input.values(), SumOf(Term::Product), |state| state.sum.value())),
    ..PARTS
};

pub(super) static RMSE: Entry = Entry {
    name: "rmse",
    doc: "The root mean square error: the square root of the mean of squared differences; NaN of empty arrays.",
    numpy: "np.sqrt(np.mean(np.square(x * 1.0 - y * 1.0)))",
    resolve: |_, input| Ok(mean_of(input, Term::SquaredDifference, f64::sqrt)),
    ..PARTS
};

pub(super) static MAE: Entry = Entry {
    name: "mae",
    doc: "The mean absolute error: the mean of the absolute differences; NaN of empty arrays.",
    numpy: "np.mean(np.abs(x * 1.0 - y * 1.0))",
    resolve: |_, input| Ok(mean_of(input, Term::Difference, |mean| mean)),
    ..PARTS
};

pub(super) static LINREGRESS: Entry = Entry {
    name: "linregress",
    doc: "The line through points x, y with the least squared distances along y.\n\n\
          A named tuple ``(slope, intercept, rvalue, pvalue, stderr, intercept_stderr)``: ``rvalue`` is the correlation, ``pvalue`` that of a two-sided test of the slope being 0, by Student's t-distribution; \
          the errors are standard errors. NaN of fewer than two points, and where all x are equal. SciPy's \
          ``stats.linregress``.",
    numpy: "stats.linregress(np.ravel(x), np.ravel(y))",
    resolve: |_, input| Ok(Request::new(input.values(), Joint, |state| Ok(line(state)))),
    ..PARTS
};

fn line(state: &JointState) -> Value {
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
    let fields = [slope, mean_y - slope * mean_x, r, p, error, intercept_error];
    Value::Record("LinearRegression", fields.map(|field| Value::float(field, DType::Float64)).to_vec())
}
