//! The laws that every kernel is under by being listed in the catalogue (see `src/kernel/mod.rs`), and the engine with it.
//!
//! The engine is compared, bit for bit, with a model of it (`support/model.rs`): one sink at a time, in one thread, chunk
//! after chunk. Most laws are other ways to sweep for a sink that have to come to the same.

#![allow(unsafe_code, reason = "a view of memory is made by promising that the memory is there")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use fanfold::dtype::{Buffer, DType, Number};
use fanfold::error::Error;
use fanfold::grid::{BLOCK, CHUNK};
use fanfold::kernel::{AnyState, NanPolicy, Request, Sink, Subject};
use fanfold::kernels::CATALOGUE;
use fanfold::plan::{Call, Plan};
use fanfold::simd::Level;
use fanfold::source::View;
use fanfold::value::Value;
use proptest::prelude::*;
use support::arrays::{Array, Content, Layout};
use support::model::{answers, close, engine, fixed_tree, joined, part, same_bits, update};
use support::uses::{fused, name, uses};

/// Lengths around every border but those between chunks.
const LENGTHS: [usize; 9] = [0, 1, 2, 3, 31, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77];
/// Lengths around the borders between chunks, and so many chunks that the tree has a node without a neighbour.
const LONG: [usize; 5] = [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 6 * CHUNK + BLOCK + 1];

const POLICIES: [NanPolicy; 2] = [NanPolicy::Propagate, NanPolicy::Omit];

/// Every dtype and content.
fn kinds() -> impl Iterator<Item = (DType, Content)> {
    DType::ALL.into_iter().flat_map(|dtype| Content::ALL.map(|content| (dtype, content)))
}

/// Fails, and names the use, unless both have the same answers.
#[track_caller]
fn assert_same(plan: &Plan, left: &[Result<Value, Error>], right: &[Result<Value, Error>], context: &str) {
    assert_eq!((left.len(), right.len()), (plan.calls().len(), plan.calls().len()), "answers of {context}");
    for ((call, left), right) in plan.calls().iter().zip(left).zip(right) {
        assert!(same_bits(left, right), "{} of {context}: {left:?} is not {right:?}", name(call));
    }
}

