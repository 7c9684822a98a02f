//! Runs a plan over many rows: each function gets a result for each row.
//!
//! One sweep ([`sweep`]) goes over all rows together, in units of many short rows or of one chunk of long rows
//! ([`units`]), which the workers take in turn. A row has the same blocks, chunks and tree as an array of its own, so
//! its results are the same to the last bit. Rows shorter than a block are processed many at a time ([`short`]).
//!
//! Functions that need further passes (a quantile of long rows), and functions that write an array for each row,
//! continue row by row: each worker on its own rows if there are many rows, all workers together on each row if there
//! are few. All requests on a row share its passes.
//!
//! This file prepares the run, takes in the results, and makes the columns. It neither divides rows nor reads elements,
//! except to hold neighbouring rows for several passes.

mod short;
mod sweep;
mod units;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::column::Column;
use crate::dtype::{Buffer, Number};
use crate::engine::combine::Tree;
use crate::engine::control::Control;
use crate::engine::latch::lock;
use crate::engine::parallel::run_on_all;
use crate::engine::pass::{Pass, States};
use crate::engine::pool::Workers;
use crate::engine::positions::among_all;
use crate::engine::rows::units::Units;
use crate::engine::session::Session;
use crate::error::{Error, guarded};
use crate::expr::Graph;
use crate::grid::{BLOCK, CHUNK, SAMPLE};
use crate::kernel::{Answer, Team};
use crate::memory;
use crate::plan::{Plan, RequestId, Stage, Subjects, Waiting};
use crate::simd::Level;
use crate::source::{OutputRows, Rows, Tile, View};
use crate::value::Value;

/// The most bytes of neighbouring rows that a worker keeps, to read them once and use them several times.
const HELD: usize = 64 << 20;

/// The results of all functions for all rows.
#[derive(Debug)]
pub struct Table {
    /// A column for each call of the plan, in order, or an error if the function fails for a row.
    pub columns: Vec<Result<Column, Error>>,
    /// The number of sweeps over the array.
    pub passes: usize,
    /// The bytes of the array that were read.
    pub bytes_read: u64,
}

