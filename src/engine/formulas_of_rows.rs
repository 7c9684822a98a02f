//! Runs the formulas of functions of one row over many rows.
//!
//! The formulas were made for one row: their sources are its elements and slices of them, and every row has its own in the
//! same places. A number that a formula reads may be another one in each row ([`Graph::number`]).
//!
//! A row is computed as an array of its own, in the same blocks and the same tree, so its results are the same to the last
//! bit, whichever worker computes it. A worker takes many short rows at a time and keeps its scratch from row to row. Rows
//! of several chunks run in a session of their own, one worker on each if there are many, all workers on one if there are
//! few.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::column::Column;
use crate::engine::control::Control;
use crate::engine::latch::lock;
use crate::engine::parallel::{Between, run_on_all};
use crate::engine::pass::States;
use crate::engine::pool::Workers;
use crate::engine::session::Session;
use crate::error::{Error, guarded};
use crate::expr::{Evaluator, Flags, Graph, NodeId, Program};
use crate::grid::{BLOCK, CHUNK, SAMPLE};
use crate::kernel::{Answer, Beside, Request, Team};
use crate::memory;
use crate::plan::{RequestId, Stage};
use crate::simd::Level;
use crate::source::{OutputRows, Rows, Tile, View};
use crate::store;
use crate::value::Value;

/// The most bytes of neighbouring rows that a worker puts together, to read each cache line once.
const HELD: usize = 8 << 20;

/// What is asked of every row.
pub enum RowRequest {
    /// A kernel's result, as an entry of a column.
    Result(Request),
    /// A node's elements, in a row of this memory.
    Elements(NodeId, OutputRows),
}

/// The formulas, and the arrays that they read.
pub struct FormulasOfRows<'a> {
    graph: Graph,
    /// By their numbers in the graph: elements, or one number for each row. The first has the elements of whole rows.
    sources: &'a [Rows<'a>],
    stage: Stage,
    stores: Vec<(usize, NodeId, OutputRows)>,
    requests: usize,
}

/// The results of a run.
#[derive(Debug, Default)]
pub struct RowAnswers {
    /// For each request its results, in the order of rows, without the rows that failed.
    pub columns: Vec<Column>,
    /// The rows that failed, with the number of the request.
    pub failed: Vec<(usize, usize)>,
    /// The nodes whose loops raised floating-point exceptions in any row.
    pub flags: HashMap<NodeId, Flags>,
}

/// The results of rows that follow each other.
struct Answers {
    columns: Vec<Column>,
    failed: Vec<(usize, usize)>,
}

/// What the workers share.
struct Run<'r, 'a> {
    of: &'r FormulasOfRows<'a>,
    level: Level,
    control: &'r Control<'r>,
    program: Program,
    /// The sinks, and the places in `stores`, that read each instruction.
    readers: Vec<Vec<usize>>,
    stored: Vec<Vec<usize>>,
    count: usize,
    len: usize,
    /// The number of neighbouring rows that are read together, and how many a worker takes at a time.
    across: usize,
    per_unit: usize,
    next: AtomicUsize,
    done: Mutex<Vec<(usize, Answers)>>,
    flags: Mutex<HashMap<NodeId, Flags>>,
}

