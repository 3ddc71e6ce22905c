//! What a ring says, in the words of a channel.

use antiphon_core::comm::RingError;

use crate::error::{
    RecvError, SendError, TimedRecvError, TimedSendError, Timeout, TryRecvError, TrySendError,
};

pub(crate) fn send<T>(error: RingError, item: T) -> SendError<T> {
    match error {
        RingError::Corrupt => SendError::Corrupt(item),
        _ => SendError::Disconnected(item),
    }
}

pub(crate) fn try_send<T>(error: RingError, item: T) -> TrySendError<T> {
    match error {
        RingError::Full => TrySendError::Full(item),
        RingError::Corrupt => TrySendError::Corrupt(item),
        _ => TrySendError::Disconnected(item),
    }
}

pub(crate) fn timed_send<T>(
    error: RingError,
    item: T,
    timeout: impl FnOnce() -> Timeout,
) -> TimedSendError<T> {
    match error {
        RingError::TimedOut => TimedSendError::TimedOut(item, timeout()),
        RingError::Corrupt => TimedSendError::Corrupt(item),
        _ => TimedSendError::Disconnected(item),
    }
}

pub(crate) fn recv(error: RingError) -> RecvError {
    match error {
        RingError::Corrupt => RecvError::Corrupt,
        _ => RecvError::Disconnected,
    }
}

pub(crate) fn try_recv(error: RingError) -> TryRecvError {
    match error {
        RingError::Empty => TryRecvError::Empty,
        RingError::Corrupt => TryRecvError::Corrupt,
        _ => TryRecvError::Disconnected,
    }
}

pub(crate) fn timed_recv(error: RingError, timeout: impl FnOnce() -> Timeout) -> TimedRecvError {
    match error {
        RingError::TimedOut => TimedRecvError::TimedOut(timeout()),
        RingError::Corrupt => TimedRecvError::Corrupt,
        _ => TimedRecvError::Disconnected,
    }
}
