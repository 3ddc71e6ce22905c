//! A mutex in a space that its holder may lock again.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::thread::panicking;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::mutex::INCONSISTENT;
use antiphon_core::sync::{Claim, RawReentrantMutex};
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Cause, Counter, Error, Kind, Spec};
use antiphon_sys::{clock, thread};

use super::mutex::mutex_spec;
use super::outcome::Outcome;
use crate::error::{LockError, TimedLockError, TryLockError};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// A mutex that the thread that holds it may lock again; as many guards, as many locks.
///
/// Its guards share the value, so none can have it to itself: they lead to a [`Cell`], through which all of them read and change
/// it.
///
/// What happens when a holder's process ends is as with [`Mutex`](super::Mutex).
pub struct ReentrantMutex<T> {
    entry: Entry,
    line: NonNull<Line<RawReentrantMutex>>,
    value: NonNull<T>,
    _value: PhantomData<T>,
}

impl<T> Clone for ReentrantMutex<T> {
    /// Another way to the same lock.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), ..*self }
    }
}

// SAFETY: the mutex hands its value to one thread at a time.
unsafe impl<T: Send> Send for ReentrantMutex<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for ReentrantMutex<T> {}

impl Space {
    /// Opens the reentrant mutex `name`, creating it with the value `initial` if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let lock = space.reentrant_mutex("tree", 0u32)?;
    /// let outer = lock.lock().unwrap();
    /// let inner = lock.lock().unwrap(); // the same thread: no deadlock
    /// inner.set(7);
    /// assert_eq!(outer.get(), 7);
    /// # drop((outer, inner));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn reentrant_mutex<T: Plain>(
        &self,
        name: &str,
        initial: T,
    ) -> Result<ReentrantMutex<T>, Error> {
        self.open_object(name, [0; 4], Location::caller(), |body| {
            // SAFETY: the body has room for a value behind its first line, and nobody else sees it yet.
            unsafe { body.add(BEHIND).cast::<T>().write(initial) };
        })
    }
}