impl<'a> FormulasOfRows<'a> {
    /// No requests yet. The sources are those of the graph, with a row for each row.
    pub fn new(graph: Graph, sources: &'a [Rows<'a>]) -> FormulasOfRows<'a> {
        FormulasOfRows { graph, sources, stage: Stage::default(), stores: Vec::new(), requests: 0 }
    }

    /// Adds a request. Its number is that of the requests before it.
    pub fn add(&mut self, request: RowRequest) {
        match request {
            RowRequest::Result(request) => self.stage.add(RequestId::Call(self.requests), request),
            RowRequest::Elements(node, rows) => self.stores.push((self.requests, node, rows)),
        }
        self.requests += 1;
    }

    /// Computes all requests for every row.
    ///
    /// # Errors
    ///
    /// If the run is stopped, or memory for it cannot be allocated.
    pub fn run(&mut self, workers: &Workers, control: &Control<'_>) -> Result<RowAnswers, Error> {
        guarded(|| self.rows(workers, control)).flatten()
    }

    fn rows(&mut self, workers: &Workers, control: &Control<'_>) -> Result<RowAnswers, Error> {
        let (count, len) = self.sources.first().map_or((0, 0), |rows| (rows.count(), rows.len()));
        if count == 0 {
            let columns = (0..self.requests).map(|_| Column::Empty).collect();
            return Ok(RowAnswers { columns, ..RowAnswers::default() });
        }
        let nodes: Vec<NodeId> = self.stage.sinks().iter().map(|sink| self.graph.add(&sink.expression)).collect();
        let is_short = len <= CHUNK
            && !(len > SAMPLE && self.stage.is_sampled())
            && self.stage.sinks().iter().all(|sink| sink.accumulator.reach().is_none());
        let wanted: Vec<NodeId> = nodes.into_iter().chain(self.stores.iter().map(|(_, node, _)| *node)).collect();
        let run = Run::new(self, &wanted, count, len, workers, control);
        if is_short {
            run_on_all(workers, count.div_ceil(run.per_unit), control, &|between| run.work(between))?;
        } else if count >= 4 * workers.count() {
            run_on_all(workers, count, control, &|between| run.one_by_one(between))?;
        } else {
            for row in 0..count {
                control.check()?;
                let mut answers = run.answers();
                run.alone(row, None, workers, control, &mut answers)?;
                memory::push(&mut lock(&run.done), (row, answers));
            }
        }
        // What was left out after a stop must not look like a result.
        if control.is_stopped() {
            control.check()?;
            return Err(Error::Cancelled);
        }
        Ok(run.into_answers())
    }
}

impl<'r, 'a> Run<'r, 'a> {
    fn new(
        of: &'r FormulasOfRows<'a>,
        wanted: &[NodeId],
        count: usize,
        len: usize,
        workers: &Workers,
        control: &'r Control<'r>,
    ) -> Run<'r, 'a> {
        let program = Program::new(&of.graph, wanted);
        let (mut readers, mut stored) = (vec![Vec::new(); program.size()], vec![Vec::new(); program.size()]);
        let sinks = of.stage.sinks().len();
        for (place, &instruction) in program.wanted().iter().enumerate() {
            match place.checked_sub(sinks) {
                None => readers[instruction].push(place),
                Some(store) => stored[instruction].push(store),
            }
        }
        let bytes: usize = of.sources.iter().map(|rows| rows.len().saturating_mul(rows.dtype().item().size())).sum();
        let across = of.sources.iter().map(Rows::across).max().unwrap_or(1).min(HELD / bytes.max(1)).max(1);
        let per_unit = (CHUNK / len.max(16)).min(count.div_ceil(8 * workers.count())).max(across);
        Run {
            of,
            level: Level::current(),
            control,
            program,
            readers,
            stored,
            count,
            len,
            across,
            per_unit,
            next: AtomicUsize::new(0),
            done: Mutex::default(),
            flags: Mutex::default(),
        }
    }

    fn answers(&self) -> Answers {
        Answers { columns: memory::collected((0..self.of.requests).map(|_| Column::Empty)), failed: Vec::new() }
    }

