//! The regression line through points: `linregress`.
//!
//! It follows from the joint moments that `cov` and `corr` use too.

use super::PARTS;
use super::joint::{Joint, JointState, in_scales};
use crate::dtype::DType;
use crate::kernel::{Answer, Entry, Input, Request, Shape};
use crate::scale::Scale;
use crate::t_distribution::two_sided;
use crate::value::Value;

pub(in crate::kernels) static LINREGRESS: Entry = Entry {
    name: "linregress",
    answers: Shape::Record,
    doc: "The line through the points (x, y) with the least squared distances along y.\n\n\
          A named tuple ``(slope, intercept, rvalue, pvalue, stderr, intercept_stderr)``: ``rvalue`` is the \
          correlation; ``pvalue`` is from a two-sided test that the slope is 0, by Student's t-distribution; \
          ``stderr`` and ``intercept_stderr`` are standard errors. NaN for fewer than two points, and if all x are \
          equal. Right for elements of every magnitude, like ``cov``. The same as SciPy's ``stats.linregress``.",
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

/// The line from joint moments, and the test of its slope.
fn line(state: &JointState, [x, y]: [Scale; 2]) -> Value {
    let r = state.correlation();
    let slope = state.xy / state.xx;
    let (mean_x, mean_y) = (state.mean_x.value(), state.mean_y.value());
    let freedom = state.n - 2.0;
    let (p, error) = if freedom > 0.0 {
        // Gives a result for a line through all points, too.
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
