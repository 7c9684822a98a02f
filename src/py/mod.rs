//! The Python face: converts arguments, releases the interpreter, calls the core and converts the results. It computes
//! no statistics.

// PyO3 passes arguments by value.
#![allow(clippy::needless_pass_by_value)]

mod arrow;
mod errors;
mod formulas_of_rows;
mod input;
mod kernel;
mod output;
mod plan;
mod rows;
mod session;
mod source;
mod ufunc;
mod waiting;

use pyo3::prelude::*;

/// The compiled half of fanfold. Private: `import fanfold` is the public face.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::errors::KernelPanic;
    #[pymodule_export]
    use super::formulas_of_rows::FormulasOfRows;
    #[pymodule_export]
    use super::kernel::{Kernel, catalogue, nearest, synonym};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::session::{Session, can_cast};
    #[pymodule_export]
    use super::source::{ArrowLabels, Source, arrow_columns};
    #[pymodule_export]
    use super::ufunc::UfuncLoop;
    #[pymodule_export]
    use super::waiting::Watch;
    #[pymodule_export]
    use super::{config, is_worker, limit_workers, stand_in};

    use pyo3::prelude::*;

    /// Looks up NumPy's C interface now: rust-numpy does it at the first use, and panics if Ctrl-C comes in between.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let _ = numpy::dtype::<f64>(module.py());
        Ok(())
    }
}

/// The build and the machine: version, whether it is a debug build, instruction sets, processors.
#[pyfunction]
fn config(py: Python<'_>) -> PyResult<Bound<'_, pyo3::types::PyDict>> {
    use crate::simd::Level;
    let config = pyo3::types::PyDict::new(py);
    config.set_item("version", env!("CARGO_PKG_VERSION"))?;
    config.set_item("debug", cfg!(debug_assertions))?;
    config.set_item("simd", Level::current().name())?;
    config.set_item("simd_available", Level::available().map(Level::name).collect::<Vec<_>>())?;
    config.set_item("simd_problem", Level::forced().err())?;
    config.set_item("workers", crate::engine::available_workers())?;
    Ok(config)
}

/// Sets the most workers of calls that do not say how many.
#[pyfunction]
fn limit_workers(most: usize) {
    crate::engine::limit_workers(most);
}

/// Whether the calling thread is one of fanfold's own.
#[pyfunction]
fn is_worker() -> bool {
    crate::engine::is_worker()
}

/// Sets whether the calling thread works for a run from now on: runs that it starts then use this thread only. Returns
/// the previous setting.
#[pyfunction]
fn stand_in(stands_in: bool) -> bool {
    crate::engine::stand_in(stands_in)
}
