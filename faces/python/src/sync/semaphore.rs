//! `threading.Semaphore` and `threading.BoundedSemaphore`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{take, title};
use crate::timeout::Patience;

/// Permits.
#[pyclass(frozen, weakref, subclass, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct Semaphore {
    permits: Permits,
}

#[derive(Debug)]
enum Permits {
    Unbounded(antiphon::sync::Semaphore),
    /// And what it began with.
    Bounded(antiphon::sync::BoundedSemaphore, u64),
}

/// How many permits there can be at most.
const MOST: u64 = antiphon::sync::Semaphore::MAX_PERMITS;

impl Semaphore {
    fn with(value: i64, bounded: bool) -> PyResult<Self> {
        let value = u64::try_from(value)
            .map_err(|_| PyValueError::new_err("semaphore initial value must be >= 0"))?;
        if value > MOST {
            return Err(PyValueError::new_err(format!("semaphore value must be <= {MOST}")));
        }
        let permits = if bounded {
            Permits::Bounded(antiphon::sync::BoundedSemaphore::new(value), value)
        } else {
            Permits::Unbounded(antiphon::sync::Semaphore::new(value))
        };
        Ok(Self { permits })
    }

    fn permits(&self) -> &antiphon::sync::Semaphore {
        match &self.permits {
            Permits::Unbounded(permits) => permits,
            Permits::Bounded(permits, _) => permits,
        }
    }

    fn give(&self, n: i64) -> PyResult<()> {
        let n = u64::try_from(n).ok().filter(|n| *n > 0);
        let n = n.ok_or_else(|| PyValueError::new_err("n must be one or more"))?;
        self.permits()
            .release(n)
            .map_err(|_| PyValueError::new_err("semaphore released too many times"))
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (value=1))]
    fn new(value: i64) -> PyResult<Self> {
        Self::with(value, false)
    }

    /// Take a permit. Returns False if none was to be had in time.
    #[pyo3(signature = (blocking=true, timeout=None))]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: Option<f64>) -> PyResult<bool> {
        take(py, self.permits(), Patience::of_semaphore(blocking, timeout)?)
    }

    /// Give back n permits.
    #[pyo3(signature = (n=1))]
    fn release(&self, n: i64) -> PyResult<()> {
        self.give(n)
    }

    #[pyo3(signature = (blocking=true, timeout=None))]
    fn __enter__(&self, py: Python<'_>, blocking: bool, timeout: Option<f64>) -> PyResult<bool> {
        self.acquire(py, blocking, timeout)
    }

    #[pyo3(signature = (_type=None, _value=None, _traceback=None))]
    fn __exit__(
        &self,
        _type: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.give(1)
    }

    #[getter]
    fn _value(&self) -> u64 {
        self.permits().available()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (name, at) = title(slf.as_any())?;
        let value = slf.get()._value();
        match &slf.get().permits {
            Permits::Unbounded(_) => Ok(format!("<{name} at {at:#x}: value={value}>")),
            Permits::Bounded(_, bound) => Ok(format!("<{name} at {at:#x}: value={value}/{bound}>")),
        }
    }
}

/// Permits of which there are never more than at first.
#[pyclass(frozen, weakref, subclass, extends = Semaphore, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct BoundedSemaphore;

#[pymethods]
impl BoundedSemaphore {
    #[new]
    #[pyo3(signature = (value=1))]
    fn new(value: i64) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(Semaphore::with(value, true)?).add_subclass(Self))
    }
}