/// Runs the functions over each row of the sources; each function has its subject. All sources have the same number of
/// rows, each as long as that of the first source.
///
/// Functions that return an array of items write one for each row, to the rows of `outputs`, given by the functions'
/// numbers; their columns are empty. Functions without an output do nothing.
pub fn run_rows(
    plan: &Plan,
    subjects: &Subjects,
    sources: &[Rows<'_>],
    outputs: &[(usize, OutputRows)],
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Table, Error> {
    plan.whole(|| row_by_row(plan, subjects, sources, outputs, workers, control))
}

fn row_by_row(
    plan: &Plan,
    subjects: &Subjects,
    sources: &[Rows<'_>],
    outputs: &[(usize, OutputRows)],
    workers: &Workers,
    control: &Control<'_>,
) -> Result<Table, Error> {
    let Some(first) = sources.first() else { unreachable!("there is an array") };
    if first.count() == 0 {
        return of_no_rows(plan, subjects, sources, control);
    }
    let (stage, errors) = plan.stage_over(&subjects.of_calls, &subjects.arrays);
    let run = Run::new(plan, subjects, stage, sources, outputs, workers, control);
    for (call, error) in errors {
        run.fail(0, call, error);
    }
    run_on_all(workers, run.units.count(), control, &|between| run.work(between))?;
    run.go_on(workers)?;
    run.into_table()
}

/// Results for zero rows. Their dtypes and lengths are those that the results of two made-up rows have in common.
fn of_no_rows(plan: &Plan, subjects: &Subjects, sources: &[Rows<'_>], control: &Control<'_>) -> Result<Table, Error> {
    let len = sources.first().filter(|rows| rows.are_regular()).map(Rows::len);
    // The declared length of rows may exceed any memory.
    let made_up = len.map(|len| len.min(CHUNK));
    // Groups have made-up lengths; a result that depends on the length then has no common length.
    let lens = made_up.map_or([BLOCK - 1, BLOCK], |len| [len; 2]);
    let mut table = of_made_up_rows(plan, subjects, sources, control, lens)?;
    if len == Some(0) {
        // A function without a value for an empty row does not fail here, because there is no row.
        let of_one = of_made_up_rows(plan, subjects, sources, control, [1; 2])?;
        for (column, other) in table.columns.iter_mut().zip(of_one.columns) {
            if column.is_err() {
                *column = other;
            }
        }
    }
    for column in table.columns.iter_mut().flatten() {
        let width = |width| if Some(width) == made_up { len.unwrap_or(width) } else { width };
        *column = std::mem::take(column).emptied(&width);
    }
    Ok(Table { passes: 0, bytes_read: 0, ..table })
}

/// Results for two rows: one of equal elements, and one with two different elements if the length allows.
fn of_made_up_rows(
    plan: &Plan,
    subjects: &Subjects,
    sources: &[Rows<'_>],
    control: &Control<'_>,
    lens: [usize; 2],
) -> Result<Table, Error> {
    let ends = [0, lens[0], lens[0] + lens[1]];
    let made_up = |(number, source): (usize, &Rows<'_>)| {
        let mut items = Buffer::new(source.dtype().item(), 0);
        for place in 0..ends[2] {
            let value = match number.checked_sub(subjects.arrays.len()) {
                None => lens[1] == 1 || place + 1 < ends[2],
                // No element is missing, and neither mask nor weights leave one out.
                Some(behind) => subjects.present.get(behind).copied().unwrap_or(true),
            };
            items.push(Number::Int(value.into()));
        }
        items
    };
    let items: Vec<Buffer> = sources.iter().enumerate().map(made_up).collect();
    let rows: Vec<Rows<'_>> = items.iter().map(|items| Rows::ragged(View::of_buffer(items), &ends)).collect();
    run_rows(plan, subjects, &rows, &[], &Workers::Caller, control)
}

/// The data that the workers of one run share.
struct Run<'a> {
    plan: &'a Plan,
    subjects: &'a Subjects,
    graph: Graph,
    sources: &'a [Rows<'a>],
    outputs: &'a [(usize, OutputRows)],
    control: &'a Control<'a>,
    level: Level,
    /// The stage of the one sweep over all rows.
    stage: Stage,
    pass: Pass,
    /// The sinks of each instruction.
    readers: Vec<Vec<usize>>,
    /// The requests that wait for each sink, see [`Stage::waiting_for`].
    waiting_for: Vec<Vec<usize>>,
    /// The requests that each row runs separately: those that sample, and those that write an array.
    sampled: Stage,
    written: Stage,
    /// The stage of each longer row among rows of several lengths.
    all: Stage,
    units: Units,
    /// The states of chunks, for each tile whose rows have several chunks.
    trees: Vec<Tree<Vec<States>>>,
    /// Whether a worker continues alone with a row that needs further passes.
    alone: bool,
    done: Mutex<Vec<(usize, Vec<Column>)>>,
    /// Rows that wait for all workers.
    waiting: Mutex<Vec<(usize, Stage)>>,
    /// The failure of each call, and the first row that has it.
    failures: Mutex<Vec<Option<(usize, Error)>>>,
    /// The number of NaN values found under `nan_policy="raise"`.
    missing: AtomicU64,
    /// The number of sweeps over a row after the first one.
    further: AtomicUsize,
    elements: AtomicU64,
}

/// The answers for rows that follow each other.
struct Answers {
    /// The first of the rows.
    first: usize,
    columns: Vec<Column>,
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        subjects: &'a Subjects,
        mut stage: Stage,
        sources: &'a [Rows<'a>],
        outputs: &'a [(usize, OutputRows)],
        workers: &Workers,
        control: &'a Control<'a>,
    ) -> Run<'a> {
        let (count, len) = sources.first().map_or((0, 0), |rows| (rows.count(), rows.len()));
        let even = sources.first().is_none_or(Rows::are_regular);
        let written = stage.take_arrays();
        // A single row is an array, and all workers sweep over it together.
        let alone = if count == 1 { std::mem::take(&mut stage) } else { Stage::default() };
        let mut graph = subjects.graph.clone();
        // With rows of several lengths, requests that sample run separately for each row.
        let (len, all) = if even { (len, Stage::default()) } else { (len.min(BLOCK), stage.clone()) };
        let sampled = if len > SAMPLE { stage.take_sampled() } else { Stage::default() };
        let pass = Pass::new(&mut graph, stage.sinks().to_vec());
        let mut readers = vec![Vec::new(); pass.program().size()];
        for (sink, &instruction) in pass.program().wanted().iter().enumerate() {
            readers[instruction].push(sink);
        }
        let waiting_for = stage.waiting_for();
        let units = Units::new(sources, len, &pass, workers);
        let run = Run {
            plan,
            subjects,
            graph,
            sources,
            outputs,
            control,
            level: Level::current(),
            stage,
            pass,
            readers,
            waiting_for,
            sampled,
            written,
            all,
            trees: memory::collected(units.trees().map(Tree::new)),
            units,
            alone: count >= 4 * workers.count(),
            done: Mutex::default(),
            waiting: Mutex::default(),
            failures: Mutex::new(plan.calls().iter().map(|_| None).collect()),
            missing: AtomicU64::new(0),
            further: AtomicUsize::new(0),
            elements: AtomicU64::new(0),
        };
        if count == 1 {
            memory::push(&mut lock(&run.waiting), (0, run.by_itself(0, alone)));
        }
        run
    }

    /// Adds to a stage the requests that a row runs separately.
    fn by_itself(&self, row: usize, mut stage: Stage) -> Stage {
        if !self.written.is_empty() {
            let mut written = self.written.clone();
            written.write(|who, _| {
                let (_, rows) = self.outputs.iter().find(|(call, _)| who == RequestId::Call(*call))?;
                Some(rows.row(row))
            });
            stage.join(&written);
        }
        stage.join(&self.sampled);
        stage
    }

    /// The length of a row.
    fn len_of(&self, row: usize) -> usize {
        self.sources.first().map_or(0, |rows| rows.elements(row..row + 1).len())
    }

    /// The length of rows or, for rows of several lengths, the limit up to which they are swept together.
    fn len(&self) -> usize {
        self.sources.first().map_or(0, |rows| if rows.are_regular() { rows.len() } else { BLOCK })
    }

    /// No answers yet, for this row and those that follow.
    fn answers(&self, first: usize) -> Answers {
        Answers { first, columns: self.columns() }
    }

    /// Hands answers over to be put in order; those that follow are for rows from this one on.
    fn hand_over(&self, answers: &mut Answers, next: usize) {
        let columns = std::mem::replace(&mut answers.columns, self.columns());
        memory::push(&mut lock(&self.done), (answers.first, columns));
        answers.first = next;
    }

    fn columns(&self) -> Vec<Column> {
        memory::collected(self.plan.calls().iter().map(|_| Column::Empty))
    }

    /// Turns the states of rows into results. Rows that need further passes continue at once, or wait for all workers.
    fn finish(&self, rows: Range<usize>, states: &mut [States], answers: &mut Answers) -> Result<(), Error> {
        let len = self.len_of(rows.start);
        let swept = if self.pass.sinks().is_empty() { 0 } else { len * rows.len() };
        self.elements.fetch_add(swept as u64, Ordering::Relaxed);
        let mut held = None;
        for (row, states) in rows.clone().zip(states) {
            for (place, sink) in states.iter_mut().zip(self.pass.sinks()) {
                let state = std::mem::replace(place, Ok(Box::new(())));
                *place = state.and_then(|state| guarded(|| sink.accumulator.seal(state, None, &Team::alone())));
            }
            for (who, value) in self.stage.known(len as u64) {
                self.place(row, who, Ok(value), &mut answers.columns);
            }
            let mut stage = Stage::default();
            for (who, answer) in self.stage.finish(states) {
                match answer {
                    Ok(Answer::Next(request)) => stage.add(who, request),
                    Ok(Answer::Value(value)) => self.place(row, who, Ok(value), &mut answers.columns),
                    Err(error) => self.place(row, who, Err(error), &mut answers.columns),
                }
            }
            let stage = self.by_itself(row, stage);
            if !self.alone {
                // Row by row: the results that a row waits for come after its known results and before those of the
                // next.
                self.hand_over(answers, row + 1);
                if !stage.is_empty() {
                    memory::push(&mut lock(&self.waiting), (row, stage));
                }
            } else if !stage.is_empty() {
                // Without this, rows are read one by one.
                let held = held.get_or_insert_with(|| guarded(|| self.hold(rows.clone())).unwrap_or_default());
                let views: Vec<View<'_>> = if held.is_empty() {
                    self.sources.iter().map(|source| source.row(row)).collect()
                } else {
                    held.iter().map(|tile| tile.row(row - rows.start, len)).collect()
                };
                self.ask(row, stage, &views, &Workers::Caller, &self.control.of_worker(), &mut answers.columns)?;
            }
        }
        Ok(())
    }

    /// All elements of neighbouring rows, if reading them together helps and they fit in memory.
    fn hold(&self, rows: Range<usize>) -> Vec<Tile> {
        let size = |source: &Rows<'_>| source.len().saturating_mul(rows.len() * source.dtype().item().size());
        if self.units.across == 1 || self.sources.iter().map(size).sum::<usize>() > HELD {
            return Vec::new();
        }
        let hold = |source: &Rows<'_>| {
            let mut tile = source.tile(rows.len(), source.len());
            source.load(self.level, rows.start, rows.len(), 0..source.len(), &mut tile);
            tile
        };
        self.sources.iter().map(hold).collect()
    }

    /// Sweeps over a row until no request waits.
    fn ask(
        &self,
        row: usize,
        stage: Stage,
        views: &[View<'_>],
        workers: &Workers,
        control: &Control<'_>,
        columns: &mut [Column],
    ) -> Result<(), Error> {
        let len = views.first().map_or(0, View::len);
        let mut session = Session::from(self.graph.clone(), Cow::Owned(stage), len);
        let mut sweeps = 0;
        while session.waits() {
            let told = session.sweep(views, workers, control)?;
            sweeps += usize::from(!told.sources.is_empty());
            for (who, value) in told.answers {
                self.place(row, who, value, columns);
            }
            // A stop leaves states incomplete; the error comes from the control that stopped the run.
            if control.is_stopped() {
                break;
            }
        }
        self.further.fetch_max(sweeps, Ordering::Relaxed);
        self.elements.fetch_add((sweeps * len) as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Processes the rows that wait for all workers, one after the other.
    fn go_on(&self, workers: &Workers) -> Result<(), Error> {
        let mut waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.sort_unstable_by_key(|(row, ..)| *row);
        for (row, stage) in waiting {
            self.control.check()?;
            let views: Vec<View<'_>> = self.sources.iter().map(|source| source.row(row)).collect();
            let mut columns = self.columns();
            self.ask(row, stage, &views, workers, self.control, &mut columns)?;
            memory::push(&mut lock(&self.done), (row, columns));
        }
        Ok(())
    }

    /// Who waits for a sink.
    fn waiting(&self, sink: usize) -> impl Iterator<Item = &Waiting> {
        let numbers = self.waiting_for.get(sink).into_iter().flatten();
        numbers.filter_map(|&number| self.stage.waiting().get(number))
    }

    /// See [`Subjects::counting`].
    fn counting(&self, call: usize) -> &[(usize, bool)] {
        self.subjects.counting.get(call).map_or(&[], Vec::as_slice)
    }

    /// Stores a result for a row. If a function fails for a row, its column is not used.
    fn place(&self, row: usize, who: RequestId, value: Result<Value, Error>, columns: &mut [Column]) {
        match (who, value) {
            // The items are in an output.
            (RequestId::Call(_), Ok(Value::Items(_))) => {}
            (RequestId::Call(call), Ok(value)) => {
                let value = match self.counting(call) {
                    [] => value,
                    counting => {
                        let views: Vec<View<'_>> = self.sources.iter().map(|source| source.row(row)).collect();
                        among_all(value, &views, counting)
                    }
                };
                if let Some(Err(error)) = columns.get_mut(call).map(|column| guarded(|| column.push(value))) {
                    self.fail(row, call, error);
                }
            }
            (RequestId::Call(call), Err(error)) => self.fail(row, call, error),
            (RequestId::NanCheck, Ok(Value::Scalar(Number::Int(count), _))) => {
                self.missing.fetch_add(count.cast_unsigned(), Ordering::Relaxed);
            }
            (RequestId::NanCheck, Ok(_)) => {}
            (RequestId::NanCheck, Err(error)) => {
                (0..self.plan.calls().len()).for_each(|call| self.fail(row, call, error.clone()));
            }
        }
    }

    /// A function's failure is that of the first failing row, in the order of rows.
    fn fail(&self, row: usize, call: usize, error: Error) {
        let mut failures = lock(&self.failures);
        let Some(place) = failures.get_mut(call) else { return };
        if place.as_ref().is_none_or(|(known, _)| row < *known) {
            *place = Some((row, error));
        }
    }

    fn into_table(self) -> Result<Table, Error> {
        let missing = self.missing.into_inner();
        if missing > 0 {
            let dtype = self.subjects.missing();
            return Err(Error::FoundNan { count: i64::try_from(missing).unwrap_or(i64::MAX), dtype });
        }
        let mut columns: Vec<Result<Column, Error>> = self.plan.calls().iter().map(|_| Ok(Column::Empty)).collect();
        let mut done = std::mem::take(&mut *lock(&self.done));
        // A row may have several entries; each call has its value in one of them.
        done.sort_unstable_by_key(|(row, _)| *row);
        for (_, more) in done {
            columns.iter_mut().zip(more).for_each(|(column, more)| guarded_on(column, |column| column.append(more)));
        }
        let failures = std::mem::take(&mut *lock(&self.failures)).into_iter();
        let calls = self.plan.calls().iter();
        let columns = columns.into_iter().zip(failures).zip(calls).map(|((column, failure), call)| match failure {
            Some((_, error)) => Err(error.of([call.entry.name])),
            None => column.map_err(|error| error.of([call.entry.name])),
        });
        let first = usize::from(!self.stage.sinks().is_empty());
        Ok(Table {
            columns: columns.collect(),
            passes: first + self.further.into_inner(),
            bytes_read: self.elements.into_inner()
                * self.sources.iter().map(|source| source.dtype().size() as u64).sum::<u64>(),
        })
    }
}

/// Runs an action on a sink's state or a function's column. If it fails, this state or column is lost, and the others
/// continue.
fn guarded_on<S>(place: &mut Result<S, Error>, action: impl FnOnce(&mut S)) {
    let Ok(state) = place else { return };
    if let Err(error) = guarded(|| action(state)) {
        *place = Err(error);
    }
}
