//! A mutex that holds a value in a space.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::ptr::NonNull;
use std::thread::panicking;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_core::sync::{Claim, RawMutex};
use antiphon_core::wait::{Deadline, Wait, WaitError};
use antiphon_place::{Cause, Counter, Error, Kind, SiteId, Spec};
use antiphon_sys::{clock, thread};

use crate::error::{LockError, TimedLockError, TryLockError};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, NO_PARAMS, spec};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// A mutex that holds a `T` in a space and survives its holders.
///
/// All processes (in scope `host`) that open the name share the value. Uncontended locking and unlocking are one atomic
/// read-modify-write each and no system call.
///
/// When a holder's process ends, the next to lock gets [`LockError::OwnerDied`] with the guard inside: it may repair the
/// value and say so by [`MutexGuard::repair`]. Until somebody does, everyone is told.
///
/// Not fair: a thread that runs may overtake one that sleeps. Unlocking happens before the next locking.
pub struct Mutex<T: ?Sized> {
    entry: Entry,
    line: NonNull<Line<RawMutex>>,
    value: NonNull<T>,
    _value: PhantomData<T>,
}

impl<T: ?Sized> Clone for Mutex<T> {
    /// Another way to the same lock.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), ..*self }
    }
}

// SAFETY: as std's: the mutex hands its value to one thread at a time, so it may be shared when the value may be sent.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl Space {
    /// Opens the mutex `name`, creating it with the value `initial` if need be.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the name is another kind's or type's; [`Error::BadName`], [`Error::NoRoom`],
    /// [`Error::Foreign`], [`Error::System`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let counter = space.mutex("counter", 0u64)?;
    /// *counter.lock().unwrap() += 1;
    /// assert_eq!(*counter.lock().unwrap(), 1);
    /// assert!(space.mutex("counter", 0i32).is_err()); // another type
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn mutex<T: Plain>(&self, name: &str, initial: T) -> Result<Mutex<T>, Error> {
        self.open_object(name, [0; 4], Location::caller(), |body| {
            // SAFETY: the body has room for a value behind its first line, and nobody else sees it yet.
            unsafe { body.add(BEHIND).cast::<T>().write(initial) };
        })
    }
}

pub(super) fn mutex_spec<T: Plain>(kind: Kind) -> Spec {
    const { assert!(align_of::<T>() <= BEHIND) };
    spec::<T>(kind, NO_PARAMS, BEHIND + size_of::<T>())
}

impl<T: Plain> Openable for Mutex<T> {
    fn spec(_: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        Ok(mutex_spec::<T>(Kind::Mutex))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: `mutex_spec` has put them there; a line is made of atomics, a plain value may be any bytes.
        let (line, value) = unsafe { (entry.at(0), entry.at(BEHIND)) };
        Self { entry, line, value, _value: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(Mutex<T: Plain>);

impl<T: ?Sized> Mutex<T> {
    /// A mutex whose line is at the start of the entry's body.
    ///
    /// # Safety
    /// The spec must have put a line there, and `value` where it points, which any bytes are valid for.
    pub(in crate::space) unsafe fn over(entry: Entry, value: NonNull<T>) -> Self {
        // SAFETY: the caller says so; a line is made of atomics.
        let line = unsafe { entry.at(0) };
        Self { entry, line, value, _value: PhantomData }
    }

    /// Where it is.
    pub(in crate::space) fn place(&self) -> &Entry {
        &self.entry
    }
}

impl<T: ?Sized> Mutex<T> {
    #[inline]
    fn line(&self) -> &Line<RawMutex> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// Locks, waiting as long as it takes.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`] if this thread holds it; [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the
    /// guard.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let site = self.entry.site(Location::caller());
        if self.line().raw.lock_free(&self.entry.wait()) {
            return Ok(self.guard(site, 0));
        }
        self.lock_contended(site, None).map_err(TimedLockError::untimed)
    }

    /// Locks if that takes no waiting. A mutex whose holder is gone is free.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if it is held, also by this thread; the others carry the guard.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError<MutexGuard<'_, T>>> {
        let site = self.entry.site(Location::caller());
        let wait = self.entry.wait();
        if self.line().raw.lock_free(&wait) {
            return Ok(self.guard(site, 0));
        }
        let claim = self.line().raw.try_lock(&wait).ok_or(TryLockError::WouldBlock)?;
        self.claimed(claim, site).map_err(TimedLockError::unwaited)
    }

    /// Locks, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock), and [`TimedLockError::TimedOut`], which says who holds it.
    #[track_caller]
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, TimedLockError<MutexGuard<'_, T>>> {
        self.lock_until(Location::caller(), || clock::deadline_after(timeout))
    }

