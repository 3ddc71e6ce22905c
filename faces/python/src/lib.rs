//! The extension module behind the Python package `antiphon`.
//!
//! Thin by intent: a class per file converts arguments, tries the fast path, and goes through the one door (`call`) when it must
//! wait. What Python has exact rules for and Rust does not (who is woken by `notify`, what breaks a barrier) is here too.

mod call;
mod error;
mod sync;
mod timeout;

use pyo3::prelude::*;

/// The native half of the package.
#[pymodule(gil_used = false)]
mod _antiphon {
    #[pymodule_export]
    use crate::call::after_fork_in_child;
    #[pymodule_export]
    use crate::sync::{Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore};

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::call::init(module.py())
    }
}