impl<T: Plain> Openable for ReentrantMutex<T> {
    fn spec(_: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        Ok(mutex_spec::<T>(Kind::ReentrantMutex, 0))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put them there; a line is made of atomics, a plain value may be any bytes.
        let (line, value) = unsafe { (entry.at(0), entry.at(BEHIND)) };
        Self { entry, line, value, _value: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(ReentrantMutex<T: Plain>);

impl<T> ReentrantMutex<T> {
    fn line(&self) -> &Line<RawReentrantMutex> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// Locks, waiting as long as it takes.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the guard.
    #[track_caller]
    pub fn lock(
        &self,
    ) -> Result<ReentrantMutexGuard<'_, T>, LockError<ReentrantMutexGuard<'_, T>>> {
        self.lock_within(Location::caller(), || None).untimed(|_| self.guard())
    }

    /// Locks if that takes no waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if another thread holds it; the others carry the guard.
    #[track_caller]
    pub fn try_lock(
        &self,
    ) -> Result<ReentrantMutexGuard<'_, T>, TryLockError<ReentrantMutexGuard<'_, T>>> {
        let caller = Location::caller();
        let claim = self.line().raw.try_lock(thread::token(), &self.entry.wait());
        let outcome = claim.map_or(Outcome::WouldBlock, |claim| self.claimed(claim, caller));
        outcome.unwaited(|_| self.guard())
    }

    /// Locks, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock), and [`TimedLockError::TimedOut`].
    #[track_caller]
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReentrantMutexGuard<'_, T>, TimedLockError<ReentrantMutexGuard<'_, T>>> {
        self.lock_within(Location::caller(), || Some(clock::deadline_after(timeout)))
            .timed(|_| self.guard())
    }

    /// Locks, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    #[track_caller]
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<ReentrantMutexGuard<'_, T>, TimedLockError<ReentrantMutexGuard<'_, T>>> {
        self.lock_within(Location::caller(), || Some(clock::deadline_at(deadline)))
            .timed(|_| self.guard())
    }

    fn lock_within(
        &self,
        caller: &'static Location<'static>,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Outcome {
        let (line, wait, thread) = (self.line(), self.entry.wait(), thread::token());
        if let Some(claim) = line.raw.try_lock(thread, &wait) {
            return self.claimed(claim, caller);
        }
        let deadline = deadline();
        let noted = self.entry.noted(caller, deadline, Some(&line.record));
        match line.raw.lock(thread, &noted, deadline) {
            Ok(claim) => {
                let outcome = self.claimed(claim, caller);
                noted.note_acquired();
                outcome
            }
            Err(_) => {
                let holder = line.raw.mutex().owner().map(|owner| (owner, &line.record));
                Outcome::TimedOut(Box::new(self.entry.timeout(&noted, holder)))
            }
        }
    }

    /// Begins the record after a first claim, and says what news came with it. Once more, the record and whatever news there was
    /// stand.
    fn claimed(&self, claim: Option<Claim>, caller: &'static Location<'static>) -> Outcome {
        let Some(claim) = claim else { return Outcome::Clean };
        let record = &self.line().record;
        let death = match claim {
            Claim::Clean => None,
            Claim::Inherited(Some(gone)) => Some(self.entry.bury(gone, Some(record), None)),
            Claim::Inherited(None) => self.entry.last_death(),
        };
        self.entry.begin(record, self.entry.site(caller));
        Outcome::held(claim, death)
    }

    fn guard(&self) -> ReentrantMutexGuard<'_, T> {
        let owner = self.entry.wait().me();
        ReentrantMutexGuard { mutex: self, owner, panicking: panicking(), _not_send: PhantomData }
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl<T> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The value, locked until this and all other guards of this thread are dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct ReentrantMutexGuard<'a, T> {
    mutex: &'a ReentrantMutex<T>,
    owner: Owner,
    panicking: bool,
    _not_send: PhantomData<*const ()>,
}

impl<T> ReentrantMutexGuard<'_, T> {
    /// The fencing token, as [`MutexGuard::token`](super::MutexGuard::token).
    pub fn token(&self) -> u64 {
        self.mutex.line().record.token()
    }

    /// How often this thread holds it.
    pub fn depth(&self) -> u32 {
        self.mutex.line().raw.depth()
    }

    /// Does the value await repair?
    pub fn needs_repair(&self) -> bool {
        self.mutex.line().raw.mutex().is_inconsistent()
    }

    /// Says that the value is good again.
    pub fn repair(&mut self) {
        if self.needs_repair() {
            self.mutex.line().raw.mutex().mark_consistent();
            self.mutex.entry.object.header().statistics.count(Counter::Repairs);
        }
    }
}

impl<T> Deref for ReentrantMutexGuard<'_, T> {
    type Target = Cell<T>;
    fn deref(&self) -> &Cell<T> {
        // SAFETY: a cell is laid out as what it holds; the mutex is held by this thread, whose guards reach the value only
        // through cells and, like those, cannot be shared with another thread; the value is plain.
        unsafe { self.mutex.value.cast::<Cell<T>>().as_ref() }
    }
}

impl<T> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        let (line, wait) = (self.mutex.line(), self.mutex.entry.wait());
        if !wait.is(self.owner) {
            // A forked child: the lock is its parent's.
            return;
        }
        let poisoned = !self.panicking && panicking() && line.raw.depth() == 1;
        if poisoned {
            self.mutex.entry.bury(self.owner, Some(&line.record), Some(Cause::Panicked));
        }
        let residue = if poisoned || self.needs_repair() { INCONSISTENT } else { 0 };
        if line.raw.depth() == 1 {
            if line.raw.mutex().is_contended() {
                self.mutex.entry.note_held(&line.record, self.token());
            }
            line.record.end();
        }
        line.raw.unlock(&wait, residue);
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
