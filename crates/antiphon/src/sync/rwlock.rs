//! A readers-writer lock that holds a value, for the threads of this process.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread::panicking;
use std::time::{Duration, Instant};

use antiphon_core::primitive::AtomicU64;
use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_core::sync::{Claim, RawRwLock};
use antiphon_core::wait::{Deadline, WaitError};
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::since::Since;
use crate::error::{Holder, LockError, TimedLockError, TryLockError, UpgradeError};

/// Many readers or one writer of a `T`.
///
/// Reading takes one atomic read-modify-write to lock and one to unlock. A writer that waits lets no new reader in, so writers
/// do not starve. For the same reason a thread that reads must not read again: if a writer came in between, the two would
/// wait for each other. The lock does not know its readers, so it cannot say so; a thread that *writes* and locks again is
/// told [`LockError::WouldDeadlock`] at once.
///
/// When a thread panics while it writes, the next ones get [`LockError::Poisoned`] with the guard inside, until a writer
/// calls [`RwLockWriteGuard::repair`]. A panic while reading spoils nothing.
///
/// Releasing for writing happens before every later locking, releasing for reading before every later locking for writing.
///
/// ```
/// use antiphon::sync::RwLock;
///
/// static NAMES: RwLock<Vec<&str>> = RwLock::new(Vec::new());
/// NAMES.write().unwrap().push("Ada");
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| assert_eq!(NAMES.read().unwrap()[0], "Ada"));
///     }
/// });
/// ```
///
/// Readers are at the value at the same time, so it must be one that may be shared:
///
/// ```compile_fail,E0277
/// let lock = antiphon::sync::RwLock::new(std::cell::Cell::new(0));
/// std::thread::scope(|s| {
///     s.spawn(|| drop(lock.read()));
/// });
/// ```
#[derive(Default)]
pub struct RwLock<T: ?Sized> {
    pub(crate) raw: RawRwLock,
    pub(crate) readers: [AtomicU64; 1],
    value: UnsafeCell<T>,
}

// SAFETY: as std's: sending the lock sends the value.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as std's: sharing the lock sends the value to one writer at a time, and shares it among readers.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// A value that a panic left in the middle of a change is poisoned.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

type Read<'a, T> = RwLockReadGuard<'a, T>;
type Write<'a, T> = RwLockWriteGuard<'a, T>;

impl<T> RwLock<T> {
    /// A free lock that holds `value`.
    ///
    /// ```
    /// static LEVEL: antiphon::sync::RwLock<u32> = antiphon::sync::RwLock::new(7);
    /// assert_eq!(*LEVEL.read().unwrap(), 7);
    /// ```
    #[inline]
    pub const fn new(value: T) -> Self {
        Self { raw: RawRwLock::new(), readers: [AtomicU64::new(0)], value: UnsafeCell::new(value) }
    }

    /// The value, when nobody can lock any more. Poison or not: ask [`is_poisoned`](Self::is_poisoned) before.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::RwLock::new(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting as long as it takes for writers to go.
    ///
    /// Everything that was done before the preceding writer's unlocking happens before this returns.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`] if this thread writes; [`LockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
    /// assert_eq!(*one, *other);
    /// ```
    #[inline]
    pub fn read(&self) -> Result<Read<'_, T>, LockError<Read<'_, T>>> {
        match self.raw.read(&self.readers, &Threads, None) {
            Ok(Claim::Clean) => Ok(self.reading()),
            Ok(Claim::Inherited(_)) => Err(LockError::Poisoned(self.reading())),
            Err(_) => Err(LockError::WouldDeadlock),
        }
    }

