//! Semaphores between threads.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawSemaphore;
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use crate::error::{Timeout, TooManyPermits};

/// A number of permits that threads take and give back, or send each other.
///
/// Any thread may [`release`](Self::release), whether it took a permit or not. A release happens before the acquisition
/// that it allows. Not fair: a thread that runs may overtake one that sleeps, and one that wants a single permit may overtake one
/// that wants many.
///
/// ```
/// use antiphon::sync::Semaphore;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// static SLOTS: Semaphore = Semaphore::new(2);
/// static INSIDE: AtomicU32 = AtomicU32::new(0);
/// std::thread::scope(|s| {
///     for _ in 0..8 {
///         s.spawn(|| {
///             let _permit = SLOTS.acquire();
///             assert!(INSIDE.fetch_add(1, Ordering::SeqCst) < 2);
///             INSIDE.fetch_sub(1, Ordering::SeqCst);
///         });
///     }
/// });
/// assert_eq!(SLOTS.available(), 2);
/// ```
pub struct Semaphore {
    pub(crate) raw: RawSemaphore,
    bound: u64,
}

/// A [`Semaphore`] that never has more permits than it began with: releasing more is an error.
///
/// ```
/// use antiphon::sync::BoundedSemaphore;
///
/// let slots = BoundedSemaphore::new(1);
/// let permit = slots.acquire();
/// drop(permit);
/// assert!(slots.release(1).is_err()); // nobody has taken it
/// ```
#[derive(Debug)]
pub struct BoundedSemaphore(Semaphore);

impl Semaphore {
    /// The most permits: 2^62 - 1.
    pub const MAX_PERMITS: u64 = RawSemaphore::MAX_SIGNAL;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    /// When they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Semaphore::new(3).available(), 3);
    /// ```
    #[must_use]
    pub const fn new(permits: u64) -> Self {
        Self { raw: RawSemaphore::signal(permits), bound: Self::MAX_PERMITS }
    }

