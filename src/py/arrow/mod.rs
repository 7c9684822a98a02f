//! Arrow's C data interface: reads any object with `__arrow_c_array__` or `__arrow_c_stream__` without a copy.
//!
//! The structs are those of the specification (<https://arrow.apache.org/docs/format/CDataInterface.html>), whose
//! layout is frozen. A struct is moved out of its capsule, and released once, when the last column that reads it is
//! dropped. A producer must describe its memory correctly, as for NumPy's arrays; what can be checked is checked.
#![allow(unsafe_code)]

pub(super) mod labels;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use self::labels::Labels;
use crate::dtype::{Bool8, Buffer, DType, Sealed};
use crate::error::guarded;
use crate::grid::BLOCK;
use crate::memory;
use crate::simd::Level;
use crate::source::View;

#[repr(C)]
struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArrayStream {
    get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    private_data: *mut c_void,
}

/// A struct of the interface that can be released.
trait Released: Sized {
    /// The name of its capsules.
    const CAPSULE: &'static CStr;
    /// An empty struct, for a producer to fill.
    const EMPTY: Self;
    /// Whether it is empty or was released.
    fn is_released(&self) -> bool;
    /// Releases its memory.
    fn release(&mut self);
}

macro_rules! released {
    ($kind:ident, $capsule:literal, $($field:ident: $value:expr),*) => {
        impl Released for $kind {
            const CAPSULE: &'static CStr = $capsule;
            const EMPTY: Self = $kind { $($field: $value,)* release: None, private_data: std::ptr::null_mut() };

            fn is_released(&self) -> bool {
                self.release.is_none()
            }

            fn release(&mut self) {
                if let Some(release) = self.release {
                    // SAFETY: the producer's own function, called once with its own struct: it unsets `release`.
                    unsafe { release(self) };
                }
            }
        }
    };
}

released!(ArrowSchema, c"arrow_schema", format: std::ptr::null(), name: std::ptr::null(), metadata: std::ptr::null(),
    flags: 0, n_children: 0, children: std::ptr::null_mut(), dictionary: std::ptr::null_mut());
released!(ArrowArray, c"arrow_array", length: 0, null_count: 0, offset: 0, n_buffers: 0, n_children: 0,
    buffers: std::ptr::null_mut(), children: std::ptr::null_mut(), dictionary: std::ptr::null_mut());
released!(ArrowArrayStream, c"arrow_array_stream", get_schema: None, get_next: None, get_last_error: None);

/// A struct that we own: it is released when dropped.
struct Owned<T: Released>(Box<T>);

// SAFETY: the specification lets a consumer use and release its structs in any thread, one at a time; arrays and
// schemas are only read while they are shared.
unsafe impl<T: Released> Send for Owned<T> {}
// SAFETY: as above.
unsafe impl<T: Released> Sync for Owned<T> {}

impl<T: Released> Owned<T> {
    fn empty() -> Owned<T> {
        Owned(Box::new(T::EMPTY))
    }

    /// Takes the struct out of a capsule.
    fn of(capsule: &Bound<'_, PyAny>) -> PyResult<Owned<T>> {
        let capsule = capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("it returned no capsule"))?;
        let pointer: NonNull<T> = capsule.pointer_checked(Some(T::CAPSULE))?.cast();
        // SAFETY: a capsule of this name holds a pointer to such a struct; nobody else uses it while we are attached.
        // An empty one in its place is what the specification calls moved.
        let moved = unsafe { std::ptr::replace(pointer.as_ptr(), T::EMPTY) };
        if moved.is_released() {
            return Err(PyValueError::new_err("it was already read and released: create it again"));
        }
        Ok(Owned(Box::new(moved)))
    }
}

impl<T: Released> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A column: pieces of memory with elements of one type.
pub(super) struct Column {
    /// Its name in a table; empty if it is in no table.
    pub(super) name: String,
    /// The kind of its elements, or the reason why no kernel supports them.
    pub(super) kind: Result<Kind, String>,
    pub(super) pieces: Vec<Piece>,
    /// Its elements as labels, if they are none of ours and can be labels.
    pub(super) labels: Option<Labels>,
}

