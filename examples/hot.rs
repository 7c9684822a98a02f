//! Runs one kernel, or the plan `seven`, `eleven` or `twelve`, over one array so many times, in one thread: for instruction counts
//! (`benches/callgrind.py`) and profilers.
//!
//! ```text
//! cargo run --release --no-default-features --example hot                      # the names
//! cargo run --release --no-default-features --example hot -- mean 131072 1000  # elements, times
//! ```

#![allow(clippy::unwrap_used, reason = "an example that cannot go on stops")]

#[path = "../benches/workload/mod.rs"]
mod workload;

use std::hint::black_box;
use std::process::ExitCode;

use fanfold::engine::Workers;
use fanfold::simd::Level;
use workload::Workload;

fn main() -> ExitCode {
    let mut workloads = Workload::kernels().chain([Workload::seven()]).chain(Workload::plans());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, elements, times] = arguments.as_slice() else {
        workloads.for_each(|workload| println!("{}", workload.name));
        return ExitCode::SUCCESS;
    };
    let (Some(workload), Ok(elements), Ok(times)) =
        (workloads.find(|workload| workload.name == name), elements.parse(), times.parse())
    else {
        eprintln!("usage: hot NAME ELEMENTS TIMES; without arguments it lists the names");
        return ExitCode::FAILURE;
    };
    if let Err(message) = Level::forced() {
        eprintln!("{message}");
        return ExitCode::FAILURE;
    }
    let array = workload.array(elements);
    let view = array.view();
    for _ in 0..times {
        black_box(workload.run(black_box(&view), &Workers::Caller));
    }
    ExitCode::SUCCESS
}
