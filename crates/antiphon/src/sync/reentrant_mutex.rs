//! A mutex between threads that its holder may lock again.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::thread::panicking;
use std::time::{Duration, Instant};

use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_core::sync::{Claim, RawReentrantMutex};
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use crate::error::{Holder, LockError, TimedLockError, Timeout, TryLockError};

/// An owner is a thread here, so there is nothing to tell threads of an owner apart by.
const THREAD: u32 = 0;

/// A mutex that the thread that holds it may lock again: it is released when the last of its guards is dropped.
///
/// The guards of a thread share the value, so change it through a `Cell`, a `RefCell` or atomics. A panic while a guard is
/// alive poisons the mutex: from then on [`lock`](Self::lock) says so, and gives the guard all the same, until somebody
/// calls [`repair`](ReentrantMutexGuard::repair). Releasing happens before the next locking by another thread.
///
/// ```
/// use antiphon::sync::ReentrantMutex;
/// use std::cell::Cell;
///
/// static DEPTH: ReentrantMutex<Cell<u32>> = ReentrantMutex::new(Cell::new(0));
///
/// fn descend(levels: u32) {
///     let depth = DEPTH.lock().unwrap(); // also while a caller of ours holds it
///     depth.set(depth.get() + 1);
///     if levels > 1 {
///         descend(levels - 1);
///     }
/// }
/// descend(3);
/// assert_eq!(DEPTH.lock().unwrap().get(), 3);
/// ```
#[derive(Default)]
pub struct ReentrantMutex<T: ?Sized> {
    raw: RawReentrantMutex,
    value: T,
}

// SAFETY: guards of one thread at a time reach the value, so sharing the mutex sends the value from thread to thread.
unsafe impl<T: ?Sized + Send> Sync for ReentrantMutex<T> {}

type Guard<'a, T> = ReentrantMutexGuard<'a, T>;

impl<T> ReentrantMutex<T> {
    /// A free mutex around `value`.
    ///
    /// ```
    /// assert_eq!(*antiphon::sync::ReentrantMutex::new(5).lock().unwrap(), 5);
    /// ```
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self { raw: RawReentrantMutex::new(), value }
    }

    /// The value, when nobody needs the mutex any more. Poison is forgotten.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::ReentrantMutex::new(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    /// Locks, waiting as long as it takes; at once if this thread holds it.
    ///
    /// # Errors
    /// [`LockError::Poisoned`], with the guard. The other errors do not occur here.
    ///
    /// # Panics
    /// When this thread has locked it 2^32 - 1 times.
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// let outer = lock.lock().unwrap();
    /// let inner = lock.lock().unwrap();
    /// assert_eq!(inner.depth(), 2);
    /// # drop((outer, inner));
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<Guard<'_, T>, LockError<Guard<'_, T>>> {
        match self.raw.lock(THREAD, &Threads, None) {
            Ok(claim) => self.claimed(claim).map_err(LockError::Poisoned),
            Err(_) => Err(LockError::WouldDeadlock),
        }
    }

    /// Locks if no other thread holds it.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`]; [`TryLockError::Poisoned`], with the guard.
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// let guard = lock.lock().unwrap();
    /// assert!(lock.try_lock().is_ok());
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert!(lock.try_lock().is_err()));
    /// });
    /// # drop(guard);
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<Guard<'_, T>, TryLockError<Guard<'_, T>>> {
        let claim = self.raw.try_lock(THREAD, &Threads).ok_or(TryLockError::WouldBlock)?;
        self.claimed(claim).map_err(TryLockError::Poisoned)
    }

    /// Locks, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedLockError::TimedOut`], which says who holds it; [`TimedLockError::Poisoned`], with the guard.
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// let guard = lock.lock().unwrap();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert!(lock.lock_timeout(Duration::from_millis(1)).is_err()));
    /// });
    /// # drop(guard);
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Guard<'_, T>, TimedLockError<Guard<'_, T>>> {
        self.lock_until(|| clock::deadline_after(timeout))
    }

    /// Locks, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// assert!(lock.lock_deadline(std::time::Instant::now()).is_ok()); // it was free
    /// ```
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Guard<'_, T>, TimedLockError<Guard<'_, T>>> {
        self.lock_until(|| clock::deadline_at(deadline))
    }

    fn lock_until(
        &self,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<Guard<'_, T>, TimedLockError<Guard<'_, T>>> {
        if let Some(claim) = self.raw.try_lock(THREAD, &Threads) {
            return self.claimed(claim).map_err(TimedLockError::Poisoned);
        }
        let start = Instant::now();
        match self.raw.lock(THREAD, &Threads, Some(deadline())) {
            Ok(claim) => self.claimed(claim).map_err(TimedLockError::Poisoned),
            Err(_) => {
                let holder = self.raw.mutex().owner().map(|owner| Holder::thread(owner.get()));
                let timeout = Timeout::new("a reentrant mutex", start.elapsed());
                Err(TimedLockError::TimedOut(timeout.held_by(holder)))
            }
        }
    }

    /// Guards the value. On error: it awaits repair, and the holder has not been told yet.
    #[inline]
    fn claimed(&self, claim: Option<Claim>) -> Result<Guard<'_, T>, Guard<'_, T>> {
        let guard = Guard { mutex: self, panicking: panicking(), _not_send: PhantomData };
        match claim {
            None | Some(Claim::Clean) => Ok(guard),
            Some(Claim::Inherited(_)) => Err(guard),
        }
    }

    /// The value, without locking: nobody else can have the mutex.
    ///
    /// ```
    /// let mut lock = antiphon::sync::ReentrantMutex::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(*lock.lock().unwrap(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Whether this thread holds it.
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// assert!(!lock.is_held_by_this_thread());
    /// ```
    pub fn is_held_by_this_thread(&self) -> bool {
        self.raw.is_mine(THREAD, &Threads)
    }

    /// Whether any thread holds it. Stale as soon as it is returned.
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// let guard = lock.lock().unwrap();
    /// assert!(lock.is_locked());
    /// # drop(guard);
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.mutex().owner().is_some()
    }
}

