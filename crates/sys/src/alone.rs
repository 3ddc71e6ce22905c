//! For tests: a forked child has copies of all descriptors, those of the tests beside it too, and keeps their locks and files
//! open. So tests that fork, and tests that need a close to be the last one, run one at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the other tests of this kind.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
