//! `Source`: elements that no NumPy array can represent without a copy, because some are missing, or they are stored as
//! bits or in pieces.

use std::sync::Arc;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::dtype::{Block, Bool8, Buffer, DType, ItemType, Sealed, for_each_item};
use crate::error::{Error, guarded};
use crate::grid::BLOCK;
use crate::memory;
use crate::py::arrow::labels::{self, LabelPiece, Labels, Values};
use crate::py::arrow::{self, Column, Kind};
use crate::py::{input, output};
use crate::simd::Level;
use crate::source::{Rows, View};

/// Elements that are read without a copy; some may be missing.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct Source {
    held: Held,
    shape: Vec<usize>,
    missing: usize,
}

/// The owner of the memory.
enum Held {
    /// An array, and bools of the same shape that are true where an element is missing.
    Masked { values: Py<PyUntypedArray>, missing: Py<PyUntypedArray> },
    /// An Arrow column.
    Arrow { kind: Kind, column: Arc<Column> },
}

#[pymethods]
impl Source {
    /// The elements of an array without those where `missing` is true.
    #[new]
    fn new(values: &Bound<'_, PyUntypedArray>, missing: &Bound<'_, PyUntypedArray>) -> PyResult<Source> {
        let (_, is_bool) = (input::dtype(&values.dtype())?, input::dtype(&missing.dtype())?.0 == DType::Bool);
        if !is_bool || values.shape() != missing.shape() {
            return Err(PyValueError::new_err("missing must have one bool for each element"));
        }
        let view = input::view(missing)?;
        let mut count = 0;
        each_block(&view, &mut |block| {
            count += Bool8::of(block).unwrap_or_default().iter().filter(|is_missing| is_missing.0 != 0).count();
        })?;
        let held = Held::Masked { values: values.clone().unbind(), missing: missing.clone().unbind() };
        Ok(Source { held, shape: values.shape().to_vec(), missing: count })
    }

    /// The number of elements along each axis, including the missing ones.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// The number of elements, including the missing ones.
    #[getter]
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// The strides in bytes along each axis; elements stored as bits count as one byte.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.held {
            Held::Masked { values, .. } => values.bind(py).getattr("strides"),
            Held::Arrow { kind, .. } => Ok(PyTuple::new(py, [kind.dtype.size()])?.into_any()),
        }
    }

    /// The same elements with the axes in another order.
    fn transpose(&self, py: Python<'_>, axes: Vec<usize>) -> PyResult<Source> {
        let turned = |array: &Py<PyUntypedArray>| {
            Ok::<_, PyErr>(array.bind(py).call_method1("transpose", (&axes,))?.cast_into::<PyUntypedArray>()?.unbind())
        };
        let held = match &self.held {
            Held::Masked { values, missing } => Held::Masked { values: turned(values)?, missing: turned(missing)? },
            // A column has one axis.
            Held::Arrow { kind, column } => Held::Arrow { kind: kind.clone(), column: Arc::clone(column) },
        };
        let shape = axes.iter().filter_map(|&axis| self.shape.get(axis).copied()).collect();
        Ok(Source { held, shape, missing: self.missing })
    }

    /// The element type.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.held {
            Held::Masked { values, .. } => Ok(values.bind(py).dtype().into_any()),
            Held::Arrow { kind, .. } => {
                py.import("numpy")?.call_method1("dtype", (format!("{}{}", kind.dtype.name(), kind.unit),))
            }
        }
    }

    /// The number of missing elements.
    #[getter]
    fn missing(&self) -> usize {
        self.missing
    }

    /// The bytes that were copied to convert the elements.
    #[getter]
    fn bytes_copied(&self) -> usize {
        match &self.held {
            Held::Masked { .. } => 0,
            Held::Arrow { column, .. } => column.pieces.iter().map(arrow::Piece::copied).sum(),
        }
    }

    /// Whether a NumPy array can represent the elements without a copy.
    #[getter]
    fn is_plain(&self) -> bool {
        match &self.held {
            Held::Masked { .. } => false,
            Held::Arrow { kind, column } => self.missing == 0 && kind.is_plain() && column.pieces.len() <= 1,
        }
    }

    /// NumPy's array interface, if the source is plain. An array over this memory keeps the source alive.
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Held::Arrow { kind, column } = &self.held else {
            return Err(pyo3::exceptions::PyAttributeError::new_err("__array_interface__"));
        };
        if !self.is_plain() {
            return Err(pyo3::exceptions::PyAttributeError::new_err("__array_interface__"));
        }
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", self.shape(py)?)?;
        interface.set_item("typestr", self.dtype(py)?.getattr("str")?)?;
        // Without elements the address is never read, but it must not be null.
        let address = column.pieces.first().filter(|piece| piece.len() > 0).map_or(64, |piece| piece.address(kind));
        interface.set_item("data", (address, true))?;
        Ok(interface)
    }

    /// The array of the elements, including the missing ones, if there is one.
    #[getter]
    fn array(&self, py: Python<'_>) -> Option<Py<PyUntypedArray>> {
        match &self.held {
            Held::Masked { values, .. } => Some(values.clone_ref(py)),
            Held::Arrow { .. } => None,
        }
    }

    /// The present elements, in order, as a new array.
    fn gathered<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (values, present) = (self.values(py)?, self.present(py)?);
        let items = guarded(|| gathered(&values, present.as_ref()))?;
        let descr = self.dtype(py)?;
        match values.dtype() {
            dtype if dtype.is_time() => output::items(py, &items)?.call_method1("view", (descr,)),
            dtype if items.item().dtype() != dtype => output::items(py, &items)?.call_method1("astype", (descr,)),
            _ => output::items(py, &items),
        }
    }

    /// Whether each element is present, as a new array.
    fn is_present<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some((view, value)) = self.present(py)? else {
            return py.import("numpy")?.call_method1("ones", (self.shape(py)?, "bool"));
        };
        let items = guarded(|| {
            let mut items: Vec<Bool8> = Vec::new();
            each_block(&view, &mut |block| {
                let bools = Bool8::of(block).unwrap_or_default();
                memory::extend(&mut items, bools.iter().map(|own| Bool8(u8::from((own.0 != 0) == value))));
            })
            .map(|()| Bool8::buffer(items))
        })
        .flatten()?;
        output::items(py, &items)?.call_method1("reshape", (self.shape(py)?,))
    }
}

