//! The core without Python: how fast blocks are loaded, how fast each kernel takes them, and what whole plans make of both.
//!
//! ```text
//! cargo bench --no-default-features                # all of it, in about two minutes
//! cargo bench --no-default-features -- kernel/min  # what has this in its name
//! ```

#![allow(missing_docs, reason = "criterion's macro writes a function without any")]
#![allow(unsafe_code, reason = "a view of memory is made by promising that the memory is there")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod workload;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fanfold::dtype::{Buffer, DType};
use fanfold::engine::{Workers, available_workers};
use fanfold::grid::BLOCK;
use fanfold::simd::Level;
use fanfold::source::View;
use workload::Workload;

/// Elements that stay in the second-level cache: 512 KiB.
const CACHED: usize = 16 * BLOCK;
/// Elements of which a sample is a small part: 8 MB.
const MODERATE: usize = 1_000_000;
/// Elements that no cache holds: 160 MB.
const LARGE: usize = 20_000_000;

/// Loading every block of an array that is in cache. Contiguous ones are borrowed: that is what it costs not to read.
fn loads(criterion: &mut Criterion) {
    let memory = vec![1.0_f64; 2 * CACHED + 1];
    let float64 = size_of::<f64>().cast_signed();
    let end = CACHED * size_of::<f64>();
    let view = |first: usize, dtype: DType, swapped: bool, stride: isize| {
        let pointer = memory.as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: below, all elements lie between the first and the last byte of the `2 * CACHED + 1` float64.
        unsafe { View::new(pointer, dtype, swapped, &[CACHED], &[stride]) }
    };
    let layouts = [
        ("contiguous", view(0, DType::Float64, false, float64)),
        ("misaligned", view(1, DType::Float64, false, float64)),
        ("every second", view(0, DType::Float64, false, 2 * float64)),
        ("reversed", view(end, DType::Float64, false, -float64)),
        ("byte-swapped", view(0, DType::Float64, true, float64)),
        ("float16", view(0, DType::Float16, false, 2)),
    ];
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(CACHED as u64));
    for (name, view) in layouts {
        let mut scratch = Buffer::new(view.dtype().item(), BLOCK);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for start in (0..CACHED).step_by(BLOCK) {
                    black_box(view.load(Level::current(), start, BLOCK, &mut scratch));
                }
            });
        });
    }
}

/// Each kernel of the catalogue alone, over float64 in cache.
fn kernels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kernel");
    group.throughput(Throughput::Elements(CACHED as u64));
    for workload in Workload::kernels() {
        let array = workload.array(CACHED);
        let view = array.view();
        group.bench_function(workload.name, |bencher| {
            bencher.iter(|| workload.run(black_box(&view), &Workers::Caller));
        });
    }
}

/// Order statistics over an array that is larger than the second-level cache, by one worker and by all.
fn selections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("selection");
    group.throughput(Throughput::Elements(MODERATE as u64));
    let alone = Workload::kernels().filter(|workload| ["median", "n_unique", "sort"].contains(&workload.name));
    for workload in alone.chain([Workload::seven()]) {
        let array = workload.array(MODERATE);
        let view = array.view();
        for workers in [1, available_workers()] {
            let id = BenchmarkId::new(workload.name, format!("workers={workers}"));
            let workers = Workers::new(workers);
            group.bench_function(id, |bencher| bencher.iter(|| workload.run(black_box(&view), &workers)));
        }
    }
}

/// Plans over an array that is in memory, by one worker and by all.
fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.throughput(Throughput::Elements(LARGE as u64));
    for workload in Workload::plans() {
        let array = workload.array(LARGE);
        let view = array.view();
        for workers in [1, available_workers()] {
            let id = BenchmarkId::new(workload.name, format!("workers={workers}"));
            let workers = Workers::new(workers);
            group.bench_function(id, |bencher| bencher.iter(|| workload.run(black_box(&view), &workers)));
        }
    }
}

fn quick() -> Criterion {
    let short = Duration::from_millis(200);
    Criterion::default().sample_size(20).warm_up_time(short).measurement_time(4 * short)
}

criterion_group!(name = benches; config = quick(); targets = loads, kernels, selections, plans);
criterion_main!(benches);
