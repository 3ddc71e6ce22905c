//! Waiting until nobody is at it any more, for the threads of this process.

use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::primitive::AtomicU64;
use antiphon_core::sync::RawWaitGroup;
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::since::Since;
use crate::error::Timeout;

/// A group that can be waited for until nobody is in it.
///
/// Everybody who takes part [enters](Self::enter) and leaves by dropping the [`Share`], also when it panics. What was done
/// before leaving happens before the return of the waits that it ends. To hand a share on, let the next one enter before
/// the last one leaves. A group can be used again and again.
///
/// ```
/// use antiphon::sync::WaitGroup;
///
/// static WORK: WaitGroup = WaitGroup::new();
/// for _ in 0..3 {
///     let share = WORK.enter();
///     std::thread::spawn(move || drop(share));
/// }
/// WORK.wait();
/// assert!(WORK.is_empty());
/// ```
#[derive(Default)]
pub struct WaitGroup {
    raw: RawWaitGroup,
    shares: [AtomicU64; 1],
}

impl WaitGroup {
    /// A group with nobody in it.
    ///
    /// ```
    /// static WORK: antiphon::sync::WaitGroup = antiphon::sync::WaitGroup::new();
    /// WORK.wait();
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { raw: RawWaitGroup::new(), shares: [AtomicU64::new(0)] }
    }

    /// Takes part until the share is dropped, on whatever thread.
    ///
    /// # Panics
    /// If there are 2³¹ shares, which takes forgotten ones.
    ///
    /// ```
    /// let group = antiphon::sync::WaitGroup::new();
    /// let share = group.enter();
    /// assert_eq!(group.shares(), 1);
    /// drop(share);
    /// assert!(group.is_empty());
    /// ```
    pub fn enter(&self) -> Share<'_> {
        let entered = self.raw.enter(&self.shares, 1, &Threads);
        assert!(entered, "too many shares of a wait group (were some forgotten?)");
        Share { group: self }
    }

    /// Waits until nobody takes part.
    ///
    /// ```
    /// let group = antiphon::sync::WaitGroup::new();
    /// drop(group.enter());
    /// group.wait();
    /// ```
    pub fn wait(&self) {
        let forever = self.raw.wait(&self.shares, &Threads, None);
        debug_assert!(forever.is_ok());
    }

    /// Waits until nobody takes part, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`].
    ///
    /// ```
    /// let group = antiphon::sync::WaitGroup::new();
    /// let share = group.enter();
    /// assert!(group.wait_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # drop(share);
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Timeout> {
        self.wait_until(clock::deadline_after(timeout))
    }

    /// Waits until nobody takes part, no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`].
    ///
    /// ```
    /// let group = antiphon::sync::WaitGroup::new();
    /// assert!(group.wait_deadline(std::time::Instant::now()).is_ok());
    /// ```
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), Timeout> {
        self.wait_until(clock::deadline_at(deadline))
    }

    fn wait_until(&self, deadline: Deadline) -> Result<(), Timeout> {
        let since = Since::now();
        self.raw
            .wait(&self.shares, &Threads, Some(deadline))
            .map_err(|_| since.timeout(format!("a wait group (shares: {})", self.shares())))
    }

    /// Whether nobody takes part: [`wait`](Self::wait) that does not wait.
    ///
    /// ```
    /// assert!(antiphon::sync::WaitGroup::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty(&self.shares, &Threads)
    }

    /// How many take part. Stale as soon as it is returned.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::WaitGroup::new().shares(), 0);
    /// ```
    pub fn shares(&self) -> u64 {
        self.raw.shares(&self.shares)
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("shares", &self.shares()).finish()
    }
}

/// Takes part in a [`WaitGroup`] until it is dropped.
#[must_use = "dropping the share leaves the group at once"]
pub struct Share<'a> {
    group: &'a WaitGroup,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.group.raw.leave(&self.group.shares, 1, &Threads);
    }
}

impl fmt::Debug for Share<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("group", self.group).finish()
    }
}