/// How elements are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) dtype: DType,
    /// The unit of times, in brackets: `[us]`.
    pub(super) unit: String,
    stored: Stored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// As items.
    Items,
    /// As bits, lowest bit first.
    Bits,
    /// As times in 32-bit integers.
    Narrow,
}

/// Some contiguous elements of a column.
pub(super) struct Piece {
    /// The owner of the memory.
    _array: Arc<Owned<ArrowArray>>,
    values: *const u8,
    /// The bits of the present elements, if some elements are missing.
    present: Option<Bits>,
    offset: usize,
    len: usize,
    missing: usize,
    /// The items, if they had to be converted.
    converted: Option<Vec<i64>>,
}

// SAFETY: the memory is only read, and kept by `_array`.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

/// Bits that are set for present elements.
enum Bits {
    /// The producer's bits, starting at this bit.
    Theirs(*const u8, usize),
    /// The bits of a struct and its field, combined.
    Ours(Vec<u8>),
}

impl Bits {
    fn view(&self, len: usize) -> View<'_> {
        let (pointer, first) = match self {
            Bits::Theirs(pointer, first) => (*pointer, *first),
            Bits::Ours(bytes) => (bytes.as_ptr(), 0),
        };
        // SAFETY: the producer says that the bits are there, or they are ours, as many as there are elements.
        unsafe { View::of_bits(pointer, first, len) }
    }

    /// The number of set bits among the first `len`.
    fn count(&self, len: usize) -> usize {
        let view = self.view(len);
        let mut scratch = Buffer::new(DType::Bool.item(), BLOCK.min(len));
        let set = |start: usize| {
            let block = view.load(Level::current(), start, BLOCK.min(len - start), &mut scratch);
            Bool8::of(block).unwrap_or_default().iter().filter(|bit| bit.0 != 0).count()
        };
        (0..len).step_by(BLOCK).map(set).sum()
    }

    fn is_set(&self, number: usize) -> bool {
        let (pointer, first) = match self {
            Bits::Theirs(pointer, first) => (*pointer, *first),
            Bits::Ours(bytes) => (bytes.as_ptr(), 0),
        };
        let bit = first + number;
        // SAFETY: as for `view`.
        unsafe { pointer.wrapping_add(bit / 8).read() >> (bit % 8) & 1 == 1 }
    }
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of missing elements.
    pub(super) fn missing(&self) -> usize {
        self.missing
    }

    /// The number of copied bytes.
    pub(super) fn copied(&self) -> usize {
        let bits = if let Some(Bits::Ours(bytes)) = &self.present { bytes.len() } else { 0 };
        bits + self.converted.as_ref().map_or(0, |items| size_of_val(items.as_slice()))
    }

    /// The address of the first element.
    pub(super) fn address(&self, kind: &Kind) -> usize {
        match &self.converted {
            Some(items) => items.as_ptr().addr(),
            None => self.values.addr() + self.offset * kind.dtype.size(),
        }
    }

    pub(super) fn view(&self, kind: &Kind) -> View<'_> {
        if self.len == 0 {
            return View::of_pieces(Vec::new(), kind.dtype);
        }
        if let Some(items) = &self.converted {
            // SAFETY: these are ours, and times are stored as such integers.
            return unsafe { View::new(items.as_ptr().cast(), kind.dtype, false, &[self.len], &[8]) };
        }
        match kind.stored {
            // SAFETY: the producer says that so many bits are there, and `_array` keeps them.
            Stored::Bits => unsafe { View::of_bits(self.values, self.offset, self.len) },
            Stored::Items | Stored::Narrow => {
                let size = kind.dtype.size();
                let first = self.values.wrapping_add(self.offset * size);
                // SAFETY: the producer says that so many items are there, one behind the other, and `_array` keeps
                // them.
                unsafe { View::new(first, kind.dtype, false, &[self.len], &[size.cast_signed()]) }
            }
        }
    }

    /// Bools that are true for present elements.
    pub(super) fn present(&self) -> View<'_> {
        static ALL: [u8; 1] = [1];
        match &self.present {
            Some(bits) => bits.view(self.len),
            // SAFETY: one byte, over and over.
            None => unsafe { View::new(ALL.as_ptr(), DType::Bool, false, &[self.len], &[0]) },
        }
    }
}

