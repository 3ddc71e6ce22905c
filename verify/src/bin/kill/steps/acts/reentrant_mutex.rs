//! Locking a reentrant mutex twice and unlocking it twice.

use std::time::Duration;

use antiphon::error::TimedLockError;
use antiphon::space::{ReentrantMutex, ReentrantMutexGuard};

use super::super::{Act, Ward};
use super::keep;

fn lock(mutex: &ReentrantMutex<u64>) -> ReentrantMutexGuard<'_, u64> {
    mutex.lock().unwrap_or_else(|error| {
        let mut guard = error.into_guard().expect("one of the living would have unlocked it");
        guard.repair();
        guard
    })
}

fn check(patience: Duration, mutex: &ReentrantMutex<u64>) -> Result<u32, String> {
    match mutex.lock_timeout(patience) {
        Ok(guard) if guard.depth() == 1 => {}
        Err(TimedLockError::OwnerDied(mut guard, _)) if guard.depth() == 1 => guard.repair(),
        Ok(guard) | Err(TimedLockError::OwnerDied(guard, _)) => {
            return Err(format!("{} deep at first", guard.depth()));
        }
        Err(error) => return Err(format!("hang: {error}")),
    }
    match mutex.try_lock() {
        Ok(_) => Ok(0),
        Err(error) => Err(format!("not free after it was unlocked: {error}")),
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let mutex = keep(ward.space.reentrant_mutex("reentrant", 0_u64).expect("a mutex"));
    let patience = ward.patience.clone();
    let act = move |_| {
        let outer = lock(mutex);
        let inner = lock(mutex);
        drop(inner);
        drop(outer);
    };
    act(0);
    vec![
        Act::new("reentrant mutex: twice in, twice out", act, move |_| {
            check(patience.get(), mutex)
        })
        .twice(),
    ]
}