impl Source {
    /// The shape.
    pub(super) fn lengths(&self) -> &[usize] {
        &self.shape
    }

    /// The dtype.
    pub(super) fn element(&self, py: Python<'_>) -> Result<DType, Error> {
        match &self.held {
            Held::Masked { values, .. } => Ok(input::dtype(&values.bind(py).dtype())?.0),
            Held::Arrow { kind, .. } => Ok(kind.dtype),
        }
    }

    /// The elements, including the missing ones.
    pub(super) fn values<'a>(&'a self, py: Python<'a>) -> Result<View<'a>, Error> {
        match &self.held {
            Held::Masked { values, .. } => input::view(values.bind(py)),
            Held::Arrow { kind, column } => {
                Ok(View::of_pieces(column.pieces.iter().map(|piece| piece.view(kind)).collect(), kind.dtype))
            }
        }
    }

    /// The bools of the present elements, and the value that they have; `None` if no element is missing.
    pub(super) fn present<'a>(&'a self, py: Python<'a>) -> Result<Option<(View<'a>, bool)>, Error> {
        if self.missing == 0 {
            return Ok(None);
        }
        Ok(Some(match &self.held {
            Held::Masked { missing, .. } => (input::view(missing.bind(py))?, false),
            Held::Arrow { column, .. } => {
                (View::of_pieces(column.pieces.iter().map(arrow::Piece::present).collect(), DType::Bool), true)
            }
        }))
    }

    /// Its elements as rows along the first `along` axes.
    pub(super) fn rows<'a>(&'a self, py: Python<'a>, along: usize) -> Result<Rows<'a>, Error> {
        match &self.held {
            Held::Masked { values, .. } => input::array_rows(values.bind(py), along),
            Held::Arrow { .. } => Ok(Rows::one(self.values(py)?)),
        }
    }

    /// The bools of the present elements, as rows.
    pub(super) fn present_rows<'a>(&'a self, py: Python<'a>, along: usize) -> Result<Option<Rows<'a>>, Error> {
        match &self.held {
            Held::Masked { missing, .. } if self.missing > 0 => input::array_rows(missing.bind(py), along).map(Some),
            _ => Ok(self.present(py)?.map(|(view, _)| Rows::one(view))),
        }
    }

    /// The value that the bools have for present elements, if some elements are missing.
    pub(super) fn present_value(&self) -> Option<bool> {
        (self.missing > 0).then_some(matches!(self.held, Held::Arrow { .. }))
    }
}

/// Calls a function with every block of a view.
fn each_block(view: &View<'_>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), Error> {
    guarded(|| {
        let mut scratch = Buffer::new(view.dtype().item(), BLOCK.min(view.len()));
        for start in (0..view.len()).step_by(BLOCK) {
            take(view.load(Level::current(), start, BLOCK.min(view.len() - start), &mut scratch));
        }
    })
}