impl Kind {
    /// Whether the elements have NumPy's layout.
    pub(super) fn is_plain(&self) -> bool {
        self.stored != Stored::Bits
    }

    /// The kind of a schema's elements, or a text that says why no kernel supports them.
    fn of(schema: &ArrowSchema) -> Result<Kind, String> {
        if schema.dictionary.is_null() {
            return Kind::of_format(&text(schema.format));
        }
        Err("has Arrow's type dictionary, which holds no numbers".to_owned())
    }

    /// The same, of a format.
    fn of_format(format: &str) -> Result<Kind, String> {
        let named = |kind: &str| Err(format!("has Arrow's type {kind}, which holds no numbers"));
        let time = |dtype, unit: &str, stored| {
            Ok(Kind { dtype, unit: if unit.is_empty() { String::new() } else { format!("[{unit}]") }, stored })
        };
        let simple = |dtype| time(dtype, "", Stored::Items);
        let unit = |letter: Option<&str>| match letter {
            Some("s") => Some("s"),
            Some("m") => Some("ms"),
            Some("u") => Some("us"),
            Some("n") => Some("ns"),
            _ => None,
        };
        match format {
            "c" => simple(DType::Int8),
            "C" => simple(DType::UInt8),
            "s" => simple(DType::Int16),
            "S" => simple(DType::UInt16),
            "i" => simple(DType::Int32),
            "I" => simple(DType::UInt32),
            "l" => simple(DType::Int64),
            "L" => simple(DType::UInt64),
            "e" => simple(DType::Float16),
            "f" => simple(DType::Float32),
            "g" => simple(DType::Float64),
            "b" => time(DType::Bool, "", Stored::Bits),
            "tdD" => time(DType::Datetime64, "D", Stored::Narrow),
            "tdm" => time(DType::Datetime64, "ms", Stored::Items),
            "tts" => time(DType::Timedelta64, "s", Stored::Narrow),
            "ttm" => time(DType::Timedelta64, "ms", Stored::Narrow),
            "ttu" => time(DType::Timedelta64, "us", Stored::Items),
            "ttn" => time(DType::Timedelta64, "ns", Stored::Items),
            "n" => Err("holds nulls only".to_owned()),
            "u" | "U" | "vu" => named("string"),
            "z" | "Z" | "vz" => named("binary"),
            other => match other.split_at_checked(2) {
                Some((kind @ ("ts" | "tD"), rest)) => match unit(rest.get(..1)) {
                    // A time zone may follow: instants are in UTC.
                    Some(unit) if kind == "ts" && rest.get(1..2) == Some(":") => {
                        time(DType::Datetime64, unit, Stored::Items)
                    }
                    Some(unit) if kind == "tD" && rest.len() == 1 => time(DType::Timedelta64, unit, Stored::Items),
                    _ => named(other),
                },
                Some(("d:", _)) => named("decimal"),
                Some(("+l" | "+L" | "+v", _)) => named("list"),
                Some(("+s", _)) => named("struct"),
                Some(("+m", _)) => named("map"),
                Some(("+r", _)) => named("run_end_encoded"),
                _ => named(other),
            },
        }
    }
}

