//! The engine on paper: one sink at a time, one thread, no cleverness. Laws are about how a sink is swept for, so that is
//! what the caller gives.

use fanfold::dtype::{Buffer, Number};
use fanfold::engine::{Control, Prepared, Workers, run};
use fanfold::error::Error;
use fanfold::expr::{Evaluator, Graph, Program};
use fanfold::grid::{BLOCK, CHUNK};
use fanfold::kernel::{Answer, AnyState, Beside, Piece, Sink, Team};
use fanfold::plan::{Plan, RequestId, Stage};
use fanfold::simd::Level;
use fanfold::source::View;
use fanfold::value::Value;

use super::memory::Memory;

/// An answer for each use of a kernel.
pub(crate) type Answers = Vec<Result<Value, Error>>;

/// What the engine answers.
pub(crate) fn engine(plan: &Plan, view: &View<'_>, workers: usize) -> Result<Answers, Error> {
    let prepared = Prepared::new(plan, view.dtype());
    let workers = Workers::new(workers);
    let mut arrays = Memory::of(&prepared, view.len());
    let outputs = Memory::outputs(&mut arrays);
    let mut values = run(plan, &prepared, std::slice::from_ref(view), &outputs, &workers, &Control::none())?.values;
    for (index, memory) in arrays {
        if values[index].is_ok() {
            values[index] = Ok(memory.value());
        }
    }
    Ok(values)
}

/// What the plan answers if each sink's state is found by `sweep`.
pub(crate) fn answers(plan: &Plan, view: &View<'_>, sweep: impl Fn(&View<'_>, &Sink) -> AnyState) -> Answers {
    let (mut stage, errors) = plan.stage(view.dtype());
    let mut answers: Vec<Option<Result<Value, Error>>> = vec![None; plan.calls().len()];
    let mut place = |who: RequestId, value| {
        if let RequestId::Call(index) = who {
            answers[index] = Some(value);
        }
    };
    for (index, error) in errors {
        place(RequestId::Call(index), Err(error));
    }
    let mut arrays: Vec<(RequestId, Memory)> = Vec::new();
    stage.write(|who, unwritten| {
        arrays.push((who, Memory::new(unwritten.dtype, (unwritten.len)(view.len()))));
        arrays.last_mut().map(|(_, memory)| memory.output())
    });
    let mut place = |who: RequestId, value: Result<Value, Error>| {
        let written = arrays.iter().find(|(of, _)| *of == who);
        place(who, value.map(|value| written.map_or(value, |(_, memory)| memory.value())));
    };
    loop {
        for (who, value) in stage.known(view.len() as u64) {
            place(who, Ok(value));
        }
        if stage.is_done() {
            return answers.into_iter().map(Option::unwrap).collect();
        }
        let state = |sink: &Sink| {
            let state = sweep(&order_of(view, sink), sink);
            // A sink for which a sample is enough may as well see everything.
            Ok(sink.accumulator.seal(state, None, &Team::alone()))
        };
        let states: Vec<_> = stage.sinks().iter().map(state).collect();
        let mut next = Stage::default();
        for (who, answer) in stage.finish(&states) {
            match answer {
                Ok(Answer::Value(value)) => place(who, Ok(value)),
                Ok(Answer::Next(request)) => next.add(who, request),
                Err(error) => place(who, Err(error)),
            }
        }
        stage = next;
    }
}

/// The array in the order in which a sink takes it: its own if positions matter, memory's if not.
fn order_of<'a>(view: &View<'a>, sink: &Sink) -> View<'a> {
    let reordered = if sink.accumulator.positional() { None } else { view.in_memory_order() };
    reordered.unwrap_or_else(|| view.clone())
}

/// As the engine promises it: blocks in order within a chunk, chunks in the fixed tree.
pub(crate) fn fixed_tree(level: Level) -> impl Fn(&View<'_>, &Sink) -> AnyState {
    move |view, sink| {
        let chunks = (0..view.len()).step_by(CHUNK);
        let mut states: Vec<AnyState> =
            chunks.map(|start| part(level, view, sink, start..view.len().min(start + CHUNK))).collect();
        while states.len() > 1 {
            let mut row = states.into_iter();
            states = Vec::new();
            while let Some(left) = row.next() {
                states.push(match row.next() {
                    Some(right) => joined(sink, left, right),
                    None => left,
                });
            }
        }
        states.pop().unwrap_or_else(|| sink.accumulator.init())
    }
}

/// The state of a part of the array that starts at a block's border.
pub(crate) fn part(level: Level, view: &View<'_>, sink: &Sink, elements: std::ops::Range<usize>) -> AnyState {
    let mut state = sink.accumulator.init();
    update(level, view, sink, &mut state, elements.clone().step_by(BLOCK), elements.end);
    state
}

