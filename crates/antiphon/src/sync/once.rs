//! Something that the threads of this process do once.

use std::fmt;
use std::mem;

use antiphon_core::sync::{RawOnce, Turn};
use antiphon_sys::threads::Threads;

use crate::death::Death;
use crate::error::WouldDeadlock;

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
        match self.raw.begin(&Threads, None) {
            Ok(Turn::Done) => Ok(()),
            Ok(Turn::Yours(_)) => {
                let unfinished = GiveUp(&self.raw);
                f(None);
                mem::forget(unfinished);
                self.raw.finish(&Threads);
                Ok(())
            }
            Err(_) => Err(WouldDeadlock),
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
