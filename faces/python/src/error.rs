//! What our errors are in Python.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// `threading.BrokenBarrierError`, the standard library's own, since programs catch that one.
pub(crate) fn broken_barrier(py: Python<'_>) -> PyErr {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match TYPE.import(py, "threading", "BrokenBarrierError") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

/// A `RuntimeError`, which is what `threading.ThreadError` is.
pub(crate) fn runtime(message: &'static str) -> PyErr {
    PyRuntimeError::new_err(message)
}
