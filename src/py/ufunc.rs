//! The inner loops of ufuncs, called on blocks and without the interpreter.
//!
//! NumPy returns the loop that it would call itself: `ufunc._resolve_dtypes_and_context` gives a capsule, which
//! `ufunc._get_strided_loop` completes for the strides that are promised. The struct in it is `ufunc_call_info` of
//! `numpy/_core/src/umath/ufunc_object.h`, whose name carries the version of its layout.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use numpy::{PyArray1, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyTuple};

use crate::dtype::{Buffer, ItemType};
use crate::expr::{Edges, Elementwise, Flags, Operand};
use crate::py::input;

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
    operands: Vec<(ItemType, bool)>,
    output: ItemType,
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
        self.output
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn run(&self, operands: &[Operand<'_>], output: &mut Buffer, len: usize) -> Flags {
        assert!(output.item() == self.output && output.len() >= len, "the output is what the loop was made for");
        assert!(operands.len() == self.operands.len(), "the loop gets the operands it was made for");
        let mut data = [std::ptr::null_mut::<c_char>(); MOST];
        let mut strides = [0_isize; MOST];
        for (index, (operand, &(item, constant))) in operands.iter().zip(&self.operands).enumerate() {
            let least = if constant { 1 } else { len };
            assert!(operand.constant == constant && operand.block.item() == item && operand.block.len() >= least);
            data[index] = operand.block.as_ptr().cast_mut().cast();
            strides[index] = if constant { 0 } else { item.size().cast_signed() };
        }
        data[operands.len()] = output.as_mut_ptr().cast();
        strides[operands.len()] = self.output.size().cast_signed();
        let dimensions = [len.cast_signed()];
        let every = EXCEPTIONS.iter().fold(0, |every, (bit, _)| every | bit);
        // SAFETY: these two C functions only touch this thread's floating-point environment.
        unsafe {
            // Clearing costs more than checking.
            if fetestexcept(every) != 0 {
                feclearexcept(every);
            }
        }
        // SAFETY: the asserts above establish what the loop was asked for: operands and output of these types, `len`
        // items each (one, of stride 0, for a constant), contiguous and aligned, and the output, being borrowed
        // mutably, overlaps none of them. A loop does not write to its operands. The context and the auxiliary data
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
    /// with the output's last.
    #[new]
    fn new(
        ufunc: &Bound<'_, PyAny>,
        dtypes: Vec<Bound<'_, PyArrayDescr>>,
        constants: Vec<bool>,
    ) -> PyResult<UfuncLoop> {
        let py = ufunc.py();
        if !ufunc.is_instance(&py.import("numpy")?.getattr("ufunc")?)? {
            return Err(PyTypeError::new_err(format!("{ufunc} is not a ufunc")));
        }
        let items = dtypes.iter().map(|descr| match input::dtype(descr) {
            Ok((dtype, false)) if !dtype.is_time() && dtype.size() == dtype.item().size() => Ok(dtype.item()),
            _ => Err(PyValueError::new_err(format!("elements of dtype {descr} cannot be read as blocks"))),
        });
        let items = items.collect::<PyResult<Vec<ItemType>>>()?;
        let Some((&output, operands)) = items.split_last().filter(|(_, operands)| operands.len() == constants.len())
        else {
            return Err(PyValueError::new_err(
                "a loop must have a dtype and a constant flag for each operand, and one \
                                              output",
            ));
        };
        if operands.len() >= MOST {
            return Err(PyValueError::new_err(format!("a loop of {} operands has too many operands", operands.len())));
        }
        let asked = dtypes.iter().take(operands.len()).map(|descr| Some(descr.as_any())).chain([None]);
        let (found, capsule): (Vec<Bound<'_, PyArrayDescr>>, Bound<'_, PyCapsule>) = ufunc
            .call_method1("_resolve_dtypes_and_context", (PyTuple::new(py, asked.collect::<Vec<_>>())?,))?
            .extract()?;
        if found.len() != dtypes.len() || !found.iter().zip(&dtypes).all(|(found, dtype)| found.is_equiv_to(dtype)) {
            return Err(PyValueError::new_err(format!("the loop of {ufunc} is for other dtypes")));
        }
        let strides = operands.iter().zip(&constants).map(|(item, &constant)| if constant { 0 } else { item.size() });
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
