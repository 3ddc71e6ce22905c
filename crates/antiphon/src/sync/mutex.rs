//! A mutex that holds a value, for the threads of this process.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread::panicking;
use std::time::{Duration, Instant};

use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_core::sync::{Claim, RawMutex};
use antiphon_core::wait::{Deadline, WaitError};
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::since::Since;
use crate::error::{Holder, LockError, TimedLockError, TryLockError};

/// A mutex that holds a `T` and lets one thread at a time at it.
///
/// As light as std's: four bytes beside the value, one atomic read-modify-write each to lock and unlock, no system call and no
/// allocation as long as nobody has to wait. Beyond std's it knows its owner, so that locking twice is an error and not a
/// silence, it waits with a timeout, and its poison can be healed.
///
/// When a thread panics while it holds the mutex, the next to lock gets [`LockError::Poisoned`] with the guard inside: it may
/// repair the value and say so by [`MutexGuard::repair`]. Until somebody does, everyone is told.
///
/// A guard that is forgotten leaves the mutex locked for ever, also after its thread has ended: a thread's end is not
/// a death in the sense of [`LockError::OwnerDied`], which this mutex never returns.
///
/// Not fair: a thread that runs may overtake one that sleeps. Unlocking happens before the next locking.
///
/// ```
/// use antiphon::sync::Mutex;
///
/// static COUNTER: Mutex<u64> = Mutex::new(0);
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| *COUNTER.lock().unwrap() += 1);
///     }
/// });
/// assert_eq!(*COUNTER.lock().unwrap(), 4);
/// ```
///
/// What must stay on one thread cannot be shared by way of a mutex:
///
/// ```compile_fail,E0277
/// let mutex = antiphon::sync::Mutex::new(std::rc::Rc::new(0));
/// std::thread::scope(|s| {
///     s.spawn(|| drop(mutex.lock()));
/// });
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    pub(crate) raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: as std's: the mutex hands its value to one thread at a time, so it may be sent and shared when the value may be
// sent.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// A value that a panic left in the middle of a change is poisoned.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

type Locked<'a, T> = Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>>;
type TimedLocked<'a, T> = Result<MutexGuard<'a, T>, TimedLockError<MutexGuard<'a, T>>>;

impl<T> Mutex<T> {
    /// A free mutex that holds `value`.
    ///
    /// ```
    /// static NAMES: antiphon::sync::Mutex<Vec<String>> = antiphon::sync::Mutex::new(Vec::new());
    /// NAMES.lock()?.push("Ada".to_owned());
    /// assert_eq!(NAMES.lock()?.len(), 1);
    /// # Ok::<(), antiphon::error::LockError<antiphon::sync::MutexGuard<'static, Vec<String>>>>(())
    /// ```
    #[inline]
    pub const fn new(value: T) -> Self {
        Self { raw: RawMutex::new(), value: UnsafeCell::new(value) }
    }