    /// Locks for reading if that takes no waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if somebody writes or waits to; [`TryLockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(());
    /// let writer = lock.write().unwrap();
    /// assert!(lock.try_read().is_err());
    /// drop(writer);
    /// assert!(lock.try_read().is_ok());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Result<Read<'_, T>, TryLockError<Read<'_, T>>> {
        match self.raw.try_read(&self.readers, &Threads) {
            Some(Claim::Clean) => Ok(self.reading()),
            Some(Claim::Inherited(_)) => Err(TryLockError::Poisoned(self.reading())),
            None => Err(TryLockError::WouldBlock),
        }
    }

    /// Locks for reading, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`TimedLockError::TimedOut`], which says who writes.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(2);
    /// assert_eq!(*lock.read_timeout(std::time::Duration::from_secs(1)).unwrap(), 2);
    /// ```
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Read<'_, T>, TimedLockError<Read<'_, T>>> {
        self.read_until(clock::deadline_after(timeout))
    }

    /// Locks for reading, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`read_timeout`](Self::read_timeout).
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(2);
    /// assert_eq!(*lock.read_deadline(std::time::Instant::now()).unwrap(), 2);
    /// ```
    pub fn read_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Read<'_, T>, TimedLockError<Read<'_, T>>> {
        self.read_until(clock::deadline_at(deadline))
    }

    fn read_until(&self, deadline: Deadline) -> Result<Read<'_, T>, TimedLockError<Read<'_, T>>> {
        let since = Since::now();
        match self.raw.read(&self.readers, &Threads, Some(deadline)) {
            Ok(Claim::Clean) => Ok(self.reading()),
            Ok(Claim::Inherited(_)) => Err(TimedLockError::Poisoned(self.reading())),
            Err(error) => Err(self.refused(error, since)),
        }
    }

    /// Locks for writing, waiting as long as it takes for readers and writers to go.
    ///
    /// Everything that was done before the preceding unlockings, for reading and for writing, happens before this returns.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`], at once, if this thread writes; [`LockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// use antiphon::error::LockError;
    ///
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let mut writer = lock.write().unwrap();
    /// *writer += 1;
    /// assert!(matches!(lock.write(), Err(LockError::WouldDeadlock)));
    /// assert!(matches!(lock.read(), Err(LockError::WouldDeadlock)));
    /// drop(writer);
    /// assert_eq!(*lock.read().unwrap(), 2);
    /// ```
    #[inline]
    pub fn write(&self) -> Result<Write<'_, T>, LockError<Write<'_, T>>> {
        match self.raw.write(&self.readers, &Threads, None) {
            Ok(Claim::Clean) => Ok(self.writing(false)),
            Ok(Claim::Inherited(_)) => Err(LockError::Poisoned(self.writing(true))),
            Err(_) => Err(LockError::WouldDeadlock),
        }
    }

    /// Locks for writing if that takes no waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if somebody reads or writes; [`TryLockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(());
    /// let reader = lock.read().unwrap();
    /// assert!(lock.try_write().is_err());
    /// drop(reader);
    /// assert!(lock.try_write().is_ok());
    /// ```
    pub fn try_write(&self) -> Result<Write<'_, T>, TryLockError<Write<'_, T>>> {
        match self.raw.try_write(&self.readers, &Threads) {
            Some(Claim::Clean) => Ok(self.writing(false)),
            Some(Claim::Inherited(_)) => Err(TryLockError::Poisoned(self.writing(true))),
            None => Err(TryLockError::WouldBlock),
        }
    }

    /// Locks for writing, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`TimedLockError::TimedOut`], which says who writes, if somebody does.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(());
    /// let reader = lock.read().unwrap();
    /// assert!(lock.write_timeout(std::time::Duration::from_millis(10)).is_err());
    /// drop(reader);
    /// assert!(lock.write_timeout(std::time::Duration::from_secs(1)).is_ok());
    /// ```
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Write<'_, T>, TimedLockError<Write<'_, T>>> {
        self.write_until(clock::deadline_after(timeout))
    }

    /// Locks for writing, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`write_timeout`](Self::write_timeout).
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(());
    /// assert!(lock.write_deadline(std::time::Instant::now()).is_ok());
    /// ```
    pub fn write_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Write<'_, T>, TimedLockError<Write<'_, T>>> {
        self.write_until(clock::deadline_at(deadline))
    }

    fn write_until(
        &self,
        deadline: Deadline,
    ) -> Result<Write<'_, T>, TimedLockError<Write<'_, T>>> {
        let since = Since::now();
        match self.raw.write(&self.readers, &Threads, Some(deadline)) {
            Ok(Claim::Clean) => Ok(self.writing(false)),
            Ok(Claim::Inherited(_)) => Err(TimedLockError::Poisoned(self.writing(true))),
            Err(error) => Err(self.refused(error, since)),
        }
    }

    #[cold]
    fn refused<G>(&self, error: WaitError, since: Since) -> TimedLockError<G> {
        if error == WaitError::WouldDeadlock {
            return TimedLockError::WouldDeadlock;
        }
        let writer = self.raw.writer().map(|owner| Holder::thread(owner.get()));
        let what = match (&writer, self.raw.readers(&self.readers)) {
            (None, n) if n > 0 => format!("a readers-writer lock (readers: {n})"),
            _ => "a readers-writer lock".to_owned(),
        };
        TimedLockError::TimedOut(since.timeout(what).held_by(writer))
    }

    #[inline]
    pub(crate) fn reading(&self) -> Read<'_, T> {
        RwLockReadGuard { lock: self, _not_send: PhantomData }
    }

    #[inline]
    pub(crate) fn writing(&self, suspect: bool) -> Write<'_, T> {
        RwLockWriteGuard { lock: self, suspect, panicking: panicking(), _not_send: PhantomData }
    }

    /// The value, which nobody else can be at. Poison or not: ask [`is_poisoned`](Self::is_poisoned) before.
    ///
    /// ```
    /// let mut lock = antiphon::sync::RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether the value awaits repair. Stale as soon as it is returned.
    ///
    /// ```
    /// assert!(!antiphon::sync::RwLock::new(()).is_poisoned());
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.raw.is_inconsistent()
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    /// Prints `<locked>` rather than waiting for a writer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = self.try_read().or_else(|error| error.into_guard().ok_or(()));
        let mut f = f.debug_struct("RwLock");
        match &guard {
            Ok(guard) => f.field("value", &&**guard),
            Err(()) => f.field("value", &format_args!("<locked>")),
        };
        f.field("poisoned", &self.is_poisoned()).finish()
    }
}