/// The columns of an object that offers Arrow's protocol, and whether it is a table.
pub(super) fn columns(value: &Bound<'_, PyAny>) -> PyResult<(Vec<Column>, bool)> {
    let py = value.py();
    let (schema, arrays) = if value.hasattr("__arrow_c_array__")? {
        let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            value.call_method0("__arrow_c_array__")?.extract()?;
        (Owned::<ArrowSchema>::of(&schema)?, vec![Owned::<ArrowArray>::of(&array)?])
    } else {
        let stream = Owned::<ArrowArrayStream>::of(&value.call_method0("__arrow_c_stream__")?)?;
        // The producer may compute here, or wait for other threads.
        py.detach(|| read(stream)).map_err(PyRuntimeError::new_err)?
    };
    let arrays: Vec<Arc<Owned<ArrowArray>>> = arrays.into_iter().map(Arc::new).collect();
    let root = schema.0.as_ref();
    if text(root.format) != "+s" || !root.dictionary.is_null() {
        let whole = arrays.iter().map(|array| (array, array.0.as_ref(), None)).collect();
        return Ok((vec![column(root, whole)?], false));
    }
    let count = usize::try_from(root.n_children).unwrap_or(0);
    let mut found = Vec::new();
    for number in 0..count {
        let child = field(root.children, number)?;
        let mut pieces = Vec::new();
        for array in &arrays {
            let parent = array.0.as_ref();
            if usize::try_from(parent.n_children) != Ok(count) {
                return Err(PyValueError::new_err("its arrays and its schema have different numbers of fields"));
            }
            pieces.push((array, field(parent.children, number)?, Some(parent)));
        }
        found.push(column(child, pieces)?);
    }
    Ok((found, true))
}

/// All arrays of a stream, and their schema.
fn read(mut stream: Owned<ArrowArrayStream>) -> Result<(Owned<ArrowSchema>, Vec<Owned<ArrowArray>>), String> {
    let stream = stream.0.as_mut();
    let (Some(get_schema), Some(get_next)) = (stream.get_schema, stream.get_next) else {
        return Err("its stream has no functions".to_owned());
    };
    let failed = |stream: &mut ArrowArrayStream, code: c_int| {
        // SAFETY: the producer's own function, called with its own struct after a failure.
        let message = stream.get_last_error.map_or(std::ptr::null(), |get| unsafe { get(stream) });
        let message = text(message);
        if message.is_empty() { format!("its stream failed with error {code}") } else { message }
    };
    let mut schema = Owned::<ArrowSchema>::empty();
    // SAFETY: the producer's own function, called with its own struct and an empty one to fill.
    let code = unsafe { get_schema(stream, schema.0.as_mut()) };
    if code != 0 || schema.0.is_released() {
        return Err(failed(stream, code));
    }
    let mut arrays = Vec::new();
    loop {
        let mut array = Owned::<ArrowArray>::empty();
        // SAFETY: as above.
        let code = unsafe { get_next(stream, array.0.as_mut()) };
        if code != 0 {
            return Err(failed(stream, code));
        }
        if array.0.is_released() {
            return Ok((schema, arrays));
        }
        arrays.push(array);
    }
}

/// The child with this number.
fn field<'a, T>(children: *mut *mut T, number: usize) -> PyResult<&'a T> {
    if children.is_null() {
        return Err(PyValueError::new_err("it declares fields but has none"));
    }
    // SAFETY: the producer says that there are more than `number` children; they live as long as their parent, which
    // the callers keep.
    unsafe { children.add(number).read().as_ref() }
        .ok_or_else(|| PyValueError::new_err("it declares more fields than it has"))
}

/// Some elements of a column: the owner, the array, and the struct of which the array is a field.
type Chunk<'a> = (&'a Arc<Owned<ArrowArray>>, &'a ArrowArray, Option<&'a ArrowArray>);

/// A column made of these arrays.
fn column(schema: &ArrowSchema, arrays: Vec<Chunk<'_>>) -> PyResult<Column> {
    let mut column = Column { name: text(schema.name), kind: Kind::of(schema), pieces: Vec::new(), labels: None };
    match &column.kind {
        Ok(kind) => {
            let pieces = arrays.into_iter().map(|chunk| piece(kind, chunk));
            column.pieces = pieces.collect::<PyResult<_>>()?;
        }
        Err(_) => column.labels = Labels::of(schema, &arrays)?,
    }
    Ok(column)
}

