//! Waiting for a readers-writer lock.

use std::panic::Location;

use antiphon_core::sync::Claim;
use antiphon_core::wait::Wait;

use crate::error::LockError;
use crate::space::{Plain, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::wait::operation::{FromFn, Look, Sealed};
use crate::wait::{Async, Operation, TaskGuard};

type Reading<'a, T> = TaskGuard<RwLockReadGuard<'a, T>>;
type Writing<'a, T> = TaskGuard<RwLockWriteGuard<'a, T>>;

// SAFETY: readers are counted per process. The guard shares the value.
unsafe impl<T: Sync> Send for TaskGuard<RwLockReadGuard<'_, T>> {}
// SAFETY: what locked for a task names its process and no thread, so any thread of it may unlock it. The value is plain data.
unsafe impl<T: Send + Sync> Send for TaskGuard<RwLockWriteGuard<'_, T>> {}

/// Until a lock may be written.
struct Write<'a, T: Plain> {
    lock: &'a RwLock<T>,
    caller: &'static Location<'static>,
    /// The writer's word is ours, and readers are still to leave.
    claim: Option<Claim>,
}

impl<T: Plain> RwLock<T> {
    /// Locks for reading, waiting as long as it takes. The guard may be held across an `await`.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the guard.
    ///
    /// ```
    /// let limit = antiphon::Space::open("threads:doc")?.rwlock("limit-async", 10u64)?;
    /// smol::block_on(async {
    ///     *limit.write_async().await.unwrap() = 5;
    ///     assert_eq!(*limit.read_async().await.unwrap(), 5);
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn read_async(
        &self,
    ) -> Async<impl Operation<Output = Result<Reading<'_, T>, LockError<Reading<'_, T>>>> + '_>
    {
        FromFn::new(
            |look| {
                let raw = &self.line().raw;
                let space = &self.entry.space.registration;
                let claim = look.there(space, |w| raw.read(self.readers(), w, None)).ok()?;
                Some(self.held(claim).untimed(|_| TaskGuard::new(self.reading())))
            },
            // A dead writer is no hindrance.
            || true,
        )
    }

    /// Locks for writing, waiting as long as it takes. The guard may be held across an `await`. While it waits for the last readers it lets no
    /// new ones in.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the guard.
    #[track_caller]
    pub fn write_async(
        &self,
    ) -> Async<impl Operation<Output = Result<Writing<'_, T>, LockError<Writing<'_, T>>>> + '_>
    {
        Async::new(Write { lock: self, caller: Location::caller(), claim: None })
    }
}

impl<T: Plain> Sealed for Write<'_, T> {}

impl<'a, T: Plain> Operation for Write<'a, T> {
    type Output = Result<Writing<'a, T>, LockError<Writing<'a, T>>>;
    const HOLDS: bool = true;

    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        let (lock, claim) = (self.lock, &mut self.claim);
        let raw = &lock.line().raw;
        let claimed = look.there(&lock.entry.space.registration, |w| {
            let claimed = match *claim {
                Some(claim) => claim,
                None => *claim.insert(raw.claim_write(w, None).ok()?),
            };
            raw.await_readers(lock.readers(), claimed, w, None).ok()?;
            Some(claimed)
        })?;
        *claim = None;
        let outcome = lock.begun(claimed, self.caller);
        // Of no thread, so that none is told that it would wait for itself.
        lock.line().record.begun_by_task(lock.entry.wait().me(), lock.entry.site(self.caller));
        Some(outcome.untimed(|residue| TaskGuard::new(lock.writing(residue))))
    }

    fn seems_ready(&self) -> bool {
        true
    }

    fn rest(&mut self) {
        if let Some(claim) = self.claim.take() {
            let wait = self.lock.entry.wait();
            self.lock.line().raw.abandon_write(self.lock.readers(), claim, &wait);
        }
    }
}

impl<T: Plain> Drop for Write<'_, T> {
    fn drop(&mut self) {
        self.rest();
    }
}

impl<T: Plain> TaskGuard<RwLockWriteGuard<'_, T>> {
    /// Says that the value is good again after [`LockError::OwnerDied`] or [`LockError::Poisoned`].
    pub fn repair(&mut self) {
        self.guard_mut().repair();
    }
}