impl<T> From<T> for ReentrantMutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ReentrantMutex");
        match self.try_lock() {
            Ok(guard) | Err(TryLockError::Poisoned(guard)) => debug.field("value", &&*guard),
            Err(_) => debug.field("value", &format_args!("<locked>")),
        };
        debug.finish()
    }
}

/// The value, locked until this and all other guards of this thread are dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct ReentrantMutexGuard<'a, T: ?Sized> {
    mutex: &'a ReentrantMutex<T>,
    /// The thread panicked already when it locked: that is not this guard's fault.
    panicking: bool,
    /// The thread is the owner, so the guard stays on it.
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: ?Sized + Sync> Sync for ReentrantMutexGuard<'_, T> {}

impl<T: ?Sized> ReentrantMutexGuard<'_, T> {
    /// How many guards of the mutex this thread has.
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// assert_eq!(lock.lock().unwrap().depth(), 1);
    /// ```
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.mutex.raw.depth()
    }

    /// Does the value await repair?
    ///
    /// ```
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// assert!(!lock.lock().unwrap().needs_repair());
    /// ```
    #[must_use]
    pub fn needs_repair(&self) -> bool {
        self.mutex.raw.mutex().is_inconsistent()
    }

    /// Says that the value is good again after [`LockError::Poisoned`].
    ///
    /// ```
    /// use antiphon::error::LockError;
    ///
    /// let lock = antiphon::sync::ReentrantMutex::new(());
    /// let _ = std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         let _guard = lock.lock();
    ///         panic!("in the middle of a change");
    ///     })
    ///     .join()
    /// });
    /// let Err(LockError::Poisoned(mut guard)) = lock.lock() else { panic!("not told") };
    /// guard.repair();
    /// drop(guard);
    /// assert!(lock.lock().is_ok());
    /// ```
    pub fn repair(&mut self) {
        self.mutex.raw.mutex().mark_consistent();
    }
}

impl<T: ?Sized> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.mutex.value
    }
}

impl<T: ?Sized> Drop for ReentrantMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let raw = &self.mutex.raw;
        if !self.panicking && panicking() {
            raw.mark_inconsistent();
        }
        raw.unlock(&Threads, if self.needs_repair() { INCONSISTENT } else { 0 });
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
