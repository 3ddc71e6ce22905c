//! Semaphores in a space: permits belong to the participants that took them, so they come back.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::RawSemaphore;
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::error::{Timeout, TooManyPermits};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, param, spec};
use crate::space::handle::{Openable, handle};

/// A number of permits that participants take and give back.
///
/// When a process ends, the permits that it held come back. A release by somebody who holds none marks the semaphore
/// as a *signal*, whose permits belong to nobody: then nothing comes back at a death.
///
/// A release happens before the acquisition that it allows.
#[derive(Clone)]
pub struct Semaphore {
    pub(in crate::space) entry: Entry,
    line: NonNull<Line<RawSemaphore>>,
    held: NonNull<[AtomicU64]>,
    bound: u64,
}

// SAFETY: the line and the books are made of atomics in memory that `entry` keeps.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

/// A [`Semaphore`] that never has more permits than it began with: releasing more is an error.
#[derive(Clone, Debug)]
pub struct BoundedSemaphore(Semaphore);

impl Space {
    /// Opens the semaphore `name`, creating it with `permits` if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created with another number of permits, and
    /// [`Error::BadParameter`] when there are more than fit.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let slots = space.semaphore("slots", 2)?;
    /// let a = slots.acquire();
    /// let b = slots.acquire();
    /// assert!(slots.try_acquire().is_none());
    /// drop(a);
    /// assert!(slots.try_acquire().is_some());
    /// # drop(b);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn semaphore(&self, name: &str, permits: u64) -> Result<Semaphore, Error> {
        self.open_semaphore(name, permits, RawSemaphore::MAX, Location::caller())
    }

    /// Opens the bounded semaphore `name`, creating it with `permits` if need be.
    ///
    /// # Errors
    /// As [`semaphore`](Self::semaphore).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let slots = space.bounded_semaphore("bounded", 1)?;
    /// let permit = slots.acquire();
    /// drop(permit);
    /// assert!(slots.release(1).is_err()); // nobody has taken it
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn bounded_semaphore(&self, name: &str, permits: u64) -> Result<BoundedSemaphore, Error> {
        self.open_semaphore(name, permits, permits, Location::caller()).map(BoundedSemaphore)
    }

    fn open_semaphore(
        &self,
        name: &str,
        permits: u64,
        bound: u64,
        caller: &'static Location<'static>,
    ) -> Result<Semaphore, Error> {
        self.open_object(name, [permits, bound, 0, 0], caller, |body| {
            let line = Line { raw: RawSemaphore::new(permits), ..Line::default() };
            // SAFETY: the body begins with a line, and nobody else sees it yet.
            unsafe { body.cast().write(line) };
        })
    }
}

impl Openable for Semaphore {
    fn spec(space: &Space, [permits, bound, ..]: [u64; 4]) -> Result<Spec, Error> {
        if permits > RawSemaphore::MAX {
            return Err(Error::BadParameter {
                what: "the number of permits",
                rule: format!("at most {}", RawSemaphore::MAX),
                found: permits.to_string(),
            });
        }
        let mut params = param("number of permits", permits);
        params[1] = ("bound", bound);
        Ok(spec::<()>(Kind::Semaphore, params, BEHIND + space.slots() * 8))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put a line there.
        let line = unsafe { entry.at(0) };
        let (held, bound) = (entry.words(), entry.object.params()[1]);
        Self { entry, line, held, bound }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Openable for BoundedSemaphore {
    fn spec(space: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        Semaphore::spec(space, params)
    }

    fn attach(entry: Entry) -> Self {
        Self(Semaphore::attach(entry))
    }

    fn entry(&self) -> &Entry {
        &self.0.entry
    }
}

handle!(Semaphore);
handle!(BoundedSemaphore);

impl Semaphore {
    #[inline]
    pub(in crate::space) fn held(&self) -> &[AtomicU64] {
        // SAFETY: inside the object that `entry` keeps; atomics may be any bytes.
        unsafe { self.held.as_ref() }
    }

    #[inline]
    pub(in crate::space) fn raw(&self) -> &RawSemaphore {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { &self.line.as_ref().raw }
    }

    /// Waits for a permit and takes it.
    #[track_caller]
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_many(1)
    }

    /// Waits until `n` permits are there and takes them all at once.
    ///
    /// # Panics
    /// When `n` is more than can be taken at once (255), or more than the semaphore can ever have.
    #[track_caller]
    pub fn acquire_many(&self, n: u64) -> Permit<'_> {
        self.check(n);
        match self.acquire_until(n, Location::caller(), || None) {
            Ok(permit) => permit,
            Err(_) => unreachable!("a wait without a deadline does not time out"),
        }
    }

