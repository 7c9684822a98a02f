//! The inner loops of ufuncs, called on blocks and without the interpreter.
//!
//! NumPy returns the loop that it would call itself: `ufunc._resolve_dtypes_and_context` gives a capsule, which
//! `ufunc._get_strided_loop` completes for the strides that are promised. The struct in it is `ufunc_call_info` of
//! `numpy/_core/src/umath/ufunc_object.h`, whose name carries the version of its layout.
//!
//! The items of float16 are float32 in blocks. A loop over float16 is called on parts of a block, which are converted to
//! its own elements and back. Where such a loop computes in float32 and rounds, that of float32 is called in its place.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use numpy::{PyArray1, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyTuple};

use crate::dtype::{Buffer, DType, ItemType, Sealed, bits_of_half, widen_half};
use crate::expr::{Edges, Elementwise, Flags, Operand, halve_in_place};
use crate::memory;
use crate::py::input;
use crate::simd::Level;

const NAME: &CStr = c"numpy_1.24_ufunc_call_info";

/// `PyArrayMethod_StridedLoop`: context, pointers to the operands and the output, how many items, strides, auxiliary
/// data.
type StridedLoop = unsafe extern "C" fn(
    context: *mut c_void,
    data: *const *mut c_char,
    dimensions: *const isize,
    strides: *const isize,
    auxdata: *mut c_void,
) -> c_int;

#[repr(C)]
#[derive(Clone, Copy)]
struct CallInfo {
    strided_loop: Option<StridedLoop>,
    context: *mut c_void,
    auxdata: *mut c_void,
    requires_interpreter: u8,
    no_exceptions: u8,
}

