//! `threading.RLock`.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{Permit, title};
use crate::call::ident;
use crate::error::runtime;
use crate::timeout::Patience;

/// A lock that its owner may lock again.
#[pyclass(frozen, weakref, subclass, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct RLock {
    permit: Permit,
    /// Whoever reads its own name here has written it, so Relaxed is enough. Zero: nobody.
    owner: AtomicUsize,
    /// The owner's.
    count: AtomicUsize,
}

impl RLock {
    #[inline]
    fn is_mine(&self) -> bool {
        self.owner.load(Relaxed) == ident()
    }

    fn take(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        if self.is_mine() {
            self.count.store(self.count.load(Relaxed) + 1, Relaxed);
            return Ok(true);
        }
        let taken = self.permit.take(py, patience)?;
        if taken {
            self.own(ident(), 1);
        }
        Ok(taken)
    }

    fn own(&self, owner: usize, count: usize) {
        self.owner.store(owner, Relaxed);
        self.count.store(count, Relaxed);
    }
}

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { permit: Permit::new(), owner: AtomicUsize::new(0), count: AtomicUsize::new(0) }
    }

    /// Lock the lock, once more if this thread has it. Returns False if it was not to be had in time.
    #[pyo3(signature = (blocking=true, timeout=-1.0))]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: f64) -> PyResult<bool> {
        self.take(py, Patience::of_lock(blocking, timeout)?)
    }

    /// Release the lock, which is free for others after as many releases as there were acquires.
    fn release(&self) -> PyResult<()> {
        if !self.is_mine() {
            return Err(runtime("cannot release un-acquired lock"));
        }
        let count = self.count.load(Relaxed) - 1;
        self.count.store(count, Relaxed);
        if count == 0 {
            self.owner.store(0, Relaxed);
            self.permit.give();
        }
        Ok(())
    }

    /// Is the lock locked by anybody?
    fn locked(&self) -> bool {
        self.permit.is_taken()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Patience::Until(None))
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

    /// For a condition: releases all levels, and says what there was.
    fn _release_save(&self) -> PyResult<(usize, usize)> {
        if !self.is_mine() {
            return Err(runtime("cannot release un-acquired lock"));
        }
        let state = (self.count.load(Relaxed), self.owner.load(Relaxed));
        self.own(0, 0);
        self.permit.give();
        Ok(state)
    }

    /// For a condition: takes back what `_release_save` has released.
    fn _acquire_restore(&self, py: Python<'_>, state: (usize, usize)) -> PyResult<()> {
        // A signal handler that raises must not keep the caller from what it must release later.
        let mut raised = None;
        while !self.permit.take(py, Patience::Until(None)).unwrap_or_else(|error| {
            raised = Some(error);
            false
        }) {}
        self.own(state.1, state.0);
        raised.map_or(Ok(()), Err)
    }

    pub(crate) fn _is_owned(&self) -> bool {
        self.is_mine()
    }

    fn _recursion_count(&self) -> usize {
        if self.is_mine() { self.count.load(Relaxed) } else { 0 }
    }

    fn _at_fork_reinit(&self) {
        self.own(0, 0);
        self.permit.give();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let state = if this.locked() { "locked" } else { "unlocked" };
        let (owner, count) = (this.owner.load(Relaxed), this.count.load(Relaxed));
        let (name, at) = title(slf.as_any())?;
        Ok(format!("<{state} {name} object owner={owner} count={count} at {at:#x}>"))
    }
}