/// Which items of its memory a chunk has, and which of them are there.
struct Span {
    offset: usize,
    len: usize,
    /// The bits that say which are there, if some are not.
    present: Option<Bits>,
    missing: usize,
}

/// The span of a chunk whose items have so many bytes each.
fn span((_, array, parent): Chunk<'_>, bytes: usize) -> PyResult<Span> {
    if array.is_released() {
        return Err(PyValueError::new_err("one of its fields was released: create it again"));
    }
    let size = |number: i64| {
        usize::try_from(number).map_err(|_| PyValueError::new_err("it declares a negative number of items"))
    };
    let outer =
        parent.map_or(Ok((0, None)), |parent| Ok::<_, PyErr>((size(parent.offset)?, Some(size(parent.length)?))))?;
    let offset = size(array.offset)? + outer.0;
    // A struct may be shorter than its fields.
    let len = outer.1.unwrap_or(size(array.length)?);
    let end = offset.checked_add(len).filter(|end| end.saturating_mul(bytes) <= isize::MAX.cast_unsigned());
    let fits = len + outer.0 <= size(array.length)? && end.is_some();
    if !fits {
        return Err(PyValueError::new_err("it declares more items than fit in memory"));
    }
    let own = if array.null_count == 0 { std::ptr::null() } else { buffer(array, 0)? };
    let theirs = match parent.filter(|parent| parent.null_count != 0) {
        Some(parent) => buffer(parent, 0)?,
        None => std::ptr::null(),
    };
    let bits = |pointer: *const u8, first: usize| (!pointer.is_null()).then_some(Bits::Theirs(pointer, first));
    let present = match (bits(own, offset), bits(theirs, outer.0)) {
        (Some(own), Some(theirs)) => {
            let byte = |start: usize| {
                let both = |number: &usize| own.is_set(*number) && theirs.is_set(*number);
                (start..len.min(start + 8)).filter(both).fold(0, |byte, number| byte | 1 << (number % 8))
            };
            Some(Bits::Ours(guarded(|| memory::collected((0..len).step_by(8).map(byte)))?))
        }
        (own, theirs) => own.or(theirs),
    };
    let missing = present.as_ref().map_or(Ok(0), |bits| guarded(|| len - bits.count(len)))?;
    Ok(Span { offset, len, present: present.filter(|_| missing > 0), missing })
}

fn piece(kind: &Kind, chunk: Chunk<'_>) -> PyResult<Piece> {
    let (owner, array, _) = chunk;
    let Span { offset, len, present, missing } = span(chunk, kind.dtype.size())?;
    let values = buffer(array, 1)?;
    if values.is_null() && len > 0 {
        return Err(PyValueError::new_err("it declares items but has no memory for them"));
    }
    let converted = (kind.stored == Stored::Narrow).then(|| {
        // SAFETY: the producer says that so many integers of 32 bits are there. They may be misaligned.
        let word = |number| unsafe { values.wrapping_add(4 * (offset + number)).cast::<[u8; 4]>().read() };
        let item = |number| i64::from(i32::from_ne_bytes(word(number)));
        guarded(|| memory::collected((0..len).map(item)))
    });
    Ok(Piece { _array: Arc::clone(owner), values, present, offset, len, missing, converted: converted.transpose()? })
}

/// The array's buffer with this number; null if it does not exist.
fn buffer(array: &ArrowArray, number: i64) -> PyResult<*const u8> {
    let place = usize::try_from(number).ok().filter(|_| number < array.n_buffers && !array.buffers.is_null());
    let Some(place) = place else { return Ok(std::ptr::null()) };
    // SAFETY: the producer says that there are more buffers than `number`.
    Ok(unsafe { array.buffers.add(place).read() }.cast())
}

/// A C string; empty for a null pointer.
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the producer's strings end with a zero.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
