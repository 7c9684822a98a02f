//! Memory that cannot be had is an error of the kernel that it was for: never an abort, and nobody else's.
//!
//! Every kernel runs again and again, and each time another one of its allocations fails.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to write, and a view is made by promising that the memory is there"
)]
#![allow(dead_code, reason = "this uses a part of what the laws are told with")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fanfold::dtype::DType;
use fanfold::engine::{Control, Groups, Labels, Prepared, Workers, run, run_rows};
use fanfold::error::Error;
use fanfold::grid::CHUNK;
use fanfold::kernel::{NanPolicy, Takes};
use fanfold::plan::{Call, Given, Plan, Subjects};
use fanfold::source::{OutputRows, Rows, View};
use fanfold::value::Value;
use support::arrays::{Array, Content};
use support::memory::Memory;
use support::model::{Answers, same_bits};
use support::uses::{name, uses};

/// Bytes up to which an allocation does not count as one that grows: a plan, a message.
const SMALL: usize = 2048;

/// Bytes that are kept to tell of a failure with (`src/memory.rs`). When they are asked for depends on the other tests' threads.
const KEPT: usize = 256 << 10;

thread_local! {
    /// This thread's allocations until one fails; none fails if there is no number.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// The bytes of the one that failed.
    static REFUSED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator, but that it refuses when it is told to.
struct Short;

#[global_allocator]
static ALLOCATOR: Short = Short;

impl Short {
    fn refuses(size: usize) -> bool {
        let Some(left) = LEFT.get().filter(|_| size > SMALL && size != KEPT) else { return false };
        LEFT.set(left.checked_sub(1));
        if left == 0 {
            REFUSED.set(Some(size));
        }
        left == 0
    }
}

// SAFETY: all is handed on to the system's; a null pointer says that there is no memory.
unsafe impl GlobalAlloc for Short {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller; so below.
        if Short::refuses(layout.size()) { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see `alloc`.
        if Short::refuses(layout.size()) { std::ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: see `alloc`.
        if Short::refuses(size) { std::ptr::null_mut() } else { unsafe { System.realloc(pointer, layout, size) } }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: see `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What comes of it if the allocation of this number fails, and how many bytes that was for; none if there are fewer.
fn without<R>(allocation: usize, action: impl FnOnce() -> R) -> (R, Option<usize>) {
    REFUSED.set(None);
    LEFT.set(Some(allocation));
    let result = action();
    LEFT.set(None);
    (result, REFUSED.get())
}

/// Lets the first allocations fail in turn, and then some of the others, until there are no more.
fn each_in_turn(mut attempt: impl FnMut(usize) -> Option<usize>) -> usize {
    let mut failed = 0;
    let mut allocation = 0;
    while attempt(allocation).is_some() {
        failed += 1;
        allocation += 1 + allocation / 8;
    }
    failed
}

/// Fails unless a kernel's error says that it had no memory, and how much it wanted.
#[track_caller]
fn assert_is_short(error: &Error, bytes: usize, call: &Call) {
    match error {
        Error::Memory { kernels, bytes: wanted } => {
            assert_eq!(*wanted, bytes, "{}", name(call));
            assert!(kernels.contains(&call.entry.name), "{kernels:?} is not {}", name(call));
            assert!(error.to_string().contains(" bytes of memory could not be allocated"), "{error}");
        }
        other => unreachable!("{}: {other:?}", name(call)),
    }
}

fn with_mean(call: &Call) -> Plan {
    let mean = uses().into_iter().find(|call| call.entry.name == "mean").unwrap();
    Plan::new(vec![call.clone(), mean], NanPolicy::Omit)
}

/// All uses of one array's kernels.
fn of_one_array() -> impl Iterator<Item = Call> {
    uses().into_iter().filter(|call| call.entry.takes == call.entry.takes.of_arrays())
}

#[test]
fn every_kernel_survives_each_allocation_that_fails() {
    for (dtype, content) in [(DType::Float64, Content::Holes), (DType::Int32, Content::Rising)] {
        // More than a chunk, and than a sample.
        let array = Array::new(content, dtype, CHUNK + 1000);
        let view = array.view();
        for call in of_one_array() {
            let plan = with_mean(&call);
            let (expected, _) = answers(&plan, &view, usize::MAX);
            let expected = expected.unwrap();
            each_in_turn(|allocation| {
                let (found, bytes) = answers(&plan, &view, allocation);
                let Some(bytes) = bytes else {
                    assert!(found.is_ok(), "{found:?}");
                    return None;
                };
                match found {
                    // Scratch that is everybody's.
                    Err(error) => plan.calls().iter().for_each(|call| assert_is_short(&error, bytes, call)),
                    Ok(found) => {
                        for ((call, found), expected) in plan.calls().iter().zip(&found).zip(&expected) {
                            match found {
                                Err(error @ Error::Memory { .. }) => assert_is_short(error, bytes, call),
                                found => assert!(same_bits(found, expected), "{}: {found:?}", name(call)),
                            }
                        }
                        let short = found.iter().filter(|found| matches!(found, Err(Error::Memory { .. })));
                        assert_eq!(short.count(), 1, "{} and mean without {bytes} bytes", name(&call));
                    }
                }
                Some(bytes)
            });
        }
    }
}

fn answers(plan: &Plan, view: &View<'_>, allocation: usize) -> (Result<Answers, Error>, Option<usize>) {
    // What it takes to resolve a kernel is looked at as well.
    let (prepared, bytes) = without(allocation, || Prepared::new(plan, view.dtype()));
    if let Some(bytes) = bytes {
        let mut found = vec![Ok(Value::bool(true)); plan.calls().len()];
        let errors = prepared.errors().iter().filter(|(_, error)| matches!(error, Error::Memory { .. }));
        errors.for_each(|(index, error)| found[*index] = Err(error.clone()));
        let (whole, _) = answers(plan, view, usize::MAX);
        let rest =
            whole.unwrap().into_iter().zip(found).map(|(whole, found)| if found.is_err() { found } else { whole });
        return (Ok(rest.collect()), Some(bytes));
    }
    let mut arrays = Memory::of(&prepared, view.len());
    let outputs = Memory::outputs(&mut arrays);
    let (found, bytes) = without(allocation, || {
        run(plan, &prepared, std::slice::from_ref(view), &outputs, &Workers::Caller, &Control::none())
    });
    let found = found.map(|outcome| {
        let mut values = outcome.values;
        for (index, memory) in &arrays {
            if values[*index].is_ok() {
                values[*index] = Ok(memory.value());
            }
        }
        values
    });
    (found, bytes)
}

#[test]
fn an_array_without_memory_is_its_kernels_failure() {
    let array = Array::new(Content::Rising, DType::Float64, 5000);
    for call in of_one_array() {
        let plan = with_mean(&call);
        let prepared = Prepared::new(&plan, DType::Float64);
        for (_, _, len) in prepared.arrays(5000) {
            let outcome = run(&plan, &prepared, &[array.view()], &[], &Workers::Caller, &Control::none()).unwrap();
            assert_is_short(outcome.values[0].as_ref().unwrap_err(), len * 8, &call);
            assert!(outcome.values[1].is_ok());
        }
    }
}

#[test]
fn rows_and_groups_survive_each_allocation_that_fails() {
    let array = Array::new(Content::Holes, DType::Float64, 60_000);
    let labels: Vec<i32> = (0..60_000).map(|i| i * 7919 % 251).collect();
    let labels = View::of(&labels, DType::Int32);
    let view = array.view();
    for call in of_one_array() {
        let plan = with_mean(&call);
        let prepared = Prepared::new(&plan, DType::Float64);
        // Of rows of several lengths an array has an item for each element.
        let is_as_long = prepared.arrays(60_000).all(|(_, _, len)| len == 60_000);
        if !is_as_long || call.entry.takes == Takes::Any {
            continue;
        }
        let subjects = Subjects::of_one(&plan, &Given::one(DType::Float64, None));
        let grouped = |arrays: &mut [(usize, Memory)]| {
            let groups = Groups::new(
                Labels { numbers: &labels, low: 0, range: 251, mask: None },
                &Workers::Caller,
                &Control::none(),
            )?;
            let elements = groups.arranged(&view, &Workers::Caller, &Control::none())?;
            let rows = [Rows::ragged(View::of_buffer(&elements), groups.offsets())];
            let outputs = arrays.iter_mut().map(|(index, memory)| (*index, memory.rows(groups.offsets())));
            let outputs: Vec<(usize, OutputRows)> = outputs.collect();
            run_rows(&plan, &subjects, &rows, &outputs, &Workers::Caller, &Control::none())
        };
        let mut arrays = Memory::of(&prepared, 60_000);
        let expected = grouped(&mut arrays).unwrap().columns;
        let written: Vec<Value> = arrays.iter().map(|(_, memory)| memory.value()).collect();
        each_in_turn(|allocation| {
            let mut arrays = Memory::of(&prepared, 60_000);
            let (found, bytes) = without(allocation, || grouped(&mut arrays));
            let bytes = bytes?;
            match found {
                Err(Error::Memory { bytes: wanted, .. }) => assert_eq!(wanted, bytes),
                Err(other) => unreachable!("{other:?}"),
                Ok(table) => {
                    for ((index, memory), written) in arrays.iter().zip(&written) {
                        assert!(table.columns[*index].is_err() || memory.value() == *written, "{}", name(&call));
                    }
                    for ((call, found), expected) in plan.calls().iter().zip(table.columns).zip(&expected) {
                        match found {
                            Err(error @ Error::Memory { .. }) => assert_is_short(&error, bytes, call),
                            found => assert_eq!(format!("{found:?}"), format!("{expected:?}")),
                        }
                    }
                }
            }
            Some(bytes)
        });
    }
}