    /// Locks, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    #[track_caller]
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<MutexGuard<'_, T>, TimedLockError<MutexGuard<'_, T>>> {
        self.lock_until(Location::caller(), || clock::deadline_at(deadline))
    }

    fn lock_until(
        &self,
        caller: &'static Location<'static>,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<MutexGuard<'_, T>, TimedLockError<MutexGuard<'_, T>>> {
        let site = self.entry.site(caller);
        if self.line().raw.lock_free(&self.entry.wait()) {
            return Ok(self.guard(site, 0));
        }
        self.lock_contended(site, Some(deadline()))
    }

    #[cold]
    fn lock_contended(
        &self,
        site: SiteId,
        deadline: Option<Deadline>,
    ) -> Result<MutexGuard<'_, T>, TimedLockError<MutexGuard<'_, T>>> {
        let line = self.line();
        let noted = self.entry.noted(site, deadline, Some(&line.record));
        if self.entry.is_mine(line.raw.owner(), &line.record) {
            return Err(TimedLockError::WouldDeadlock);
        }
        let claim = match line.raw.lock_contended(&noted, deadline) {
            Ok(claim) => claim,
            Err(WaitError::WouldDeadlock) => return Err(TimedLockError::WouldDeadlock),
            Err(_) => {
                let holder = line.raw.owner().map(|owner| (owner, &line.record));
                return Err(TimedLockError::TimedOut(self.entry.timeout(&noted, holder)));
            }
        };
        let guard = self.claimed(claim, site);
        noted.note_acquired();
        guard
    }

    /// Turns a claim into a guard, with the news that came with it.
    fn claimed(
        &self,
        claim: Claim,
        site: SiteId,
    ) -> Result<MutexGuard<'_, T>, TimedLockError<MutexGuard<'_, T>>> {
        let death = match claim {
            Claim::Clean => return Ok(self.guard(site, 0)),
            Claim::Inherited(Some(gone)) => {
                Some(self.entry.bury(gone, Some(&self.line().record), None))
            }
            Claim::Inherited(None) => self.entry.last_death(),
        };
        let guard = self.guard(site, INCONSISTENT);
        Err(match death {
            Some(death) if death.cause != Cause::Panicked => {
                TimedLockError::OwnerDied(guard, death)
            }
            _ => TimedLockError::Poisoned(guard),
        })
    }

    #[inline]
    fn guard(&self, site: SiteId, residue: u32) -> MutexGuard<'_, T> {
        let owner = self.entry.wait().me();
        self.line().record.begin(owner, thread::token(), site);
        MutexGuard { mutex: self, owner, residue, panicking: panicking(), _not_send: PhantomData }
    }

    /// Whether somebody holds it now, even if that one is gone. Stale as soon as it is returned.
    pub fn is_locked(&self) -> bool {
        self.line().raw.owner().is_some()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.is_locked() { "<locked>" } else { "<unlocked>" };
        f.debug_struct("Mutex")
            .field("name", &self.name())
            .field("value", &format_args!("{value}"))
            .finish()
    }
}

/// The value, locked until this is dropped.
///
/// A forked child that inherits a guard does not hold the lock: dropping it there does nothing, but reading through it
/// is a race with the parent.
#[must_use = "dropping the guard unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    owner: Owner,
    residue: u32,
    panicking: bool,
    /// The thread is part of the record, so the guard stays on it.
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The fencing token: how often the mutex has been locked, this time included. A later holder's is always greater.
    pub fn token(&self) -> u64 {
        self.mutex.line().record.token()
    }

    /// Does the value await repair?
    pub fn needs_repair(&self) -> bool {
        self.residue != 0
    }

    /// Says that the value is good again after [`LockError::OwnerDied`] or [`LockError::Poisoned`].
    pub fn repair(&mut self) {
        if std::mem::take(&mut self.residue) != 0 {
            self.mutex.line().raw.mark_consistent();
            self.mutex.entry.object.header().statistics.count(Counter::Repairs);
        }
    }

    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }

    #[cold]
    fn poison(&mut self) {
        self.residue = INCONSISTENT;
        let record = &self.mutex.line().record;
        self.mutex.entry.bury(self.owner, Some(record), Some(Cause::Panicked));
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the mutex is held, so nobody writes; the value is plain, so whatever is there is a `T`.
        unsafe { self.mutex.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        let mut value = self.mutex.value;
        // SAFETY: the mutex is held, and this borrow is the only one of the guard.
        unsafe { value.as_mut() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let (line, wait) = (self.mutex.line(), self.mutex.entry.wait());
        if !wait.is(self.owner) {
            // A forked child: the lock is its parent's.
            return;
        }
        if !self.panicking && panicking() {
            self.poison();
        }
        if let Some(since) = line.record.since() {
            self.mutex.entry.note_held(since);
        }
        line.record.end();
        line.raw.unlock(&wait, self.residue);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
