//! The Rust face: a view of an `ndarray` array goes in, read where it lies; numbers and arrays of `ndarray` come out.
//!
//! A [`Run`] is a list of kernels. It goes [over](Run::over) all elements of an array, or [along](Run::along) one of
//! its axes. The kernels' names, parameters and meanings are those of `docs/kernels.md` and of [`kernels::CATALOGUE`].
//!
//! ```
//! use fanfold::array::{Kernel, Run};
//! use ndarray::{Axis, array};
//!
//! let x = array![[3.0, 1.0, 2.0], [6.0, 5.0, 7.0]];
//! let run = Run::new([Kernel::new("mean"), Kernel::new("quantile").with("q", [0.0, 0.5])])?;
//!
//! let all = run.over(x.view())?;
//! assert_eq!(all.number("mean")?, 4.0);
//! assert_eq!(all.array::<f64>("quantile")?, &array![1.0, 4.0].into_dyn());
//!
//! let columns = run.along(x.view(), Axis(0))?;
//! assert_eq!(columns.array::<f64>("mean")?, &array![4.5, 3.0, 4.5].into_dyn());
//! # Ok::<(), fanfold::error::Error>(())
//! ```
//!
//! Layouts of all kinds (transposed, reversed, strided, broadcast) are read without a copy, and element types are those
//! that are an [`Element`].

use std::any::Any;
use std::cmp::Reverse;

use half::f16;
use ndarray::{ArrayD, ArrayView, Axis, Dimension, IxDyn};
use num_complex::Complex;

use crate::column::Column;
use crate::dtype::{Bool8, Buffer, DType, Number, Time};
use crate::engine::{self, Control, Outcome, Pass, Prepared, Workers};
use crate::error::{Error, guarded};
use crate::kernel::{NanPolicy, Shape, Takes};
use crate::kernels;
use crate::parameters::{Argument, Arguments};
use crate::plan::{Call, Given, Plan, Subjects};
use crate::source::{Fresh, OutputRows, Rows, View};
use crate::value::Value;

pub use crate::source::{Datetime64, Element, Timedelta64};

/// One use of a kernel: its name, its parameters, and what its answer is called.
///
/// A name alone is one too: `Run::new(["mean", "std"])`.
#[derive(Debug, Clone)]
pub struct Kernel {
    name: String,
    key: Option<String>,
    given: Vec<(String, Argument)>,
}

impl Kernel {
    /// The kernel of this name, with its defaults.
    pub fn new(name: impl Into<String>) -> Kernel {
        Kernel { name: name.into(), key: None, given: Vec::new() }
    }

    /// With this parameter. [`Run::new`] checks it.
    ///
    /// ```
    /// use fanfold::array::{Kernel, Run};
    ///
    /// let histogram = Kernel::new("histogram").with("bins", 20).with("range", (0.0, 1.0));
    /// assert!(Run::new([histogram]).is_ok());
    /// let error = Run::new([Kernel::new("quantile").with("q", 1.5)]).unwrap_err();
    /// assert_eq!(error.to_string(), "'quantile': q must be a number from 0 to 1 or a sequence of them, not 1.5");
    /// ```
    #[must_use]
    pub fn with(mut self, parameter: impl Into<String>, value: impl Into<Argument>) -> Kernel {
        let parameter = parameter.into();
        self.given.retain(|(known, _)| *known != parameter);
        self.given.push((parameter, value.into()));
        self
    }

    /// Under this key, and not its name: for a kernel that is used twice.
    ///
    /// ```
    /// use fanfold::array::{Kernel, Run};
    ///
    /// let sample = Kernel::new("var").with("ddof", 1).named("sample variance");
    /// let run = Run::new([Kernel::new("var"), sample])?;
    /// let answers = run.over(ndarray::array![1.0, 3.0].view())?;
    /// assert_eq!((answers.number("var")?, answers.number("sample variance")?), (1.0, 2.0));
    /// # Ok::<(), fanfold::error::Error>(())
    /// ```
    #[must_use]
    pub fn named(mut self, key: impl Into<String>) -> Kernel {
        self.key = Some(key.into());
        self
    }

