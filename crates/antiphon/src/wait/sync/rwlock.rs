//! Waiting for a readers-writer lock.

use antiphon_core::sync::Claim;
use antiphon_sys::threads::Tasks;

use crate::error::LockError;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::wait::operation::{Look, Operation, Sealed};
use crate::wait::task::{Async, TaskGuard};

/// Until a lock may be read. See [`RwLock::read_async`].
#[derive(Debug)]
pub struct Read<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

/// Until a lock may be written. See [`RwLock::write_async`].
///
/// Once it waits for the last readers to leave it lets no new ones in; dropping it does.
#[derive(Debug)]
pub struct Write<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    /// The writer's word is ours, and readers are still to leave.
    claim: Option<Claim>,
}

type Reading<'a, T> = TaskGuard<RwLockReadGuard<'a, T>>;
type Writing<'a, T> = TaskGuard<RwLockWriteGuard<'a, T>>;

// SAFETY: readers are counted and not named. The guard shares the value.
unsafe impl<T: ?Sized + Sync> Send for TaskGuard<RwLockReadGuard<'_, T>> {}
// SAFETY: what locked for a task names no thread, so any thread may unlock it. The value moves with the guard, and a downgraded one shares it.
unsafe impl<T: ?Sized + Send + Sync> Send for TaskGuard<RwLockWriteGuard<'_, T>> {}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting as long as it takes. The guard may be held across an `await`.
    ///
    /// # Errors
    /// [`LockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// assert_eq!(*smol::block_on(lock.read_async()).unwrap(), 1);
    /// ```
    #[inline]
    pub fn read_async(&self) -> Async<Read<'_, T>> {
        Async::new(Read { lock: self })
    }

    /// Locks for writing, waiting as long as it takes. The guard may be held across an `await`.
    ///
    /// # Errors
    /// [`LockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// smol::block_on(async {
    ///     *lock.write_async().await.unwrap() += 1;
    ///     assert_eq!(*lock.read_async().await.unwrap(), 2);
    /// });
    /// ```
    #[inline]
    pub fn write_async(&self) -> Async<Write<'_, T>> {
        Async::new(Write { lock: self, claim: None })
    }
}

impl<T: ?Sized> Sealed for Read<'_, T> {}
impl<T: ?Sized> Sealed for Write<'_, T> {}

impl<'a, T: ?Sized> Operation for Read<'a, T> {
    type Output = Result<Reading<'a, T>, LockError<Reading<'a, T>>>;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        let claim = self.lock.raw.read(&self.lock.readers, &look.here(), None).ok()?;
        let guard = TaskGuard::new(self.lock.reading());
        Some(if claim == Claim::Clean { Ok(guard) } else { Err(LockError::Poisoned(guard)) })
    }

    fn seems_ready(&self) -> bool {
        self.lock.raw.writer().is_none()
    }
}

impl<'a, T: ?Sized> Operation for Write<'a, T> {
    type Output = Result<Writing<'a, T>, LockError<Writing<'a, T>>>;
    const HOLDS: bool = true;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        let (raw, w) = (&self.lock.raw, look.here());
        let claim = match self.claim {
            Some(claim) => claim,
            None => *self.claim.insert(raw.claim_write(&w, None).ok()?),
        };
        raw.await_readers(&self.lock.readers, claim, &w, None).ok()?;
        self.claim = None;
        let suspect = claim != Claim::Clean;
        let guard = TaskGuard::new(self.lock.writing(suspect));
        Some(if suspect { Err(LockError::Poisoned(guard)) } else { Ok(guard) })
    }

    fn seems_ready(&self) -> bool {
        let raw = &self.lock.raw;
        raw.readers(&self.lock.readers) == 0 && (self.claim.is_some() || raw.writer().is_none())
    }

    fn rest(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.lock.raw.abandon_write(&self.lock.readers, claim, &Tasks);
        }
    }
}

impl<T: ?Sized> Drop for Write<'_, T> {
    fn drop(&mut self) {
        self.rest();
    }
}

impl<'a, T: ?Sized> TaskGuard<RwLockWriteGuard<'a, T>> {
    /// Whether the value awaits repair.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// assert!(!smol::block_on(lock.write_async()).unwrap().needs_repair());
    /// ```
    pub fn needs_repair(&self) -> bool {
        self.guard().needs_repair()
    }

    /// Says that the value is good again after [`LockError::Poisoned`].
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let mut guard = smol::block_on(lock.write_async()).unwrap();
    /// guard.repair(); // nothing to repair
    /// ```
    pub fn repair(&mut self) {
        self.guard_mut().repair();
    }

    /// From writing to reading, with nobody writing in between.
    ///
    /// ```
    /// let lock = antiphon::sync::RwLock::new(1);
    /// let reading = smol::block_on(lock.write_async()).unwrap().downgrade();
    /// assert_eq!(*reading, 1);
    /// ```
    #[must_use = "dropping the guard unlocks at once"]
    pub fn downgrade(self) -> TaskGuard<RwLockReadGuard<'a, T>> {
        TaskGuard::new(self.into_guard().downgrade())
    }
}
