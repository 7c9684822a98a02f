//! Matrices over any number of arrays: `cov_matrix` and `corr_matrix`.
//!
//! For each pair of arrays, C = Σ (x − μ)(y − ν) is computed as in `pairs/joint.rs`. [`ROWS`] rows are processed at a
//! time: their deviations from the rounded means, column by column, stay in the second-level cache. The sums of
//! products are taken in tiles of [`TILE`] × [`TILE`] columns, so that each loaded element is used four times. (Fused
//! multiply-adds are not used, because not every processor has them.)

use std::sync::Arc;

use fearless_simd::{f64x8, prelude::*};

use crate::dtype::{Buffer, DType};
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Request, Shape, Takes};
use crate::kernels::pairs::covariance;
use crate::kernels::rescaled::{Noticed, larger};
use crate::lanes::Double;
use crate::memory;
use crate::parameters::{Accepts, DefaultValue, Parameter};
use crate::scale::Scale;
use crate::simd::Simd;
use crate::value::Value;

/// Rows processed at a time. A result's bits depend on it.
const ROWS: usize = 512;

/// The side of a tile: this number of columns is multiplied with as many others.
const TILE: usize = 4;

/// Joint moments of several arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
struct JointMoments {
    columns: usize,
    /// Whether rows with a NaN are left out.
    omits: bool,
    /// The scale of each array; empty if no array is scaled.
    scales: Arc<Vec<Scale>>,
}

/// The state of [`JointMoments`].
#[derive(Debug, Clone, Default)]
struct State {
    n: f64,
    means: Vec<Double>,
    /// The sums of products: for each column, those with itself and with the columns before it.
    products: Vec<f64>,
    noticed: Vec<Noticed>,
}

impl Accumulator for JointMoments {
    const NAME: &'static str = "joint moments";

    type Item = f64;
    type State = State;

    fn init(&self) -> State {
        State {
            n: 0.0,
            means: memory::filled(Double::default(), self.columns),
            products: memory::filled(0.0, self.columns * self.columns),
            noticed: memory::filled(Noticed::default(), self.columns),
        }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut State, block: Items<'_, f64>) {
        let compact = if self.omits { without_missing(self.columns, &block) } else { None };
        let items = compact.as_deref().unwrap_or(&block);
        let len = items.len().checked_div(self.columns).unwrap_or(0);
        // Columns are padded to whole tiles, and rows to whole vectors.
        let places = self.columns.next_multiple_of(TILE);
        // The deviations of the current rows, column after column.
        let mut deviations = block.scratch.take_floats();
        // What is in the columns that fill the last tile does not matter: their sums are not taken.
        memory::lengthen(&mut deviations, places * ROWS, 0.0);
        for start in (0..len).step_by(ROWS) {
            let rows = ROWS.min(len - start);
            for (number, (place, column)) in deviations.chunks_exact_mut(ROWS).zip(items.chunks(len)).enumerate() {
                let (own, behind) = place.split_at_mut(rows);
                own.copy_from_slice(column.get(start..start + rows).unwrap_or_default());
                behind.fill(0.0);
                if let Some(scale) = self.scales.get(number) {
                    for x in own.iter_mut() {
                        *x = scale.scaled(*x);
                    }
                }
            }
            let mut part = State { n: rows as f64, ..self.init() };
            for (mean, column) in part.means.iter_mut().zip(deviations.chunks_exact_mut(ROWS)) {
                let own = column.get_mut(..rows).unwrap_or_default();
                let rounded = Double::sum(simd, own, block.ahead).value() / part.n;
                for x in own.iter_mut() {
                    *x -= rounded;
                }
                let left = Double::sum(simd, own, block.ahead).value() / part.n;
                *mean = Double::of_sum(rounded, left);
                // The rounding error of the mean is subtracted too, so the products need no correction.
                for x in own.iter_mut() {
                    *x -= left;
                }
            }
            self.multiply(simd, &deviations, rows, &mut part.products);
            for (number, column) in items.chunks(len).enumerate() {
                let own = column.get(start..start + rows).unwrap_or_default();
                let (mean, variance) = (part.mean(number), part.product(number, number) / part.n);
                if let Some(noticed) = part.noticed.get_mut(number) {
                    *noticed = Noticed::of(mean, variance, own.iter().copied());
                }
            }
            self.merge(state, &part);
        }
        block.scratch.keep_floats(deviations);
    }