    /// Its key and its checked use.
    fn checked(self) -> Result<(String, Call), Error> {
        let Some(entry) = kernels::find(&self.name) else {
            let meant = kernels::synonym(&self.name).or_else(|| kernels::nearest(&self.name));
            return Err(Error::UnknownKernel { name: self.name, meant });
        };
        if matches!(entry.takes, Takes::Pairs | Takes::Columns) {
            return Err(Error::SeveralArrays { kernel: entry.name });
        }
        let shown = |name: &str| {
            let given = self.given.iter().find(|(known, _)| known == name);
            given.map_or_else(String::new, |(_, argument)| argument.to_string())
        };
        let arguments = Arguments::check(entry.name, entry.parameters, &self.given, shown)?;
        Ok((self.key.unwrap_or(self.name), Call { entry, arguments }))
    }
}

impl From<&str> for Kernel {
    fn from(name: &str) -> Kernel {
        Kernel::new(name)
    }
}

impl From<String> for Kernel {
    fn from(name: String) -> Kernel {
        Kernel::new(name)
    }
}

/// Kernels that go over arrays together: one that two of them need is computed once, and memory is read once for all.
#[derive(Debug, Clone)]
pub struct Run {
    keys: Vec<String>,
    calls: Vec<Call>,
    nan_policy: NanPolicy,
    workers: Option<usize>,
}

impl Run {
    /// A run of these kernels, in this order: names, or [kernels](Kernel) with parameters.
    ///
    /// # Errors
    ///
    /// For a name that no kernel has, a parameter that is not accepted, a kernel that goes over several arrays (`cov`),
    /// and two kernels under one key.
    ///
    /// ```
    /// use fanfold::array::Run;
    ///
    /// let error = Run::new(["mean", "medain"]).unwrap_err();
    /// assert_eq!(error.to_string(), "unknown function \"medain\": did you mean 'median'?");
    /// ```
    pub fn new<K: Into<Kernel>>(kernels: impl IntoIterator<Item = K>) -> Result<Run, Error> {
        let (mut keys, mut calls) = (Vec::new(), Vec::new());
        for kernel in kernels {
            let (key, call) = kernel.into().checked()?;
            if keys.contains(&key) {
                return Err(Error::SameKey { key });
            }
            keys.push(key);
            calls.push(call);
        }
        Ok(Run { keys, calls, nan_policy: NanPolicy::Propagate, workers: None })
    }

    /// What is done with NaN and NaT; without this they propagate.
    #[must_use]
    pub fn nan_policy(self, nan_policy: NanPolicy) -> Run {
        Run { nan_policy, ..self }
    }

    /// At most so many threads compute, the calling one among them; without this as many as there are processors.
    /// Answers are the same, to the last bit.
    #[must_use]
    pub fn workers(self, workers: usize) -> Run {
        Run { workers: Some(workers), ..self }
    }

