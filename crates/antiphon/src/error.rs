//! What can go wrong: one small type per operation.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::death::Death;

pub use antiphon_place::Error as SpaceError;

mod channel;
pub mod pipe;
mod queue;
mod service;
#[cfg(feature = "socket")]
pub mod socket;
mod store;
mod topic;
mod upgrade;

pub use channel::{
    RecvError, SendError, TimedRecvError, TimedSendError, TryRecvError, TrySendError,
};
pub use queue::{
    GetError, LeaseLost, MessageError, PutError, TimedGetError, TimedPutError, TryGetError,
    TryPutError,
};
pub use service::{CallError, ServiceError};
pub use store::{AccessError, MemoryError, TimedAccessError, TryAccessError, UpdateError};
pub use topic::{PublishError, ReceiveError, SubscribeError};
pub use upgrade::UpgradeError;

/// A wait that reached its deadline: what for, for how long, and who stood in the way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct Timeout {
    /// What was waited for, for example `mutex "counter"`.
    pub what: String,
    /// How long, since the call found that it had to wait.
    pub waited: Duration,
    /// Who held it at the end, if it is something that is held.
    pub holder: Option<Holder>,
}

impl Timeout {
    /// A wait for `what` that nobody in particular stood in the way of.
    pub(crate) fn new(what: impl Into<String>, waited: Duration) -> Self {
        Self { what: what.into(), waited, holder: None }
    }

    /// The same, with who held it.
    pub(crate) fn held_by(self, holder: Option<Holder>) -> Self {
        Self { holder, ..self }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:.1?} waiting for {}", self.waited, self.what)?;
        match &self.holder {
            Some(holder) => write!(f, ", held by {holder}"),
            None => Ok(()),
        }
    }
}

/// Who holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its label or program; empty for a thread of this process.
    pub who: String,
    /// Its process id; 0 if unknown.
    pub pid: u32,
    /// Its thread; 0 if unknown.
    pub thread: u32,
    /// Where in the source it acquired, as `file:line`.
    pub site: Option<String>,
    /// For how long at least.
    pub held: Option<Duration>,
}

impl Holder {
    /// A thread of this process.
    pub(crate) fn thread(thread: u32) -> Self {
        Self { who: String::new(), pid: std::process::id(), thread, site: None, held: None }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.who.is_empty() {
            write!(f, "thread {}", self.thread)?;
        } else {
            write!(f, "{} (pid {}, thread {})", self.who, self.pid, self.thread)?;
        }
        if let Some(held) = self.held {
            write!(f, " for at least {held:.1?}")?;
        }
        if let Some(site) = &self.site {
            write!(f, ", acquired at {site}")?;
        }
        Ok(())
    }
}

const WOULD_DEADLOCK: &str = "this thread already holds it and would wait for itself for ever";
const REPAIR: &str =
    "look at the value, make it good, then call repair() on the guard in this error";

/// Why [`lock`](crate::sync::Mutex::lock) did not simply lock. `Poisoned` and `OwnerDied` carry the guard: the lock *is* held.
#[derive(Error)]
pub enum LockError<G> {
    /// The calling thread holds it already.
    #[error("{WOULD_DEADLOCK}")]
    WouldDeadlock,
    /// A holder panicked in the middle of a change.
    #[error("a holder panicked while it changed the value: {REPAIR}")]
    Poisoned(G),
    /// A holder's process ended in the middle of a change.
    #[error("{1}: {REPAIR}")]
    OwnerDied(G, Box<Death>),
}

/// Why `try_lock` did not simply lock. `Poisoned` and `OwnerDied` carry the guard: the lock *is* held.
#[derive(Error)]
pub enum TryLockError<G> {
    /// It is held; by another, or by the calling thread itself.
    #[error("it is held")]
    WouldBlock,
    /// A holder panicked in the middle of a change.
    #[error("a holder panicked while it changed the value: {REPAIR}")]
    Poisoned(G),
    /// A holder's process ended in the middle of a change.
    #[error("{1}: {REPAIR}")]
    OwnerDied(G, Box<Death>),
}

/// Why `lock_timeout` and `lock_deadline` did not simply lock. `Poisoned` and `OwnerDied` carry the guard: the lock *is*
/// held.
#[derive(Error)]
pub enum TimedLockError<G> {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// The calling thread holds it already.
    #[error("{WOULD_DEADLOCK}")]
    WouldDeadlock,
    /// A holder panicked in the middle of a change.
    #[error("a holder panicked while it changed the value: {REPAIR}")]
    Poisoned(G),
    /// A holder's process ended in the middle of a change.
    #[error("{1}: {REPAIR}")]
    OwnerDied(G, Box<Death>),
}

macro_rules! lock_error {
    ($name:ident { $($bare:ident),* } { $($told:ident),* }) => {
        impl<G> $name<G> {
            /// The guard, when the lock is held in spite of the error.
            pub fn into_guard(self) -> Option<G> {
                match self {
                    Self::Poisoned(guard) | Self::OwnerDied(guard, _) => Some(guard),
                    $(Self::$bare => None,)*
                    $(Self::$told(_) => None,)*
                }
            }

            /// Who died, when somebody did.
            pub fn death(&self) -> Option<&Death> {
                match self {
                    Self::OwnerDied(_, death) => Some(death),
                    _ => None,
                }
            }
        }

        impl<G> fmt::Debug for $name<G> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$bare => f.write_str(stringify!($bare)),)*
                    $(Self::$told(why) => f.debug_tuple(stringify!($told)).field(why).finish(),)*
                    Self::Poisoned(_) => f.write_str("Poisoned(..)"),
                    Self::OwnerDied(_, death) => {
                        f.debug_tuple("OwnerDied").field(&format_args!("..")).field(death).finish()
                    }
                }
            }
        }
    };
}
lock_error!(LockError { WouldDeadlock } {});
lock_error!(TryLockError { WouldBlock } {});
lock_error!(TimedLockError { WouldDeadlock } { TimedOut });

/// More permits were released than the semaphore may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "more permits would be available than the {bound} there may be: somebody releases what nobody has taken"
)]
#[non_exhaustive]
pub struct TooManyPermits {
    /// The most permits there may be.
    pub bound: u64,
}

/// Why nobody passes a barrier.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BarrierError {
    /// A party died, gave up, or called `abort` or `reset`.
    #[error("the barrier is broken: a party died, gave up or aborted; reset() makes it new")]
    Broken,
    /// The deadline passed, which has broken the barrier for the others.
    #[error("{0}")]
    TimedOut(Timeout),
}

/// The calling thread is at it already, and would wait for itself for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{WOULD_DEADLOCK}")]
pub struct WouldDeadlock;

/// Why `try_call_once` did nothing: it is being run, perhaps by the caller itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("it is being run and not done yet")]
pub struct BeingRun;

/// Why `call_once_timeout` and `call_once_deadline` did nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TimedOnceError {
    /// The deadline passed, and another was still running it.
    #[error("{0}")]
    TimedOut(Timeout),
    /// Called from within the function.
    #[error("{WOULD_DEADLOCK}")]
    WouldDeadlock,
}