/// The value, locked for reading until this is dropped.
///
/// ```compile_fail,E0277
/// let lock = antiphon::sync::RwLock::new(0);
/// let guard = lock.read().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard)); // it stays on its thread, as std's does
/// });
/// ```
#[must_use = "dropping the guard unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// Goes on writing, with nobody writing in between: waits until the other readers have left. If the value is poisoned,
    /// the new guard [says so](RwLockWriteGuard::needs_repair).
    ///
    /// # Errors
    /// [`UpgradeError::WouldDeadlock`], at once, if somebody waits to write or to upgrade, and so for this reader.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let reader = lock.read().unwrap();
    /// let mut writer = reader.upgrade().unwrap();
    /// *writer += 1;
    /// assert_eq!(*writer.downgrade(), 2);
    /// ```
    pub fn upgrade(self) -> Result<RwLockWriteGuard<'a, T>, UpgradeError<Self>> {
        self.upgrade_until(None)
    }

    /// Goes on writing if nobody else reads, or waits to write.
    ///
    /// # Errors
    /// [`UpgradeError::WouldBlock`], [`UpgradeError::WouldDeadlock`].
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
    /// let one = one.try_upgrade().unwrap_err().into_guard(); // the other reads
    /// drop(other);
    /// assert!(one.try_upgrade().is_ok());
    /// ```
    pub fn try_upgrade(self) -> Result<RwLockWriteGuard<'a, T>, UpgradeError<Self>> {
        match self.lock.raw.try_upgrade(&self.lock.readers, &Threads) {
            Ok(claim) => Ok(self.upgraded(claim)),
            Err(WaitError::WouldDeadlock) => Err(UpgradeError::WouldDeadlock(self)),
            Err(_) => Err(UpgradeError::WouldBlock(self)),
        }
    }

    /// As [`upgrade`](Self::upgrade), waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade), and [`UpgradeError::TimedOut`].
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
    /// assert!(one.upgrade_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # drop(other);
    /// ```
    pub fn upgrade_timeout(
        self,
        timeout: Duration,
    ) -> Result<RwLockWriteGuard<'a, T>, UpgradeError<Self>> {
        self.upgrade_until(Some(clock::deadline_after(timeout)))
    }

    /// As [`upgrade`](Self::upgrade), waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`upgrade_timeout`](Self::upgrade_timeout).
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// assert!(lock.read().unwrap().upgrade_deadline(std::time::Instant::now()).is_ok());
    /// ```
    pub fn upgrade_deadline(
        self,
        deadline: Instant,
    ) -> Result<RwLockWriteGuard<'a, T>, UpgradeError<Self>> {
        self.upgrade_until(Some(clock::deadline_at(deadline)))
    }

    fn upgrade_until(
        self,
        deadline: Option<Deadline>,
    ) -> Result<RwLockWriteGuard<'a, T>, UpgradeError<Self>> {
        let since = Since::now();
        match self.lock.raw.upgrade(&self.lock.readers, &Threads, deadline) {
            Ok(claim) => Ok(self.upgraded(claim)),
            Err(WaitError::WouldDeadlock) => Err(UpgradeError::WouldDeadlock(self)),
            Err(_) => {
                let timeout = since.timeout("the other readers of a readers-writer lock");
                Err(UpgradeError::TimedOut(self, Box::new(timeout)))
            }
        }
    }

    fn upgraded(self, claim: Claim) -> RwLockWriteGuard<'a, T> {
        let lock = self.lock;
        // The read has become the write.
        mem::forget(self);
        lock.writing(claim != Claim::Clean)
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held for reading, so nobody writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock_read(&self.lock.readers, &Threads);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The value, locked for writing until this is dropped.
///
/// ```compile_fail,E0277
/// let lock = antiphon::sync::RwLock::new(0);
/// let guard = lock.write().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard)); // the lock knows its writer
/// });
/// ```
#[must_use = "dropping the guard unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    /// The value awaits repair.
    suspect: bool,
    /// The thread panicked already when it locked, so its panic is nobody's business here.
    panicking: bool,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Whether the value awaits repair.
    ///
    /// ```
    /// assert!(!antiphon::sync::RwLock::new(0).write().unwrap().needs_repair());
    /// ```
    pub fn needs_repair(&self) -> bool {
        self.suspect
    }

    /// Says that the value is good again after [`LockError::Poisoned`].
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(0);
    /// let spoiled = std::panic::catch_unwind(|| {
    ///     let _guard = lock.write().unwrap();
    ///     panic!("in the middle of a change");
    /// });
    /// assert!(spoiled.is_err() && lock.read().is_err());
    /// let mut guard = lock.write().unwrap_err().into_guard().unwrap();
    /// *guard = 1;
    /// guard.repair();
    /// drop(guard);
    /// assert_eq!(*lock.read().unwrap(), 1);
    /// ```
    pub fn repair(&mut self) {
        if mem::take(&mut self.suspect) {
            self.lock.raw.mark_consistent();
        }
    }

    /// Goes on reading, and lets other readers in; no writer comes in between.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let mut writer = lock.write().unwrap();
    /// *writer += 1;
    /// let reader = writer.downgrade();
    /// assert_eq!((*reader, *lock.read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let (lock, residue) = (self.lock, self.residue());
        mem::forget(self);
        lock.raw.downgrade(&lock.readers, &Threads, residue);
        lock.reading()
    }

    #[inline]
    fn residue(&self) -> u32 {
        let spoiled = self.suspect || (!self.panicking && panicking());
        if spoiled { INCONSISTENT } else { 0 }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held for writing, so nobody else is at the value; exclusive borrows go through the guard.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held for writing, and this borrow is the only one of the guard.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock_write(&Threads, self.residue());
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
