//! Timeouts as Python's functions take them.

use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

/// `threading.TIMEOUT_MAX`: what fits into signed nanoseconds.
const MOST: f64 = 9_223_372_036.0;

/// How long a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    Try,
    /// Until then, or for ever.
    Until(Option<Instant>),
}

impl Patience {
    /// Of `Lock.acquire(blocking=True, timeout=-1)`.
    pub(crate) fn of_lock(blocking: bool, timeout: f64) -> PyResult<Self> {
        if !blocking {
            return match timeout {
                -1.0 => Ok(Self::Try),
                _ => Err(PyValueError::new_err("can't specify a timeout for a non-blocking call")),
            };
        }
        if timeout == -1.0 {
            return Ok(Self::Until(None));
        }
        if timeout < 0.0 || timeout.is_nan() {
            return Err(PyValueError::new_err("timeout value must be a non-negative number"));
        }
        Self::within(timeout)
    }

    /// Of `Semaphore.acquire(blocking=True, timeout=None)`.
    pub(crate) fn of_semaphore(blocking: bool, timeout: Option<f64>) -> PyResult<Self> {
        match (blocking, timeout) {
            (false, Some(_)) => {
                Err(PyValueError::new_err("can't specify timeout for non-blocking acquire"))
            }
            (false, None) => Ok(Self::Try),
            (true, timeout) => Self::of_wait(timeout),
        }
    }

    /// Of `wait(timeout=None)`, where what is not above zero does not wait.
    pub(crate) fn of_wait(timeout: Option<f64>) -> PyResult<Self> {
        match timeout {
            None => Ok(Self::Until(None)),
            Some(timeout) if timeout > 0.0 => Self::within(timeout),
            Some(_) => Ok(Self::Try),
        }
    }

    fn within(seconds: f64) -> PyResult<Self> {
        if seconds > MOST {
            return Err(PyOverflowError::new_err("timeout value is too large"));
        }
        // The clock may not reach so far: then it is for ever.
        Ok(Self::Until(Instant::now().checked_add(Duration::from_secs_f64(seconds))))
    }
}
