//! What can go wrong with a dict or a list.

use thiserror::Error;

use super::Timeout;

const WOULD_DEADLOCK: &str = "this thread holds the lock already: use its guard";
const CORRUPT: &str = "its words contradict each other: another process has overwritten them; remove it and create it anew";

/// Why nothing could be looked up.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AccessError {
    /// This thread holds the lock, and would wait for itself.
    #[error("{WOULD_DEADLOCK}")]
    WouldDeadlock,
    /// The memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
    /// The key cannot be encoded.
    #[error("the key cannot be encoded: {0}")]
    Encode(String),
    /// What is there is of another type.
    #[error("what is there cannot be decoded: {0}")]
    Decode(String),
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UpdateError {
    /// There is no room for it, in one piece and beside what it replaces.
    #[error(
        "there is no room for {needed} bytes: {used} of {capacity} are taken; create it with more"
    )]
    Full {
        /// The bytes it would take.
        needed: u64,
        /// The bytes that are taken.
        used: u64,
        /// The bytes in all.
        capacity: u64,
    },
    /// A list has no item there.
    #[error("there is no item {index}: the list has {len}")]
    OutOfRange {
        /// The index as given.
        index: usize,
        /// How many items there are.
        len: usize,
    },
    /// The value cannot be encoded.
    #[error("the value cannot be encoded: {0}")]
    Encode(String),
    /// What prevents every access.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Why bytes of a memory cannot be reached.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MemoryError {
    /// Not all of them are there.
    #[error("bytes {offset} and the {len} from there on are not all there: the memory has {there}")]
    OutOfBounds {
        /// Where they begin.
        offset: usize,
        /// How many were asked for.
        len: usize,
        /// How many there are in all.
        there: usize,
    },
    /// An atomic lies at a multiple of its size only.
    #[error("an atomic of {size} bytes cannot lie at {offset}, which is no multiple of that")]
    Misaligned {
        /// Where it would lie.
        offset: usize,
        /// Its size.
        size: usize,
    },
}

/// Why a lock that does not wait was not taken.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TryAccessError {
    /// Somebody else is at it.
    #[error("it is locked")]
    WouldBlock,
    /// The memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why a lock was not taken in time.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TimedAccessError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// This thread holds the lock, and would wait for itself.
    #[error("{WOULD_DEADLOCK}")]
    WouldDeadlock,
    /// The memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

impl TimedAccessError {
    /// The error of a wait that had no deadline.
    pub(crate) fn untimed(self) -> AccessError {
        match self {
            Self::WouldDeadlock => AccessError::WouldDeadlock,
            Self::Corrupt | Self::TimedOut(_) => AccessError::Corrupt,
        }
    }
}