    /// The answers for all elements of the array, in its logical order.
    ///
    /// Kernels that answer for each element (`cumsum`, `sort`) answer with an array that has one axis, as NumPy does.
    ///
    /// # Errors
    ///
    /// If no kernel has an answer: for want of memory, or for NaN under [`NanPolicy::Raise`]. What goes wrong for one
    /// kernel (its element type, an empty array) is that one's own, and [`Answers`] tells.
    ///
    /// ```
    /// use fanfold::array::Run;
    /// use fanfold::kernel::NanPolicy;
    /// use ndarray::{array, s};
    ///
    /// let x = array![1.0, f64::NAN, 4.0, 2.0];
    /// let run = Run::new(["max", "cumsum"])?.nan_policy(NanPolicy::Omit);
    /// let answers = run.over(x.slice(s![..;-1]))?;
    /// assert_eq!(answers.number("max")?, 4.0);
    /// assert_eq!(answers.array::<f64>("cumsum")?, &array![2.0, 6.0, 6.0, 7.0].into_dyn());
    /// # Ok::<(), fanfold::error::Error>(())
    /// ```
    #[allow(clippy::needless_pass_by_value)] // a view is handed over as one, as to ndarray's own functions
    pub fn over<T: Element, D: Dimension>(&self, array: ArrayView<'_, T, D>) -> Result<Answers, Error> {
        let plan = self.plan();
        plan.whole(|| {
            let view = View::of_array(&array);
            let prepared = Prepared::new(&plan, T::DTYPE);
            // A kernel without memory fails by itself.
            let mut fresh: Vec<(usize, Fresh)> = prepared
                .arrays(view.len())
                .filter_map(|(index, dtype, len)| Some((index, guarded(|| Fresh::new(dtype, len)).ok()?)))
                .collect();
            let outputs: Vec<_> = fresh.iter().map(|(index, fresh)| (*index, fresh.output())).collect();
            let workers = self.team(view.len());
            let Outcome { values, .. } =
                engine::run(&plan, &prepared, std::slice::from_ref(&view), &outputs, &workers, &Control::none())?;
            drop(outputs);
            let answer = |(index, value): (usize, Result<Value, Error>)| {
                let place = fresh.iter().position(|(known, _)| *known == index);
                let fresh = place.map(|place| fresh.swap_remove(place).1);
                let value = value?;
                Ok(match fresh {
                    Some(fresh) => {
                        let len = fresh.len();
                        Answer::Array(AnyArray::written(fresh, &[len]))
                    }
                    None => Answer::of(value),
                })
            };
            Ok(self.answers(values.into_iter().enumerate().map(answer)))
        })
    }

    /// The answers for each row of elements along an axis: where the array had that axis, answers have none. They are
    /// those of the rows alone, to the last bit.
    ///
    /// Arrays are laid out as NumPy does it: those of several quantiles have these along their first axis, and others
    /// (`sort`, `topk`) stay where the axis was. In memory they may lie in any order.
    ///
    /// # Errors
    ///
    /// As [`Run::over`], and if there is no such axis.
    ///
    /// ```
    /// use fanfold::array::Run;
    /// use ndarray::{Axis, array};
    ///
    /// let x = array![[3, 1, 2], [6, 5, 7]];
    /// let answers = Run::new(["argmax", "sort"])?.along(x.view(), Axis(1))?;
    /// assert_eq!(answers.array::<i64>("argmax")?, &array![0, 2].into_dyn());
    /// assert_eq!(answers.array::<i32>("sort")?, &array![[1, 2, 3], [5, 6, 7]].into_dyn());
    /// # Ok::<(), fanfold::error::Error>(())
    /// ```
    pub fn along<T: Element, D: Dimension>(&self, array: ArrayView<'_, T, D>, axis: Axis) -> Result<Answers, Error> {
        let array = array.into_dyn();
        if axis.index() >= array.ndim() {
            return Err(Error::NoAxis { axis: axis.index(), axes: array.ndim() });
        }
        // Rows are taken in the order in which they lie.
        let mut others: Vec<usize> = (0..array.ndim()).filter(|&other| other != axis.index()).collect();
        others.sort_by_key(|&other| Reverse(array.strides()[other].unsigned_abs()));
        let turned = array.permuted_axes([others.as_slice(), &[axis.index()]].concat());
        let form = Form { rows: &turned.shape()[..others.len()], others: &others, axis: axis.index() };
        let plan = self.plan();
        plan.whole(|| {
            let rows = Rows::of_array(&turned);
            let prepared = Prepared::new(&plan, T::DTYPE);
            // A kernel without memory for its arrays fails by itself.
            let fresh = |dtype, width: usize| guarded(|| Fresh::new(dtype, width.saturating_mul(rows.count())));
            let mut arrays: Vec<(usize, usize, Result<Fresh, Error>)> =
                prepared.arrays(rows.len()).map(|(call, dtype, width)| (call, width, fresh(dtype, width))).collect();
            let output = |(call, width, fresh): &(usize, usize, Result<Fresh, Error>)| {
                fresh.as_ref().ok().map(|fresh| (*call, fresh.rows(rows.count(), *width)))
            };
            let outputs: Vec<(usize, OutputRows)> = arrays.iter().filter_map(output).collect();
            let subjects = Subjects::of_one(&plan, &Given::one(T::DTYPE, None));
            let (workers, control) = (self.team(turned.len()), Control::none());
            let table = engine::run_rows(&plan, &subjects, std::slice::from_ref(&rows), &outputs, &workers, &control)?;
            drop(outputs);
            let answers = table.columns.into_iter().zip(plan.calls()).enumerate().map(|(index, (column, call))| {
                let column = column?;
                let Some(place) = arrays.iter().position(|(known, ..)| *known == index) else {
                    return Ok(form.answer(column, call.entry.answers == Shape::Quantiles));
                };
                let (_, width, fresh) = arrays.swap_remove(place);
                let fresh = fresh.map_err(|error| error.of([call.entry.name]))?;
                let shape = [form.rows, &[width]].concat();
                Ok(Answer::Array(form.laid_out(AnyArray::written(fresh, &shape), false)))
            });
            Ok(self.answers(answers))
        })
    }

