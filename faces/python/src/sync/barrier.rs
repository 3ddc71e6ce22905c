//! `threading.Barrier`.
//!
//! One generation of parties after the other. A generation ends by all having come, or by being broken; its event tells those
//! who wait, and its outcome says which it was.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon::sync::Event;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{await_event, title};
use crate::error::broken_barrier;
use crate::timeout::Patience;

/// All have come. Zero: not over yet.
const PASSED: u8 = 1;
const BROKEN: u8 = 2;

/// Those who wait for the same last one.
#[derive(Debug, Default)]
struct Generation {
    over: Event,
    /// Written before `over` is set.
    outcome: AtomicU8,
}

#[derive(Debug, Default)]
struct State {
    current: Arc<Generation>,
    /// How many of the current generation have come.
    count: usize,
    /// All have come, and the last one runs the action: who comes now is of the next generation.
    full: bool,
    broken: bool,
}

impl State {
    /// Ends the current generation and begins the next.
    fn end(&mut self, outcome: u8) {
        let ended = std::mem::take(&mut self.current);
        self.count = 0;
        self.full = false;
        ended.outcome.store(outcome, Relaxed);
        ended.over.set();
    }
}

/// Threads that wait for each other.
#[pyclass(frozen, weakref, subclass, module = "antiphon.threading")]
#[derive(Debug)]
pub(crate) struct Barrier {
    parties: usize,
    action: Option<Py<PyAny>>,
    timeout: Option<f64>,
    /// Never locked while the interpreter is left or Python code runs.
    state: Mutex<State>,
}

/// What one finds at a barrier.
enum Arrival {
    /// One must wait for the others.
    Early(Arc<Generation>, usize),
    /// All others are there.
    Last,
    /// Those before have not gone yet.
    Between(Arc<Generation>),
}

impl Barrier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self) -> Option<Arrival> {
        let mut state = self.state();
        if state.broken {
            return None;
        }
        if state.full {
            return Some(Arrival::Between(state.current.clone()));
        }
        let index = state.count;
        state.count += 1;
        if state.count < self.parties {
            return Some(Arrival::Early(state.current.clone(), index));
        }
        state.full = true;
        Some(Arrival::Last)
    }

    /// Breaks the barrier.
    fn shatter(&self) {
        let mut state = self.state();
        state.broken = true;
        state.end(BROKEN);
    }

    /// Breaks the barrier unless this generation is over or about to be. False: it is.
    fn give_up(&self, generation: &Arc<Generation>) -> bool {
        let mut state = self.state();
        let waits = Arc::ptr_eq(&state.current, generation) && !state.full;
        if waits {
            state.broken = true;
            state.end(BROKEN);
        }
        waits
    }

    fn last(&self, py: Python<'_>) -> PyResult<usize> {
        if let Some(action) = &self.action
            && let Err(raised) = action.call0(py)
        {
            self.shatter();
            return Err(raised);
        }
        let mut state = self.state();
        // Somebody may have aborted or reset it meanwhile.
        if !state.full {
            drop(state);
            return Err(broken_barrier(py));
        }
        state.end(PASSED);
        Ok(self.parties - 1)
    }

    fn early(
        &self,
        py: Python<'_>,
        generation: &Arc<Generation>,
        index: usize,
        mut patience: Patience,
    ) -> PyResult<usize> {
        loop {
            match await_event(py, &generation.over, patience) {
                Ok(true) if generation.outcome.load(Relaxed) == PASSED => return Ok(index),
                Ok(true) => return Err(broken_barrier(py)),
                Ok(false) if self.give_up(generation) => return Err(broken_barrier(py)),
                // The last one has come in time.
                Ok(false) => patience = Patience::Until(None),
                Err(raised) => {
                    self.give_up(generation);
                    return Err(raised);
                }
            }
        }
    }
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (parties, action=None, timeout=None))]
    fn new(parties: i64, action: Option<Py<PyAny>>, timeout: Option<f64>) -> PyResult<Self> {
        let parties = usize::try_from(parties).ok().filter(|parties| *parties > 0);
        let parties = parties.ok_or_else(|| PyValueError::new_err("parties must be >= 1"))?;
        Ok(Self { parties, action, timeout, state: Mutex::default() })
    }

    /// Wait for the others. Returns a number from 0 to parties - 1, another one for each.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<usize> {
        let patience = Patience::of_wait(timeout.or(self.timeout))?;
        loop {
            match self.arrive() {
                None => return Err(broken_barrier(py)),
                Some(Arrival::Last) => return self.last(py),
                Some(Arrival::Early(generation, index)) => {
                    return self.early(py, &generation, index, patience);
                }
                Some(Arrival::Between(generation)) => {
                    await_event(py, &generation.over, Patience::Until(None))?;
                }
            }
        }
    }

    /// Make the barrier as new; who waits gets BrokenBarrierError.
    fn reset(&self) {
        let mut state = self.state();
        state.end(BROKEN);
        state.broken = false;
    }

    /// Break the barrier; who waits, or comes later, gets BrokenBarrierError.
    fn abort(&self) {
        self.shatter();
    }

    /// How many there must be.
    #[getter]
    fn parties(&self) -> usize {
        self.parties
    }

    /// How many are waiting.
    #[getter]
    fn n_waiting(&self) -> usize {
        let state = self.state();
        if state.full { 0 } else { state.count }
    }

    /// Is it broken?
    #[getter]
    fn broken(&self) -> bool {
        self.state().broken
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (name, at) = title(slf.as_any())?;
        let this = slf.get();
        if this.broken() {
            return Ok(format!("<{name} at {at:#x}: broken>"));
        }
        Ok(format!("<{name} at {at:#x}: waiters={}/{}>", this.n_waiting(), this.parties))
    }
}
