//! For how long somebody has waited.

use std::time::Duration;

use antiphon_sys::clock;

use crate::error::Timeout;

/// When a wait with a deadline began.
#[derive(Clone, Copy)]
pub(super) struct Since(u64);

impl Since {
    pub(super) fn now() -> Self {
        Self(clock::now())
    }

    /// The wait for `what` has come to nothing.
    pub(super) fn timeout(self, what: impl Into<String>) -> Timeout {
        Timeout::new(what, Duration::from_nanos(clock::now().saturating_sub(self.0)))
    }
}