    /// The plan of the kernels.
    fn plan(&self) -> Plan {
        Plan::new(self.calls.clone(), self.nan_policy)
    }

    /// The workers for so many elements: handing work over takes longer than a few of them do.
    fn team(&self, len: usize) -> Workers {
        if engine::is_small(len) {
            return Workers::Caller;
        }
        Workers::new(self.workers.unwrap_or_else(engine::available_workers).min(Pass::chunks(len)))
    }

    fn answers(&self, answers: impl Iterator<Item = Result<Answer, Error>>) -> Answers {
        Answers(self.keys.iter().cloned().zip(answers).collect())
    }
}

/// How answers for rows are laid out.
struct Form<'a> {
    /// How many rows there are along each axis, in the order in which they were taken.
    rows: &'a [usize],
    /// Which axes of the array these are.
    others: &'a [usize],
    /// The axis of the elements.
    axis: usize,
}

impl Form<'_> {
    /// A column as answers for the whole array. `is_first` says that arrays have their items along the first axis.
    fn answer(&self, column: Column, is_first: bool) -> Answer {
        match column {
            Column::Numbers { items, dtype } => {
                Answer::Array(self.laid_out(AnyArray::new(items, dtype, self.rows), is_first))
            }
            Column::Arrays { items, dtype, width, .. } => {
                let array = AnyArray::new(items, dtype, &[self.rows, &[width]].concat());
                Answer::Array(self.laid_out(array, is_first))
            }
            Column::Record(name, fields) => {
                Answer::Record(name, fields.into_iter().map(|field| self.answer(field, is_first)).collect())
            }
            Column::Empty => Answer::Rows(shaped(Vec::new(), self.rows)),
            Column::Mixed(values) => {
                let values = shaped(values.into_iter().map(Answer::of).collect(), self.rows);
                Answer::Rows(values.permuted_axes(self.order(is_first, false)))
            }
        }
    }

    fn laid_out(&self, array: AnyArray, is_first: bool) -> AnyArray {
        let order = self.order(is_first, array.shape().len() > self.rows.len());
        array.permuted(order)
    }

    /// Which axis of the rows' answers goes where, the items' axis included if there is one.
    fn order(&self, is_first: bool, has_items: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.others.len()).collect();
        order.sort_by_key(|&place| self.others[place]);
        if has_items {
            order.insert(if is_first { 0 } else { self.axis }, self.others.len());
        }
        order
    }
}

/// What the kernels of a run answered, in their order. Each answered, or failed for a reason of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers(Vec<(String, Result<Answer, Error>)>);

