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

use std::time::Duration;

use pyo3::prelude::*;

use crate::call;
use crate::timeout::Patience;

/// A permit that some thread takes and any thread gives back: what Python means by a lock.
#[derive(Debug)]
pub(crate) struct Permit(antiphon::sync::BoundedSemaphore);

impl Permit {
    pub(crate) const fn new() -> Self {
        Self(antiphon::sync::BoundedSemaphore::new(1))
    }

    #[inline]
    pub(crate) fn try_take(&self) -> bool {
        self.0.try_acquire().map(antiphon::sync::Permit::forget).is_some()
    }

    fn take_within(&self, time: Duration) -> bool {
        self.0.acquire_timeout(time).map(antiphon::sync::Permit::forget).is_ok()
    }

    /// Takes it, without leaving the interpreter if it is free.
    #[inline]
    pub(crate) fn take(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        if self.try_take() {
            return Ok(true);
        }
        match patience {
            Patience::Try => Ok(false),
            Patience::Until(deadline) => call::wait(py, deadline, |time| self.take_within(time)),
        }
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

/// The name of an object's class with its module, and where the object is, for `repr`. The module is named as the standard
/// library's own classes name theirs, which programs look for.
pub(crate) fn title(object: &Bound<'_, PyAny>) -> PyResult<(String, usize)> {
    let class = object.get_type();
    let module = class.module()?.to_string();
    let module = module.rsplit('.').next().unwrap_or_default();
    Ok((format!("{module}.{}", class.qualname()?), object.as_ptr() as usize))
}
