//! A condition variable for the threads of this process.

use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawCondvar;
use antiphon_core::wait::{Deadline, Wake};
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::mutex::MutexGuard;
use crate::error::LockError;

/// Waiting, with a [`Mutex`](super::Mutex) let go meanwhile, until somebody says that what the mutex protects has changed.
///
/// Four bytes, and no bond with a particular mutex: different waits may use different ones. A wait may end for no reason, so
/// test the condition around it, or use [`wait_while`](Self::wait_while), which does. Nothing is ordered by the
/// condition variable itself: what a waiter sees is what was done under the mutex. Change what the condition depends on with
/// the mutex locked, or the notification may come before the wait that it is meant for.
///
/// ```
/// use antiphon::sync::{Condvar, Mutex};
///
/// static LEVEL: Mutex<u32> = Mutex::new(0);
/// static RISEN: Condvar = Condvar::new();
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         *LEVEL.lock().unwrap() = 7;
///         RISEN.notify_one();
///     });
///     let level = RISEN.wait_while(LEVEL.lock().unwrap(), |level| *level == 0).unwrap();
///     assert_eq!(*level, 7);
/// });
/// ```
#[derive(Default)]
pub struct Condvar {
    raw: RawCondvar,
}

/// A wait's end: the mutex locked again.
type Waited<'a, T> = Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>>;
/// The same, and whether it was not the deadline that ended it.
type TimedWaited<'a, T> = Result<(MutexGuard<'a, T>, bool), LockError<MutexGuard<'a, T>>>;

impl Condvar {
    /// A condition variable that nobody waits on.
    ///
    /// ```
    /// static CHANGED: antiphon::sync::Condvar = antiphon::sync::Condvar::new();
    /// CHANGED.notify_all(); // nobody: nothing happens
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { raw: RawCondvar::new() }
    }

    /// Unlocks, waits to be notified, and locks again.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`](super::Mutex::lock), from locking again.
    ///
    /// ```
    /// use antiphon::sync::{Condvar, Mutex};
    ///
    /// let (done, changed) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         *done.lock().unwrap() = true;
    ///         changed.notify_all();
    ///     });
    ///     let mut guard = done.lock().unwrap();
    ///     while !*guard {
    ///         guard = changed.wait(guard).unwrap();
    ///     }
    ///     assert!(*guard);
    /// });
    /// ```
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> Waited<'a, T> {
        self.sleep(guard, None).0
    }

    /// Waits for as long as `condition` holds.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`](super::Mutex::lock); the condition is not tested again then.
    ///
    /// ```
    /// use antiphon::sync::{Condvar, Mutex};
    ///
    /// let (queue, changed) = (Mutex::new(vec![1]), Condvar::new());
    /// let mut guard = changed.wait_while(queue.lock().unwrap(), |queue| queue.is_empty()).unwrap();
    /// assert_eq!(guard.pop(), Some(1));
    /// ```
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Waited<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), no longer than `timeout`. The flag is false if the time was up.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`](super::Mutex::lock), from locking again, which may take longer than the timeout.
    ///
    /// ```
    /// use antiphon::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (nothing, changed) = (Mutex::new(()), Condvar::new());
    /// let guard = nothing.lock().unwrap();
    /// let (_guard, _notified) = changed.wait_timeout(guard, Duration::from_millis(1)).unwrap();
    /// ```
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> TimedWaited<'a, T> {
        self.sleep_until(guard, clock::deadline_after(timeout))
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline`.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// ```
    /// use antiphon::sync::{Condvar, Mutex};
    ///
    /// let (nothing, changed) = (Mutex::new(()), Condvar::new());
    /// let deadline = std::time::Instant::now();
    /// let (_guard, _notified) = changed.wait_deadline(nothing.lock().unwrap(), deadline).unwrap();
    /// ```
    pub fn wait_deadline<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> TimedWaited<'a, T> {
        self.sleep_until(guard, clock::deadline_at(deadline))
    }

    /// Waits for as long as `condition` holds, no longer than `timeout`. The flag is false if it still holds.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`](super::Mutex::lock).
    ///
    /// ```
    /// use antiphon::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (level, risen) = (Mutex::new(0), Condvar::new());
    /// let soon = Duration::from_millis(1);
    /// let (level, met) =
    ///     risen.wait_while_timeout(level.lock().unwrap(), soon, |level| *level == 0).unwrap();
    /// assert!(!met && *level == 0);
    /// ```
    pub fn wait_while_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaited<'a, T> {
        self.sleep_while(guard, clock::deadline_after(timeout), condition)
    }

    /// As [`wait_while_timeout`](Self::wait_while_timeout), until `deadline`.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`](super::Mutex::lock).
    ///
    /// ```
    /// use antiphon::sync::{Condvar, Mutex};
    ///
    /// let (level, risen) = (Mutex::new(1), Condvar::new());
    /// let now = std::time::Instant::now();
    /// let (_level, met) =
    ///     risen.wait_while_deadline(level.lock().unwrap(), now, |level| *level == 0).unwrap();
    /// assert!(met);
    /// ```
    pub fn wait_while_deadline<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaited<'a, T> {
        self.sleep_while(guard, clock::deadline_at(deadline), condition)
    }

    fn sleep_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Deadline,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaited<'a, T> {
        let mut in_time = true;
        loop {
            if !condition(&mut guard) {
                return Ok((guard, true));
            }
            if !in_time {
                return Ok((guard, false));
            }
            (guard, in_time) = self.sleep_until(guard, deadline)?;
        }
    }

    fn sleep_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> TimedWaited<'a, T> {
        let (guard, in_time) = self.sleep(guard, Some(deadline));
        guard.map(|guard| (guard, in_time))
    }

    fn sleep<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Deadline>,
    ) -> (Waited<'a, T>, bool) {
        let mutex = guard.mutex();
        // Before the mutex is unlocked, so that no notification in between is missed.
        let ticket = self.raw.prepare(&Threads);
        drop(guard);
        let wake = self.raw.wait(ticket, &Threads, deadline);
        (mutex.lock(), wake != Wake::TimedOut)
    }

    /// Wakes one of those who wait, if any does.
    ///
    /// ```
    /// antiphon::sync::Condvar::new().notify_one();
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes `n` of those who wait, or all if there are fewer.
    ///
    /// ```
    /// antiphon::sync::Condvar::new().notify(3);
    /// ```
    #[inline]
    pub fn notify(&self, n: u32) {
        self.raw.notify(n, &Threads);
    }

    /// Wakes all who wait.
    ///
    /// ```
    /// antiphon::sync::Condvar::new().notify_all();
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        self.raw.notify_all(&Threads);
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