impl Answers {
    /// The answer under this key.
    ///
    /// # Errors
    ///
    /// What kept the kernel from answering, or that there is no such key.
    ///
    /// ```
    /// use fanfold::array::Run;
    /// use fanfold::error::Error;
    ///
    /// let nothing = ndarray::Array1::<f64>::zeros(0);
    /// let answers = Run::new(["sum", "max"])?.over(nothing.view())?;
    /// assert_eq!(answers.number("sum")?, 0.0);
    /// assert_eq!(answers.get("max"), Err(Error::Empty { kernel: "max" }));
    /// # Ok::<(), fanfold::error::Error>(())
    /// ```
    pub fn get(&self, key: &str) -> Result<&Answer, Error> {
        if let Some((_, answer)) = self.0.iter().find(|(known, _)| known == key) {
            return answer.as_ref().map_err(Clone::clone);
        }
        let known = self.0.iter().map(|(known, _)| known.clone()).collect();
        Err(Error::NoAnswer { key: key.to_owned(), known })
    }

    /// The answer under this key that is one real number, as the nearest float64. [`Answers::get`] gives integers
    /// beyond 2⁵³ exactly, and complex numbers.
    ///
    /// # Errors
    ///
    /// As [`Answers::get`], and if it is none.
    pub fn number(&self, key: &str) -> Result<f64, Error> {
        match self.get(key)? {
            Answer::Number(number, dtype) if !dtype.is_complex() && !dtype.is_time() => Ok(number.float()),
            other => Err(Answers::other(key, other, "a real number".to_owned())),
        }
    }

    /// The answer under this key that is an array of these elements. The dtypes of answers are NumPy's: the mean of
    /// float32 is one, that of integers a float64, positions and counts are int64.
    ///
    /// # Errors
    ///
    /// As [`Answers::get`], and if it is something else.
    pub fn array<T: Element>(&self, key: &str) -> Result<&ArrayD<T>, Error> {
        let answer = self.get(key)?;
        let array = if let Answer::Array(array) = answer { array.get() } else { None };
        array.ok_or_else(|| Answers::other(key, answer, format!("an array of {}", T::DTYPE)))
    }

    /// All keys and answers, in the order of the kernels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Result<&Answer, &Error>)> {
        self.0.iter().map(|(key, answer)| (key.as_str(), answer.as_ref()))
    }

    fn other(key: &str, answer: &Answer, wanted: String) -> Error {
        Error::OtherAnswer { key: key.to_owned(), found: answer.describe(), wanted }
    }
}