    /// The value, when nobody can lock any more. Poison or not: ask [`is_poisoned`](Self::is_poisoned) before.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Mutex::new(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting as long as it takes.
    ///
    /// Everything that was done before the preceding unlocking happens before this returns.
    ///
    /// # Errors
    /// [`LockError::WouldDeadlock`], at once, if this thread holds it; [`LockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// use antiphon::error::LockError;
    ///
    /// let mutex = antiphon::sync::Mutex::new(1);
    /// let mut guard = mutex.lock().unwrap();
    /// *guard += 1;
    /// assert!(matches!(mutex.lock(), Err(LockError::WouldDeadlock)));
    /// drop(guard);
    /// assert_eq!(*mutex.lock().unwrap(), 2);
    /// ```
    #[inline]
    pub fn lock(&self) -> Locked<'_, T> {
        match self.raw.lock(&Threads, None) {
            Ok(Claim::Clean) => Ok(self.guard(false)),
            Ok(Claim::Inherited(_)) => Err(LockError::Poisoned(self.guard(true))),
            Err(_) => Err(LockError::WouldDeadlock),
        }
    }

    /// Locks if that takes no waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if it is held, also by this thread; [`TryLockError::Poisoned`] carries the guard.
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(());
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError<MutexGuard<'_, T>>> {
        match self.raw.try_lock(&Threads) {
            Some(Claim::Clean) => Ok(self.guard(false)),
            Some(Claim::Inherited(_)) => Err(TryLockError::Poisoned(self.guard(true))),
            None => Err(TryLockError::WouldBlock),
        }
    }

    /// Locks, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock), and [`TimedLockError::TimedOut`], which says who holds it.
    ///
    /// ```
    /// use antiphon::error::TimedLockError;
    /// use std::time::Duration;
    ///
    /// let mutex = antiphon::sync::Mutex::new(());
    /// let guard = mutex.lock().unwrap();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| match mutex.lock_timeout(Duration::from_millis(10)) {
    ///         Err(TimedLockError::TimedOut(timeout)) => assert!(timeout.holder.is_some()),
    ///         _ => unreachable!("it is held"),
    ///     });
    /// });
    /// ```
    #[inline]
    pub fn lock_timeout(&self, timeout: Duration) -> TimedLocked<'_, T> {
        self.lock_until(|| clock::deadline_after(timeout))
    }

    /// Locks, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(3);
    /// assert_eq!(*mutex.lock_deadline(std::time::Instant::now()).unwrap(), 3);
    /// ```
    #[inline]
    pub fn lock_deadline(&self, deadline: Instant) -> TimedLocked<'_, T> {
        self.lock_until(|| clock::deadline_at(deadline))
    }

    #[inline]
    fn lock_until(&self, deadline: impl FnOnce() -> Deadline) -> TimedLocked<'_, T> {
        if self.raw.lock_free(&Threads) {
            return Ok(self.guard(false));
        }
        self.lock_contended(deadline())
    }

    #[cold]
    fn lock_contended(&self, deadline: Deadline) -> TimedLocked<'_, T> {
        let since = Since::now();
        match self.raw.lock_contended(&Threads, Some(deadline)) {
            Ok(Claim::Clean) => Ok(self.guard(false)),
            Ok(Claim::Inherited(_)) => Err(TimedLockError::Poisoned(self.guard(true))),
            Err(WaitError::WouldDeadlock) => Err(TimedLockError::WouldDeadlock),
            Err(WaitError::TimedOut | WaitError::Interrupted) => {
                let holder = self.raw.owner().map(|owner| Holder::thread(owner.get()));
                Err(TimedLockError::TimedOut(since.timeout("a mutex").held_by(holder)))
            }
        }
    }

    #[inline]
    pub(crate) fn guard(&self, suspect: bool) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, suspect, panicking: panicking(), _not_send: PhantomData }
    }

    /// The value, which nobody else can be at. Poison or not: ask [`is_poisoned`](Self::is_poisoned) before.
    ///
    /// ```
    /// let mut mutex = antiphon::sync::Mutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether somebody holds it now. Stale as soon as it is returned.
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(());
    /// let guard = mutex.lock().unwrap();
    /// assert!(mutex.is_locked());
    /// drop(guard);
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.owner().is_some()
    }

    /// Whether the value awaits repair. Stale as soon as it is returned.
    ///
    /// ```
    /// let mutex = antiphon::sync::Mutex::new(());
    /// assert!(!mutex.is_poisoned());
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.raw.is_inconsistent()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    /// Prints `<locked>` rather than waiting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = self.try_lock().or_else(|error| error.into_guard().ok_or(()));
        let mut f = f.debug_struct("Mutex");
        match &guard {
            Ok(guard) => f.field("value", &&**guard),
            Err(()) => f.field("value", &format_args!("<locked>")),
        };
        f.field("poisoned", &self.is_poisoned()).finish()
    }
}

/// The value, locked until this is dropped.
///
/// The mutex knows its owner, so the guard stays on the thread that locked:
///
/// ```compile_fail,E0277
/// let mutex = antiphon::sync::Mutex::new(0);
/// let guard = mutex.lock().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard));
/// });
/// ```
///
/// and it may be shared only when the value may:
///
/// ```compile_fail,E0277
/// let mutex = antiphon::sync::Mutex::new(std::cell::Cell::new(0));
/// let guard = mutex.lock().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(|| guard.set(1));
/// });
/// ```
#[must_use = "dropping the guard unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// The value awaits repair.
    suspect: bool,
    /// The thread panicked already when it locked, so its panic is nobody's business here.
    panicking: bool,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: sharing a guard shares the value only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Whether the value awaits repair.
    ///
    /// ```
    /// assert!(!antiphon::sync::Mutex::new(0).lock().unwrap().needs_repair());
    /// ```
    pub fn needs_repair(&self) -> bool {
        self.suspect
    }

    /// Says that the value is good again after [`LockError::Poisoned`].
    ///
    /// ```
    /// use antiphon::error::LockError;
    ///
    /// let mutex = antiphon::sync::Mutex::new(vec![1]);
    /// let spoiled = std::panic::catch_unwind(|| {
    ///     let mut guard = mutex.lock().unwrap();
    ///     guard.clear();
    ///     panic!("in the middle of a change");
    /// });
    /// assert!(spoiled.is_err());
    /// match mutex.lock() {
    ///     Err(LockError::Poisoned(mut guard)) => {
    ///         *guard = vec![1];
    ///         guard.repair();
    ///     }
    ///     _ => unreachable!("it is poisoned"),
    /// }
    /// assert_eq!(*mutex.lock().unwrap(), [1]);
    /// ```
    pub fn repair(&mut self) {
        if std::mem::take(&mut self.suspect) {
            self.mutex.raw.mark_consistent();
        }
    }

    /// The mutex that this guard locks.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the mutex is held, so nobody else is at the value; exclusive borrows go through the guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the mutex is held, and this borrow is the only one of the guard.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let spoiled = self.suspect || (!self.panicking && panicking());
        self.mutex.raw.unlock(&Threads, if spoiled { INCONSISTENT } else { 0 });
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
