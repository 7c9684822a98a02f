//! The Rust face: arrays of `ndarray` in every element type and layout, against plain Rust.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cmp::Ordering;
use std::fmt::Debug;

use fanfold::array::{Answer, Answers, AnyArray, Datetime64, Element, Kernel, Run, Timedelta64};
use fanfold::dtype::{DType, Number};
use fanfold::error::Error;
use fanfold::grid::CHUNK;
use fanfold::kernel::{NanPolicy, Shape, Takes};
use fanfold::kernels::CATALOGUE;
use half::f16;
use ndarray::{Array, Array1, Array2, Array3, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, ShapeBuilder, array, s};
use num_complex::Complex;

/// An element that a test can make of a small number, and make a number of again.
trait Sample: Element {
    fn of(small: u8) -> Self;
    fn plain(self) -> f64;
}

macro_rules! samples {
    ($($element:ty: $of:expr, $plain:expr;)*) => { $(
        impl Sample for $element {
            fn of(small: u8) -> Self {
                ($of)(small)
            }

            fn plain(self) -> f64 {
                ($plain)(self)
            }
        }
    )* };
}

samples! {
    bool: |small| small % 2 == 1, |item| f64::from(u8::from(item));
    i8: |small: u8| small.cast_signed() - 6, f64::from;
    i16: |small| i16::from(small) - 6, f64::from;
    i32: |small| i32::from(small) - 6, f64::from;
    i64: |small| i64::from(small) - 6, |item| item as f64;
    u8: |small| small, f64::from;
    u16: u16::from, f64::from;
    u32: u32::from, f64::from;
    u64: u64::from, |item| item as f64;
    f16: |small| f16::from(small) - f16::from_f32(5.5), f64::from;
    f32: |small| f32::from(small) - 5.5, f64::from;
    f64: |small| f64::from(small) - 5.5, |item| item;
    Complex<f32>: |small| Complex::new(f32::from(small), -1.5), |item: Complex<f32>| f64::from(item.re);
    Complex<f64>: |small| Complex::new(f64::from(small), -1.5), |item: Complex<f64>| item.re;
    Datetime64: |small| Datetime64(i64::from(small) - 6), |item: Datetime64| item.0 as f64;
    Timedelta64: |small| Timedelta64(i64::from(small) - 6), |item: Timedelta64| item.0 as f64;
}

/// Does the same with every element type.
macro_rules! with_every_element {
    ($test:ident) => {
        let mut seen = Vec::new();
        macro_rules! each {
            ($element:ty) => {
                seen.push(<$element>::DTYPE);
                $test::<$element>();
            };
        }
        each!(bool);
        each!(i8);
        each!(i16);
        each!(i32);
        each!(i64);
        each!(u8);
        each!(u16);
        each!(u32);
        each!(u64);
        each!(f16);
        each!(f32);
        each!(f64);
        each!(Complex<f32>);
        each!(Complex<f64>);
        each!(Datetime64);
        each!(Timedelta64);
        assert_eq!(seen, DType::ALL);
    };
}

/// Numbers from 0 to 12, scrambled.
fn small(number: usize) -> u8 {
    u8::try_from(number * 7 % 13).unwrap()
}

fn memory<T: Sample>(len: usize) -> Vec<T> {
    (0..len).map(|number| T::of(small(number))).collect()
}

