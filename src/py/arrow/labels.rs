//! Columns of Arrow's that hold no numbers and can be labels: text, and dictionaries of text or numbers.
//!
//! They become codes, and the labels that these stand for. Each distinct text is made a string of Python's once; of a
//! dictionary the indices are the codes.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ArrowArray, ArrowSchema};
use super::{Bits, Chunk, Column, Kind, Owned, Piece, Span, buffer, column, piece, span, text};
use crate::dtype::{Buffer, Number};
use crate::error::guarded;
use crate::grid::BLOCK;
use crate::memory;
use crate::simd::Level;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Elements of a column that are labels, in pieces.
pub(in crate::py) struct Labels {
    pub(in crate::py) pieces: Vec<LabelPiece>,
}

/// Some of them, one behind the other.
pub(in crate::py) enum LabelPiece {
    /// Text.
    Text(Text),
    /// Indices, and what they stand for.
    Dictionary { kind: Kind, indices: Piece, values: Values },
}

/// What the indices of a dictionary stand for.
pub(in crate::py) enum Values {
    Text(Text),
    Numbers(Arc<Column>),
}

/// How text is stored.
#[derive(Debug, Clone, Copy)]
enum Stored {
    /// One behind the other, with offsets of 32 or 64 bits.
    Utf8,
    LargeUtf8,
    /// As views of 16 bytes.
    Views,
}

/// Text in memory of the producer's.
pub(in crate::py) struct Text {
    _array: Arc<Owned<ArrowArray>>,
    stored: Stored,
    span: Span,
    /// The offsets, or the views.
    places: *const u8,
    /// The bytes, and how many there are of them where that is said.
    buffers: Vec<(*const u8, Option<i64>)>,
}

// SAFETY: the memory is only read, and kept by `_array`.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

impl Labels {
    /// The labels of a column, if its type can be labels.
    pub(super) fn of(schema: &ArrowSchema, chunks: &[Chunk<'_>]) -> PyResult<Option<Labels>> {
        let pieces = chunks.iter().map(|chunk| LabelPiece::of(schema, *chunk)).collect::<PyResult<Option<_>>>()?;
        Ok(pieces.map(|pieces| Labels { pieces }))
    }

    /// How many there are.
    pub(in crate::py) fn len(&self) -> usize {
        let len = |piece: &LabelPiece| match piece {
            LabelPiece::Text(text) => text.span.len,
            LabelPiece::Dictionary { indices, .. } => indices.len(),
        };
        self.pieces.iter().map(len).sum()
    }
}

impl LabelPiece {
    fn of(schema: &ArrowSchema, chunk: Chunk<'_>) -> PyResult<Option<LabelPiece>> {
        // SAFETY: the producer's pointer is null, or leads to a schema that lives as long as its parent.
        let Some(of_values) = (unsafe { schema.dictionary.as_ref() }) else {
            return Ok(Text::of(schema, chunk)?.map(LabelPiece::Text));
        };
        let (owner, array, _) = chunk;
        // SAFETY: as above, of an array.
        let dictionary = unsafe { array.dictionary.as_ref() };
        let dictionary = dictionary.ok_or_else(|| PyValueError::new_err("it lacks its dictionary"))?;
        let Ok(kind) = Kind::of_format(&text(schema.format)) else { return Ok(None) };
        let own = (owner, dictionary, None);
        let values = match Text::of(of_values, own)? {
            Some(text) => Values::Text(text),
            None if Kind::of(of_values).is_ok() => Values::Numbers(Arc::new(column(of_values, vec![own])?)),
            None => return Ok(None),
        };
        let indices = piece(&kind, chunk)?;
        Ok(Some(LabelPiece::Dictionary { kind, indices, values }))
    }
}

impl Text {
    fn of(schema: &ArrowSchema, chunk: Chunk<'_>) -> PyResult<Option<Text>> {
        if !schema.dictionary.is_null() {
            return Ok(None);
        }
        let (stored, size) = match text(schema.format).as_str() {
            "u" => (Stored::Utf8, 4),
            "U" => (Stored::LargeUtf8, 8),
            "vu" => (Stored::Views, 16),
            _ => return Ok(None),
        };
        let (owner, array, _) = chunk;
        let span = span(chunk, size)?;
        let places = buffer(array, 1)?;
        if places.is_null() && span.len > 0 {
            return Err(PyValueError::new_err("it has text, but says nowhere where"));
        }
        let buffers = match stored {
            Stored::Utf8 | Stored::LargeUtf8 => vec![(buffer(array, 2)?, None)],
            Stored::Views => {
                // The last buffer has the sizes of those before.
                let count = usize::try_from(array.n_buffers - 3).unwrap_or(0);
                let sizes = buffer(array, array.n_buffers - 1)?;
                let of = |number: usize| {
                    let place = i64::try_from(number).unwrap_or(i64::MAX);
                    // SAFETY: the producer says that there is a size for each of so many buffers.
                    let size = unsafe { sizes.add(8 * number).cast::<i64>().read_unaligned() };
                    Ok::<_, PyErr>((buffer(array, place + 2)?, Some(size)))
                };
                if sizes.is_null() { Vec::new() } else { (0..count).map(of).collect::<PyResult<_>>()? }
            }
        };
        Ok(Some(Text { _array: Arc::clone(owner), stored, span, places, buffers }))
    }

