//! What can go wrong with a call.

use thiserror::Error;

use super::Timeout;
use crate::death::Death;

/// Why a call brought no reply.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// There are as many calls as there may be, and the caller does not wait.
    #[error("the service has as many calls as it has room for")]
    Full,
    /// There is no reply yet, and the caller does not wait.
    #[error("there is no reply yet")]
    Pending,
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Box<Timeout>),
    /// The request or the reply is longer than the service takes.
    #[error("it is longer than the {longest} bytes that the service takes")]
    TooLarge {
        /// The length of the longest.
        longest: usize,
    },
    /// The service is shut down.
    #[error("the service is shut down")]
    ShutDown,
    /// The worker that was answering it died.
    #[error("the worker died while it answered: {0}")]
    WorkerDied(Box<Death>),
    /// The worker gave up: it dropped the request without a reply.
    #[error("the worker gave no reply")]
    Declined,
    /// The service's memory has been overwritten.
    #[error(
        "the service's words contradict each other: another process has overwritten them; remove the service and create it anew"
    )]
    Corrupt,
}

/// Why a call of a service of messages brought no reply.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The call itself.
    #[error("{0}")]
    Call(#[from] CallError),
    /// The request cannot be written as a message.
    #[error("the request cannot be encoded: {0}")]
    Encode(String),
    /// The reply is not what was expected.
    #[error("the reply cannot be decoded: {0}")]
    Decode(String),
}