/// The present elements of a view.
fn gathered(values: &View<'_>, present: Option<&(View<'_>, bool)>) -> Buffer {
    let level = Level::current();
    let mut own = Buffer::new(values.dtype().item(), BLOCK.min(values.len()));
    let mut bools = Buffer::new(ItemType::Bool, BLOCK.min(values.len()));
    macro_rules! gather {
        ($($variant:ident: $item:ty,)*) => {
            match values.dtype().item() { $(ItemType::$variant => {
                let mut items: Vec<$item> = Vec::new();
                for start in (0..values.len()).step_by(BLOCK) {
                    let len = BLOCK.min(values.len() - start);
                    let block = <$item>::of(values.load(level, start, len, &mut own)).unwrap_or_default();
                    match present {
                        None => memory::extend(&mut items, block.iter().copied()),
                        Some((view, value)) => {
                            let block_of_bools = view.load(level, start, len, &mut bools);
                            let there = Bool8::of(block_of_bools).unwrap_or_default().iter();
                            let chosen = block.iter().zip(there).filter(|(_, there)| (there.0 != 0) == *value);
                            memory::extend(&mut items, chosen.map(|(item, _)| *item));
                        }
                    }
                }
                <$item>::buffer(items)
            })* }
        };
    }
    for_each_item!(gather)
}

/// A column of Arrow's that holds no numbers and can be labels.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct ArrowLabels {
    labels: Labels,
}

#[pymethods]
impl ArrowLabels {
    /// How many there are, as NumPy says it.
    #[getter]
    fn shape(&self) -> (usize,) {
        (self.labels.len(),)
    }

    /// What they are, in words.
    #[getter]
    fn dtype(&self) -> &'static str {
        match self.labels.pieces.first() {
            Some(LabelPiece::Dictionary { .. }) => "dictionary",
            _ => "string",
        }
    }

    /// For each piece: a code for each element, below 0 where it is missing; and the labels of the codes, as strings,
    /// or as a source if they are numbers.
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let part = |piece: &LabelPiece| {
            let (codes, names) = match piece {
                LabelPiece::Text(text) => {
                    let (codes, names) = detached(py, || labels::encoded(text))?;
                    (codes, names.into_pyobject(py)?.into_any())
                }
                LabelPiece::Dictionary { kind, indices, values } => {
                    let (count, names) = match values {
                        Values::Text(text) => {
                            let names = (0..text.len()).map(|number| {
                                Ok(text.get(number)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
                            });
                            let names = names.collect::<Result<Vec<_>, String>>().map_err(PyValueError::new_err)?;
                            (text.len(), names.into_pyobject(py)?.into_any())
                        }
                        Values::Numbers(column) => {
                            let source = Source::of_column(Arc::clone(column))?;
                            (source.shape.iter().product(), Bound::new(py, source)?.into_any())
                        }
                    };
                    (detached(py, || labels::codes(kind, indices, count))?, names)
                }
            };
            Ok((output::items(py, &Buffer::Int64(codes))?, names))
        };
        self.labels.pieces.iter().map(part).collect()
    }
}

/// Does something without the interpreter.
fn detached<T: Send>(py: Python<'_>, action: impl FnOnce() -> Result<T, String> + Send) -> PyResult<T> {
    py.detach(|| guarded(action))?.map_err(PyValueError::new_err)
}

impl Source {
    /// The elements of a column, whose kind is known.
    fn of_column(column: Arc<Column>) -> PyResult<Source> {
        let kind = column.kind.clone().map_err(PyValueError::new_err)?;
        let len = column.pieces.iter().map(arrow::Piece::len).sum();
        let missing = column.pieces.iter().map(arrow::Piece::missing).sum();
        Ok(Source { held: Held::Arrow { kind, column }, shape: vec![len], missing })
    }
}

/// The name of a column; its source, or why its elements are none of ours; and these as labels, if they can be.
type Columns<'py> = Vec<(String, Bound<'py, PyAny>, Option<Bound<'py, ArrowLabels>>)>;

/// The columns of an object that offers Arrow's protocol, and whether it is a table.
#[pyfunction]
pub(super) fn arrow_columns<'py>(value: &Bound<'py, PyAny>) -> PyResult<(bool, Columns<'py>)> {
    let py = value.py();
    let (columns, is_table) = arrow::columns(value)?;
    let made = |mut column: Column| {
        let name = std::mem::take(&mut column.name);
        let labels = column.labels.take().map(|labels| Bound::new(py, ArrowLabels { labels })).transpose()?;
        if let Err(why) = &column.kind {
            return Ok((name, why.into_pyobject(py)?.into_any(), labels));
        }
        column.pieces.retain(|piece| piece.len() > 0);
        let source = Source::of_column(Arc::new(column))?;
        Ok((name, Bound::new(py, source)?.into_any(), labels))
    };
    Ok((is_table, columns.into_iter().map(made).collect::<PyResult<_>>()?))
}
