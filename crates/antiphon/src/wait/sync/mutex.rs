//! Waiting for a mutex.

use antiphon_core::sync::Claim;

use crate::error::LockError;
use crate::sync::{Mutex, MutexGuard};
use crate::wait::operation::{Look, Operation, Sealed};
use crate::wait::task::{Async, TaskGuard};

/// Until a mutex is the task's. See [`Mutex::lock_async`].
#[derive(Debug)]
pub struct Lock<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
}

type Guard<'a, T> = TaskGuard<MutexGuard<'a, T>>;

// SAFETY: what locked for a task names no thread, so any thread may unlock it. The value moves with the guard.
unsafe impl<T: ?Sized + Send> Send for TaskGuard<MutexGuard<'_, T>> {}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting as long as it takes. The guard may be held across an `await`.
    ///
    /// The lock belongs to the task; but tasks are not told apart, so one that locks twice waits for itself.
    ///
    /// # Errors
    /// [`LockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(1);
    /// smol::block_on(async {
    ///     let mut guard = mutex.lock_async().await.unwrap();
    ///     *guard += 1;
    /// });
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    #[inline]
    pub fn lock_async(&self) -> Async<Lock<'_, T>> {
        Async::new(Lock { mutex: self })
    }
}

impl<T: ?Sized> Sealed for Lock<'_, T> {}

impl<'a, T: ?Sized> Operation for Lock<'a, T> {
    type Output = Result<Guard<'a, T>, LockError<Guard<'a, T>>>;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        let claim = self.mutex.raw.lock(&look.here(), None).ok()?;
        let suspect = claim != Claim::Clean;
        let guard = TaskGuard::new(self.mutex.guard(suspect));
        Some(if suspect { Err(LockError::Poisoned(guard)) } else { Ok(guard) })
    }

    fn seems_ready(&self) -> bool {
        !self.mutex.is_locked()
    }
}

impl<T: ?Sized> TaskGuard<MutexGuard<'_, T>> {
    /// Whether the value awaits repair.
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(1);
    /// assert!(!smol::block_on(mutex.lock_async()).unwrap().needs_repair());
    /// ```
    pub fn needs_repair(&self) -> bool {
        self.guard().needs_repair()
    }

    /// Says that the value is good again after [`LockError::Poisoned`].
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(1);
    /// let spoiled = std::panic::catch_unwind(|| {
    ///     let _guard = mutex.lock().unwrap();
    ///     panic!("in the middle of a change");
    /// });
    /// assert!(spoiled.is_err());
    /// let mut guard = smol::block_on(mutex.lock_async()).unwrap_err().into_guard().unwrap();
    /// guard.repair();
    /// drop(guard);
    /// assert!(!mutex.is_poisoned());
    /// ```
    pub fn repair(&mut self) {
        self.guard_mut().repair();
    }
}