/// The law that a sweep comes to the same as the engine's own, over all kinds of arrays.
#[track_caller]
fn assert_comes_to_the_same(lengths: &[usize], sweep: impl Fn(&View<'_>, &Sink) -> AnyState) {
    for (dtype, content) in kinds() {
        for (&len, policy) in lengths.iter().flat_map(|len| POLICIES.map(|policy| (len, policy))) {
            let array = Array::new(content, dtype, len);
            let plan = fused(policy);
            let expected = engine(&plan, &array.view(), 1).unwrap();
            let context = format!("{len} {dtype}, {content:?}, {policy:?}");
            assert_same(&plan, &answers(&plan, &array.view(), &sweep), &expected, &context);
        }
    }
}

#[test]
fn combining_with_a_fresh_state_changes_nothing() {
    let sweep = fixed_tree(Level::best());
    assert_comes_to_the_same(&LENGTHS, |view, sink| {
        let fresh = || sink.accumulator.init();
        joined(sink, fresh(), joined(sink, sweep(view, sink), fresh()))
    });
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    // The best one is what the engine itself uses here, and every other law with it.
    for level in Level::available().filter(|level| level.name() != Level::best().name()) {
        assert_comes_to_the_same(&LENGTHS, fixed_tree(level));
    }
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    for (dtype, content) in kinds() {
        let array = Array::new(content, dtype, LONG[3]);
        let plan = fused(NanPolicy::Omit);
        let expected = answers(&plan, &array.view(), fixed_tree(Level::best()));
        // Other numbers of workers are tried from Python, over as many kinds of arrays.
        let got = engine(&plan, &array.view(), 3).unwrap();
        assert_same(&plan, &got, &expected, &format!("{dtype}, {content:?}"));
    }
}

#[test]
fn chunks_are_combined_in_the_fixed_tree() {
    for dtype in [DType::Float64, DType::Complex64, DType::Int16] {
        for len in LONG {
            let array = Array::new(Content::Holes, dtype, len);
            for policy in POLICIES {
                let plan = fused(policy);
                let expected = answers(&plan, &array.view(), fixed_tree(Level::best()));
                let got = engine(&plan, &array.view(), 2).unwrap();
                assert_same(&plan, &got, &expected, &format!("{len} {dtype}, {policy:?}"));
            }
        }
    }
}

#[test]
fn a_split_at_any_border_of_blocks_changes_rounding_at_most() {
    let len = 4 * BLOCK + 5;
    // The sixth powers of rising elements would need another measure of what is close.
    for (dtype, content) in kinds().filter(|(_, content)| *content != Content::Rising) {
        let array = Array::new(content, dtype, len);
        let plan = fused(NanPolicy::Propagate);
        let expected = engine(&plan, &array.view(), 1).unwrap();
        for border in (0..len).step_by(BLOCK) {
            let split = answers(&plan, &array.view(), |view, sink| {
                let half = |elements| part(Level::best(), view, sink, elements);
                joined(sink, half(0..border), half(border..len))
            });
            // A probability magnifies the rounding of what it follows from, which `cov` and `corr` follow from as well.
            let of_states = |((call, _), _): &((&Call, _), _)| call.entry.name != "linregress";
            for ((call, split), whole) in plan.calls().iter().zip(&split).zip(&expected).filter(of_states) {
                let context = format!("{} of {dtype}, {content:?}, split at {border}", name(call));
                assert!(close(split, whole), "{context}: {split:?} is not {whole:?}");
            }
        }
    }
}

/// The law that chosen sinks, all of them free of order, come to the same whatever comes first.
#[track_caller]
fn assert_takes_blocks_in_any_order(chosen: impl Fn(&Sink) -> bool) {
    let level = Level::best();
    let lengths = [0, 1, BLOCK + 1, 5 * BLOCK + 77];
    let in_order = fixed_tree(level);
    let is_chosen = |sink: &Sink| sink.accumulator.order_free() && chosen(sink);
    let starts = |view: &View<'_>| (0..view.len()).step_by(BLOCK);
    let backwards = |view: &View<'_>, sink: &Sink| {
        let mut state = sink.accumulator.init();
        update(level, view, sink, &mut state, starts(view).rev(), view.len());
        state
    };
    let every_second = |view: &View<'_>, sink: &Sink, first: usize| {
        let mut state = sink.accumulator.init();
        update(level, view, sink, &mut state, starts(view).skip(first).step_by(2), view.len());
        state
    };
    let interleaved =
        |view: &View<'_>, sink: &Sink| joined(sink, every_second(view, sink, 1), every_second(view, sink, 0));
    assert_comes_to_the_same(
        &lengths,
        |view, sink| {
            if is_chosen(sink) { interleaved(view, sink) } else { in_order(view, sink) }
        },
    );
    assert_comes_to_the_same(
        &lengths,
        |view, sink| {
            if is_chosen(sink) { backwards(view, sink) } else { in_order(view, sink) }
        },
    );
}

#[test]
fn what_is_free_of_order_takes_blocks_in_any_order() {
    assert_takes_blocks_in_any_order(|sink| !sink.accumulator.positional());
}

#[test]
fn what_is_free_of_order_and_has_positions_takes_blocks_in_any_order() {
    assert_takes_blocks_in_any_order(|sink| sink.accumulator.positional());
}

#[test]
fn company_does_not_change_a_bit() {
    for (dtype, content) in kinds() {
        let array = Array::new(content, dtype, BLOCK + 77);
        for policy in POLICIES {
            let together = engine(&fused(policy), &array.view(), 1).unwrap();
            for (call, together) in uses().into_iter().zip(together) {
                let alone = Plan::new(vec![call], policy);
                let answer = engine(&alone, &array.view(), 1).unwrap();
                assert_same(&alone, &answer, &[together], &format!("{dtype}, {content:?}, {policy:?}, alone"));
            }
        }
    }
}

#[test]
fn a_state_that_serves_two_kernels_serves_each_as_its_own_would() {
    let array = Array::new(Content::Holes, DType::Float32, BLOCK + 77);
    let all = engine(&fused(NanPolicy::Propagate), &array.view(), 1).unwrap();
    let each: Vec<(Call, Result<Value, Error>)> = uses().into_iter().zip(all).collect();
    for (left, left_answer) in &each {
        for (right, right_answer) in &each {
            let pair = Plan::new(vec![left.clone(), right.clone()], NanPolicy::Propagate);
            let answers = engine(&pair, &array.view(), 1).unwrap();
            let expected = [left_answer.clone(), right_answer.clone()];
            assert_same(&pair, &answers, &expected, &format!("a pair of {} and {}", name(left), name(right)));
        }
    }
}

