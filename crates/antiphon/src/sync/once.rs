//! Something that the threads of this process do once.

use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use antiphon_core::sync::{RawOnce, Turn};
use antiphon_core::wait::{Deadline, WaitError};
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::since::Since;
use crate::death::Death;
use crate::error::{BeingRun, Holder, TimedOnceError, WouldDeadlock};

/// A function that is run to its end once, by one of all who want it run.
///
/// When the one who runs it panics, the next one runs it. What the function did happens before every return of
/// [`call_once`](Self::call_once), and before [`is_completed`](Self::is_completed) says so.
///
/// ```
/// use antiphon::sync::Once;
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// static SETUP: Once = Once::new();
/// static RUNS: AtomicU32 = AtomicU32::new(0);
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| {
///             SETUP.call_once(|_| {
///                 RUNS.fetch_add(1, Relaxed);
///             })
///         });
///     }
/// });
/// assert_eq!(RUNS.load(Relaxed), 1);
/// ```
#[derive(Default)]
pub struct Once {
    raw: RawOnce,
}

impl Once {
    /// Not run yet.
    ///
    /// ```
    /// static SETUP: antiphon::sync::Once = antiphon::sync::Once::new();
    /// assert!(!SETUP.is_completed());
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { raw: RawOnce::new() }
    }

    /// Runs `f` unless it has been run to its end, and waits while another thread runs it.
    ///
    /// `f` is told of the death of one who ran it before it, which happens between processes only: here it is
    /// always told `None`.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called from within `f`.
    ///
    /// # Panics
    /// If `f` does; the next caller then runs its own.
    ///
    /// ```
    /// let once = antiphon::sync::Once::new();
    /// let mut runs = 0;
    /// once.call_once(|_| runs += 1)?;
    /// once.call_once(|_| runs += 1)?;
    /// assert_eq!(runs, 1);
    /// # Ok::<(), antiphon::error::WouldDeadlock>(())
    /// ```
    #[inline]
    pub fn call_once(&self, f: impl FnOnce(Option<&Death>)) -> Result<(), WouldDeadlock> {
        if self.raw.is_done() { Ok(()) } else { self.call(f) }
    }

    #[cold]
    fn call(&self, f: impl FnOnce(Option<&Death>)) -> Result<(), WouldDeadlock> {
        self.take(self.raw.begin(&Threads, None).map_err(|_| WouldDeadlock)?, f);
        Ok(())
    }

    /// The same, unless another thread runs it now.
    ///
    /// # Errors
    /// [`BeingRun`], also when called from within `f`.
    ///
    /// ```
    /// let once = antiphon::sync::Once::new();
    /// let mut inner = Ok(());
    /// once.try_call_once(|_| inner = once.try_call_once(|_| ()))?;
    /// assert!(inner.is_err());
    /// assert!(once.try_call_once(|_| unreachable!("it is done")).is_ok());
    /// # Ok::<(), antiphon::error::BeingRun>(())
    /// ```
    #[inline]
    pub fn try_call_once(&self, f: impl FnOnce(Option<&Death>)) -> Result<(), BeingRun> {
        self.take(self.raw.try_begin(&Threads).ok_or(BeingRun)?, f);
        Ok(())
    }

    /// The same, waiting no longer than `timeout` while another thread runs it. How long `f` itself takes is its own business.
    ///
    /// # Errors
    /// [`TimedOnceError::TimedOut`], which says who runs it; [`TimedOnceError::WouldDeadlock`] when called from within `f`.
    ///
    /// ```
    /// use antiphon::error::TimedOnceError;
    /// use std::time::Duration;
    ///
    /// let once = antiphon::sync::Once::new();
    /// once.call_once(|_| {
    ///     std::thread::scope(|s| {
    ///         s.spawn(|| {
    ///             let late = once.call_once_timeout(Duration::from_millis(10), |_| ());
    ///             assert!(matches!(late, Err(TimedOnceError::TimedOut(_))));
    ///         });
    ///     });
    /// })?;
    /// # Ok::<(), antiphon::error::WouldDeadlock>(())
    /// ```
    pub fn call_once_timeout(
        &self,
        timeout: Duration,
        f: impl FnOnce(Option<&Death>),
    ) -> Result<(), TimedOnceError> {
        self.call_until(clock::deadline_after(timeout), f)
    }

    /// The same, until `deadline`.
    ///
    /// # Errors
    /// As [`call_once_timeout`](Self::call_once_timeout).
    ///
    /// ```
    /// let once = antiphon::sync::Once::new();
    /// once.call_once_deadline(std::time::Instant::now(), |_| ())?; // nobody else is at it
    /// assert!(once.is_completed());
    /// # Ok::<(), antiphon::error::TimedOnceError>(())
    /// ```
    pub fn call_once_deadline(
        &self,
        deadline: Instant,
        f: impl FnOnce(Option<&Death>),
    ) -> Result<(), TimedOnceError> {
        self.call_until(clock::deadline_at(deadline), f)
    }

    fn call_until(
        &self,
        deadline: Deadline,
        f: impl FnOnce(Option<&Death>),
    ) -> Result<(), TimedOnceError> {
        if self.raw.is_done() {
            return Ok(());
        }
        let since = Since::now();
        match self.raw.begin(&Threads, Some(deadline)) {
            Ok(turn) => {
                self.take(turn, f);
                Ok(())
            }
            Err(WaitError::WouldDeadlock) => Err(TimedOnceError::WouldDeadlock),
            Err(WaitError::TimedOut | WaitError::Interrupted) => {
                let holder = self.raw.owner().map(|owner| Holder::thread(owner.get()));
                Err(TimedOnceError::TimedOut(since.timeout("a once").held_by(holder)))
            }
        }
    }

    /// Runs `f` if it is the caller's turn.
    fn take(&self, turn: Turn, f: impl FnOnce(Option<&Death>)) {
        if let Turn::Yours(_) = turn {
            let unfinished = GiveUp(&self.raw);
            f(None);
            mem::forget(unfinished);
            self.raw.finish(&Threads);
        }
    }

    /// Whether it has been run to its end.
    ///
    /// ```
    /// let once = antiphon::sync::Once::new();
    /// once.call_once(|_| ())?;
    /// assert!(once.is_completed());
    /// # Ok::<(), antiphon::error::WouldDeadlock>(())
    /// ```
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.raw.is_done()
    }
}

/// Leaves it to the next when the function unwinds.
struct GiveUp<'a>(&'a RawOnce);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.0.give_up(&Threads);
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("completed", &self.is_completed()).finish()
    }
}
