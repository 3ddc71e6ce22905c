//! An event between threads.

use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawEvent;
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use crate::error::Timeout;

/// A flag that anybody sets and clears, and that all threads can wait for.
///
/// A [`set`](Self::set) releases everybody who waits, even when a [`clear`](Self::clear) follows at once. What came before
/// it happens before the return of the waits that it ends, and of those that find the event set afterwards.
///
/// ```
/// use antiphon::sync::Event;
///
/// static READY: Event = Event::new();
/// std::thread::scope(|s| {
///     s.spawn(|| READY.set());
///     READY.wait();
/// });
/// assert!(READY.is_set());
/// ```
#[derive(Default)]
pub struct Event {
    pub(crate) raw: RawEvent,
}

impl Event {
    /// An event that is not set.
    ///
    /// ```
    /// assert!(!antiphon::sync::Event::new().is_set());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { raw: RawEvent::new() }
    }

    /// Sets it: everybody who waits goes on, and whoever comes does not wait. Setting it again changes nothing.
    ///
    /// ```
    /// let event = antiphon::sync::Event::new();
    /// event.set();
    /// event.wait(); // returns at once
    /// assert!(event.is_set());
    /// ```
    #[inline]
    pub fn set(&self) {
        self.raw.set(&Threads);
    }

    /// Clears it: from now on, waits wait.
    ///
    /// ```
    /// let event = antiphon::sync::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.raw.clear();
    }

    /// Whether it is set. Stale as soon as it is returned.
    ///
    /// ```
    /// let event = antiphon::sync::Event::new();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    pub fn is_set(&self) -> bool {
        self.raw.is_set()
    }

    /// Waits until it is set.
    ///
    /// ```
    /// let event = antiphon::sync::Event::new();
    /// std::thread::scope(|s| {
    ///     let waiter = s.spawn(|| event.wait());
    ///     event.set();
    ///     event.clear(); // too late to hold the waiter back, if it waited already
    ///     event.set();
    ///     waiter.join().unwrap();
    /// });
    /// assert!(event.is_set());
    /// ```
    #[inline]
    pub fn wait(&self) {
        let forever = self.raw.wait(&Threads, None);
        debug_assert!(forever.is_ok());
    }

    /// Waits until it is set, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = antiphon::sync::Event::new();
    /// assert!(event.wait_timeout(Duration::from_millis(1)).is_err());
    /// event.set();
    /// assert!(event.wait_timeout(Duration::ZERO).is_ok());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Timeout> {
        self.wait_until(|| clock::deadline_after(timeout))
    }

    /// Waits until it is set, no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`].
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let event = antiphon::sync::Event::new();
    /// assert!(event.wait_deadline(Instant::now()).is_err());
    /// ```
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), Timeout> {
        self.wait_until(|| clock::deadline_at(deadline))
    }

    fn wait_until(&self, deadline: impl FnOnce() -> Deadline) -> Result<(), Timeout> {
        if self.is_set() {
            return Ok(());
        }
        let start = Instant::now();
        self.raw
            .wait(&Threads, Some(deadline()))
            .map_err(|_| Timeout::new("an event", start.elapsed()))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish()
    }
}