/// All keys and answers, in the order of the kernels.
impl IntoIterator for Answers {
    type Item = (String, Result<Answer, Error>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What a kernel answered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// One number, of this dtype.
    Number(Number, DType),
    /// An array: of several items, or of an item for each row.
    Array(AnyArray),
    /// What has this name and several fields, in the order of `docs/kernels.md`: a `Histogram` has its counts, then its
    /// edges.
    Record(&'static str, Vec<Answer>),
    /// An answer for each row, where they differ in dtype or length (`unique`).
    Rows(ArrayD<Answer>),
}

impl Answer {
    fn of(value: Value) -> Answer {
        match value {
            Value::Scalar(number, dtype) => Answer::Number(rounded(number, dtype), dtype),
            Value::Array { items, dtype } => {
                let len = items.len();
                Answer::Array(AnyArray::new(items, dtype, &[len]))
            }
            Value::Record(name, fields) => Answer::Record(name, fields.into_iter().map(Answer::of).collect()),
            Value::Items(items) => {
                let (len, dtype) = (items.len(), items.item().dtype());
                Answer::Array(AnyArray::new(items, dtype, &[len]))
            }
        }
    }

    /// For messages.
    fn describe(&self) -> String {
        match self {
            Answer::Number(_, dtype) => format!("one {dtype}"),
            Answer::Array(array) => format!("an array of {}", array.dtype()),
            Answer::Record(name, _) => format!("a {name}"),
            Answer::Rows(_) => "an answer for each row".to_owned(),
        }
    }
}

/// The list of elements: the variant and the Rust type of each, what a buffer holds of it, and how that becomes an
/// element.
macro_rules! for_each_element {
    ($go:ident) => {
        $go! {
            Bool: bool, Bool, |item: Bool8| item.0 != 0;
            Int8: i8, Int8, same;
            Int16: i16, Int16, same;
            Int32: i32, Int32, same;
            Int64: i64, Int64, same;
            UInt8: u8, UInt8, same;
            UInt16: u16, UInt16, same;
            UInt32: u32, UInt32, same;
            UInt64: u64, UInt64, same;
            Float16: f16, Float32, f16::from_f32;
            Float32: f32, Float32, same;
            Float64: f64, Float64, same;
            Complex64: Complex<f32>, Complex64, same;
            Complex128: Complex<f64>, Complex128, same;
            Datetime64: Datetime64, Time, |Time(ticks)| Datetime64(ticks);
            Timedelta64: Timedelta64, Time, |Time(ticks)| Timedelta64(ticks);
        }
    };
}

macro_rules! define_any_array {
    ($($variant:ident: $element:ty, $item:ident, $convert:expr;)*) => {
        /// An array of whatever elements, which its dtype tells.
        ///
        /// ```
        /// use fanfold::array::{AnyArray, Answer, Run};
        /// use ndarray::{Axis, array};
        ///
        /// let answers = Run::new(["max"])?.along(array![[1_u8, 2], [4, 3]].view(), Axis(1))?;
        /// match answers.get("max")? {
        ///     Answer::Array(AnyArray::UInt8(array)) => assert_eq!(array, &array![2, 4].into_dyn()),
        ///     other => panic!("{other:?}"),
        /// }
        /// # Ok::<(), fanfold::error::Error>(())
        /// ```
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // the variants are the dtypes
        pub enum AnyArray { $($variant(ArrayD<$element>),)* }

        impl AnyArray {
            /// What its elements are.
            pub fn dtype(&self) -> DType {
                match self { $(AnyArray::$variant(_) => DType::$variant,)* }
            }

            /// How many elements there are along each axis.
            pub fn shape(&self) -> &[usize] {
                match self { $(AnyArray::$variant(array) => array.shape(),)* }
            }

            /// The array, if it is one of these elements.
            pub fn get<T: Element>(&self) -> Option<&ArrayD<T>> {
                let array: &dyn Any = match self { $(AnyArray::$variant(array) => array,)* };
                array.downcast_ref()
            }

            /// An array of this dtype and shape.
            fn new(items: Buffer, dtype: DType, shape: &[usize]) -> AnyArray {
                match (dtype, fitting(items, dtype)) {
                    $((DType::$variant, Buffer::$item(items)) => {
                        AnyArray::$variant(shaped(items.into_iter().map($convert).collect(), shape))
                    })*
                    _ => unreachable!("the items fit the dtype"),
                }
            }

            /// The same with its axes in this order.
            fn permuted(self, order: Vec<usize>) -> AnyArray {
                match self { $(AnyArray::$variant(array) => AnyArray::$variant(array.permuted_axes(order)),)* }
            }
        }
    };
}

for_each_element!(define_any_array);

impl AnyArray {
    /// What was written, as an array of this shape.
    fn written(fresh: Fresh, shape: &[usize]) -> AnyArray {
        match (fresh.dtype(), fresh.into_buffer()) {
            (DType::Float16, Buffer::UInt16(bits)) => {
                AnyArray::Float16(shaped(bits.into_iter().map(f16::from_bits).collect(), shape))
            }
            (dtype, items) => AnyArray::new(items, dtype, shape),
        }
    }
}

/// The standard library then collects in place, as it does not for vectors that are not mapped.
fn same<T>(item: T) -> T {
    item
}

fn shaped<T>(items: Vec<T>, shape: &[usize]) -> ArrayD<T> {
    match ArrayD::from_shape_vec(IxDyn(shape), items) {
        Ok(array) => array,
        Err(_) => unreachable!("there is an item for each place"),
    }
}

/// The items that arrays of this dtype are made of.
fn fitting(items: Buffer, dtype: DType) -> Buffer {
    if items.item() == dtype.item() {
        return items;
    }
    let mut fitting = Buffer::new(dtype.item(), 0);
    items.numbers().into_iter().for_each(|number| fitting.push(rounded(number, dtype)));
    fitting
}

fn rounded(number: Number, dtype: DType) -> Number {
    if let Number::Float(value) = number { Number::Float(dtype.round(value)) } else { number }
}
