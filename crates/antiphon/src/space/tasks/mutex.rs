//! Waiting for a mutex.

use std::panic::Location;

use antiphon_core::wait::Wait;

use crate::error::LockError;
use crate::space::{Mutex, MutexGuard, Plain};
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation, TaskGuard};

type Guard<'a, T> = TaskGuard<MutexGuard<'a, T>>;

// SAFETY: what locked for a task names its process and no thread, so any thread of it may unlock it. The value is plain data.
unsafe impl<T: Send> Send for TaskGuard<MutexGuard<'_, T>> {}

impl<T: Plain> Mutex<T> {
    /// Locks, waiting as long as it takes. The guard may be held across an `await`, and move between threads of its process.
    ///
    /// Tasks are not told apart, so one that locks twice waits for itself.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] carry the guard.
    ///
    /// ```
    /// let stock = antiphon::Space::open("threads:doc")?.mutex("stock-async", 10u64)?;
    /// smol::block_on(async {
    ///     *stock.lock_async().await.unwrap() -= 1;
    /// });
    /// assert_eq!(*stock.lock().unwrap(), 9);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn lock_async(
        &self,
    ) -> Async<impl Operation<Output = Result<Guard<'_, T>, LockError<Guard<'_, T>>>> + Send + '_>
    {
        let caller = Location::caller();
        FromFn::new(
            move |look| {
                let raw = &self.line().raw;
                let space = &self.entry.space.registration;
                let claim = look.there(space, |w| raw.lock(w, None)).ok()?;
                let outcome = self.claimed(claim, caller);
                if self.records {
                    // Of no thread, so that none is told that it would wait for itself.
                    let site = self.entry.site(caller);
                    self.line().record.begun_by_task(self.entry.wait().me(), site);
                }
                Some(outcome.untimed(|residue| TaskGuard::new(self.guard(residue))))
            },
            // A dead holder's lock is there for the taking.
            || true,
        )
    }
}

impl<T: Plain> TaskGuard<MutexGuard<'_, T>> {
    /// Says that the value is good again after [`LockError::OwnerDied`] or [`LockError::Poisoned`].
    pub fn repair(&mut self) {
        self.guard_mut().repair();
    }
}
