//! What victims are killed in.

mod barrier;
mod condvar;
mod event;
mod job_queue;
mod latch;
mod line;
pub(super) mod mutex;
mod once;
mod pipe;
pub(super) mod queue;
mod reentrant_mutex;
pub(super) mod rwlock;
pub(super) mod semaphore;
mod store;

use super::{Act, Ward};

/// Every act.
pub(super) fn all(ward: &Ward) -> Vec<Act> {
    [
        mutex::acts(ward),
        reentrant_mutex::acts(ward),
        rwlock::acts(ward),
        semaphore::acts(ward),
        condvar::acts(ward),
        event::acts(ward),
        barrier::acts(ward),
        once::acts(ward),
        latch::acts(ward),
        queue::acts(ward),
        job_queue::acts(ward),
        store::acts(ward),
        pipe::acts(ward),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Makes a handle that lasts: acts keep guards of it.
pub(super) fn keep<T>(handle: T) -> &'static T {
    Box::leak(Box::new(handle))
}
