//! Memory for the answers that are arrays.

use std::sync::Arc;

use fanfold::dtype::{Buffer, DType};
use fanfold::engine::Prepared;
use fanfold::simd::Level;
use fanfold::source::{Output, OutputRows, View};
use fanfold::value::Value;

/// Memory for an array that is an answer.
pub(crate) struct Memory {
    words: Vec<u64>,
    dtype: DType,
    len: usize,
}

impl Memory {
    /// For the answers of a plan over so many elements that are arrays, by their numbers.
    pub(crate) fn of(prepared: &Prepared, len: usize) -> Vec<(usize, Memory)> {
        prepared.arrays(len).map(|(index, dtype, len)| (index, Memory::new(dtype, len))).collect()
    }

    /// Where they are to be written.
    pub(crate) fn outputs(arrays: &mut [(usize, Memory)]) -> Vec<(usize, Output)> {
        arrays.iter_mut().map(|(index, memory)| (*index, memory.output())).collect()
    }

    /// For so many elements.
    pub(crate) fn new(dtype: DType, len: usize) -> Memory {
        Memory { words: vec![0x5555_5555_5555_5555; (len * dtype.size()).div_ceil(8)], dtype, len }
    }

    /// For the run to write to.
    pub(crate) fn output(&mut self) -> Output {
        let stride = self.dtype.size().try_into().unwrap();
        // SAFETY: there are as many words as the items need, and nobody looks at them before the run is over.
        unsafe { Output::new(self.words.as_mut_ptr().cast(), self.dtype, &[self.len], &[stride]) }
    }

    /// The same, as rows of several lengths.
    #[allow(dead_code)] // not every test has some
    pub(crate) fn rows(&mut self, offsets: &[usize]) -> OutputRows {
        let stride = self.dtype.size().try_into().unwrap();
        // SAFETY: as above.
        let rows = unsafe { OutputRows::new(self.words.as_mut_ptr().cast(), self.dtype, &[self.len], &[stride], 0) };
        rows.ragged(Arc::new(offsets.to_vec()))
    }

    /// What was written.
    #[allow(dead_code)] // not every test reads it
    pub(crate) fn value(&self) -> Value {
        let stride = self.dtype.size().try_into().unwrap();
        // SAFETY: as above.
        let view: View<'_> =
            unsafe { View::new(self.words.as_ptr().cast(), self.dtype, false, &[self.len], &[stride]) };
        let mut scratch = Buffer::new(self.dtype.item(), self.len);
        let items = view.load(Level::current(), 0, self.len, &mut scratch).to_buffer();
        Value::Array { items, dtype: self.dtype }
    }
}