#[test]
fn a_kernel_takes_the_dtypes_that_it_declares_and_no_others() {
    let plan = fused(NanPolicy::Propagate);
    let mut exercised = vec![0; plan.calls().len()];
    for (dtype, content) in kinds() {
        let array = Array::new(content, dtype, 31);
        let answers = engine(&plan, &array.view(), 1).unwrap();
        for ((call, answer), exercised) in plan.calls().iter().zip(answers).zip(&mut exercised) {
            let refused = matches!(answer, Err(Error::UnsupportedDtype { .. }));
            assert_eq!(refused, !call.entry.takes.includes(dtype), "{} of {dtype}: {answer:?}", name(call));
            assert!(!matches!(answer, Err(Error::Panic { .. })), "{} of {dtype}: {answer:?}", name(call));
            *exercised += usize::from(answer.is_ok());
        }
    }
    for (call, exercised) in plan.calls().iter().zip(exercised) {
        assert!(exercised > 0, "{} never gave a value: nothing here tests it", name(call));
    }
    assert!(CATALOGUE.iter().all(|entry| plan.calls().iter().any(|call| call.entry.name == entry.name)));
}

/// The kernels whose subject is NaN, and those that answer with positions in the whole array.
const SEE_ALL: [&str; 8] =
    ["count_nan", "argmin", "nanargmin", "argmax", "nanargmax", "argtopk", "argbottomk", "argsort"];

/// Whether the answer has an item for each element, also for those that are left out.
fn is_array(call: &Call) -> bool {
    let takes = DType::ALL.into_iter().filter(|dtype| call.entry.takes.includes(*dtype));
    let mut requests =
        takes.map(|dtype| call.entry.request(&call.arguments, Subject::of(0, dtype), NanPolicy::Propagate));
    requests.any(|request| matches!(request, Ok(Request::Array(_))))
}

#[test]
fn to_omit_nan_is_to_answer_for_the_array_without_them() {
    let uses = uses().into_iter().filter(|call| !SEE_ALL.contains(&call.entry.name) && !is_array(call));
    let omitting = Plan::new(uses.collect(), NanPolicy::Omit);
    let plain = Plan::new(omitting.calls().to_vec(), NanPolicy::Propagate);
    for (dtype, content) in kinds() {
        // Within one block: beyond, the borders of blocks lie elsewhere. And more than ddof: below, `var` becomes `nanvar`.
        for len in [0, 31, BLOCK] {
            let array = Array::new(content, dtype, len);
            let clean = Array::without_missing(content, dtype, len);
            let omitted = engine(&omitting, &array.view(), 1).unwrap();
            let as_it_is = engine(&plain, &array.view(), 1).unwrap();
            let without = engine(&plain, &clean.view(), 1).unwrap();
            // What does not exist for an empty array is NaN where there is nothing but NaN.
            let or_missing =
                |(without, as_it_is)| if matches!(without, Err(Error::Empty { .. })) { as_it_is } else { without };
            let expected: Vec<_> = without.into_iter().zip(as_it_is).map(or_missing).collect();
            assert_same(&omitting, &omitted, &expected, &format!("{len} {dtype}, {content:?}"));
        }
    }
}

#[test]
fn a_position_among_nothing_but_nan_is_told_not_to_exist() {
    for (call, dtype) in uses().into_iter().flat_map(|call| DType::ALL.map(|dtype| (call.clone(), dtype))) {
        let asks_for_position = call.entry.name.contains("argm");
        if asks_for_position && dtype.has_missing() && call.entry.takes.includes(dtype) {
            let array = Array::new(Content::Missing, dtype, 31);
            let kernel = call.entry.name;
            let plan = Plan::new(vec![call], NanPolicy::Omit);
            let answer = engine(&plan, &array.view(), 1).unwrap();
            assert_same(&plan, &answer, &[Err(Error::AllNan { kernel, dtype })], dtype.name());
        }
    }
}

