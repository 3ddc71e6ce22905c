//! `threading.Event`.

use pyo3::exceptions::PyDeprecationWarning;
use pyo3::prelude::*;

use super::{await_event, title};
use crate::timeout::Patience;

/// A flag that threads wait for.
#[pyclass(frozen, weakref, subclass, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct Event {
    event: antiphon::sync::Event,
}

#[pymethods]
impl Event {
    #[new]
    fn new() -> Self {
        Self { event: antiphon::sync::Event::new() }
    }

    /// Is the flag set?
    fn is_set(&self) -> bool {
        self.event.is_set()
    }

    #[pyo3(name = "isSet")]
    fn is_set_of_old(&self, py: Python<'_>) -> PyResult<bool> {
        let category = py.get_type::<PyDeprecationWarning>();
        PyErr::warn(py, &category, c"isSet() is deprecated, use is_set() instead", 1)?;
        Ok(self.is_set())
    }

    /// Set the flag: all that wait for it go on.
    fn set(&self) {
        self.event.set();
    }

    /// Clear the flag: who comes now waits. Who was there before goes on.
    fn clear(&self) {
        self.event.clear();
    }

    /// Wait until the flag is set. Returns False if that did not happen in time.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        if self.event.is_set() {
            return Ok(true);
        }
        await_event(py, &self.event, Patience::of_wait(timeout)?)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().is_set() { "set" } else { "unset" };
        let (name, at) = title(slf.as_any())?;
        Ok(format!("<{name} at {at:#x}: {state}>"))
    }
}
