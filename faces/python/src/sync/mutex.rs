//! `threading.Lock`.

use pyo3::prelude::*;

use super::{Permit, title};
use crate::error::runtime;
use crate::timeout::Patience;

/// A lock that any thread may release.
#[pyclass(frozen, weakref, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct Lock {
    permit: Permit,
}

#[pymethods]
impl Lock {
    #[new]
    fn new() -> Self {
        Self { permit: Permit::new() }
    }

    /// Lock the lock. Returns False if it was not to be had in time.
    #[pyo3(signature = (blocking=true, timeout=-1.0))]
    pub(crate) fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> PyResult<bool> {
        self.permit.take(py, Patience::of_lock(blocking, timeout)?)
    }

    /// Release the lock, whoever has locked it.
    pub(crate) fn release(&self) -> PyResult<()> {
        if self.permit.give() { Ok(()) } else { Err(runtime("release unlocked lock")) }
    }

    /// Is the lock locked?
    fn locked(&self) -> bool {
        self.permit.is_taken()
    }

    #[pyo3(signature = (blocking=true, timeout=-1.0))]
    fn acquire_lock(&self, py: Python<'_>, blocking: bool, timeout: f64) -> PyResult<bool> {
        self.acquire(py, blocking, timeout)
    }

    fn release_lock(&self) -> PyResult<()> {
        self.release()
    }

    fn locked_lock(&self) -> bool {
        self.locked()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.permit.take(py, Patience::Until(None))
    }

    #[pyo3(signature = (_type=None, _value=None, _traceback=None))]
    fn __exit__(
        &self,
        _type: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.release()
    }

    /// In a forked child, whoever held it is not there.
    fn _at_fork_reinit(&self) {
        self.permit.give();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().locked() { "locked" } else { "unlocked" };
        let (name, at) = title(slf.as_any())?;
        Ok(format!("<{state} {name} object at {at:#x}>"))
    }
}
