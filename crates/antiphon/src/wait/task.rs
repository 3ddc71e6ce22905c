//! Operations as futures, and guards that tasks hold.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::operation::{Look, Operation, Spot};

/// An operation to be awaited, on any executor, or to be given to a [`Select`](super::Select).
///
/// Dropping it before it is done loses nothing: no item, permit, lock or wake. It allocates nothing, and registers
/// nothing as long as it does not have to wait.
#[must_use = "it does nothing until it is awaited"]
pub struct Async<O> {
    // Before the operation, so that nobody watches what is gone.
    spot: Spot,
    operation: O,
}

impl<O> Async<O> {
    #[inline]
    pub(crate) fn new(operation: O) -> Self {
        Self { spot: Spot::default(), operation }
    }

    pub(super) fn into_operation(self) -> O {
        self.operation
    }
}

impl<O: Operation> Future for Async<O> {
    type Output = O::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O::Output> {
        // SAFETY: the spot stays where it is. The operation is never pinned, so it may be used as it is.
        let (spot, operation) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&this.spot), &mut this.operation)
        };
        match operation.attempt(&Look::waking(spot, context.waker())) {
            Some(value) => {
                spot.stop();
                Poll::Ready(value)
            }
            None => Poll::Pending,
        }
    }
}

impl<O> fmt::Debug for Async<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("waiting", &self.spot.is_on()).finish_non_exhaustive()
    }
}

/// A guard that belongs to a task rather than to a thread: it may be held across an `await`, and move from thread to thread with its
/// task.
///
/// Locks do not know tasks apart, so a task that locks twice waits for itself; and a thread's timeout reports the holder as
/// a task.
pub struct TaskGuard<G>(G);

impl<G> TaskGuard<G> {
    #[inline]
    pub(crate) fn new(guard: G) -> Self {
        Self(guard)
    }

    pub(super) fn guard(&self) -> &G {
        &self.0
    }

    pub(crate) fn guard_mut(&mut self) -> &mut G {
        &mut self.0
    }

    pub(super) fn into_guard(self) -> G {
        self.0
    }
}

impl<G: Deref> Deref for TaskGuard<G> {
    type Target = G::Target;
    #[inline]
    fn deref(&self) -> &G::Target {
        &self.0
    }
}

impl<G: DerefMut> DerefMut for TaskGuard<G> {
    #[inline]
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.0
    }
}

impl<G: fmt::Debug> fmt::Debug for TaskGuard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<G: fmt::Display> fmt::Display for TaskGuard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
