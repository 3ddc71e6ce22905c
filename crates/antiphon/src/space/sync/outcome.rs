//! How the wait for a lock ended, before there is a guard.

use antiphon_core::sync::Claim;
use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_place::Cause;

use crate::death::Death;
use crate::error::{LockError, TimedLockError, Timeout, TryLockError};

/// How a lock that could not simply be taken was, or was not. In the first three cases the caller holds it.
///
/// Two words, so that cold paths return it in registers. A result with the guard in it would be returned in memory, and then
/// the guard of the uncontended path would live there, too: that alone doubled the time of a pair.
pub(in crate::space) enum Outcome {
    Clean,
    Poisoned,
    OwnerDied(Box<Death>),
    WouldDeadlock,
    WouldBlock,
    TimedOut(Box<Timeout>),
}

impl Outcome {
    /// Held by this claim, with the news of a death if there is any.
    pub(in crate::space) fn held(claim: Claim, death: Option<Box<Death>>) -> Self {
        match (claim, death) {
            (Claim::Clean, _) => Self::Clean,
            (_, Some(death)) if death.cause != Cause::Panicked => Self::OwnerDied(death),
            _ => Self::Poisoned,
        }
    }

    /// The result of a wait without a deadline. `guard` is given what the guard leaves in the word unless the value is
    /// repaired.
    #[inline(always)]
    pub(in crate::space) fn untimed<G>(
        self,
        guard: impl FnOnce(u32) -> G,
    ) -> Result<G, LockError<G>> {
        match self {
            Self::Clean => Ok(guard(0)),
            Self::Poisoned => Err(LockError::Poisoned(guard(INCONSISTENT))),
            Self::OwnerDied(death) => Err(LockError::OwnerDied(guard(INCONSISTENT), death)),
            Self::WouldDeadlock | Self::WouldBlock | Self::TimedOut(_) => {
                Err(LockError::WouldDeadlock)
            }
        }
    }

    /// The result of an attempt.
    #[inline(always)]
    pub(in crate::space) fn unwaited<G>(
        self,
        guard: impl FnOnce(u32) -> G,
    ) -> Result<G, TryLockError<G>> {
        match self {
            Self::Clean => Ok(guard(0)),
            Self::Poisoned => Err(TryLockError::Poisoned(guard(INCONSISTENT))),
            Self::OwnerDied(death) => Err(TryLockError::OwnerDied(guard(INCONSISTENT), death)),
            Self::WouldDeadlock | Self::WouldBlock | Self::TimedOut(_) => {
                Err(TryLockError::WouldBlock)
            }
        }
    }

    /// The result of a wait with a deadline.
    pub(in crate::space) fn timed<G>(
        self,
        guard: impl FnOnce(u32) -> G,
    ) -> Result<G, TimedLockError<G>> {
        match self {
            Self::Clean => Ok(guard(0)),
            Self::Poisoned => Err(TimedLockError::Poisoned(guard(INCONSISTENT))),
            Self::OwnerDied(death) => Err(TimedLockError::OwnerDied(guard(INCONSISTENT), death)),
            Self::TimedOut(timeout) => Err(TimedLockError::TimedOut(*timeout)),
            Self::WouldDeadlock | Self::WouldBlock => Err(TimedLockError::WouldDeadlock),
        }
    }
}
