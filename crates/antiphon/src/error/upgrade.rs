//! Why a reader does not become a writer.

use std::fmt;

use thiserror::Error;

use super::Timeout;

/// Why an upgrade did not happen. In every case the lock is still held for reading, by the guard inside.
#[derive(Error)]
#[non_exhaustive]
pub enum UpgradeError<G> {
    /// Somebody waits to write, or to upgrade, and so for this reader: two that both wait would wait for ever.
    #[error(
        "somebody else waits to write, and for this reader to leave: unlock, and lock for writing"
    )]
    WouldDeadlock(G),
    /// Others read, and the caller does not wait.
    #[error("others read")]
    WouldBlock(G),
    /// The deadline passed while others read.
    #[error("{1}")]
    TimedOut(G, Box<Timeout>),
}

impl<G> UpgradeError<G> {
    /// The guard, which still reads.
    pub fn into_guard(self) -> G {
        match self {
            Self::WouldDeadlock(guard) | Self::WouldBlock(guard) | Self::TimedOut(guard, _) => {
                guard
            }
        }
    }
}

impl<G> fmt::Debug for UpgradeError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldDeadlock(_) => f.write_str("WouldDeadlock(..)"),
            Self::WouldBlock(_) => f.write_str("WouldBlock(..)"),
            Self::TimedOut(_, timeout) => f.debug_tuple("TimedOut").field(timeout).finish(),
        }
    }
}