    /// One worker: takes short rows until none is left.
    fn work(&self, between: Between<'_>) -> Result<(), Error> {
        // The rows of a source that cannot be borrowed, or lie closer to each other than their elements, are put together.
        let tile = |rows: &Rows<'a>| {
            let is_wanted = !rows.are_borrowed() || rows.across() > 1;
            is_wanted.then(|| rows.tile(self.across, rows.len()))
        };
        let mut tiles: Vec<Option<Tile>> = memory::collected(self.of.sources.iter().map(tile));
        let mut rows: Vec<View<'a>> = memory::collected(self.of.sources.iter().map(|rows| rows.row(0)));
        let mut evaluator = Evaluator::new(&views(&tiles, &rows, 0), &self.program, self.level);
        let (mut states, beside) = (States::new(), Beside::default());
        while !self.control.is_stopped() {
            let start = self.next.fetch_add(1, Ordering::Relaxed).saturating_mul(self.per_unit);
            if start >= self.count {
                break;
            }
            let unit = start..self.count.min(start + self.per_unit);
            let mut answers = self.answers();
            let mut first = unit.start;
            while first < unit.end {
                let held = self.hold(first..unit.end, &mut tiles);
                for row in held.clone() {
                    for (source, view) in self.of.sources.iter().zip(&mut rows) {
                        source.go_to(view, row);
                    }
                    let views = views(&tiles, &rows, row - held.start);
                    self.renew(&mut states);
                    self.sweep(row, &views, &mut evaluator, &beside, &mut states);
                    self.finish(row, &mut states, &mut answers)?;
                }
                first = held.end;
            }
            memory::push(&mut lock(&self.done), (unit.start, answers));
            between()?;
        }
        self.tell((0..).map(|instruction| self.program.node(instruction)).zip(evaluator.flags().iter().copied()));
        Ok(())
    }

    /// Puts the first of these rows together, as many as there is room for, and returns which.
    fn hold(&self, rows: Range<usize>, tiles: &mut [Option<Tile>]) -> Range<usize> {
        let mut count = if tiles.iter().any(Option::is_some) { self.across.min(rows.len()) } else { rows.len() };
        for (source, _) in self.of.sources.iter().zip(tiles.iter()).filter(|(_, tile)| tile.is_some()) {
            count = count.min(source.inner() - rows.start % source.inner());
        }
        for (source, tile) in self.of.sources.iter().zip(tiles) {
            if let Some(tile) = tile {
                source.load(self.level, rows.start, count, 0..source.len(), tile);
            }
        }
        rows.start..rows.start + count
    }

    /// Resets the states to those of no elements.
    fn renew(&self, states: &mut States) {
        let sinks = self.of.stage.sinks();
        if states.len() < sinks.len() {
            *states = memory::collected(sinks.iter().map(|sink| guarded(|| sink.accumulator.init())));
            return;
        }
        for (place, sink) in states.iter_mut().zip(sinks) {
            match place {
                Ok(state) => {
                    if let Err(error) = guarded(|| sink.accumulator.renew(state)) {
                        *place = Err(error);
                    }
                }
                Err(_) => *place = guarded(|| sink.accumulator.init()),
            }
        }
    }

    /// Passes a row's blocks to every sink and every store.
    fn sweep(
        &self,
        row: usize,
        views: &[View<'_>],
        evaluator: &mut Evaluator<'_>,
        beside: &Beside,
        states: &mut States,
    ) {
        let sinks = self.of.stage.sinks();
        for start in (0..self.len).step_by(BLOCK) {
            evaluator.evaluate(views, start, self.len, |instruction, block| {
                for &index in self.readers.get(instruction).into_iter().flatten() {
                    let (Some(place), Some(sink)) = (states.get_mut(index), sinks.get(index)) else { continue };
                    let Ok(state) = place else { continue };
                    let update = || sink.accumulator.update(self.level, state, block, start as u64, beside);
                    if let Err(error) = guarded(update) {
                        *place = Err(error);
                    }
                }
                for &index in self.stored.get(instruction).into_iter().flatten() {
                    if let Some((_, _, rows)) = self.of.stores.get(index) {
                        rows.row(row).put(start, block);
                    }
                }
            });
        }
    }

    /// Turns the states of a row into results.
    fn finish(&self, row: usize, states: &mut States, answers: &mut Answers) -> Result<(), Error> {
        for (place, sink) in states.iter_mut().zip(self.of.stage.sinks()) {
            let state = std::mem::replace(place, Ok(Box::new(())));
            *place = state.and_then(|state| guarded(|| sink.accumulator.seal(state, None, &Team::alone())));
        }
        for (who, value) in self.of.stage.known(self.len as u64) {
            place(row, who, Ok(value), answers);
        }
        let mut next = Stage::default();
        for waiting in self.of.stage.waiting() {
            let (who, sink) = (waiting.who(), waiting.sink());
            let answer = match states.get(sink) {
                Some(Ok(state)) => match waiting.number(state) {
                    Some((number, dtype)) => Ok(Answer::Value(Value::Scalar(number, dtype))),
                    None => waiting.answer(state),
                },
                Some(Err(error)) => Err(error.clone()),
                None => unreachable!("there is a state for each sink"),
            };
            match answer {
                Ok(Answer::Next(request)) => next.add(who, request),
                Ok(Answer::Value(value)) => place(row, who, Ok(value), answers),
                Err(error) => place(row, who, Err(error), answers),
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        self.alone(row, Some(next), &Workers::Caller, &self.control.of_worker(), answers)
    }

    /// One worker: takes long rows until none is left.
    fn one_by_one(&self, between: Between<'_>) -> Result<(), Error> {
        while !self.control.is_stopped() {
            let row = self.next.fetch_add(1, Ordering::Relaxed);
            if row >= self.count {
                break;
            }
            let mut answers = self.answers();
            self.alone(row, None, &Workers::Caller, &self.control.of_worker(), &mut answers)?;
            memory::push(&mut lock(&self.done), (row, answers));
            between()?;
        }
        Ok(())
    }

    /// Sweeps over a row for these requests, or for all, until none waits.
    fn alone(
        &self,
        row: usize,
        stage: Option<Stage>,
        workers: &Workers,
        control: &Control<'_>,
        answers: &mut Answers,
    ) -> Result<(), Error> {
        let views: Vec<View<'_>> = self.of.sources.iter().map(|source| source.row(row)).collect();
        let stage = stage.unwrap_or_else(|| {
            let mut stage = self.of.stage.clone();
            for (who, node, rows) in &self.of.stores {
                let output = rows.row(row);
                let dtype = output.dtype();
                stage.add(RequestId::Call(*who), store::store(*node, dtype, output));
            }
            stage
        });
        let mut session = Session::from(self.of.graph.clone(), Cow::Owned(stage), self.len);
        while session.waits() {
            let told = session.sweep(&views, workers, control)?;
            self.tell(told.flags.into_iter());
            for (who, value) in told.answers {
                place(row, who, value, answers);
            }
            if control.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Records floating-point exceptions.
    fn tell(&self, flags: impl Iterator<Item = (NodeId, Flags)>) {
        let mut known = lock(&self.flags);
        for (node, flags) in flags.filter(|(_, flags)| *flags != Flags::default()) {
            known.entry(node).or_default().add(flags);
        }
    }

    fn into_answers(self) -> RowAnswers {
        let mut done = std::mem::take(&mut *lock(&self.done));
        done.sort_unstable_by_key(|(row, _)| *row);
        let mut all = self.answers();
        for (_, more) in done {
            all.columns.iter_mut().zip(more.columns).for_each(|(column, more)| column.append(more));
            memory::extend(&mut all.failed, more.failed);
        }
        let flags = std::mem::take(&mut *lock(&self.flags));
        RowAnswers { columns: all.columns, failed: all.failed, flags }
    }
}

/// The views of a row: its place in the tiles, and in the arrays themselves.
fn views<'v>(tiles: &'v [Option<Tile>], rows: &[View<'v>], place: usize) -> Vec<View<'v>> {
    let view = |(tile, row): (&'v Option<Tile>, &View<'v>)| match tile {
        Some(tile) => tile.row(place, row.len()),
        None => row.clone(),
    };
    memory::collected(tiles.iter().zip(rows).map(view))
}

/// Stores a result of a row.
fn place(row: usize, who: RequestId, value: Result<Value, Error>, answers: &mut Answers) {
    let RequestId::Call(request) = who else { return };
    let Answers { columns, failed } = answers;
    let Some(column) = columns.get_mut(request) else { return };
    match value {
        // The items are in an output.
        Ok(Value::Items(_)) => {}
        Ok(Value::Scalar(number, dtype)) => column.push_number(number, dtype),
        Ok(value) => column.push(value),
        Err(_) => memory::push(failed, (request, row)),
    }
}
