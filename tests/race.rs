//! Another thread overwrites the array while it is swept: numbers may come out meaningless, memory stays whole.
//!
//! The array is a heap block of exactly its size, so that valgrind sees a read beyond its ends: `make test-rust` runs
//! this file under valgrind too, where there is one.

#![allow(unsafe_code, reason = "a view of memory is made by promising that the memory is there")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/memory.rs"]
mod memory;
#[path = "support/uses.rs"]
mod uses;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fanfold::dtype::DType;
use fanfold::engine::{Control, Groups, Labels, Prepared, Workers, run};
use fanfold::error::Error;
use fanfold::grid::{BLOCK, CHUNK};
use fanfold::kernel::NanPolicy;
use fanfold::source::View;
use memory::Memory;

/// Numbers that send a kernel another way when they turn up between two looks at the same place: zeros, ones, NaN,
/// infinities, the ends of the integers, numbers beyond every bin.
const WORDS: [u64; 8] = [
    0,
    0x3ff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Sweeps over `words` while another thread writes to them.
fn sweep_beside_a_writer(words: &[AtomicU64], sweep: impl Fn()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (word, number) in words.iter().cycle().zip((0..).step_by(3)) {
                word.store(WORDS[(number >> 4 ^ number) % WORDS.len()], Ordering::Relaxed);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        sweep();
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn every_kernel_of_every_dtype_survives_a_writer() {
    for dtype in DType::ALL {
        // A block and a little of every dtype, and of one more than a chunk, so that states are combined; under valgrind
        // each element costs a hundred times as much.
        let least = if dtype == DType::UInt8 { CHUNK } else { BLOCK };
        let (len, size) = (least + 64, dtype.size().cast_signed());
        // The memory ends with the last element.
        let words: Vec<AtomicU64> = (0..).take(len * dtype.size() / 8).map(AtomicU64::new).collect();
        // What is contiguous is read by the kernels where it lies; the rest is gathered before they see it, and once is
        // enough for that, with the policy that only adds a count to another.
        let (contiguous, strided) = ((len, size), (len / 3, 3 * size));
        for ((len, stride), policy) in
            [(contiguous, NanPolicy::Propagate), (contiguous, NanPolicy::Omit), (strided, NanPolicy::Raise)]
        {
            // SAFETY: `len` elements, `stride` bytes apart, fill `words` or a part of it. They change meanwhile, which is
            // what `View::new` allows.
            let view = unsafe { View::new(words.as_ptr().cast(), dtype, false, &[len], &[stride]) };
            let plan = uses::fused(policy);
            let prepared = Prepared::new(&plan, dtype);
            sweep_beside_a_writer(&words, || {
                let mut arrays = Memory::of(&prepared, view.len());
                let outputs = Memory::outputs(&mut arrays);
                let run =
                    run(&plan, &prepared, std::slice::from_ref(&view), &outputs, &Workers::new(2), &Control::none());
                // An error of the whole run: a NaN was found under `Raise`.
                let answers = run.map_or_else(|error| vec![Err(error)], |outcome| outcome.values);
                for (call, answer) in plan.calls().iter().zip(answers) {
                    let panicked = matches!(answer, Err(Error::Panic { .. }));
                    assert!(!panicked, "{} of {dtype}: {answer:?}", uses::name(call));
                }
            });
        }
    }
}

#[test]
fn groups_survive_labels_that_change() {
    let words: Vec<AtomicU64> = (0..4_000).map(AtomicU64::new).collect();
    let len = size_of_val(words.as_slice());
    // SAFETY: so many bytes fill `words`. They change meanwhile, which is what `View::new` allows.
    let bytes = unsafe { View::new(words.as_ptr().cast(), DType::UInt8, false, &[len], &[1]) };
    let labels = Labels { numbers: &bytes, low: 0, range: 200, mask: None };
    sweep_beside_a_writer(&words, || {
        for workers in [1, 2, 3] {
            let workers = Workers::new(workers);
            let groups = Groups::new(labels, &workers, &Control::none()).unwrap();
            let end = groups.offsets().last().copied().unwrap();
            assert!(end <= len && groups.offsets().is_sorted());
            // As many places as there were elements, whatever the labels have become.
            assert_eq!(groups.arranged(&bytes, &workers, &Control::none()).unwrap().len(), end);
            assert_eq!(groups.positions(&workers, &Control::none()).unwrap().len(), end);
        }
    });
}
