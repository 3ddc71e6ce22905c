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

use super::outcome::Outcome;
use crate::error::{LockError, TimedLockError, TryLockError};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, param, spec};
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
    pub(in crate::space) entry: Entry,
    line: NonNull<Line<RawMutex>>,
    value: NonNull<T>,
    /// Whether holders say in the record who and where they are.
    pub(in crate::space) records: bool,
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
        self.open_mutex(name, RECORDED, initial, Location::caller())
    }

    /// The same, without a record beside the ownership word: a few nanoseconds faster, and it survives its holders all the same.
    ///
    /// What is lost: nobody can see which thread holds it and where it locked, only which process; its holding times are not
    /// counted; there is no fencing [`token`](MutexGuard::token); and a thread that locks it twice waits for itself for ever
    /// instead of getting [`LockError::WouldDeadlock`].
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex), also when it was created with a record.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let counter = space.mutex_without_record("bare-counter", 0u64)?;
    /// *counter.lock().unwrap() += 1;
    /// assert_eq!(counter.lock().unwrap().token(), 0);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn mutex_without_record<T: Plain>(
        &self,
        name: &str,
        initial: T,
    ) -> Result<Mutex<T>, Error> {
        self.open_mutex(name, UNRECORDED, initial, Location::caller())
    }

    fn open_mutex<T: Plain>(
        &self,
        name: &str,
        unrecorded: u64,
        initial: T,
        caller: &'static Location<'static>,
    ) -> Result<Mutex<T>, Error> {
        self.open_object(name, [unrecorded, 0, 0, 0], caller, |body| {
            // SAFETY: the body has room for a value behind its first line, and nobody else sees it yet.
            unsafe { body.add(BEHIND).cast::<T>().write(initial) };
        })
    }
}

/// The first parameter of a mutex: whether its holders leave their record out. They must agree, or one would read what
/// another has not written.
const RECORDED: u64 = 0;
const UNRECORDED: u64 = 1;

pub(super) fn mutex_spec<T: Plain>(kind: Kind, unrecorded: u64) -> Spec {
    const { assert!(align_of::<T>() <= BEHIND) };
    spec::<T>(
        kind,
        param("choice of record (0: with, 1: without)", unrecorded),
        BEHIND + size_of::<T>(),
    )
}

impl<T: Plain> Openable for Mutex<T> {
    fn spec(_: &Space, [unrecorded, ..]: [u64; 4]) -> Result<Spec, Error> {
        Ok(mutex_spec::<T>(Kind::Mutex, unrecorded))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: `mutex_spec` has put them there; a line is made of atomics, a plain value may be any bytes.
        let (line, value) = unsafe { (entry.at(0), entry.at(BEHIND)) };
        let records = entry.object.params()[0] == RECORDED;
        Self { entry, line, value, records, _value: PhantomData }
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
        Self { entry, line, value, records: true, _value: PhantomData }
    }

    /// Where it is.
    pub(in crate::space) fn place(&self) -> &Entry {
        &self.entry
    }
}

