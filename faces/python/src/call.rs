//! The one door for every blocking call: it leaves the interpreter, honours signals, and comes back.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pyo3::ffi;
use pyo3::prelude::*;

/// How long the main thread sleeps between two looks at the signals that have come: half of what Ctrl-C may take.
const SLICE: Duration = Duration::from_millis(50);
/// The same for the others, whom no signal reaches: for ever, in pieces that a clock can count.
const LONG: Duration = Duration::from_secs(1 << 24);

/// The only thread that Python runs signal handlers in.
static MAIN: AtomicUsize = AtomicUsize::new(0);

/// Who calls, as `threading.get_ident()` has it.
pub(crate) fn ident() -> usize {
    // SAFETY: takes nothing, and needs no interpreter.
    unsafe { ffi::PyThread_get_thread_ident() as usize }
}

pub(crate) fn init(py: Python<'_>) -> PyResult<()> {
    let main = py.import("threading")?.call_method0("main_thread")?.getattr("ident")?;
    MAIN.store(main.extract()?, Relaxed);
    Ok(())
}

/// In a forked child the thread that forked is the main one.
#[pyfunction]
#[pyo3(name = "_after_fork_in_child")]
pub(crate) fn after_fork_in_child() {
    MAIN.store(ident(), Relaxed);
}

/// Sleeps until `sleep` says that there is nothing more to wait for, or `deadline`: true or false. `sleep` is called without the
/// interpreter, for as long as it is told.
///
/// # Errors
/// What a signal handler raises.
pub(crate) fn wait(
    py: Python<'_>,
    deadline: Option<Instant>,
    mut sleep: impl FnMut(Duration) -> bool + Send,
) -> PyResult<bool> {
    let slice = if ident() == MAIN.load(Relaxed) { SLICE } else { LONG };
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let turn = left.map_or(slice, |left| left.min(slice));
        if py.detach(|| sleep(turn)) {
            return Ok(true);
        }
        py.check_signals()?;
        if left.is_some_and(|left| left <= turn) {
            return Ok(false);
        }
    }
}
