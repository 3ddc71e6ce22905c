//! Locking a mutex, changing its value of two words, unlocking.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use antiphon::error::{LockError, TimedLockError};
use antiphon::space::{Mutex, MutexGuard};

use super::super::{Act, Ward};
use super::keep;
use crate::scenes::Pair;

/// The guard, with what a dead holder left undone completed.
fn repaired<'a>(
    locked: Result<MutexGuard<'a, Pair>, LockError<MutexGuard<'a, Pair>>>,
) -> MutexGuard<'a, Pair> {
    locked.unwrap_or_else(|error| {
        let mut guard = error.into_guard().expect("it is not ours");
        guard.second = guard.first;
        guard.repair();
        guard
    })
}

fn change(mutex: &Mutex<Pair>) {
    let mut guard = repaired(mutex.lock());
    guard.first += 1;
    guard.second += 1;
}

fn lock_soon(mutex: &Mutex<Pair>) {
    drop(mutex.lock_timeout(Duration::from_millis(2)).map(drop));
}

/// Locks it, checks the value, says how often it was changed, and sets it to zero.
pub(in super::super) fn check(ward: &Ward, mutex: &Mutex<Pair>) -> Result<u32, String> {
    let mut guard = match mutex.lock_timeout(ward.patience.get()) {
        Ok(guard) if guard.is_whole() => guard,
        Ok(guard) => return Err(format!("torn: handed over as good: {:?}", *guard)),
        Err(TimedLockError::OwnerDied(guard, death)) => {
            if !guard.is_half_done() {
                return Err(format!("torn: {:?} after {death}", *guard));
            }
            guard
        }
        Err(TimedLockError::TimedOut(timeout)) => return Err(format!("hang: {timeout}")),
        Err(error) => return Err(format!("{error}")),
    };
    let effect = guard.first;
    *guard = Pair::ZERO;
    guard.repair();
    drop(guard);
    if mutex.try_lock().is_err() {
        return Err("it is not free after it was unlocked".to_owned());
    }
    Ok(effect as u32)
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let mutex = keep(ward.space.mutex("mutex", Pair::ZERO).expect("a mutex"));
    change(mutex);
    lock_soon(mutex);
    let _ = check(ward, mutex);
    let checked = || {
        let ward = ward.clone();
        move |_| check(&ward, mutex)
    };
    let with_helper = || {
        let ward = ward.clone();
        move |_| {
            ward.helped()?;
            check(&ward, mutex)
        }
    };
    let helper = |body: fn(&Mutex<Pair>) -> i32| {
        let ward = ward.clone();
        move || ward.help(|| body(mutex))
    };
    let held = Rc::new(RefCell::new(None));
    let [hold, let_go, let_go_at_last] = [(); 3].map(|()| held.clone());
    let perish = {
        let ward = ward.clone();
        move || {
            ward.perish(|| {
                let mut guard = repaired(mutex.lock());
                guard.first += 1;
                std::mem::forget(guard);
            });
        }
    };
    let asleep = checked();
    vec![
        Act::new("mutex: lock, change, unlock", move |_| change(mutex), checked()).twice(),
        Act::new(
            "mutex: lock asleep, change, unlock",
            move |_| change(mutex),
            move |deaths| {
                let_go_at_last.borrow_mut().take();
                asleep(deaths)
            },
        )
        .prepare(move || *hold.borrow_mut() = Some(repaired(mutex.lock())))
        .nudge(move || let_go.borrow_mut().take().is_some()),
        Act::new(
            "mutex: unlock with a sleeper",
            move |_| {
                // Locked at full speed, see below; the guard was forgotten, and this is it.
                // The value is changed before.
                UNLOCK.with(|guard| drop(guard.borrow_mut().take()));
            },
            with_helper(),
        )
        .before(move || {
            let mut guard = repaired(mutex.lock());
            guard.first += 1;
            guard.second += 1;
            UNLOCK.with(|kept| *kept.borrow_mut() = Some(guard));
        })
        .meanwhile(helper(|mutex| {
            change(mutex);
            lock_soon(mutex);
            0
        })),
        Act::new("mutex: lock until a deadline", move |_| lock_soon(mutex), {
            let (held, checked) = (held.clone(), checked());
            move |deaths| {
                held.borrow_mut().take();
                checked(deaths)
            }
        })
        .prepare(move || *held.borrow_mut() = Some(repaired(mutex.lock())))
        .nudge(|| true),
        Act::new("mutex: recover, repair, unlock", move |_| change(mutex), checked())
            .varies()
            .prepare(perish)
            .twice(),
    ]
}

thread_local! {
    static UNLOCK: RefCell<Option<MutexGuard<'static, Pair>>> = const { RefCell::new(None) };
}
