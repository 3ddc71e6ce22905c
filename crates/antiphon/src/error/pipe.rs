//! What can go wrong with a pipe.

use thiserror::Error;

use super::Timeout;

const CORRUPT: &str =
    "the pipe's words contradict each other: another process has overwritten them";

/// Why a message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SendError {
    /// Nobody has the other end any more.
    #[error("nobody has the other end of the pipe any more")]
    Closed,
    /// The message can never fit.
    #[error("the message is larger than the pipe can ever hold: create it with more bytes")]
    TooLarge,
    /// The pipe's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why a message was not sent without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TrySendError {
    /// There is no room.
    #[error("the pipe is full")]
    Full,
    /// It cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why a message was not sent until the deadline.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TimedSendError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// It cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why there is no message, and will be none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RecvError {
    /// Nobody has the other end any more, and everything that was sent is received.
    #[error("nobody has the other end of the pipe any more")]
    Closed,
    /// The pipe's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why there is no message now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TryRecvError {
    /// There is no message.
    #[error("there is no message")]
    Empty,
    /// There will be none.
    #[error(transparent)]
    Recv(#[from] RecvError),
}

/// Why there was no message until the deadline.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TimedRecvError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// There will be none.
    #[error(transparent)]
    Recv(#[from] RecvError),
}