    fn combine(&self, state: &mut State, next: State) {
        self.merge(state, &next);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}

/// The block without the rows that have a NaN in any column. `None` if no row has one.
fn without_missing(columns: usize, block: &[f64]) -> Option<Vec<f64>> {
    let len = block.len().checked_div(columns).filter(|len| *len > 0)?;
    let mut kept = memory::filled(true, len);
    for column in block.chunks(len) {
        kept.iter_mut().zip(column).for_each(|(kept, x)| *kept &= !x.is_nan());
    }
    let there = |column| std::iter::zip(column, &kept).filter(|(_, kept)| **kept).map(|(x, _): (&f64, _)| *x);
    let all = kept.iter().all(|kept| *kept);
    (!all).then(|| memory::collected(block.chunks(len).flat_map(there)))
}

impl JointMoments {
    /// The sums of products of each pair of columns.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, deviations: &[f64], rows: usize, products: &mut [f64]) {
        let column = |number: usize| {
            let column = deviations.get(number * ROWS..(number + 1) * ROWS).unwrap_or_default();
            column.get(..rows.next_multiple_of(8)).unwrap_or(column).as_chunks::<8>().0
        };
        for first in (0..self.columns).step_by(TILE) {
            for second in (0..=first).step_by(TILE) {
                let left: [&[[f64; 8]]; TILE] = std::array::from_fn(|i| column(first + i));
                let right: [&[[f64; 8]]; TILE] = std::array::from_fn(|j| column(second + j));
                let mut sums = [[f64x8::splat(simd, 0.0); TILE]; TILE];
                for row in 0..left[0].len() {
                    let x = left.map(|column| f64x8::load_array_ref(simd, &column[row]));
                    let y = right.map(|column| f64x8::load_array_ref(simd, &column[row]));
                    for i in 0..TILE {
                        for j in 0..TILE {
                            sums[i][j] += x[i] * y[j];
                        }
                    }
                }
                for (i, sums) in sums.iter().enumerate() {
                    for (j, sum) in sums.iter().enumerate() {
                        let (i, j) = (first + i, second + j);
                        if i < self.columns && j <= i {
                            let [a, b, c, d, e, f, g, h] = sum.to_array();
                            products[i * self.columns + j] = ((a + e) + (c + g)) + ((b + f) + (d + h));
                        }
                    }
                }
            }
        }
    }

    /// Merges the state of the rows that follow.
    fn merge(&self, state: &mut State, next: &State) {
        if next.n == 0.0 {
            return;
        }
        if state.n == 0.0 {
            state.n = next.n;
            state.means.copy_from_slice(&next.means);
            state.products.copy_from_slice(&next.products);
            state.noticed.copy_from_slice(&next.noticed);
            return;
        }
        for (noticed, next) in state.noticed.iter_mut().zip(&next.noticed) {
            noticed.merge(*next);
        }
        let n = state.n + next.n;
        let weight = state.n * next.n / n;
        let pairs = state.means.iter().zip(&next.means);
        let distances = memory::collected(pairs.map(|(from, to)| to.minus(*from)));
        let rows = state.products.chunks_exact_mut(self.columns).zip(next.products.chunks_exact(self.columns));
        for (i, (row, more)) in rows.enumerate() {
            let scaled = distances[i] * weight;
            for ((sum, more), distance) in row.iter_mut().zip(more).zip(&distances).take(i + 1) {
                *sum += more + scaled * distance;
            }
        }
        for (mean, distance) in state.means.iter_mut().zip(&distances) {
            mean.add(distance / n * next.n);
        }
        state.n = n;
    }
}

/// A matrix with one value for each pair of arrays. The function gets the state and the two arrays' numbers, the second
/// not larger than the first. `degree` is the statistic's degree in each array, see [`crate::scale`].
fn matrix(
    input: &Input,
    degree: i64,
    value: impl Fn(&State, usize, usize) -> f64 + Clone + Send + Sync + 'static,
) -> Request {
    let (columns, omits, elements) = (input.columns, input.omits(), input.elements());
    let moments = move |scales| JointMoments { columns, omits, scales };
    let cells = move |state: &State, scales: &[Scale]| {
        let of = |column: usize| (scales.get(column).copied().unwrap_or(Scale::ONE), degree);
        let cell = |place: usize| {
            let (row, column) = (place / columns, place % columns);
            let value = value(state, row.max(column), row.min(column));
            if value.is_nan() { f64::NAN } else { Scale::back(value, &[of(row), of(column)]) }
        };
        let items = Buffer::Float64(memory::collected((0..columns * columns).map(cell)));
        Value::Array { items, dtype: DType::Float64 }
    };
    Request::chain(elements.clone(), moments(Arc::default()), Vec::new(), move |state: &State| {
        if !state.asks_for_scale() {
            return Ok(Answer::Value(cells(state, &[])));
        }
        let (elements, cells) = (elements.clone(), cells.clone());
        let largest = LargestOfEach { columns, omits };
        Ok(Answer::Next(Request::chain(elements.clone(), largest, Vec::new(), move |largest: &Vec<f64>| {
            let scales: Arc<Vec<Scale>> = Arc::new(largest.iter().map(|&largest| Scale::of(largest)).collect());
            let (cells, moments) = (cells.clone(), moments(Arc::clone(&scales)));
            Ok(Answer::Next(Request::new(elements.clone(), moments, move |state| Ok(cells(state, &scales)))))
        })))
    })
}

