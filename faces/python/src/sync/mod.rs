//! Synchronization between threads, as `threading` has it.

mod barrier;
mod condvar;
mod event;
mod mutex;
mod reentrant_mutex;
mod semaphore;

pub(crate) use barrier::Barrier;
pub(crate) use condvar::Condition;
pub(crate) use event::Event;
pub(crate) use mutex::Lock;
pub(crate) use reentrant_mutex::RLock;
pub(crate) use semaphore::{BoundedSemaphore, Semaphore};

use antiphon::sync;
use pyo3::prelude::*;

use crate::call;
use crate::timeout::Patience;

/// A permit that some thread takes and any thread gives back: what Python means by a lock.
#[derive(Debug)]
pub(crate) struct Permit(sync::BoundedSemaphore);

impl Permit {
    pub(crate) const fn new() -> Self {
        Self(sync::BoundedSemaphore::new(1))
    }

    /// Takes it, without leaving the interpreter if it is free.
    #[inline]
    pub(crate) fn take(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        take(py, &self.0, patience)
    }

    /// Gives it back. False: nobody had taken it.
    #[inline]
    pub(crate) fn give(&self) -> bool {
        self.0.release(1).is_ok()
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.0.available() == 0
    }
}

/// Takes a permit, without leaving the interpreter if there is one. False: there was none in time.
#[inline]
fn take(py: Python<'_>, permits: &sync::Semaphore, patience: Patience) -> PyResult<bool> {
    if permits.try_acquire().map(sync::Permit::forget).is_some() {
        return Ok(true);
    }
    match patience {
        Patience::Try => Ok(false),
        Patience::Until(deadline) => call::wait(py, deadline, |time| {
            permits.acquire_timeout(time).map(sync::Permit::forget).is_ok()
        }),
    }
}

/// Waits until the event is set. False: it was not in time.
fn await_event(py: Python<'_>, event: &sync::Event, patience: Patience) -> PyResult<bool> {
    if event.is_set() {
        return Ok(true);
    }
    match patience {
        Patience::Try => Ok(false),
        Patience::Until(deadline) => {
            call::wait(py, deadline, |time| event.wait_timeout(time).is_ok())
        }
    }
}

/// The name of an object's class with its module, and where the object is, for `repr`. The module is named as the standard
/// library's own classes name theirs, which programs look for.
pub(crate) fn title(object: &Bound<'_, PyAny>) -> PyResult<(String, usize)> {
    let class = object.get_type();
    let module = class.module()?.to_string();
    let module = module.rsplit('.').next().unwrap_or_default();
    Ok((format!("{module}.{}", class.qualname()?), object.as_ptr() as usize))
}