/// Views of all layouts: what each is called, and a view.
fn each_layout<T: Sample>(mut look: impl FnMut(&str, ArrayViewD<'_, T>)) {
    let in_c = Array3::from_shape_vec((3, 4, 5), memory::<T>(60)).unwrap();
    let in_fortran = Array3::from_shape_vec((3, 4, 5).f(), memory::<T>(60)).unwrap();
    let large = Array2::from_shape_vec((150, 70), memory::<T>(10_500)).unwrap();
    let alone = ndarray::arr0(T::of(9));
    look("C", in_c.view().into_dyn());
    look("Fortran", in_fortran.view().into_dyn());
    look("transposed", in_c.t().into_dyn());
    look("permuted", in_c.view().permuted_axes([1, 2, 0]).into_dyn());
    look("reversed", in_c.slice(s![..;-1, ..;-1, ..;-1]).into_dyn());
    look("reversed along one axis", in_c.slice(s![.., ..;-1, ..]).into_dyn());
    look("strided", in_c.slice(s![..;2, 1..;2, ..;-3]).into_dyn());
    look("one row", in_c.slice(s![1, .., 2]).into_dyn());
    look("an axis of one", in_c.slice(s![.., 2..3, ..]).into_dyn());
    look("broadcast", in_c.slice(s![0, 0, ..]).broadcast((6, 5)).unwrap().into_dyn());
    look("empty", in_c.slice(s![.., 4.., ..]).into_dyn());
    look("without rows", in_c.slice(s![3.., .., ..;-1]).into_dyn());
    look("0-d", alone.view().into_dyn());
    look("large", large.view().into_dyn());
    look("large and transposed", large.t().into_dyn());
    look("large, strided and reversed", large.slice(s![..;-2, 1..;3]).into_dyn());
}

fn compare(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap()
}

fn sorted<T: Sample>(items: &[T]) -> Vec<T> {
    let mut sorted = items.to_vec();
    sorted.sort_by(|left, right| compare(left.plain(), right.plain()));
    sorted
}

/// The place of the first item that is largest.
fn argmax<T: Sample>(items: &[T]) -> Option<i64> {
    let largest = sorted(items).last()?.plain();
    items.iter().position(|item| item.plain() == largest).map(|place| i64::try_from(place).unwrap())
}

fn total<T: Sample>(items: &[T]) -> f64 {
    items.iter().map(|item| item.plain()).sum()
}

fn list<T: Element>(answers: &Answers, key: &str) -> Vec<T> {
    answers.array(key).unwrap().iter().copied().collect()
}

fn int(answer: &Answer) -> i64 {
    match answer {
        Answer::Number(Number::Int(value), DType::Int64) => *value,
        other => unreachable!("{other:?}"),
    }
}

/// The number that is an answer, and its dtype: of a complex number the real part, of a time the ticks.
fn number(answer: &Answer) -> (f64, DType) {
    match answer {
        Answer::Number(number, dtype) => (number.float(), *dtype),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_element_type_and_layout_is_read_as_it_is() {
    fn test<T: Sample>() {
        let run = Run::new(["count", "sum", "mean", "max", "argmax", "sort"]).unwrap();
        each_layout::<T>(|layout, view| {
            let context = format!("{} {layout}", T::DTYPE);
            let items: Vec<T> = view.iter().copied().collect();
            let answers = run.over(view).unwrap();
            assert_eq!(int(answers.get("count").unwrap()), i64::try_from(items.len()).unwrap(), "{context}");
            if Takes::Summed.includes(T::DTYPE) {
                let sum = answers.get("sum").unwrap();
                assert_eq!(number(sum), (total(&items), T::DTYPE.sum_type()), "{context}");
            } else {
                assert!(matches!(answers.get("sum"), Err(Error::UnsupportedDtype { kernel: "sum", .. })), "{context}");
            }
            if T::DTYPE.is_float() && !items.is_empty() {
                let mean = T::DTYPE.round(total(&items) / items.len() as f64);
                assert_eq!(number(answers.get("mean").unwrap()), (mean, T::DTYPE), "{context}");
            }
            match argmax(&items) {
                Some(_) if T::DTYPE.is_complex() => {
                    assert!(matches!(answers.get("max"), Err(Error::UnsupportedDtype { kernel: "max", .. })));
                    assert!(matches!(answers.get("sort"), Err(Error::UnsupportedDtype { kernel: "sort", .. })));
                }
                Some(place) => {
                    let largest = items[usize::try_from(place).unwrap()].plain();
                    assert_eq!(number(answers.get("max").unwrap()), (largest, T::DTYPE), "{context}");
                    assert_eq!(int(answers.get("argmax").unwrap()), place, "{context}");
                    assert_eq!(list::<T>(&answers, "sort"), sorted(&items), "{context}");
                }
                None if T::DTYPE.is_complex() => {}
                None => {
                    assert_eq!(answers.get("max"), Err(Error::Empty { kernel: "max" }), "{context}");
                    assert_eq!(list::<T>(&answers, "sort"), [], "{context}");
                }
            }
        });
    }
    with_every_element!(test);
}

#[test]
fn every_element_type_and_layout_is_read_along_each_axis() {
    fn test<T: Sample>() {
        let summed = Takes::Summed.includes(T::DTYPE);
        let ordered = Takes::Ordered.includes(T::DTYPE);
        let run = Run::new(["count", "count_nonzero", "max", "argmax", "sort"]).unwrap();
        each_layout::<T>(|layout, view| {
            for axis in (0..view.ndim()).map(Axis) {
                let context = format!("{} {layout} along {axis:?}", T::DTYPE);
                let lanes: Vec<Vec<T>> = view.lanes(axis).into_iter().map(|lane| lane.to_vec()).collect();
                let mut shape = view.shape().to_vec();
                shape.remove(axis.index());
                let answers = run.along(view.view(), axis).unwrap();
                assert_eq!(answers.array::<i64>("count").unwrap().shape(), shape, "{context}");
                if summed {
                    let nonzero = |lane: &Vec<T>| lane.iter().filter(|item| **item != T::of(zero::<T>())).count();
                    let nonzero: Vec<i64> = lanes.iter().map(|lane| i64::try_from(nonzero(lane)).unwrap()).collect();
                    if !T::DTYPE.is_complex() && !T::DTYPE.is_float() {
                        assert_eq!(list::<i64>(&answers, "count_nonzero"), nonzero, "{context}");
                    }
                }
                if !ordered {
                    assert!(matches!(answers.get("max"), Err(Error::UnsupportedDtype { kernel: "max", .. })));
                    assert!(matches!(answers.get("sort"), Err(Error::UnsupportedDtype { kernel: "sort", .. })));
                    continue;
                }
                let places: Option<Vec<i64>> = lanes.iter().map(|lane| argmax(lane)).collect();
                match places {
                    Some(places) => {
                        let largest = lanes.iter().filter_map(|lane| sorted(lane).last().copied());
                        assert_eq!(list::<T>(&answers, "max"), largest.collect::<Vec<T>>(), "{context}");
                        assert_eq!(list::<i64>(&answers, "argmax"), places, "{context}");
                        assert_eq!(answers.array::<T>("max").unwrap().shape(), shape, "{context}");
                    }
                    None => assert_eq!(answers.get("max"), Err(Error::Empty { kernel: "max" }), "{context}"),
                }
                let sort = answers.array::<T>("sort").unwrap();
                assert_eq!(sort.shape(), view.shape(), "{context}");
                let found: Vec<Vec<T>> = sort.lanes(axis).into_iter().map(|lane| lane.to_vec()).collect();
                assert_eq!(found, lanes.iter().map(|lane| sorted(lane)).collect::<Vec<_>>(), "{context}");
            }
        });
    }
    with_every_element!(test);
}

/// The small number that an integer's or a time's zero is made of.
fn zero<T: Sample>() -> u8 {
    (0..13).find(|&small| T::of(small).plain() == 0.0).unwrap_or(0)
}

/// Kernels of one array.
fn kernels() -> impl Iterator<Item = &'static fanfold::kernel::Entry> {
    CATALOGUE.iter().copied().filter(|entry| !matches!(entry.takes, Takes::Pairs | Takes::Columns))
}

/// All answers that are numbers, along an axis, and what those of each lane alone are.
#[allow(clippy::needless_pass_by_value)] // as the runs take it
fn answers_of_lanes<D: Dimension>(view: ArrayView<'_, f64, D>, axis: Axis) {
    let single = kernels().filter(|entry| matches!(entry.answers, Shape::Number | Shape::Positions));
    // Of these kernels positions are several.
    let several = ["argsort", "argtopk", "argbottomk"];
    let names: Vec<&str> = single.map(|entry| entry.name).filter(|name| !several.contains(name)).collect();
    let run = Run::new(names.iter().copied()).unwrap();
    let answers = run.along(view.view(), axis).unwrap();
    let alone: Vec<Answers> = view.lanes(axis).into_iter().map(|lane| run.over(lane).unwrap()).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let found: Vec<u64> = match answers.get(name).unwrap() {
            Answer::Array(AnyArray::Float64(array)) => array.iter().map(|item| item.to_bits()).collect(),
            Answer::Array(AnyArray::Int64(array)) => array.iter().map(|&item| (item as f64).to_bits()).collect(),
            Answer::Array(AnyArray::Bool(array)) => {
                array.iter().map(|&item| f64::from(u8::from(item)).to_bits()).collect()
            }
            other => unreachable!("{name}: {other:?}"),
        };
        let expected: Vec<u64> = alone.iter().map(|answers| answers.number(name).unwrap().to_bits()).collect();
        assert_eq!(found, expected, "{name} along {axis:?}");
    }
}

#[test]
fn answers_along_an_axis_are_those_of_each_lane_alone() {
    let x = Array3::from_shape_fn((7, 50, 9), |(i, j, k)| f64::from(small(i * 450 + j * 9 + k)) / 3.0 + 0.1);
    for axis in (0..3).map(Axis) {
        answers_of_lanes(x.view(), axis);
        answers_of_lanes(x.t(), axis);
        answers_of_lanes(x.slice(s![..;-1, ..;3, 1..]), axis);
        answers_of_lanes(x.view().permuted_axes([1, 0, 2]), axis);
    }
}

#[test]
fn arrays_are_laid_out_as_numpy_does() {
    let x = array![[[3, 1, 2], [6, 5, 7]], [[0, 9, 4], [8, 8, 8]]];
    let kernels = [
        Kernel::new("quantile").with("q", [0.0, 0.5]),
        Kernel::new("topk").with("k", 2),
        Kernel::new("cumsum"),
        Kernel::new("diff"),
        Kernel::new("unique"),
        Kernel::new("histogram").with("bins", 2).with("range", (0.0, 9.0)),
    ];
    let run = Run::new(kernels).unwrap();
    let along = run.along(x.view(), Axis(2)).unwrap();
    let quantiles = array![[[1.0, 5.0], [0.0, 8.0]], [[2.0, 6.0], [4.0, 8.0]]];
    assert_eq!(along.array::<f64>("quantile").unwrap(), &quantiles.into_dyn());
    let top = array![[[3, 2], [7, 6]], [[9, 4], [8, 8]]];
    assert_eq!(along.array::<i32>("topk").unwrap(), &top.into_dyn());
    let totals = array![[[3_i64, 4, 6], [6, 11, 18]], [[0, 9, 13], [8, 16, 24]]];
    assert_eq!(along.array::<i64>("cumsum").unwrap(), &totals.into_dyn());
    let steps = array![[[-2, 1], [-1, 2]], [[9, -5], [0, 0]]];
    assert_eq!(along.array::<i32>("diff").unwrap(), &steps.into_dyn());
    let Answer::Rows(unique) = along.get("unique").unwrap() else { unreachable!("{along:?}") };
    assert_eq!(unique.shape(), [2, 2]);
    assert_eq!(unique[[0, 1]], Answer::Array(AnyArray::Int32(array![5, 6, 7].into_dyn())));
    assert_eq!(unique[[1, 1]], Answer::Array(AnyArray::Int32(array![8].into_dyn())));
    let Answer::Record("Histogram", fields) = along.get("histogram").unwrap() else { unreachable!("{along:?}") };
    let counts = AnyArray::Int64(array![[[3_i64, 0], [0, 3]], [[2, 1], [0, 3]]].into_dyn());
    assert_eq!(fields.first(), Some(&Answer::Array(counts)));

    // Where the rows lie in another order than that of the other axes, and the axis is not the last.
    for turned in [x.view(), Array3::from_shape_fn((2, 2, 3).f(), |place| x[place]).view()] {
        let along = run.along(turned.permuted_axes([2, 1, 0]), Axis(0)).unwrap();
        let quantiles = array![[[1.0, 0.0], [5.0, 8.0]], [[2.0, 4.0], [6.0, 8.0]]];
        assert_eq!(along.array::<f64>("quantile").unwrap(), &quantiles.into_dyn());
        let top = array![[[3, 9], [7, 8]], [[2, 4], [6, 8]]];
        assert_eq!(along.array::<i32>("topk").unwrap(), &top.into_dyn());
        let steps = array![[[-2, 9], [-1, 0]], [[1, -5], [2, 0]]];
        assert_eq!(along.array::<i32>("diff").unwrap(), &steps.into_dyn());
        let Answer::Rows(unique) = along.get("unique").unwrap() else { unreachable!("{along:?}") };
        assert_eq!(unique[[1, 0]], Answer::Array(AnyArray::Int32(array![5, 6, 7].into_dyn())));
        let Answer::Record(_, fields) = along.get("histogram").unwrap() else { unreachable!("{along:?}") };
        let counts = AnyArray::Int64(array![[[3_i64, 2], [0, 0]], [[0, 1], [3, 3]]].into_dyn());
        assert_eq!(fields.first(), Some(&Answer::Array(counts)));
    }

    // No rows have all axes and the dtype.
    let none = run.along(x.slice(s![.., 2.., ..]), Axis(2)).unwrap();
    assert_eq!(none.array::<f64>("quantile").unwrap().shape(), [2, 2, 0]);
    assert_eq!(none.array::<i32>("topk").unwrap().shape(), [2, 0, 2]);
    assert_eq!(none.array::<i64>("cumsum").unwrap().shape(), [2, 0, 3]);
    assert_eq!(none.array::<i32>("diff").unwrap().shape(), [2, 0, 2]);
}

#[test]
fn arrays_over_all_elements_have_one_axis() {
    let x = array![[3_u8, 1], [2, 250]];
    let kernels = ["cumsum", "sort", "argsort", "diff", "unique", "rank"];
    let answers = Run::new(kernels).unwrap().over(x.t()).unwrap();
    assert_eq!(list::<u64>(&answers, "cumsum"), [3, 5, 6, 256]);
    assert_eq!(list::<u8>(&answers, "sort"), [1, 2, 3, 250]);
    assert_eq!(list::<i64>(&answers, "argsort"), [2, 1, 0, 3]);
    assert_eq!(list::<u8>(&answers, "unique"), [1, 2, 3, 250]);
    assert_eq!(list::<f64>(&answers, "rank"), [3.0, 2.0, 1.0, 4.0]);
    let halves = array![1.5, -0.25, 3.0].mapv(f16::from_f64);
    let answers = Run::new(["cumsum", "sort"]).unwrap().over(halves.view()).unwrap();
    assert_eq!(list::<f16>(&answers, "cumsum"), [1.5, 1.25, 4.25].map(f16::from_f64));
    assert_eq!(list::<f16>(&answers, "sort"), [-0.25, 1.5, 3.0].map(f16::from_f64));
    let bools = array![true, false, true];
    assert_eq!(list::<bool>(&Run::new(["sort"]).unwrap().over(bools.view()).unwrap(), "sort"), [false, true, true]);
}

#[test]
fn statistics_are_those_of_plain_rust() {
    let x = Array::from_shape_fn((90, 110), |(i, j)| f64::from(small(i * 31 + j * 17)) + f64::from(small(i + j)) / 7.0);
    let items: Vec<f64> = x.t().iter().copied().collect();
    let names = ["mean", "std", "min", "median", "rms"];
    let answers = Run::new(names).unwrap().over(x.t()).unwrap();
    let len = items.len() as f64;
    let mean = items.iter().sum::<f64>() / len;
    let variance = items.iter().map(|item| (item - mean).powi(2)).sum::<f64>() / len;
    let ordered = sorted(&items);
    let near = |name: &str, expected: f64| {
        let found = answers.number(name).unwrap();
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{name}: {found} is not {expected}");
    };
    near("mean", mean);
    near("std", variance.sqrt());
    near("rms", (items.iter().map(|item| item * item).sum::<f64>() / len).sqrt());
    assert_eq!(answers.number("min").unwrap(), ordered[0]);
    assert_eq!(
        answers.number("median").unwrap(),
        f64::midpoint(ordered[items.len() / 2 - 1], ordered[items.len() / 2])
    );
}

#[test]
fn missing_elements_are_treated_as_the_policy_says() {
    let x = array![[1.0, f64::NAN], [5.0, 3.0]];
    let run = Run::new(["mean", "max"]).unwrap();
    assert!(run.over(x.view()).unwrap().number("mean").unwrap().is_nan());
    let omitting = run.clone().nan_policy(NanPolicy::Omit);
    assert_eq!(omitting.over(x.view()).unwrap().number("mean").unwrap(), 3.0);
    assert_eq!(list::<f64>(&omitting.along(x.view(), Axis(0)).unwrap(), "mean"), [3.0, 3.0]);
    let raising = Run::new(["mean", "cumsum"]).unwrap().nan_policy(NanPolicy::Raise);
    let found = Error::FoundNan { count: 1, dtype: DType::Float64 };
    assert_eq!(raising.over(x.view()), Err(found.clone()));
    assert_eq!(raising.along(x.view(), Axis(1)), Err(found.clone()));
    let written = Run::new(["cumsum"]).unwrap().nan_policy(NanPolicy::Raise);
    assert_eq!(written.along(x.view(), Axis(1)), Err(found));
    assert!(written.along(x.slice(s![1.., ..]), Axis(1)).is_ok());
}

/// The bits of an answer's floats, and the rest as it is.
fn bits(answer: &Answer) -> (Vec<u64>, Option<&Answer>) {
    match answer {
        Answer::Number(Number::Float(value), _) => (vec![value.to_bits()], None),
        Answer::Array(AnyArray::Float64(array)) => (array.iter().map(|item| item.to_bits()).collect(), None),
        other => (Vec::new(), Some(other)),
    }
}

#[track_caller]
fn assert_same_bits(left: &Answers, right: &Answers) {
    for ((key, left), (_, right)) in left.iter().zip(right.iter()) {
        match (left, right) {
            (Ok(left), Ok(right)) => assert_eq!(bits(left), bits(right), "{key}"),
            (left, right) => assert_eq!(left, right, "{key}"),
        }
    }
}

#[test]
fn one_worker_and_three_give_the_same_bits() {
    let len = 5 * CHUNK + 77;
    let x = Array1::from_shape_fn(len, |i| (i as f64 * 0.7).sin() * 1e3 + f64::from(small(i)));
    let run = Run::new(kernels().map(|entry| entry.name)).unwrap();
    let (alone, together) = (run.clone().workers(1), run.workers(3));
    for view in [x.view(), x.slice(s![..;-1])] {
        assert_same_bits(&alone.over(view).unwrap(), &together.over(view).unwrap());
    }
    let rows = x.slice(s![..len / 40 * 40]).into_shape_with_order((40, len / 40)).unwrap();
    for axis in [Axis(0), Axis(1)] {
        assert_same_bits(&alone.along(rows, axis).unwrap(), &together.along(rows, axis).unwrap());
    }
}

#[test]
fn every_kernel_of_the_catalogue_answers_or_says_why_not() {
    fn test<T: Sample>() {
        let run = Run::new(kernels().map(|entry| entry.name)).unwrap();
        each_layout::<T>(|layout, view| {
            let tell = |answers: Answers| {
                for (entry, (key, answer)) in kernels().zip(answers) {
                    assert_eq!(entry.name, key);
                    assert!(!matches!(answer, Err(Error::Panic { .. } | Error::Memory { .. })), "{layout}: {answer:?}");
                    assert!(entry.takes.includes(T::DTYPE) || answer.is_err(), "{key} of {}: {answer:?}", T::DTYPE);
                }
            };
            tell(run.over(view.view()).unwrap());
            (0..view.ndim()).for_each(|axis| tell(run.along(view.view(), Axis(axis)).unwrap()));
        });
    }
    with_every_element!(test);
}

#[test]
fn mistakes_are_errors() {
    let message = |kernel: Kernel| Run::new([kernel]).unwrap_err().to_string();
    assert_eq!(message("medain".into()), "unknown function \"medain\": did you mean 'median'?");
    assert_eq!(message(Kernel::new("var").with("dof", 1)), "'var' has no parameter 'dof': it takes ddof");
    assert_eq!(
        message(Kernel::new("quantile").with("q", [0.5, 1.5])),
        "'quantile': q must be a number from 0 to 1 or a sequence of them, not [0.5, 1.5]"
    );
    assert_eq!(message(Kernel::new("quantile").with("method", "linaer")).split(", not ").last(), Some("'linaer'"));
    assert_eq!(message("cov".into()), "'cov' takes several arrays, but there is only one: leave 'cov' out");
    assert_eq!(Run::new(["cov_matrix"]).unwrap_err(), Error::SeveralArrays { kernel: "cov_matrix" });
    assert_eq!(
        Run::new(["mean", "std", "mean"]).unwrap_err().to_string(),
        "two results would have the key \"mean\": give one of them another key with Kernel::named"
    );
    let given_twice = Kernel::new("quantile").with("q", 2.0).with("q", 0.5);
    assert!(Run::new([given_twice]).is_ok());

    let x = array![[1, 2], [3, 4]];
    let run = Run::new(["mean", "argmax"]).unwrap();
    let answers = run.over(x.view()).unwrap();
    assert_eq!(
        answers.number("std").unwrap_err().to_string(),
        "no result has the key \"std\": the keys are mean, argmax"
    );
    assert_eq!(
        answers.array::<i64>("argmax").unwrap_err().to_string(),
        "the result \"argmax\" is one int64, not an array of int64: Answers::get returns it unconverted"
    );
    let along = run.along(x.view(), Axis(0)).unwrap();
    assert_eq!(
        along.array::<f32>("mean").unwrap_err().to_string(),
        "the result \"mean\" is an array of float64, not an array of float32: Answers::get returns it unconverted"
    );
    assert!(along.number("mean").is_err());
    assert_eq!(
        run.along(x.view(), Axis(2)).unwrap_err().to_string(),
        "there is no axis 2: the array has ndim=2, and axes are numbered from 0"
    );
    assert_eq!(run.along(ndarray::arr0(1.0).view(), Axis(0)), Err(Error::NoAxis { axis: 0, axes: 0 }));

    let complex = array![Complex::new(1.0, 2.0)];
    let answers = Run::new(["sum", "median"]).unwrap().over(complex.view()).unwrap();
    assert!(matches!(answers.get("median"), Err(Error::UnsupportedDtype { kernel: "median", .. })));
    assert!(matches!(answers.number("sum"), Err(Error::OtherAnswer { .. })));
    assert_eq!(answers.get("sum"), Ok(&Answer::Number(Number::Complex(Complex::new(1.0, 2.0)), DType::Complex128)));

    let nothing = Array2::<f32>::zeros((0, 3));
    let answers = Run::new(["min", "count"]).unwrap().over(nothing.view()).unwrap();
    assert_eq!(answers.number("count"), Ok(0.0));
    assert_eq!(answers.number("min"), Err(Error::Empty { kernel: "min" }));
    assert_eq!(Run::new::<&str>([]).unwrap().over(x.view()).unwrap().iter().count(), 0);
}

/// Nothing but what a user of `ndarray` expects: answers are arrays that go on in `ndarray`.
fn is_sendable<T: Send + Sync + Clone + Debug + 'static>() {}

#[test]
fn answers_go_on_in_ndarray() {
    let x = array![[1.0, 2.0], [3.0, 6.0]];
    let answers = Run::new(["mean"]).unwrap().along(x.view(), Axis(0)).unwrap();
    let mean: &ArrayD<f64> = answers.array("mean").unwrap();
    assert_eq!(&x - mean, array![[-1.0, -2.0], [1.0, 2.0]].into_dyn());
    is_sendable::<Run>();
    is_sendable::<Answers>();
}
