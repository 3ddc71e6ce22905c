//! A latch for the threads of this process.

use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawLatch;
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::since::Since;
use crate::error::Timeout;

/// A door that opens, for good, when it has been counted down to zero.
///
/// What was done before counting down happens before the return of the waits. A count is nobody's: a thread that panics
/// before it counts down leaves the door closed.
///
/// ```
/// use antiphon::sync::Latch;
///
/// let ready = Latch::new(3);
/// std::thread::scope(|s| {
///     for _ in 0..3 {
///         s.spawn(|| ready.count_down(1));
///     }
///     ready.wait();
///     assert!(ready.is_open());
/// });
/// ```
#[derive(Default)]
pub struct Latch {
    pub(crate) raw: RawLatch,
}

impl Latch {
    /// A door that opens after `count` have been counted down; an open one for zero.
    ///
    /// # Panics
    /// If `count` is greater than 2³¹ - 1.
    ///
    /// ```
    /// static READY: antiphon::sync::Latch = antiphon::sync::Latch::new(2);
    /// assert_eq!(READY.count(), 2);
    /// ```
    #[inline]
    pub const fn new(count: u32) -> Self {
        Self { raw: RawLatch::new(count) }
    }

    /// Counts down by `n`, or to zero if fewer are left; returns what was left before. Everything the thread has done so far
    /// happens before the return of the waits.
    ///
    /// ```
    /// let latch = antiphon::sync::Latch::new(3);
    /// assert_eq!(latch.count_down(2), 3);
    /// assert_eq!(latch.count_down(2), 1);
    /// assert_eq!(latch.count_down(2), 0);
    /// ```
    pub fn count_down(&self, n: u32) -> u32 {
        self.raw.count_down(n, &Threads)
    }

    /// What is left to count. Stale as soon as it is returned, unless it is zero.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Latch::new(3).count(), 3);
    /// ```
    #[inline]
    pub fn count(&self) -> u32 {
        self.raw.count()
    }

    /// Whether nothing is left to count: [`wait`](Self::wait) that does not wait.
    ///
    /// ```
    /// assert!(antiphon::sync::Latch::new(0).is_open());
    /// ```
    #[inline]
    pub fn is_open(&self) -> bool {
        self.count() == 0
    }

    /// Waits until it is open.
    ///
    /// ```
    /// let latch = antiphon::sync::Latch::new(1);
    /// latch.count_down(1);
    /// latch.wait();
    /// assert_eq!(latch.count(), 0);
    /// ```
    #[inline]
    pub fn wait(&self) {
        let forever = self.raw.wait(&Threads, None);
        debug_assert!(forever.is_ok());
    }

    /// Waits until it is open, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`].
    ///
    /// ```
    /// let latch = antiphon::sync::Latch::new(1);
    /// assert!(latch.wait_timeout(std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Timeout> {
        self.wait_until(clock::deadline_after(timeout))
    }

    /// Waits until it is open, no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`].
    ///
    /// ```
    /// let latch = antiphon::sync::Latch::new(0);
    /// assert!(latch.wait_deadline(std::time::Instant::now()).is_ok());
    /// ```
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), Timeout> {
        self.wait_until(clock::deadline_at(deadline))
    }

    fn wait_until(&self, deadline: Deadline) -> Result<(), Timeout> {
        let since = Since::now();
        self.raw
            .wait(&Threads, Some(deadline))
            .map_err(|_| since.timeout(format!("a latch that has {} left to count", self.count())))
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").field("count", &self.count()).finish()
    }
}