#[test]
fn to_raise_on_nan_is_to_count_them_and_else_to_answer_as_ever() {
    for (dtype, content) in kinds() {
        let len = BLOCK + 77;
        let array = Array::new(content, dtype, len);
        let missing = len - Array::without_missing(content, dtype, len).view().len();
        let raised = engine(&fused(NanPolicy::Raise), &array.view(), 1);
        if missing > 0 {
            assert_eq!(raised.unwrap_err(), Error::FoundNan { count: missing.try_into().unwrap(), dtype }, "{dtype}");
        } else {
            let plan = fused(NanPolicy::Propagate);
            let expected = engine(&plan, &array.view(), 1).unwrap();
            assert_same(&plan, &raised.unwrap(), &expected, &format!("{dtype}, {content:?}"));
        }
    }
}

#[test]
fn as_few_elements_as_ddof_leave_no_finite_variance() {
    for call in uses() {
        let ddof = call.arguments.number("ddof");
        for (len, dtype) in (0..5).flat_map(|len| DType::ALL.map(|dtype| (len, dtype))) {
            if ddof.is_nan() || is_array(&call) || (len as f64) > ddof || !call.entry.takes.includes(dtype) {
                continue;
            }
            let array = Array::new(Content::Normal, dtype, len);
            let plan = Plan::new(vec![call.clone()], NanPolicy::Propagate);
            let answer = engine(&plan, &array.view(), 1).unwrap().remove(0).unwrap();
            let value = match answer {
                Value::Scalar(Number::Float(value), _) => value,
                Value::Array { items: Buffer::Float64(values), .. } if values.len() == 1 => values[0],
                other => unreachable!("{other:?} is no float"),
            };
            assert!(!value.is_finite(), "{} of {len} {dtype}: {value}", name(&call));
        }
    }
}

#[test]
fn a_layout_does_not_change_a_bit() {
    let layouts = |len: usize| {
        let plain = Layout::contiguous(len);
        [
            Layout::stepping(len, 2),
            Layout::stepping(len, 3),
            Layout::stepping(len, -1),
            Layout::stepping(len, 0),
            Layout { swapped: true, ..plain.clone() },
            Layout { swapped: true, ..Layout::stepping(len, -2) },
            Layout { shift: 1, ..plain.clone() },
            Layout { shape: vec![1, len, 1], steps: vec![7, 1, -3], ..plain },
        ]
    };
    let plan = fused(NanPolicy::Propagate);
    for (dtype, content) in kinds() {
        for layout in [1, 31, BLOCK + 77].into_iter().flat_map(layouts) {
            let context = format!("{dtype}, {content:?}, {layout:?}");
            let array = Array::laid_out(content, dtype, layout);
            let before = array.memory().to_vec();
            let expected = engine(&plan, &array.gathered().view(), 1).unwrap();
            assert_same(&plan, &engine(&plan, &array.view(), 1).unwrap(), &expected, &context);
            assert!(array.memory() == before, "{context}: the array was written to");
        }
    }
}

fn any_layout() -> impl Strategy<Value = Layout> {
    let axes = prop::collection::vec((0_usize..40, -45_isize..45), 0..4);
    let long = (1..3 * BLOCK, -3_isize..4).prop_map(|axis| vec![axis]);
    (prop_oneof![axes, long], any::<bool>(), 0_usize..3).prop_map(|(axes, swapped, shift)| {
        let (shape, steps) = axes.into_iter().unzip();
        Layout { shape, steps, swapped, shift }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any array, however it lies, whoever computes: the engine answers as the model, and where no kernel may take
    /// another order than the array's own, as for the same elements side by side.
    #[test]
    fn any_array_is_answered_as_on_paper(
        layout in any_layout(),
        dtype in prop::sample::select(&DType::ALL[..]),
        content in prop::sample::select(&Content::ALL[..]),
        policy in prop::sample::select(&POLICIES[..]),
        workers in 1_usize..5,
    ) {
        let array = Array::laid_out(content, dtype, layout);
        let view = array.view();
        let plan = fused(policy);
        let got = engine(&plan, &view, workers).unwrap();
        let level = Level::available().nth(workers % Level::available().count()).unwrap();
        assert_same(&plan, &got, &answers(&plan, &view, fixed_tree(level)), "the model");
        if view.in_memory_order().is_none() {
            let gathered = engine(&plan, &array.gathered().view(), 1).unwrap();
            assert_same(&plan, &got, &gathered, "the elements side by side");
        }
    }
}