/// Takes the blocks that start at these elements, in this order.
pub(crate) fn update(
    level: Level,
    view: &View<'_>,
    sink: &Sink,
    state: &mut AnyState,
    starts: impl Iterator<Item = usize>,
    end: usize,
) {
    if sink.accumulator.reach().is_some() {
        return pieces(level, view, sink, state);
    }
    let mut graph = Graph::new(view.dtype());
    let node = graph.add(&sink.expression);
    let program = Program::new(&graph, &[node]);
    let mut evaluator = Evaluator::new(std::slice::from_ref(view), &program, level);
    for start in starts {
        evaluator.evaluate(std::slice::from_ref(view), start, end.min(start + BLOCK), |instruction, block| {
            if program.wanted() == [instruction] {
                sink.accumulator.update(level, state, block, start as u64, &Beside::default());
            }
        });
    }
}

/// Takes all pieces, whatever part of the array is asked for: they depend on its length, and to write them twice is no harm.
fn pieces(level: Level, view: &View<'_>, sink: &Sink, state: &mut AnyState) {
    let reach = sink.accumulator.reach().unwrap();
    let mut graph = Graph::new(view.dtype());
    let node = graph.add(&sink.expression);
    let program = Program::new(&graph, &[node]);
    let mut evaluator = Evaluator::new(std::slice::from_ref(view), &program, level);
    let mut all = Buffer::new(graph.item(node), view.len());
    for start in (0..view.len()).step_by(BLOCK) {
        evaluator.evaluate(std::slice::from_ref(view), start, view.len(), |instruction, block| {
            if program.wanted() == [instruction] {
                all.put(start, block);
            }
        });
    }
    let all = View::of_buffer(&all);
    for (number, start) in (0..view.len()).step_by(reach.chunks * CHUNK).enumerate() {
        let end = view.len().min(start + reach.chunks * CHUNK);
        let first = start.saturating_sub(reach.before);
        let last = view.len().min(end.saturating_add(reach.after));
        let piece = Piece { items: &[][..], own: start - first..end - first, number, start };
        sink.accumulator.piece(level, state, all.load(level, first, last - first, &mut Buffer::default()), piece);
    }
}

/// The state of both.
pub(crate) fn joined(sink: &Sink, mut left: AnyState, right: AnyState) -> AnyState {
    sink.accumulator.combine(&mut left, right);
    left
}

/// Whether two answers have the same bits. (The one exception, on purpose: all NaN are alike.)
pub(crate) fn same_bits(left: &Result<Value, Error>, right: &Result<Value, Error>) -> bool {
    match (left, right) {
        (Ok(left), Ok(right)) => same_value(left, right),
        (left, right) => format!("{left:?}") == format!("{right:?}"),
    }
}

fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Scalar(left, dtype), Value::Scalar(right, other)) => dtype == other && same_number(left, right),
        (Value::Array { items: left, dtype }, Value::Array { items: right, dtype: other }) => {
            // As numbers, not as text, which took most of the time of all laws together.
            let (left, right) = (left.numbers(), right.numbers());
            dtype == other && left.len() == right.len() && left.iter().zip(&right).all(|(l, r)| same_number(l, r))
        }
        (Value::Record(name, left), Value::Record(other, right)) => {
            name == other && left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same_value(l, r))
        }
        (left, right) => format!("{left:?}") == format!("{right:?}"),
    }
}

fn same_number(left: &Number, right: &Number) -> bool {
    let same = |left: f64, right: f64| left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan());
    match (left, right) {
        (Number::Float(left), Number::Float(right)) => same(*left, *right),
        (Number::Complex(left), Number::Complex(right)) => same(left.re, right.re) && same(left.im, right.im),
        (left, right) => left == right,
    }
}

/// Whether two answers differ by rounding at most.
pub(crate) fn close(left: &Result<Value, Error>, right: &Result<Value, Error>) -> bool {
    let close = |left: f64, right: f64| {
        let slack = 1e-11 * (1.0 + left.abs().max(right.abs()));
        left == right || (left.is_nan() && right.is_nan()) || (left - right).abs() <= slack
    };
    match (left, right) {
        (Ok(Value::Scalar(Number::Float(left), _)), Ok(Value::Scalar(Number::Float(right), _))) => close(*left, *right),
        (Ok(Value::Scalar(Number::Complex(left), _)), Ok(Value::Scalar(Number::Complex(right), _))) => {
            close(left.re, right.re) && close(left.im, right.im)
        }
        (
            Ok(Value::Array { items: Buffer::Float64(left), .. }),
            Ok(Value::Array { items: Buffer::Float64(right), .. }),
        ) => left.len() == right.len() && left.iter().zip(right).all(|(left, right)| close(*left, *right)),
        (
            Ok(Value::Array { items: Buffer::Float32(left), .. }),
            Ok(Value::Array { items: Buffer::Float32(right), .. }),
        ) => {
            // Neighbours: where the rounding to the dtype went to the other side. Those of float16 lie 2⁻¹⁰ apart.
            let near = |left: f32, right: f32| (left - right).abs() <= 1e-3 * left.abs().max(1e-4);
            let same = |left: f32, right: f32| left == right || (left.is_nan() && right.is_nan()) || near(left, right);
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(*left, *right))
        }
        (left, right) => format!("{left:?}") == format!("{right:?}"),
    }
}
