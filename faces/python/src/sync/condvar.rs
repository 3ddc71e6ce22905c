//! `threading.Condition`.
//!
//! Exact as Python's: `notify(n)` ends exactly the n oldest waits. Each wait has an event of its own in a list; a notifier takes
//! the oldest out and sets them. A wait whose time is over is over only if it is still in the list; else it was notified.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use antiphon::sync::Event;
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{RLock, await_event, title};
use crate::error::runtime;
use crate::timeout::Patience;

/// Threads that wait, under a lock, until others have changed something.
#[pyclass(frozen, weakref, subclass, dict, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct Condition {
    lock: Py<PyAny>,
    /// What the lock can do beyond acquire and release, as the standard library's condition asks for it.
    release_save: Option<Py<PyAny>>,
    acquire_restore: Option<Py<PyAny>>,
    is_owned: Option<Py<PyAny>>,
    /// The oldest first. Never locked while the interpreter is left or Python code runs.
    waiters: Mutex<VecDeque<Arc<Event>>>,
}

impl Condition {
    fn waiters(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owned(&self, py: Python<'_>) -> PyResult<bool> {
        if let Ok(lock) = self.lock.cast_bound::<RLock>(py)
            && lock.get_type().is(py.get_type::<RLock>())
        {
            return Ok(lock.get()._is_owned());
        }
        if let Some(is_owned) = &self.is_owned {
            return is_owned.call0(py)?.extract(py);
        }
        // A lock that does not say who has it: it is somebody's at least.
        let free: bool = self.lock.call_method1(py, "acquire", (false,))?.extract(py)?;
        if free {
            self.lock.call_method0(py, "release")?;
        }
        Ok(!free)
    }

    /// Is this wait no longer in the list, and so notified? If it is, it is taken out.
    fn withdraw(&self, waiter: &Arc<Event>) -> bool {
        let mut waiters = self.waiters();
        match waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            Some(at) => {
                waiters.remove(at);
                false
            }
            None => true,
        }
    }

    fn wake(&self, n: usize) {
        let mut waiters = self.waiters();
        let n = n.min(waiters.len());
        waiters.drain(..n).for_each(|waiter| waiter.set());
    }

    fn sleep(&self, py: Python<'_>, patience: Patience, waiter: &Arc<Event>) -> PyResult<bool> {
        match await_event(py, waiter, patience) {
            Ok(true) => Ok(true),
            Ok(false) => Ok(self.withdraw(waiter)),
            Err(raised) => {
                // A notification that comes to nothing here is somebody else's.
                if self.withdraw(waiter) {
                    self.wake(1);
                }
                Err(raised)
            }
        }
    }
}

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (lock=None))]
    fn new(py: Python<'_>, lock: Option<Py<PyAny>>) -> PyResult<Self> {
        let lock = match lock {
            Some(lock) => lock,
            None => py.get_type::<RLock>().call0()?.unbind(),
        };
        let ability = |name: &str| lock.bind(py).getattr_opt(name).map(|a| a.map(Bound::unbind));
        Ok(Self {
            release_save: ability("_release_save")?,
            acquire_restore: ability("_acquire_restore")?,
            is_owned: ability("_is_owned")?,
            waiters: Mutex::default(),
            lock,
        })
    }

    #[getter]
    fn _lock(&self, py: Python<'_>) -> Py<PyAny> {
        self.lock.clone_ref(py)
    }

    #[getter]
    fn acquire(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.lock.getattr(py, "acquire")
    }

    #[getter]
    fn release(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.lock.getattr(py, "release")
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.lock.call_method0(py, "__enter__")
    }

    #[pyo3(signature = (*args))]
    fn __exit__(&self, py: Python<'_>, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.lock.call_method1(py, "__exit__", args.clone())
    }

    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        self.owned(py)
    }

    fn _release_save(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.release_save {
            Some(release_save) => release_save.call0(py),
            None => self.lock.call_method0(py, "release"),
        }
    }

    fn _acquire_restore(&self, py: Python<'_>, state: Py<PyAny>) -> PyResult<()> {
        match &self.acquire_restore {
            Some(acquire_restore) => acquire_restore.call1(py, (state,))?,
            None => self.lock.call_method0(py, "acquire")?,
        };
        Ok(())
    }

    /// Release the lock, wait until notified, and take the lock again. Returns False if that did not happen in time.
    #[pyo3(signature = (timeout=None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        if !this.owned(py)? {
            return Err(runtime("cannot wait on un-acquired lock"));
        }
        let patience = Patience::of_wait(timeout)?;
        let waiter = Arc::new(Event::new());
        this.waiters().push_back(waiter.clone());
        let state = match this._release_save(py) {
            Ok(state) => state,
            Err(raised) => {
                this.withdraw(&waiter);
                return Err(raised);
            }
        };
        let notified = this.sleep(py, patience, &waiter);
        this._acquire_restore(py, state)?;
        notified
    }

    /// Wait until the predicate is true. Returns its last value.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for(
        slf: &Bound<'_, Self>,
        predicate: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let began = Instant::now();
        loop {
            let result = predicate.call0()?;
            let left = timeout.map(|timeout| timeout - began.elapsed().as_secs_f64());
            if result.is_truthy()? || left.is_some_and(|left| left <= 0.0) {
                return Ok(result.unbind());
            }
            // As a method, which a subclass may have overridden.
            slf.call_method1("wait", (left,))?;
        }
    }

    /// Wake the n waits that are oldest.
    #[pyo3(signature = (n=1))]
    fn notify(&self, py: Python<'_>, n: usize) -> PyResult<()> {
        if !self.owned(py)? {
            return Err(runtime("cannot notify on un-acquired lock"));
        }
        self.wake(n);
        Ok(())
    }

    /// Wake all waits.
    fn notify_all(&self, py: Python<'_>) -> PyResult<()> {
        self.notify(py, usize::MAX)
    }

    #[pyo3(name = "notifyAll")]
    fn notify_all_of_old(&self, py: Python<'_>) -> PyResult<()> {
        let category = py.get_type::<PyDeprecationWarning>();
        let message = c"notifyAll() is deprecated, use notify_all() instead";
        PyErr::warn(py, &category, message, 1)?;
        self.notify_all(py)
    }

    fn _at_fork_reinit(&self, py: Python<'_>) -> PyResult<()> {
        self.lock.call_method0(py, "_at_fork_reinit")?;
        self.waiters().clear();
        Ok(())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (name, at) = title(slf.as_any())?;
        let lock = this.lock.bind(slf.py()).repr()?;
        Ok(format!("<{name}({lock}, {}) at {at:#x}>", this.waiters().len()))
    }
}