    /// Waits for a permit and takes it.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// let permit = slots.acquire();
    /// assert_eq!(slots.available(), 0);
    /// drop(permit);
    /// assert_eq!(slots.available(), 1);
    /// ```
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_many(1)
    }

    /// Waits until `n` permits are there and takes them all at once.
    ///
    /// # Panics
    /// When there can never be so many.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(3);
    /// let two = slots.acquire_many(2);
    /// assert_eq!(slots.available(), 1);
    /// # drop(two);
    /// ```
    #[inline]
    pub fn acquire_many(&self, n: u64) -> Permit<'_> {
        self.check(n);
        let forever = self.raw.acquire(n, &[], &Threads, None);
        debug_assert!(forever.is_ok());
        Permit { semaphore: self, n }
    }

    /// Takes a permit if there is one.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// let permit = slots.try_acquire().unwrap();
    /// assert!(slots.try_acquire().is_none());
    /// # drop(permit);
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if they are there.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(3);
    /// assert!(slots.try_acquire_many(4).is_none());
    /// assert!(slots.try_acquire_many(3).is_some());
    /// ```
    #[inline]
    pub fn try_acquire_many(&self, n: u64) -> Option<Permit<'_>> {
        self.raw.try_acquire(n, &[], &Threads).then(|| Permit { semaphore: self, n })
    }

    /// Waits for a permit no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`]; nothing was taken.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let slots = antiphon::sync::Semaphore::new(0);
    /// assert!(slots.acquire_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[inline]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, Timeout> {
        self.acquire_many_timeout(1, timeout)
    }

    /// Waits for a permit no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`]; nothing was taken.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// assert!(slots.acquire_deadline(std::time::Instant::now()).is_ok()); // it was there
    /// ```
    #[inline]
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<Permit<'_>, Timeout> {
        self.acquire_many_deadline(1, deadline)
    }

    /// [`acquire_many`](Self::acquire_many), waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`]; nothing was taken.
    ///
    /// # Panics
    /// When there can never be so many.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// assert!(slots.acquire_many_timeout(2, Duration::from_millis(1)).is_err());
    /// assert_eq!(slots.available(), 1);
    /// ```
    #[inline]
    pub fn acquire_many_timeout(&self, n: u64, timeout: Duration) -> Result<Permit<'_>, Timeout> {
        self.acquire_until(n, || clock::deadline_after(timeout))
    }

    /// [`acquire_many`](Self::acquire_many), waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`]; nothing was taken.
    ///
    /// # Panics
    /// When there can never be so many.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// assert!(slots.acquire_many_deadline(2, std::time::Instant::now()).is_err());
    /// ```
    #[inline]
    pub fn acquire_many_deadline(&self, n: u64, deadline: Instant) -> Result<Permit<'_>, Timeout> {
        self.acquire_until(n, || clock::deadline_at(deadline))
    }

    #[inline]
    fn acquire_until(
        &self,
        n: u64,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<Permit<'_>, Timeout> {
        self.check(n);
        if let Some(permit) = self.try_acquire_many(n) {
            return Ok(permit);
        }
        let start = Instant::now();
        match self.raw.acquire(n, &[], &Threads, Some(deadline())) {
            Ok(()) => Ok(Permit { semaphore: self, n }),
            Err(_) => Err(Timeout::new("a permit of a semaphore", start.elapsed())),
        }
    }

    /// Adds `n` permits, whether or not the caller took them, and wakes those who can go on.
    ///
    /// # Errors
    /// [`TooManyPermits`] when there would be more than the bound; nothing has changed then.
    ///
    /// ```
    /// use antiphon::sync::Semaphore;
    ///
    /// let done = Semaphore::new(0);
    /// std::thread::scope(|s| {
    ///     for _ in 0..3 {
    ///         s.spawn(|| done.release(1).unwrap());
    ///     }
    ///     done.acquire_many(3).forget(); // all three are done
    /// });
    /// assert_eq!(done.available(), 0);
    /// ```
    #[inline]
    pub fn release(&self, n: u64) -> Result<(), TooManyPermits> {
        let released = self.raw.release(n, self.bound, &[], &Threads);
        released.map_err(|_| TooManyPermits { bound: self.bound })
    }

    /// The permits available now. Stale as soon as it is returned.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(2);
    /// let permit = slots.acquire();
    /// assert_eq!(slots.available(), 1);
    /// # drop(permit);
    /// ```
    #[inline]
    pub fn available(&self) -> u64 {
        self.raw.available()
    }

    /// The guard of `n` permits that have been taken.
    #[inline]
    pub(crate) fn permit(&self, n: u64) -> Permit<'_> {
        Permit { semaphore: self, n }
    }

    #[inline]
    pub(crate) fn check(&self, n: u64) {
        assert!(n <= self.bound, "{n} permits of a semaphore that has {} at most", self.bound);
    }
}

impl BoundedSemaphore {
    /// A semaphore with so many permits, and never more.
    ///
    /// # Panics
    /// When they are more than [`Semaphore::MAX_PERMITS`].
    ///
    /// ```
    /// let slots = antiphon::sync::BoundedSemaphore::new(3);
    /// assert_eq!(slots.release(1).unwrap_err().bound, 3);
    /// ```
    #[must_use]
    pub const fn new(permits: u64) -> Self {
        Self(Semaphore { raw: RawSemaphore::signal(permits), bound: permits })
    }
}

impl Deref for BoundedSemaphore {
    type Target = Semaphore;
    fn deref(&self) -> &Semaphore {
        &self.0
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).finish_non_exhaustive()
    }
}

/// Permits taken, given back when this is dropped. It may be sent to another thread.
#[must_use = "dropping the permit gives it back at once"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    n: u64,
}

impl Permit<'_> {
    /// How many permits these are.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(3);
    /// assert_eq!(slots.acquire_many(2).permits(), 2);
    /// ```
    #[must_use]
    pub fn permits(&self) -> u64 {
        self.n
    }

    /// Keeps the permits taken: they come back by [`Semaphore::release`] only.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// slots.acquire().forget();
    /// assert_eq!(slots.available(), 0);
    /// slots.release(1)?;
    /// assert_eq!(slots.available(), 1);
    /// # Ok::<(), antiphon::error::TooManyPermits>(())
    /// ```
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Too many only if somebody released this very permit already.
        let _ = self.semaphore.release(self.n);
    }
}
