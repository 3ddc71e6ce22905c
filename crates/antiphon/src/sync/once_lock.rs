//! A value that is written once, for the threads of this process.

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::fmt;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use antiphon_core::sync::{RawOnce, Turn};
use antiphon_core::wait::{Deadline, WaitError};
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::since::Since;
use crate::error::{Timeout, WouldDeadlock};

/// A value that is written once and then shared.
///
/// Whoever comes first to [`get_or_init`](Self::get_or_init) makes the value; others wait meanwhile. If it panics, the
/// next one makes it. Making the value happens before every return that gives it.
///
/// ```
/// use antiphon::sync::OnceLock;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
/// assert_eq!(CONFIG.get(), None);
/// assert_eq!(CONFIG.get_or_init(|| "loud".to_owned())?, "loud");
/// assert_eq!(CONFIG.set("quiet".to_owned()), Err("quiet".to_owned()));
/// # Ok::<(), antiphon::error::WouldDeadlock>(())
/// ```
pub struct OnceLock<T> {
    raw: RawOnce,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is sent from the thread that makes it to the one that drops it, and shared in between.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: sending the cell sends the value.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Not written yet.
    ///
    /// ```
    /// static LEVEL: antiphon::sync::OnceLock<u32> = antiphon::sync::OnceLock::new();
    /// assert!(LEVEL.get().is_none());
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { raw: RawOnce::new(), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it is written.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::OnceLock::from(7).get(), Some(&7));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: it is written, and stays as it is while `self` is shared.
        self.raw.is_done().then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// The value, if it is written, for one who has it for himself.
    ///
    /// ```
    /// let mut cell = antiphon::sync::OnceLock::from(7);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.into_inner(), Some(8));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: it is written, and nobody else is at it.
        self.raw.is_done().then(|| unsafe { self.value.get_mut().assume_init_mut() })
    }

    /// The value, made by `make` if nobody has made it. Waits while another thread makes it.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called from within `make`.
    ///
    /// # Panics
    /// If `make` does; the next caller then makes the value.
    ///
    /// ```
    /// let cell = antiphon::sync::OnceLock::new();
    /// assert_eq!(cell.get_or_init(|| 1), Ok(&1));
    /// assert_eq!(cell.get_or_init(|| 2), Ok(&1));
    /// ```
    #[inline]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> Result<&T, WouldDeadlock> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        match self.make(|| Ok::<T, Infallible>(make()))? {
            Ok(value) => Ok(value),
            Err(never) => match never {},
        }
    }

    /// The same, with a `make` that may fail. Then the value is not written, and the next one makes it.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called from within `make`; inside, what `make` returned.
    ///
    /// ```
    /// let cell = antiphon::sync::OnceLock::new();
    /// assert!(cell.get_or_try_init(|| "x".parse::<u32>())?.is_err());
    /// assert_eq!(cell.get_or_try_init(|| "7".parse::<u32>())?, Ok(&7));
    /// # Ok::<(), antiphon::error::WouldDeadlock>(())
    /// ```
    pub fn get_or_try_init<E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<&T, E>, WouldDeadlock> {
        match self.get() {
            Some(value) => Ok(Ok(value)),
            None => self.make(make),
        }
    }

    #[cold]
    fn make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Result<&T, E>, WouldDeadlock> {
        if let Turn::Yours(_) = self.raw.begin(&Threads, None).map_err(|_| WouldDeadlock)? {
            let unfinished = GiveUp(&self.raw);
            let value = match make() {
                Ok(value) => value,
                Err(error) => return Ok(Err(error)),
            };
            // SAFETY: it is this thread's turn to write, and nobody reads before it is finished.
            unsafe { (*self.value.get()).write(value) };
            std::mem::forget(unfinished);
            self.raw.finish(&Threads);
        }
        Ok(Ok(self.get().expect("it is finished")))
    }

    /// Writes the value, unless it is written. Waits while another thread makes it.
    ///
    /// # Errors
    /// The given value: another is written, or this thread is about to write it.
    ///
    /// ```
    /// let cell = antiphon::sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        let _ = self.get_or_init(|| value.take().expect("it is made once"));
        value.map_or(Ok(()), Err)
    }

    /// Waits until another thread has written the value.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called by the one who is making it.
    ///
    /// ```
    /// let cell = antiphon::sync::OnceLock::new();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert_eq!(cell.wait(), Ok(&7)));
    ///     cell.set(7).unwrap();
    /// });
    /// ```
    pub fn wait(&self) -> Result<&T, WouldDeadlock> {
        self.raw.wait(&Threads, None).map_err(|_| WouldDeadlock)?;
        Ok(self.get().expect("it is finished"))
    }

    /// Waits until another thread has written the value, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`], also when called by the one who is making it.
    ///
    /// ```
    /// let cell = antiphon::sync::OnceLock::<u32>::new();
    /// assert!(cell.wait_timeout(std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<&T, Timeout> {
        self.wait_until(clock::deadline_after(timeout))
    }

    /// Waits until another thread has written the value, no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// ```
    /// let cell = antiphon::sync::OnceLock::from(7);
    /// assert_eq!(cell.wait_deadline(std::time::Instant::now()), Ok(&7));
    /// ```
    pub fn wait_deadline(&self, deadline: Instant) -> Result<&T, Timeout> {
        self.wait_until(clock::deadline_at(deadline))
    }

    fn wait_until(&self, deadline: Deadline) -> Result<&T, Timeout> {
        let since = Since::now();
        let what = |error| match error {
            WaitError::WouldDeadlock => "a value that this very thread is making",
            _ => "a value that is written once",
        };
        self.raw.wait(&Threads, Some(deadline)).map_err(|error| since.timeout(what(error)))?;
        Ok(self.get().expect("it is finished"))
    }

    /// The value, if it is written, when nobody can look any more.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::OnceLock::<u32>::new().into_inner(), None);
    /// ```
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// The value, if it is written, and nothing is written afterwards.
    ///
    /// ```
    /// let mut cell = antiphon::sync::OnceLock::from(7);
    /// assert_eq!((cell.take(), cell.get()), (Some(7), None));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        if !self.raw.is_done() {
            return None;
        }
        self.raw = RawOnce::new();
        // SAFETY: it was written, and nothing says so any more.
        Some(unsafe { self.value.get_mut().assume_init_read() })
    }
}

/// Leaves it to the next when the function fails or unwinds.
struct GiveUp<'a>(&'a RawOnce);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.0.give_up(&Threads);
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let cell = Self::new();
        let set = cell.set(value);
        debug_assert!(set.is_ok());
        cell
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}
