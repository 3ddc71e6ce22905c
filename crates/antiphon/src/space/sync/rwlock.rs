//! A readers-writer lock that holds a value in a space.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::thread::panicking;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_core::sync::{Claim, RawRwLock};
use antiphon_core::wait::{Deadline, Wait, WaitError};
use antiphon_place::{Cause, Counter, Error, Kind, Spec};
use antiphon_sys::clock;

use super::outcome::Outcome;
use crate::error::{LockError, TimedLockError, TryLockError, UpgradeError};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, NO_PARAMS, Noted, spec};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// Many readers or one writer of a `T` in a space.
///
/// Readers of different processes write different words, so they do not slow each other down by more than a shared cache
/// line. A writer that waits lets no new reader in, so writers do not starve. A reader that dies is let go; what
/// happens when a writer dies is as with [`Mutex`](super::Mutex). A thread that reads must not read again while a writer may
/// wait: as with std's lock, the two wait for each other.
///
/// Releasing for writing happens before every later locking, releasing for reading before every later locking for writing.
pub struct RwLock<T> {
    pub(in crate::space) entry: Entry,
    line: NonNull<Line<RawRwLock>>,
    readers: NonNull<[AtomicU64]>,
    value: NonNull<T>,
    _value: PhantomData<T>,
}

impl<T> Clone for RwLock<T> {
    /// Another way to the same lock.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), ..*self }
    }
}

// SAFETY: as std's: readers share the value, writers have it alone.
unsafe impl<T: Send> Send for RwLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}

impl Space {
    /// Opens the readers-writer lock `name`, creating it with the value `initial` if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let rate = space.rwlock("rate", 1.0f64)?;
    /// let a = rate.read().unwrap();
    /// let b = rate.read().unwrap();
    /// assert_eq!(*a + *b, 2.0);
    /// drop((a, b));
    /// *rate.write().unwrap() = 1.5;
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn rwlock<T: Plain>(&self, name: &str, initial: T) -> Result<RwLock<T>, Error> {
        let value_at = self.value_behind_words();
        self.open_object(name, [0; 4], Location::caller(), |body| {
            // SAFETY: the body has room for a value there, and nobody else sees it yet.
            unsafe { body.add(value_at).cast::<T>().write(initial) };
        })
    }

    /// Where a value begins that lies behind the words per participant.
    fn value_behind_words(&self) -> usize {
        (BEHIND + self.slots() * 8).next_multiple_of(BEHIND)
    }
}