    /// How many there are.
    pub(in crate::py) fn len(&self) -> usize {
        self.span.len
    }

    /// The text of this number; `None` if it is missing.
    pub(in crate::py) fn get(&self, number: usize) -> Result<Option<&[u8]>, String> {
        if self.span.present.as_ref().is_some_and(|bits| !Bits::is_set(bits, number)) {
            return Ok(None);
        }
        let place = self.span.offset + number;
        let word = |byte: usize| {
            // SAFETY: the producer says that there are so many offsets and one more, or so many views.
            i64::from(unsafe { self.places.wrapping_add(byte).cast::<i32>().read_unaligned() })
        };
        let long = |byte: usize| {
            // SAFETY: as above.
            unsafe { self.places.wrapping_add(byte).cast::<i64>().read_unaligned() }
        };
        let (buffer, start, len) = match self.stored {
            Stored::Utf8 => (0, word(4 * place), word(4 * place + 4) - word(4 * place)),
            Stored::LargeUtf8 => {
                let (start, end) = (long(8 * place), long(8 * place + 8));
                (0, start, end.checked_sub(start).unwrap_or(-1))
            }
            Stored::Views => {
                let (view, len) = (16 * place, word(16 * place));
                if (0..=12).contains(&len) {
                    return self.slice(None, i64::try_from(view + 4).unwrap_or(-1), len).map(Some);
                }
                (usize::try_from(word(view + 8)).unwrap_or(usize::MAX), word(view + 12), len)
            }
        };
        self.slice(Some(buffer), start, len).map(Some)
    }

    /// Bytes of the buffer of this number, or of the views themselves.
    fn slice(&self, buffer: Option<usize>, start: i64, len: i64) -> Result<&[u8], String> {
        let wrong = || "its text lies outside its memory".to_owned();
        let (pointer, size) = match buffer {
            Some(number) => *self.buffers.get(number).ok_or_else(wrong)?,
            None => (self.places, None),
        };
        let end = start.checked_add(len).ok_or_else(wrong)?;
        let (Ok(first), Ok(count)) = (usize::try_from(start), usize::try_from(len)) else { return Err(wrong()) };
        if size.is_some_and(|size| end > size) {
            return Err(wrong());
        }
        if count == 0 {
            return Ok(&[]);
        }
        if pointer.is_null() {
            return Err(wrong());
        }
        // SAFETY: the producer says that these bytes are there; `_array` keeps them.
        Ok(unsafe { std::slice::from_raw_parts(pointer.wrapping_add(first), count) })
    }
}

/// A code for each text, below 0 where it is missing; and the distinct texts.
pub(in crate::py) fn encoded(text: &Text) -> Result<(Vec<i64>, Vec<String>), String> {
    let mut known: HashMap<&[u8], i64> = HashMap::new();
    let mut codes = Vec::new();
    let mut names = Vec::new();
    for number in 0..text.len() {
        let code = match text.get(number)?.map(|bytes| (bytes, known.get(bytes))) {
            None => -1,
            Some((_, Some(&code))) => code,
            Some((bytes, None)) => {
                let code = i64::try_from(names.len()).unwrap_or(i64::MAX);
                memory::insert(&mut known, bytes, code);
                memory::push(&mut names, String::from_utf8_lossy(bytes).into_owned());
                code
            }
        };
        memory::push(&mut codes, code);
    }
    Ok((codes, names))
}

/// The indices of a dictionary as codes, below 0 where they are missing.
pub(in crate::py) fn codes(kind: &Kind, indices: &Piece, values: usize) -> Result<Vec<i64>, String> {
    let (view, present) = (indices.view(kind), indices.present());
    let numbers = guarded(|| {
        let mut codes: Vec<i64> = Vec::new();
        let mut scratch = [Buffer::new(view.dtype().item(), BLOCK), Buffer::new(present.dtype().item(), BLOCK)];
        let level = Level::current();
        for start in (0..view.len()).step_by(BLOCK) {
            let len = BLOCK.min(view.len() - start);
            let [own, bools] = &mut scratch;
            let own = view.load(level, start, len, own).to_buffer().numbers();
            let there = present.load(level, start, len, bools).to_buffer().numbers();
            let code = |(number, there): (Number, Number)| match (number, there) {
                (_, Number::Bool(false)) => -1,
                (Number::Int(number), _) if number >= 0 => number,
                (Number::UInt(number), _) => i64::try_from(number).unwrap_or(i64::MAX),
                _ => i64::MAX,
            };
            memory::extend(&mut codes, own.into_iter().zip(there).map(code));
        }
        codes
    });
    let codes = numbers.map_err(|error| error.to_string())?;
    let most = i64::try_from(values).unwrap_or(i64::MAX);
    if codes.iter().any(|&code| code >= most) {
        return Err("it has an index outside its dictionary".to_owned());
    }
    Ok(codes)
}