// The floating-point environment of C99, from the C library that every Python links.
unsafe extern "C" {
    fn fetestexcept(exceptions: c_int) -> c_int;
    fn feclearexcept(exceptions: c_int) -> c_int;
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
const EXCEPTIONS: [(c_int, Flags); 4] =
    [(1, Flags::INVALID), (4, Flags::DIVIDE), (8, Flags::OVERFLOW), (16, Flags::UNDERFLOW)];
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
const EXCEPTIONS: [(c_int, Flags); 4] =
    [(1, Flags::INVALID), (2, Flags::DIVIDE), (4, Flags::OVERFLOW), (8, Flags::UNDERFLOW)];

/// A ufunc's loop for operands of these types.
#[derive(Debug)]
struct StridedUfunc {
    strided_loop: StridedLoop,
    context: *mut c_void,
    auxdata: *mut c_void,
    exceptions: bool,
    /// The dtype of each operand, and whether it is a constant.
    operands: Vec<(DType, bool)>,
    output: DType,
    /// Whether values, which are float32, are rounded to float16.
    rounds: bool,
    /// Keeps the targets of the pointers alive.
    _capsule: Py<PyAny>,
}

// SAFETY: NumPy's own threads share loops, contexts and auxiliary data in the same way: a loop reads them and nothing
// writes to them once the capsule is complete.
unsafe impl Send for StridedUfunc {}
// SAFETY: as above.
unsafe impl Sync for StridedUfunc {}

impl Elementwise for StridedUfunc {
    fn item(&self) -> ItemType {
        self.output.item()
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn run(&self, operands: &[Operand<'_>], output: &mut Buffer, len: usize) -> Flags {
        assert!(output.item() == self.output.item() && output.len() >= len, "the output is what the loop was made for");
        assert!(operands.len() == self.operands.len(), "the loop gets the operands it was made for");
        let mut data = [std::ptr::null_mut::<c_char>(); MOST];
        let mut strides = [0_isize; MOST];
        for (index, (operand, &(dtype, constant))) in operands.iter().zip(&self.operands).enumerate() {
            let least = if constant { 1 } else { len };
            let alike = operand.constant == constant && operand.block.item() == dtype.item();
            assert!(alike && operand.block.len() >= least, "the loop gets the items it was made for");
            data[index] = operand.block.as_ptr().cast_mut().cast();
            strides[index] = if constant { 0 } else { dtype.size().cast_signed() };
        }
        data[operands.len()] = output.as_mut_ptr().cast();
        strides[operands.len()] = self.output.size().cast_signed();
        let mut flags = if self.has_halves() {
            self.run_in_parts(operands, output, len, &data, &strides)
        } else {
            // SAFETY: the asserts above establish what the loop was asked for: operands and output of these types,
            // `len` items each (one, of stride 0, for a constant), contiguous and aligned, and the output, being
            // borrowed mutably, overlaps none of them.
            unsafe { self.call(&data, &strides, len) }
        };
        if let Some(items) = f32::of_mut(output).and_then(|items| items.get_mut(..len)).filter(|_| self.rounds) {
            flags.add(halve_in_place(Level::current(), items));
        }
        flags
    }
}

impl StridedUfunc {
    /// Whether the loop reads or writes float16.
    fn has_halves(&self) -> bool {
        self.output == DType::Float16 || self.operands.iter().any(|&(dtype, _)| dtype == DType::Float16)
    }

    /// Calls the loop for parts of the operands and of the output, which lead to `data`. Those of float16 are converted.
    fn run_in_parts(
        &self,
        operands: &[Operand<'_>],
        output: &mut Buffer,
        len: usize,
        data: &[*mut c_char; MOST],
        strides: &[isize; MOST],
    ) -> Flags {
        let mut words = memory::filled([0_u16; PART], operands.len() + 1);
        let mut flags = Flags::default();
        for start in (0..len).step_by(PART) {
            let count = PART.min(len - start);
            let halves = operands.iter().zip(&mut words).zip(&self.operands);
            for ((operand, words), &(_, constant)) in halves.filter(|(_, (dtype, _))| *dtype == DType::Float16) {
                let own = if constant { 0..1 } else { start..start + count };
                halved(f32::of(operand.block).and_then(|items| items.get(own)).unwrap_or_default(), words);
            }
            let (base, mut part) = (words.as_mut_ptr(), [std::ptr::null_mut::<c_char>(); MOST]);
            for (index, dtype) in self.operands.iter().map(|&(dtype, _)| dtype).chain([self.output]).enumerate() {
                part[index] = if dtype == DType::Float16 {
                    base.wrapping_add(index).cast()
                } else {
                    data[index].wrapping_offset(strides[index] * start.cast_signed())
                };
            }
            // SAFETY: `run` has established what the loop was asked for, for `len` items: here it is called for `count`
            // of them from number `start` on. Elements of float16 lie in `words`, which have room for as many, those of
            // each operand and of the output by themselves.
            flags.add(unsafe { self.call(&part, strides, count) });
            if self.output == DType::Float16
                && let Some((words, items)) =
                    words.last().zip(f32::of_mut(output).and_then(|items| items.get_mut(start..start + count)))
            {
                widened(words, items);
            }
        }
        flags
    }

    /// Calls the loop for so many items, and returns the floating-point exceptions.
    ///
    /// # Safety
    ///
    /// The pointers must lead to as many elements of the loop's dtypes, at these strides, and the output must overlap
    /// no operand.
    unsafe fn call(&self, data: &[*mut c_char; MOST], strides: &[isize; MOST], count: usize) -> Flags {
        let dimensions = [count.cast_signed()];
        let every = EXCEPTIONS.iter().fold(0, |every, (bit, _)| every | bit);
        // SAFETY: these two C functions only touch this thread's floating-point environment.
        unsafe {
            // Clearing costs more than checking.
            if fetestexcept(every) != 0 {
                feclearexcept(every);
            }
        }
        // SAFETY: the caller's promise. A loop does not write to its operands. The context and the auxiliary data
        // belong to the capsule, which self keeps. The loop said that it needs no interpreter.
        let failed = unsafe {
            (self.strided_loop)(self.context, data.as_ptr(), dimensions.as_ptr(), strides.as_ptr(), self.auxdata)
        };
        let mut flags = if failed == 0 { Flags::default() } else { Flags::FAILED };
        if self.exceptions {
            // SAFETY: as above.
            let raised = unsafe { fetestexcept(every) };
            EXCEPTIONS.iter().filter(|(bit, _)| raised & bit != 0).for_each(|(_, flag)| flags.add(*flag));
        }
        flags
    }
}

/// How many items are converted for a loop over float16 at a time.
const PART: usize = 1024;

/// The bits of float16, whose items these are.
fn halved(items: &[f32], words: &mut [u16; PART]) {
    Level::current().run(
        #[inline(always)]
        || words.iter_mut().zip(items).for_each(|(word, &item)| *word = bits_of_half(item)),
    );
}

/// The items of float16 with these bits.
fn widened(words: &[u16; PART], items: &mut [f32]) {
    Level::current().run(
        #[inline(always)]
        || items.iter_mut().zip(words).for_each(|(item, &word)| *item = widen_half(word)),
    );
}

/// The most operands of a loop, including the output.
const MOST: usize = 8;

/// The loop of a ufunc for operands and an output of these dtypes. Some operands can be constants: one item for all
/// elements.
#[pyclass(frozen, module = "fanfold._core")]
pub(super) struct UfuncLoop {
    pub(super) function: Arc<dyn Elementwise>,
    name: String,
}

#[pymethods]
impl UfuncLoop {
    /// Gets the loop from NumPy. Fails if there is none or if it needs the interpreter. The dtypes are the loop's own,
    /// with the output's last. If `rounds`, its values, which are float32, are rounded to float16.
    #[new]
    #[pyo3(signature = (ufunc, dtypes, constants, rounds=false))]
    fn new(
        ufunc: &Bound<'_, PyAny>,
        dtypes: Vec<Bound<'_, PyArrayDescr>>,
        constants: Vec<bool>,
        rounds: bool,
    ) -> PyResult<UfuncLoop> {
        let py = ufunc.py();
        if !ufunc.is_instance(&py.import("numpy")?.getattr("ufunc")?)? {
            return Err(PyTypeError::new_err(format!("{ufunc} is not a ufunc")));
        }
        let known = dtypes.iter().map(|descr| match input::dtype(descr) {
            Ok((dtype, false)) if !dtype.is_time() => Ok(dtype),
            _ => Err(PyValueError::new_err(format!("elements of dtype {descr} cannot be read as blocks"))),
        });
        let known = known.collect::<PyResult<Vec<DType>>>()?;
        let Some((&output, operands)) = known.split_last().filter(|(_, operands)| operands.len() == constants.len())
        else {
            return Err(PyValueError::new_err(
                "a loop must have a dtype and a constant flag for each operand, and one \
                                              output",
            ));
        };
        if operands.len() >= MOST {
            return Err(PyValueError::new_err(format!("a loop of {} operands has too many operands", operands.len())));
        }
        if rounds && output != DType::Float32 {
            return Err(PyValueError::new_err(format!("values of {output} are not rounded to float16")));
        }
        let asked = dtypes.iter().take(operands.len()).map(|descr| Some(descr.as_any())).chain([None]);
        let (found, capsule): (Vec<Bound<'_, PyArrayDescr>>, Bound<'_, PyCapsule>) = ufunc
            .call_method1("_resolve_dtypes_and_context", (PyTuple::new(py, asked.collect::<Vec<_>>())?,))?
            .extract()?;
        if found.len() != dtypes.len() || !found.iter().zip(&dtypes).all(|(found, dtype)| found.is_equiv_to(dtype)) {
            return Err(PyValueError::new_err(format!("the loop of {ufunc} is for other dtypes")));
        }
        let strides = operands.iter().zip(&constants).map(|(dtype, &constant)| if constant { 0 } else { dtype.size() });
        let strides = PyTuple::new(py, strides.chain([output.size()]).collect::<Vec<_>>())?;
        let named = PyDict::new(py);
        named.set_item("fixed_strides", strides)?;
        ufunc.call_method("_get_strided_loop", (&capsule,), Some(&named))?;
        let pointer = capsule.pointer_checked(Some(NAME))?;
        // SAFETY: a capsule of this name leads to such a struct, aligned and alive as long as the capsule is; NumPy
        // made it just now, for these dtypes and strides.
        let info = unsafe { *pointer.cast::<CallInfo>().as_ptr() };
        let (Some(strided_loop), 0) = (info.strided_loop, info.requires_interpreter) else {
            return Err(PyValueError::new_err(format!("the loop of {ufunc} needs the interpreter")));
        };
        let function = StridedUfunc {
            strided_loop,
            context: info.context,
            auxdata: info.auxdata,
            exceptions: info.no_exceptions == 0,
            operands: operands.iter().copied().zip(constants).collect(),
            output,
            rounds,
            _capsule: capsule.into_any().unbind(),
        };
        Ok(UfuncLoop { function: Arc::new(function), name: ufunc.getattr("__name__")?.extract()? })
    }

    /// A loop that counts, for each element, the edges that `np.searchsorted` passes: those below it and, if `right`,
    /// those that equal it. The edges must ascend, as float64 or int64, and the elements must be of their dtype.
    #[staticmethod]
    fn searchsorted(edges: &Bound<'_, PyAny>, right: bool) -> PyResult<UfuncLoop> {
        let unsorted = || PyValueError::new_err("the edges must ascend, without NaN");
        let function: Arc<dyn Elementwise> = if let Ok(edges) = edges.cast::<PyArray1<f64>>() {
            Arc::new(Edges::new(&edges.to_vec()?, right).ok_or_else(unsorted)?)
        } else if let Ok(edges) = edges.cast::<PyArray1<i64>>() {
            Arc::new(Edges::new(&edges.to_vec()?, right).ok_or_else(unsorted)?)
        } else {
            return Err(PyTypeError::new_err("the edges must be a one-dimensional array of float64 or int64"));
        };
        Ok(UfuncLoop { function, name: "searchsorted".to_owned() })
    }

    /// The ufunc's name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }
}