impl<T: Plain> Openable for RwLock<T> {
    fn spec(space: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= BEHIND) };
        let body_len = space.value_behind_words() + size_of::<T>();
        Ok(spec::<T>(Kind::RwLock, NO_PARAMS, body_len))
    }

    fn attach(entry: Entry) -> Self {
        let value_at = Space { inner: entry.space.clone() }.value_behind_words();
        // SAFETY: the spec has put them there; a line is made of atomics, a plain value may be any bytes.
        let (line, value) = unsafe { (entry.at(0), entry.at(value_at)) };
        let readers = entry.words();
        Self { entry, line, readers, value, _value: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(RwLock<T: Plain>);

type Read<'a, T> = RwLockReadGuard<'a, T>;
type Write<'a, T> = RwLockWriteGuard<'a, T>;

impl<T> RwLock<T> {
    #[inline]
    pub(in crate::space) fn readers(&self) -> &[AtomicU64] {
        // SAFETY: inside the object that `entry` keeps; atomics may be any bytes.
        unsafe { self.readers.as_ref() }
    }

    #[inline]
    pub(in crate::space) fn line(&self) -> &Line<RawRwLock> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// Locks for reading, waiting as long as it takes.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`] if this thread writes; [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the
    /// guard: the value may be half changed.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> Result<Read<'_, T>, LockError<Read<'_, T>>> {
        let wait = self.entry.wait();
        if self.line().raw.read_free(self.readers(), &wait) {
            return Ok(self.reading());
        }
        self.read_contended(Location::caller(), None).untimed(|_| self.reading())
    }

    /// Locks for reading if that takes no waiting.
    ///
    /// # Errors
    /// [`TryLockError`].
    pub fn try_read(&self) -> Result<Read<'_, T>, TryLockError<Read<'_, T>>> {
        let claim = self.line().raw.try_read(self.readers(), &self.entry.wait());
        let outcome = claim.map_or(Outcome::WouldBlock, |claim| self.held(claim));
        outcome.unwaited(|_| self.reading())
    }

    /// Locks for reading, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`TimedLockError::TimedOut`].
    #[track_caller]
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Read<'_, T>, TimedLockError<Read<'_, T>>> {
        self.read_until(Location::caller(), || clock::deadline_after(timeout))
    }

    /// Locks for reading, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn read_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Read<'_, T>, TimedLockError<Read<'_, T>>> {
        self.read_until(Location::caller(), || clock::deadline_at(deadline))
    }

    fn read_until(
        &self,
        caller: &'static Location<'static>,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<Read<'_, T>, TimedLockError<Read<'_, T>>> {
        if self.line().raw.read_free(self.readers(), &self.entry.wait()) {
            return Ok(self.reading());
        }
        self.read_contended(caller, Some(deadline())).timed(|_| self.reading())
    }

    /// Somebody writes, or wrote and left the value inconsistent; the caller is counted as a reader already.
    #[cold]
    fn read_contended(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Outcome {
        let line = self.line();
        if self.is_mine() {
            line.raw.unlock_read(self.readers(), &self.entry.wait());
            return Outcome::WouldDeadlock;
        }
        let noted = self.entry.noted(caller, deadline, Some(&line.record));
        match line.raw.read_contended(self.readers(), &noted, deadline) {
            Ok(claim) => self.held(claim),
            Err(error) => self.refused(error, &noted),
        }
    }

    /// Locks for writing, waiting as long as it takes.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`] if this thread writes already; [`LockError::OwnerDied`] and [`LockError::Poisoned`]
    /// carry the guard.
    #[track_caller]
    pub fn write(&self) -> Result<Write<'_, T>, LockError<Write<'_, T>>> {
        self.write_within(Location::caller(), None).untimed(|residue| self.writing(residue))
    }

    /// Locks for writing if that takes no waiting. Readers and writers that are gone are no hindrance.
    ///
    /// # Errors
    /// [`TryLockError`].
    #[track_caller]
    pub fn try_write(&self) -> Result<Write<'_, T>, TryLockError<Write<'_, T>>> {
        let caller = Location::caller();
        let claim = self.line().raw.try_write(self.readers(), &self.entry.wait());
        let outcome = claim.map_or(Outcome::WouldBlock, |claim| self.begun(claim, caller));
        outcome.unwaited(|residue| self.writing(residue))
    }

    /// Locks for writing, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`TimedLockError::TimedOut`].
    #[track_caller]
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Write<'_, T>, TimedLockError<Write<'_, T>>> {
        self.write_within(Location::caller(), Some(clock::deadline_after(timeout)))
            .timed(|residue| self.writing(residue))
    }

    /// Locks for writing, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`write_timeout`](Self::write_timeout).
    #[track_caller]
    pub fn write_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Write<'_, T>, TimedLockError<Write<'_, T>>> {
        self.write_within(Location::caller(), Some(clock::deadline_at(deadline)))
            .timed(|residue| self.writing(residue))
    }

    fn write_within(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Outcome {
        let line = self.line();
        if self.is_mine() {
            return Outcome::WouldDeadlock;
        }
        let noted = self.entry.noted(caller, deadline, Some(&line.record));
        match line.raw.write(self.readers(), &noted, deadline) {
            Ok(claim) => {
                let outcome = self.begun(claim, caller);
                noted.note_acquired();
                outcome
            }
            Err(error) => self.refused(error, &noted),
        }
    }

    /// Does this thread write? Only it can have noted itself while its participant owns the word.
    fn is_mine(&self) -> bool {
        let line = self.line();
        self.entry.is_mine(line.raw.writer(), &line.record)
    }

    fn refused(&self, error: WaitError, noted: &Noted<'_>) -> Outcome {
        if error == WaitError::WouldDeadlock {
            return Outcome::WouldDeadlock;
        }
        let holder = self.line().raw.writer().map(|owner| (owner, &self.line().record));
        Outcome::TimedOut(Box::new(self.entry.timeout(noted, holder)))
    }

    /// The news that came with a claim.
    pub(in crate::space) fn held(&self, claim: Claim) -> Outcome {
        let death = match claim {
            Claim::Clean => None,
            Claim::Inherited(Some(gone)) => {
                Some(self.entry.bury(gone, Some(&self.line().record), None))
            }
            Claim::Inherited(None) => self.entry.left_by(&self.line().record),
        };
        Outcome::held(claim, death)
    }

    /// The same of a writer, whose record begins.
    pub(in crate::space) fn begun(
        &self,
        claim: Claim,
        caller: &'static Location<'static>,
    ) -> Outcome {
        let outcome = self.held(claim);
        self.entry.begin(&self.line().record, self.entry.site(caller));
        outcome
    }

    /// The record of a writer ends.
    fn end(&self, token: u64) {
        let line = self.line();
        if line.raw.is_contended() {
            self.entry.note_held(&line.record, token);
        }
        line.record.end();
    }

    #[inline]
    pub(in crate::space) fn reading(&self) -> Read<'_, T> {
        RwLockReadGuard { lock: self, owner: self.entry.wait().me(), _not_send: PhantomData }
    }

    pub(in crate::space) fn writing(&self, residue: u32) -> Write<'_, T> {
        RwLockWriteGuard {
            lock: self,
            owner: self.entry.wait().me(),
            token: self.line().record.token(),
            residue,
            panicking: panicking(),
            _not_send: PhantomData,
        }
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The value, locked for reading until this is dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct RwLockReadGuard<'a, T> {
    lock: &'a RwLock<T>,
    owner: Owner,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: Sync> Sync for RwLockReadGuard<'_, T> {}

impl<'a, T> RwLockReadGuard<'a, T> {
    /// Goes on writing, with nobody writing in between: waits until the other readers have left. If the value awaits
    /// repair, the new guard [says so](RwLockWriteGuard::needs_repair).
    ///
    /// # Errors
    /// [`UpgradeError::WouldDeadlock`], at once, if somebody waits to write or to upgrade, and so for this reader.
    #[track_caller]
    pub fn upgrade(self) -> Result<Write<'a, T>, UpgradeError<Self>> {
        self.upgrade_until(Location::caller(), None)
    }

    /// Goes on writing if nobody else reads, or waits to write.
    ///
    /// # Errors
    /// [`UpgradeError::WouldBlock`], [`UpgradeError::WouldDeadlock`].
    #[track_caller]
    pub fn try_upgrade(self) -> Result<Write<'a, T>, UpgradeError<Self>> {
        let (lock, caller) = (self.lock, Location::caller());
        match lock.line().raw.try_upgrade(lock.readers(), &lock.entry.wait()) {
            Ok(claim) => Ok(self.upgraded(claim, caller)),
            Err(WaitError::WouldDeadlock) => Err(UpgradeError::WouldDeadlock(self)),
            Err(_) => Err(UpgradeError::WouldBlock(self)),
        }
    }

    /// As [`upgrade`](Self::upgrade), waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade), and [`UpgradeError::TimedOut`].
    #[track_caller]
    pub fn upgrade_timeout(self, timeout: Duration) -> Result<Write<'a, T>, UpgradeError<Self>> {
        self.upgrade_until(Location::caller(), Some(clock::deadline_after(timeout)))
    }

    /// As [`upgrade`](Self::upgrade), waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`upgrade_timeout`](Self::upgrade_timeout).
    #[track_caller]
    pub fn upgrade_deadline(self, deadline: Instant) -> Result<Write<'a, T>, UpgradeError<Self>> {
        self.upgrade_until(Location::caller(), Some(clock::deadline_at(deadline)))
    }

    fn upgrade_until(
        self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Result<Write<'a, T>, UpgradeError<Self>> {
        let lock = self.lock;
        let noted = lock.entry.noted(caller, deadline, None);
        match lock.line().raw.upgrade(lock.readers(), &noted, deadline) {
            Ok(claim) => Ok(self.upgraded(claim, caller)),
            Err(WaitError::WouldDeadlock) => Err(UpgradeError::WouldDeadlock(self)),
            Err(_) => Err(UpgradeError::TimedOut(self, Box::new(lock.entry.timeout(&noted, None)))),
        }
    }

    fn upgraded(self, claim: Claim, caller: &'static Location<'static>) -> Write<'a, T> {
        let lock = self.lock;
        // The read has become the write.
        std::mem::forget(self);
        lock.begun(claim, caller);
        lock.writing(if claim == Claim::Clean { 0 } else { INCONSISTENT })
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held for reading, so nobody writes; the value is plain.
        unsafe { self.lock.value.as_ref() }
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let wait = self.lock.entry.wait();
        // In a forked child the lock is its parent's.
        if wait.is(self.owner) {
            self.lock.line().raw.unlock_read(self.lock.readers(), &wait);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The value, locked for writing until this is dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct RwLockWriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    owner: Owner,
    token: u64,
    residue: u32,
    panicking: bool,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T> RwLockWriteGuard<'a, T> {
    /// The fencing token: how often the lock was held for writing, this time included.
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
            self.lock.line().raw.mark_consistent();
            self.lock.entry.object.header().statistics.count(Counter::Repairs);
        }
    }

    /// Goes on reading, and lets other readers in; no writer comes in between.
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let (lock, owner, token, residue) = (self.lock, self.owner, self.token, self.residue);
        std::mem::forget(self);
        // In a forked child the lock is its parent's.
        if lock.entry.wait().is(owner) {
            lock.end(token);
            lock.line().raw.downgrade(lock.readers(), &lock.entry.wait(), residue);
        }
        RwLockReadGuard { lock, owner, _not_send: PhantomData }
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held for writing; the value is plain.
        unsafe { self.lock.value.as_ref() }
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let mut value = self.lock.value;
        // SAFETY: the lock is held for writing, and this borrow is the only one of the guard.
        unsafe { value.as_mut() }
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        let (line, wait) = (self.lock.line(), self.lock.entry.wait());
        if !wait.is(self.owner) {
            // A forked child: the lock is its parent's.
            return;
        }
        if !self.panicking && panicking() {
            self.residue = INCONSISTENT;
            self.lock.entry.bury(self.owner, Some(&line.record), Some(Cause::Panicked));
        }
        self.lock.end(self.token);
        line.raw.unlock_write(&wait, self.residue);
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
