//! A condition variable in a space.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawCondvar;
use antiphon_core::wait::{Deadline, Wake};
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use super::mutex::{Mutex, MutexGuard};
use crate::error::LockError;
use crate::space::Space;
use crate::space::entry::{Entry, Line, NO_PARAMS, spec};
use crate::space::handle::{Openable, handle};

/// Waiting, with a [`Mutex`] let go meanwhile, until somebody says that what the mutex protects has changed.
///
/// A wait may end for no reason, so test the condition around it, or use [`wait_while`](Self::wait_while), which does. A
/// death in the space ends all waits that way: a waiter that died with a notification in its hand swallows nothing.
#[derive(Clone)]
pub struct Condvar {
    entry: Entry,
    line: NonNull<Line<RawCondvar>>,
}

// SAFETY: the line is made of atomics in memory that `entry` keeps.
unsafe impl Send for Condvar {}
// SAFETY: as above.
unsafe impl Sync for Condvar {}

impl Space {
    /// Opens the condition variable `name`, creating it if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let level = space.mutex("level", 0u32)?;
    /// let risen = space.condvar("risen")?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         *level.lock().unwrap() = 7;
    ///         risen.notify_all();
    ///     });
    ///     let guard = risen.wait_while(level.lock().unwrap(), |level| *level == 0).unwrap();
    ///     assert_eq!(*guard, 7);
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn condvar(&self, name: &str) -> Result<Condvar, Error> {
        self.open_object(name, [0; 4], Location::caller(), |_| {})
    }
}

impl Openable for Condvar {
    fn spec(_: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        Ok(spec::<()>(Kind::Condvar, NO_PARAMS, size_of::<Line<RawCondvar>>()))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put a line there.
        let line = unsafe { entry.at(0) };
        Self { entry, line }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(Condvar);

/// A wait's end: the mutex locked again.
type Waited<'a, T> = Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>>;
/// The same, and whether it was not the deadline that ended it.
type TimedWaited<'a, T> = Result<(MutexGuard<'a, T>, bool), LockError<MutexGuard<'a, T>>>;

impl Condvar {
    fn raw(&self) -> &RawCondvar {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { &self.line.as_ref().raw }
    }

    /// Unlocks, waits to be notified, and locks again.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`], from locking again.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Waited<'a, T> {
        self.sleep(guard, Location::caller(), None).0
    }

    /// Waits for as long as `condition` holds.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`]; the condition is not tested again then.
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Waited<'a, T> {
        while condition(&mut guard) {
            guard = self.sleep(guard, Location::caller(), None).0?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), no longer than `timeout`. The flag is false if the time was up.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`], from locking again, which may take longer than the timeout.
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> TimedWaited<'a, T> {
        let deadline = clock::deadline_after(timeout);
        let (guard, notified) = self.sleep(guard, Location::caller(), Some(deadline));
        guard.map(|guard| (guard, notified))
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline`.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    #[track_caller]
    pub fn wait_deadline<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> TimedWaited<'a, T> {
        let deadline = clock::deadline_at(deadline);
        let (guard, notified) = self.sleep(guard, Location::caller(), Some(deadline));
        guard.map(|guard| (guard, notified))
    }

    /// Waits for as long as `condition` holds, no longer than `timeout`. The flag is false if it still holds.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`].
    #[track_caller]
    pub fn wait_while_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaited<'a, T> {
        self.wait_while_until(guard, Location::caller(), clock::deadline_after(timeout), condition)
    }

    /// As [`wait_while_timeout`](Self::wait_while_timeout), until `deadline`.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let level = space.mutex("level-until", 0u32)?;
    /// let risen = space.condvar("risen-until")?;
    /// let soon = std::time::Instant::now() + std::time::Duration::from_millis(5);
    /// let (guard, met) =
    ///     risen.wait_while_deadline(level.lock().unwrap(), soon, |level| *level == 0).unwrap();
    /// assert!(!met && *guard == 0);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn wait_while_deadline<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaited<'a, T> {
        self.wait_while_until(guard, Location::caller(), clock::deadline_at(deadline), condition)
    }

    fn wait_while_until<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        caller: &'static Location<'static>,
        deadline: Deadline,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaited<'a, T> {
        loop {
            if !condition(&mut guard) {
                return Ok((guard, true));
            }
            let (locked, notified) = self.sleep(guard, caller, Some(deadline));
            guard = locked?;
            if !notified {
                let met = !condition(&mut guard);
                return Ok((guard, met));
            }
        }
    }

    #[track_caller]
    fn sleep<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> (Waited<'a, T>, bool) {
        let mutex: &'a Mutex<T> = guard.mutex();
        let noted = self.entry.noted(caller, deadline, None);
        let ticket = self.raw().prepare(&noted);
        drop(guard);
        let wake = self.raw().wait(ticket, &noted, deadline);
        drop(noted);
        (mutex.lock(), wake != Wake::TimedOut)
    }

    /// Wakes one of those who wait, if any does. Waiters are woken in the order in which the kernel queued them.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes up to `n` of those who wait.
    pub fn notify(&self, n: u32) {
        self.raw().notify(n, &self.entry.wait());
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.raw().notify_all(&self.entry.wait());
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("name", &self.name()).finish_non_exhaustive()
    }
}
