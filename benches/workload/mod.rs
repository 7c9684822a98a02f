//! What is timed (`benches/engine.rs`) and whose instructions are counted (`examples/hot.rs`): plans, and arrays for them.

#[path = "../../tests/support/memory.rs"]
#[allow(dead_code, unsafe_code, clippy::unwrap_used, reason = "shared with the tests")]
mod memory;

use std::sync::Arc;

use fanfold::dtype::DType;
use fanfold::engine::{Control, Outcome, Prepared, Workers, run};
use fanfold::kernel::NanPolicy;
use fanfold::kernels::{self, CATALOGUE};
use fanfold::parameters::{Argument, Arguments};
use fanfold::plan::{Call, Plan};
use fanfold::source::View;
use memory::Memory;
use num_complex::Complex;

/// The eleven statistics of `benches/compare.py`.
const ELEVEN: [&str; 11] =
    ["sum", "mean", "var", "std", "min", "max", "argmin", "argmax", "count_nan", "skew", "kurtosis"];

/// The seven quantiles of `benches/compare.py`.
const SEVEN: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// What a plan is run over.
pub(crate) enum Elements {
    Floats(Vec<f64>),
    /// Of two arrays.
    Pairs(Vec<Complex<f64>>),
}

impl Elements {
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Elements::Floats(items) => View::of(items, DType::Float64),
            Elements::Pairs(items) => View::of(items, DType::Complex128),
        }
    }
}

/// A plan for float64, or for pairs of them, and what it is called.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    dtype: DType,
    plan: Plan,
    prepared: Prepared,
}

impl Workload {
    fn new(name: &'static str, calls: Vec<Call>) -> Workload {
        let floats = calls.iter().all(|call| call.entry.takes.includes(DType::Float64));
        let dtype = if floats { DType::Float64 } else { DType::Complex128 };
        let plan = Plan::new(calls, NanPolicy::Propagate);
        let prepared = Prepared::new(&plan, dtype);
        Workload { name, dtype, plan, prepared }
    }

    /// Each kernel that has to look at the elements, with its defaults.
    pub(crate) fn kernels() -> impl Iterator<Item = Workload> {
        let entries = CATALOGUE.iter().filter(|entry| entry.passes > 0);
        entries.map(|entry| Workload::new(entry.name, vec![call(entry.name, &[])]))
    }

    /// The eleven, and with a histogram the twelve.
    pub(crate) fn plans() -> [Workload; 2] {
        let eleven: Vec<Call> = ELEVEN.iter().map(|name| call(name, &[])).collect();
        let range = Argument::Floats(Arc::new(vec![-6.0, 6.0]), DType::Float64);
        let histogram = call("histogram", &[("bins".to_owned(), Argument::Int(100)), ("range".to_owned(), range)]);
        let twelve = [eleven.clone(), vec![histogram]].concat();
        [Workload::new("eleven", eleven), Workload::new("twelve", twelve)]
    }

    /// Seven quantiles, which share a selection.
    pub(crate) fn seven() -> Workload {
        let seven = Argument::Floats(Arc::new(SEVEN.to_vec()), DType::Float64);
        Workload::new("seven", vec![call("quantile", &[("q".to_owned(), seven)])])
    }

    /// An array worth the plan's while.
    pub(crate) fn array(&self, len: usize) -> Elements {
        if self.dtype == DType::Complex128 {
            return Elements::Pairs(
                normal(2 * len).chunks_exact(2).map(|pair| Complex::new(pair[0], pair[1])).collect(),
            );
        }
        let mut array = normal(len);
        if self.name == "is_sorted" {
            // It looks no further once it knows that the answer is no.
            array.sort_by(f64::total_cmp);
        }
        Elements::Floats(array)
    }

    /// Runs the plan.
    pub(crate) fn run(&self, view: &View<'_>, workers: &Workers) -> Outcome {
        let mut arrays = Memory::of(&self.prepared, view.len());
        let outputs = Memory::outputs(&mut arrays);
        run(&self.plan, &self.prepared, std::slice::from_ref(view), &outputs, workers, &Control::none()).unwrap()
    }
}

fn call(name: &str, given: &[(String, Argument)]) -> Call {
    let entry = kernels::find(name).unwrap();
    Call { entry, arguments: Arguments::check(entry.name, entry.parameters, given, str::to_owned).unwrap() }
}

/// Bell-shaped around 0 with spread 1, the same everywhere: sums of three numbers of a Weyl sequence, scrambled.
fn normal(len: usize) -> Vec<f64> {
    let uniform = |number: u64| {
        let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (word >> 11) as f64 / (1_u64 << 53) as f64
    };
    let normal = |number: u64| 2.0 * (uniform(3 * number) + uniform(3 * number + 1) + uniform(3 * number + 2) - 1.5);
    (1..=len as u64).map(normal).collect()
}