impl<T: ?Sized> Mutex<T> {
    #[inline]
    pub(in crate::space) fn line(&self) -> &Line<RawMutex> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    // Always inline, as all on this path: out of line, the guard would be returned in memory.
    /// Locks, waiting as long as it takes.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`] if this thread holds it; [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the
    /// guard.
    #[inline(always)]
    #[track_caller]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let caller = Location::caller();
        if let Some(guard) = self.lock_free(caller) {
            return Ok(guard);
        }
        self.lock_contended(caller, None).untimed(|residue| self.guard(residue))
    }

    /// Locks if that takes no waiting. A mutex whose holder is gone is free.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if it is held, also by this thread; the others carry the guard.
    #[inline(always)]
    #[track_caller]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError<MutexGuard<'_, T>>> {
        let caller = Location::caller();
        if let Some(guard) = self.lock_free(caller) {
            return Ok(guard);
        }
        self.try_lock_contended(caller).unwaited(|residue| self.guard(residue))
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
        if let Some(guard) = self.lock_free(caller) {
            return Ok(guard);
        }
        self.lock_contended(caller, Some(deadline())).timed(|residue| self.guard(residue))
    }

    /// The whole uncontended path.
    #[inline(always)]
    fn lock_free(&self, caller: &'static Location<'static>) -> Option<MutexGuard<'_, T>> {
        // Looked up before, not while others may wait.
        let site = if self.records { self.entry.site(caller) } else { SiteId::default() };
        let owner = self.entry.wait().me();
        if !self.line().raw.lock_free_as(owner) {
            return None;
        }
        let token =
            if self.records { self.line().record.begin(owner, thread::token(), site) } else { 0 };
        Some(self.guard_of(owner, token, 0))
    }

    #[cold]
    fn lock_contended(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Outcome {
        let line = self.line();
        let record = self.records.then_some(&line.record);
        let noted = self.entry.noted(caller, deadline, record);
        if self.entry.is_mine(line.raw.owner(), &line.record) {
            return Outcome::WouldDeadlock;
        }
        match line.raw.lock_contended(&noted, deadline) {
            Ok(claim) => {
                let outcome = self.claimed(claim, caller);
                noted.note_acquired();
                outcome
            }
            Err(WaitError::WouldDeadlock) => Outcome::WouldDeadlock,
            Err(_) => {
                let holder = line.raw.owner().map(|owner| (owner, &line.record));
                Outcome::TimedOut(Box::new(self.entry.timeout(&noted, holder)))
            }
        }
    }

    #[cold]
    fn try_lock_contended(&self, caller: &'static Location<'static>) -> Outcome {
        let claim = self.line().raw.try_lock(&self.entry.wait());
        claim.map_or(Outcome::WouldBlock, |claim| self.claimed(claim, caller))
    }

    /// Puts the record right after a claim, and says what news came with it.
    pub(in crate::space) fn claimed(
        &self,
        claim: Claim,
        caller: &'static Location<'static>,
    ) -> Outcome {
        let record = &self.line().record;
        let death = match claim {
            Claim::Clean => None,
            Claim::Inherited(Some(gone)) => Some(self.entry.bury(gone, Some(record), None)),
            Claim::Inherited(None) => self.entry.last_death(),
        };
        if self.records {
            self.entry.begin(record, self.entry.site(caller));
        }
        Outcome::held(claim, death)
    }

    /// The guard after a contended path that has put the record right.
    #[inline(always)]
    pub(in crate::space) fn guard(&self, residue: u32) -> MutexGuard<'_, T> {
        self.guard_of(self.entry.wait().me(), self.line().record.token(), residue)
    }

    #[inline(always)]
    fn guard_of(&self, owner: Owner, token: u64, residue: u32) -> MutexGuard<'_, T> {
        let panicking = panicking();
        MutexGuard { mutex: self, owner, token, residue, panicking, _not_send: PhantomData }
    }

    /// After the release by the holder with this token, which found that somebody may sleep.
    #[cold]
    fn wake(&self, token: u64) {
        self.line().raw.wake_one(&self.entry.wait());
        if self.records {
            self.entry.note_held(&self.line().record, token);
        }
    }

    /// The holder panics in the middle of a change.
    #[cold]
    fn poison(&self, owner: Owner) {
        self.entry.bury(owner, Some(&self.line().record), Some(Cause::Panicked));
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
    token: u64,
    residue: u32,
    panicking: bool,
    /// The thread is part of the record, so the guard stays on it.
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The fencing token: how often the mutex has been locked, this time included. A later holder's is always greater.
    /// Zero for a mutex [without a record](Space::mutex_without_record).
    pub fn token(&self) -> u64 {
        self.token
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
        let mut residue = self.residue;
        if !self.panicking && panicking() {
            residue = INCONSISTENT;
            self.mutex.poison(self.owner);
        }
        if self.mutex.records {
            line.record.end();
        }
        // The object outlives this: the guard borrows it.
        if line.raw.release(residue) {
            self.mutex.wake(self.token);
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
