//! Waiting in a space without blocking: the forms that end in `_async`.
//!
//! The site of a wait is the one of the call that made the future. Who waits so is no line in an object's table of waiters, which
//! is for threads that sleep.

mod byte_queue;
mod event;
mod latch;
mod message_queue;
mod mutex;
mod queue;
mod rwlock;
mod semaphore;

use antiphon_core::comm::RingError;

use crate::comm::outcome;
use crate::error::{GetError, PutError};

/// The outcome of an attempt to get, or nothing yet.
fn got<T>(got: Result<T, RingError>) -> Option<Result<T, GetError>> {
    match got {
        Err(RingError::Interrupted) => None,
        got => Some(got.map_err(outcome::get)),
    }
}

/// The outcome of an attempt to put bytes, or nothing yet.
fn put(put: Result<(), RingError>) -> Option<Result<(), PutError<()>>> {
    match put {
        Err(RingError::Interrupted) => None,
        put => Some(put.map_err(|error| outcome::put(error, ()))),
    }
}
