//! What the ring says, in the words of an operation.

use antiphon_core::comm::RingError;

use crate::error::{
    GetError, PutError, TimedGetError, TimedPutError, Timeout, TryGetError, TryPutError,
};

pub(crate) fn put<T>(error: RingError, item: T) -> PutError<T> {
    match error {
        RingError::ShutDown => PutError::ShutDown(item),
        RingError::TooLarge => PutError::TooLarge(item),
        _ => PutError::Corrupt(item),
    }
}

pub(crate) fn try_put<T>(error: RingError, item: T) -> TryPutError<T> {
    match error {
        RingError::Full => TryPutError::Full(item),
        RingError::ShutDown => TryPutError::ShutDown(item),
        RingError::TooLarge => TryPutError::TooLarge(item),
        _ => TryPutError::Corrupt(item),
    }
}

pub(crate) fn timed_put<T>(
    error: RingError,
    item: T,
    timeout: impl FnOnce() -> Timeout,
) -> TimedPutError<T> {
    match error {
        RingError::TimedOut => TimedPutError::TimedOut(item, timeout()),
        RingError::ShutDown => TimedPutError::ShutDown(item),
        RingError::TooLarge => TimedPutError::TooLarge(item),
        _ => TimedPutError::Corrupt(item),
    }
}

pub(crate) fn get(error: RingError) -> GetError {
    match error {
        RingError::ShutDown => GetError::ShutDown,
        _ => GetError::Corrupt,
    }
}

pub(crate) fn try_get(error: RingError) -> TryGetError {
    match error {
        RingError::Empty => TryGetError::Empty,
        RingError::ShutDown => TryGetError::ShutDown,
        _ => TryGetError::Corrupt,
    }
}

pub(crate) fn timed_get(error: RingError, timeout: impl FnOnce() -> Timeout) -> TimedGetError {
    match error {
        RingError::TimedOut => TimedGetError::TimedOut(timeout()),
        RingError::ShutDown => TimedGetError::ShutDown,
        _ => TimedGetError::Corrupt,
    }
}