    /// Takes a permit if there is one, or if a dead process's comes back now.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if they are there.
    ///
    /// # Panics
    /// As [`acquire_many`](Self::acquire_many).
    pub fn try_acquire_many(&self, n: u64) -> Option<Permit<'_>> {
        self.check(n);
        self.raw().try_acquire(n, self.held(), &self.entry.wait()).then(|| self.permit(n))
    }

    /// Waits for a permit no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`]; no permit was taken.
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, Timeout> {
        self.acquire_until(1, Location::caller(), || Some(clock::deadline_after(timeout)))
    }

    /// Waits for a permit no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`]; no permit was taken.
    #[track_caller]
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<Permit<'_>, Timeout> {
        self.acquire_until(1, Location::caller(), || Some(clock::deadline_at(deadline)))
    }

    /// Waits until `n` permits are there, no longer than `timeout`, and takes them all at once.
    ///
    /// # Errors
    /// [`Timeout`]; no permit was taken.
    ///
    /// # Panics
    /// As [`acquire_many`](Self::acquire_many).
    #[track_caller]
    pub fn acquire_many_timeout(&self, n: u64, timeout: Duration) -> Result<Permit<'_>, Timeout> {
        self.check(n);
        self.acquire_until(n, Location::caller(), || Some(clock::deadline_after(timeout)))
    }

    /// Waits until `n` permits are there, no longer than until `deadline`, and takes them all at once.
    ///
    /// # Errors
    /// [`Timeout`]; no permit was taken.
    ///
    /// # Panics
    /// As [`acquire_many`](Self::acquire_many).
    #[track_caller]
    pub fn acquire_many_deadline(&self, n: u64, deadline: Instant) -> Result<Permit<'_>, Timeout> {
        self.check(n);
        self.acquire_until(n, Location::caller(), || Some(clock::deadline_at(deadline)))
    }

    fn acquire_until(
        &self,
        n: u64,
        caller: &'static Location<'static>,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<Permit<'_>, Timeout> {
        let held = self.held();
        let deadline = deadline();
        let noted = self.entry.noted(caller, deadline, None);
        match self.raw().acquire(n, held, &noted, deadline) {
            Ok(()) => Ok(self.permit(n)),
            Err(_) => Err(self.entry.timeout(&noted, None)),
        }
    }

    /// More than the bound will never be there, and the wait for them would be for ever.
    pub(in crate::space) fn check(&self, n: u64) {
        let most = self.bound.max(1);
        assert!(n <= most, "{n} permits of a semaphore that never has more than {}", self.bound);
    }

    pub(in crate::space) fn permit(&self, n: u64) -> Permit<'_> {
        Permit { semaphore: self, n, owner: self.entry.wait().me() }
    }

    /// Gives `n` permits back, or sends them if this process holds fewer: then the semaphore is a signal from now on.
    ///
    /// At most 255 permits are taken at once, but any number that this process holds is given back, in several steps if need
    /// be: others may take what a step has given before the next.
    ///
    /// # Errors
    /// [`TooManyPermits`] when more than the bound would be available; nothing has changed then.
    pub fn release(&self, n: u64) -> Result<(), TooManyPermits> {
        self.raw()
            .release(n, self.bound, self.held(), &self.entry.wait())
            .map_err(|_| TooManyPermits { bound: self.bound })
    }

    /// The permits available now. Stale as soon as it is returned.
    pub fn available(&self) -> u64 {
        self.raw().available()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl std::ops::Deref for BoundedSemaphore {
    type Target = Semaphore;
    fn deref(&self) -> &Semaphore {
        &self.0
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("name", &self.name())
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// Permits taken, given back when this is dropped.
#[must_use = "dropping the permit gives it back at once"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    n: u64,
    owner: Owner,
}

impl Permit<'_> {
    /// Keeps the permits taken: whoever has them gives them back by [`Semaphore::release`], or by dying.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // In a forked child the permits are its parent's.
        if self.semaphore.entry.wait().is(self.owner) {
            let _ = self.semaphore.release(self.n);
        }
    }
}
