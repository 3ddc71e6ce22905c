//! What all queues of a space have in common: the ring, its waits, and the errors.

use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::comm::ring::{Patience, RawRing, RingError, Shutdown};
use antiphon_core::pad::Padded;
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;

use crate::comm::outcome;
use crate::error::{TimedGetError, TimedPutError};
use crate::space::entry::{Entry, Noted};

/// Where the items of a queue begin: behind the ring's words.
pub(super) const ITEMS: usize = size_of::<Padded<RawRing>>();

/// A ring in a space.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) entry: Entry,
    ring: NonNull<RawRing>,
}

// SAFETY: the ring is made of atomics in memory that `entry` keeps.
unsafe impl Send for Ends {}
// SAFETY: as above.
unsafe impl Sync for Ends {}

impl Ends {
    /// # Safety
    /// The body of the object must begin with a ring.
    pub(super) unsafe fn new(entry: Entry) -> Self {
        // SAFETY: the caller says so; a ring may be any bytes.
        let ring = unsafe { entry.at(0) };
        Self { entry, ring }
    }

    #[inline]
    pub(super) fn ring(&self) -> &RawRing {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.ring.as_ref() }
    }

    /// How to wait until `deadline`, noted for those who look.
    #[inline]
    pub(super) fn noted(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Noted<'_> {
        self.entry.noted(caller, deadline, None)
    }

    pub(super) fn shut_down(&self, how: Shutdown) {
        let done = self.ring().shut_down(&self.entry.wait(), how);
        debug_assert!(done.is_ok(), "only a signal could interrupt this, and none does");
    }

    pub(super) fn timed_put<T>(
        &self,
        error: RingError,
        item: T,
        noted: &Noted<'_>,
    ) -> TimedPutError<T> {
        outcome::timed_put(error, item, || self.entry.timeout(noted, None))
    }

    pub(super) fn timed_get(&self, error: RingError, noted: &Noted<'_>) -> TimedGetError {
        outcome::timed_get(error, || self.entry.timeout(noted, None))
    }
}

/// As long as it takes.
pub(super) const FOREVER: Patience = Patience::Until(None);

pub(super) fn within(timeout: Duration) -> Deadline {
    clock::deadline_after(timeout)
}

pub(super) fn at(instant: Instant) -> Deadline {
    clock::deadline_at(instant)
}

pub(super) use outcome::{get, put, try_get, try_put};

/// The methods that every queue has.
macro_rules! queue_methods {
    () => {
        /// Ends the queue: later puts fail, and gets once it is empty ([`Shutdown::Drain`]) or at once
        /// ([`Shutdown::Immediate`]). Wakes all who wait. May be repeated and hardened. Waits for those who are putting or
        /// taking just now.
        pub fn shutdown(&self, how: Shutdown) {
            self.ends.shut_down(how);
        }

        /// Whether it was shut down.
        pub fn is_shut_down(&self) -> bool {
            self.ends.ring().is_shut_down()
        }

        /// The number of items, true at some instant of the call.
        pub fn len(&self) -> usize {
            self.ends.ring().len() as usize
        }

        /// Whether there are no items, at some instant of the call.
        pub fn is_empty(&self) -> bool {
            self.ends.ring().is_empty()
        }

        /// Whether there is no room for another item, at some instant of the call. Of a queue that is also bounded by
        /// bytes, only the number of items counts.
        pub fn is_full(&self) -> bool {
            self.len() >= self.capacity()
        }

        /// The name it was opened by.
        pub fn name(&self) -> &str {
            self.ends.entry.object.name()
        }
    };
}
pub(super) use queue_methods;
