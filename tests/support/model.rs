//! The engine on paper: one sink at a time, one thread, no cleverness. Laws are about how a sink is swept for, so that is
//! what the caller gives.

use fanfold::ahead::Ahead;
use fanfold::dtype::Number;
use fanfold::engine::{CHUNK, Control, Prepared, Workers, run};
use fanfold::error::Error;
use fanfold::expr::{Evaluator, Graph, Program};
use fanfold::kernel::{Answer, AnyState, Sink, Team};
use fanfold::plan::{Plan, Stage, Who};
use fanfold::simd::Level;
use fanfold::value::Value;
use fanfold::view::{BLOCK, View};

/// An answer for each use of a kernel.
pub(crate) type Answers = Vec<Result<Value, Error>>;

/// What the engine answers.
pub(crate) fn engine(plan: &Plan, view: &View<'_>, workers: usize) -> Result<Answers, Error> {
    let prepared = Prepared::new(plan, view.dtype());
    let workers = Workers::new(workers).unwrap();
    run(plan, &prepared, view, &workers, &Control::none()).map(|outcome| outcome.values)
}

/// What the plan answers if each sink's state is found by `sweep`.
pub(crate) fn answers(plan: &Plan, view: &View<'_>, sweep: impl Fn(&View<'_>, &Sink) -> AnyState) -> Answers {
    let (mut stage, errors) = plan.stage(view.dtype());
    let mut answers: Vec<Option<Result<Value, Error>>> = vec![None; plan.calls().len()];
    let mut place = |who: Who, value| {
        if let Who::Call(index) = who {
            answers[index] = Some(value);
        }
    };
    for (index, error) in errors {
        place(Who::Call(index), Err(error));
    }
    loop {
        for (who, value) in stage.known(view.len() as u64) {
            place(who, Ok(value));
        }
        if stage.is_done() {
            return answers.into_iter().map(Option::unwrap).collect();
        }
        let state = |sink: &Sink| {
            let mut state = sweep(&order_of(view, sink), sink);
            // A sink for which a sample is enough may as well see everything.
            sink.accumulator.settle(&mut state, true, &Team::alone());
            Ok(state)
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
    let mut graph = Graph::new(view.dtype());
    let node = graph.add(&sink.expression);
    let program = Program::new(&graph, &[node]);
    let mut evaluator = Evaluator::new(std::slice::from_ref(view), &program, level);
    for start in starts {
        evaluator.evaluate(std::slice::from_ref(view), start, end.min(start + BLOCK), |instruction, block| {
            if program.wanted() == [instruction] {
                sink.accumulator.update(level, state, block, start as u64, &Ahead::default());
            }
        });
    }
}

/// The state of both.
pub(crate) fn joined(sink: &Sink, mut left: AnyState, right: AnyState) -> AnyState {
    sink.accumulator.combine(&mut left, right);
    left
}

/// Answers as text, in which equal means: the same bits. (The one exception, on purpose: all NaN are alike.)
pub(crate) fn bits(answers: &[Result<Value, Error>]) -> Vec<String> {
    answers.iter().map(|answer| format!("{answer:?}")).collect()
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
        (left, right) => format!("{left:?}") == format!("{right:?}"),
    }
}