impl State {
    /// The sum of products of two columns.
    fn product(&self, row: usize, column: usize) -> f64 {
        self.products.get(row * self.means.len() + column).copied().unwrap_or(f64::NAN)
    }

    /// The mean of a column.
    fn mean(&self, column: usize) -> f64 {
        self.means.get(column).map_or(f64::NAN, |mean| mean.value())
    }

    /// Whether the sums must be computed again from scaled columns.
    fn asks_for_scale(&self) -> bool {
        self.noticed.iter().enumerate().any(|(column, noticed)| {
            let square = self.product(column, column);
            noticed.asks_for_scale(2, self.mean(column), square / self.n, square.is_finite())
        })
    }
}

/// The largest magnitude of each of several arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LargestOfEach {
    columns: usize,
    omits: bool,
}

impl Accumulator for LargestOfEach {
    const NAME: &'static str = "largest magnitudes";

    type Item = f64;
    type State = Vec<f64>;

    const ORDER_FREE: bool = true;

    fn init(&self) -> Vec<f64> {
        memory::filled(0.0, self.columns)
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Vec<f64>, block: Items<'_, f64>) {
        let compact = if self.omits { without_missing(self.columns, &block) } else { None };
        let items = compact.as_deref().unwrap_or(&block);
        let len = items.len().checked_div(self.columns).unwrap_or(0).max(1);
        for (best, column) in state.iter_mut().zip(items.chunks(len)) {
            *best = column.iter().fold(*best, |best, x| larger(best, x.abs()));
        }
    }

    fn combine(&self, state: &mut Vec<f64>, next: Vec<f64>) {
        state.iter_mut().zip(next).for_each(|(best, other)| *best = larger(*best, other));
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }
}

pub(super) static COV_MATRIX: Entry = Entry {
    name: "cov_matrix",
    doc: "The covariance of each pair of arrays, as a matrix in the order of their keys.\n\n\
          NaN where ``n <= ddof``. If NaN is omitted, a row with a NaN in any array is left out of all arrays. \
          Computed in float64, in two passes over each block in cache, and merged with Pébay's formulas \
          (SAND2008-6212). If squares leave the range of float64, further passes scale each array on its own.",
    parameters: &[Parameter {
        name: "ddof",
        accepts: Accepts::Number,
        default: DefaultValue::Int(1),
        doc: "Delta degrees of freedom: the divisor is ``n - ddof``.",
    }],
    numpy: "np.cov(columns, ddof=ddof)",
    takes: Takes::Columns,
    answers: Shape::Matrix,
    examples: &["ddof=0"],
    resolve: |arguments, input| {
        let ddof = arguments.number("ddof");
        Ok(matrix(input, 1, move |state, row, column| covariance(state.product(row, column), state.n, ddof)))
    },
    ..Entry::USUAL
};

pub(super) static CORR_MATRIX: Entry = Entry {
    name: "corr_matrix",
    doc: "The correlation of each pair of arrays, as a matrix in the order of their keys.\n\n\
          Pearson's correlation; NaN for an array whose elements are all equal. If NaN is omitted, a row with a NaN \
          in any array is left out of all arrays. Computed in the same way as ``cov_matrix``.",
    numpy: "np.corrcoef(columns)",
    takes: Takes::Columns,
    answers: Shape::Matrix,
    resolve: |_, input| {
        Ok(matrix(input, 0, |state, row, column| {
            let variance = state.product(row, row);
            let deviations =
                if row == column { variance } else { variance.sqrt() * state.product(column, column).sqrt() };
            let r = state.product(row, column) / deviations;
            if r.is_nan() { r } else { r.clamp(-1.0, 1.0) }
        }))
    },
    ..Entry::USUAL
};
