//! From what the algorithms say to guards and errors.

use std::time::Duration;

use antiphon_core::sync::Claim;
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;

use crate::error::{LockError, TimedLockError, Timeout, TryLockError};

/// When a wait began. Waits without a deadline do not look at the time.
#[derive(Clone, Copy, Default)]
pub(super) struct Clock(Option<u64>);

impl Clock {
    pub(super) fn start(deadline: Option<Deadline>) -> Self {
        Self(deadline.map(|_| clock::now()))
    }

    /// The wait for `what` has come to nothing.
    pub(super) fn timeout(self, what: impl Into<String>) -> Timeout {
        let since = self.0.map(|since| clock::now().saturating_sub(since));
        Timeout::new(what, Duration::from_nanos(since.unwrap_or(0)))
    }
}

/// The guard, with the news that came with the claim. Threads do not die holding something, so it can only be poison.
#[inline]
pub(super) fn told<G>(guard: G, claim: Claim) -> Result<G, TimedLockError<G>> {
    match claim {
        Claim::Clean => Ok(guard),
        Claim::Inherited(_) => Err(TimedLockError::Poisoned(guard)),
    }
}

/// The error of an operation that has no deadline.
pub(super) fn untimed<G>(error: TimedLockError<G>) -> LockError<G> {
    match error {
        TimedLockError::WouldDeadlock | TimedLockError::TimedOut(_) => LockError::WouldDeadlock,
        TimedLockError::Poisoned(guard) => LockError::Poisoned(guard),
        TimedLockError::OwnerDied(guard, death) => LockError::OwnerDied(guard, death),
    }
}

/// The error of an operation that does not wait.
pub(super) fn unwaited<G>(error: TimedLockError<G>) -> TryLockError<G> {
    match error {
        TimedLockError::WouldDeadlock | TimedLockError::TimedOut(_) => TryLockError::WouldBlock,
        TimedLockError::Poisoned(guard) => TryLockError::Poisoned(guard),
        TimedLockError::OwnerDied(guard, death) => TryLockError::OwnerDied(guard, death),
    }
}
