//! Workers change a value of two words under a mutex.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use antiphon::error::{LockError, TimedLockError, TryLockError};
use antiphon::{Space, space};

use super::Pair;
use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

type Locked<'a> = Result<space::MutexGuard<'a, Pair>, LockError<space::MutexGuard<'a, Pair>>>;

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "mutex"
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation { name: "lock", states: State::INSIDE, workers: &[0, 1, 2, 3] }]
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let mutex = space.mutex("mutex", Pair::ZERO).expect("a mutex");
        while !post.stopping() {
            let form = post.random.below(10);
            post.enter(0);
            let locked = match form {
                0 => match mutex.try_lock() {
                    Err(TryLockError::WouldBlock) => {
                        post.outside();
                        continue;
                    }
                    other => other.map_err(try_error),
                },
                1 => mutex.lock_timeout(Duration::from_secs(60)).map_err(timed_error),
                _ => mutex.lock(),
            };
            let mut guard = take(post, locked);
            post.hold();
            guard.first += 1;
            post.ledger.done.fetch_add(1, SeqCst);
            post.dawdle();
            guard.second += 1;
            post.go_out("mutex");
            post.leave();
            drop(guard);
            post.outside();
            post.dawdle();
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        let mutex = space.mutex("mutex", Pair::ZERO).expect("a mutex");
        let value = match mutex.try_lock() {
            Ok(guard) => *guard,
            Err(TryLockError::OwnerDied(guard, _)) => *guard,
            Err(error) => {
                return ledger.fault(Fault::Hang, &format!("mutex: at the end: {error:?}"));
            }
        };
        count(ledger, value.first, fallen);
    }
}

/// The count that a value holds, against what was noted.
pub(super) fn count(ledger: &Ledger, first: u64, fallen: &[Fallen]) {
    let done = ledger.done.load(SeqCst);
    let unsure = fallen.iter().filter(|f| f.place.state == State::Holding).count() as u64;
    if first < done {
        ledger.fault(Fault::Lost, &format!("{} changes of {done}", done - first));
    }
    if first > done + unsure {
        ledger.fault(Fault::Other, &format!("{first} changes, {done} noted, {unsure} unsure"));
    }
}

/// Makes a guard of what locking returned, and checks what came with it.
fn take<'a>(post: &Post<'_>, locked: Locked<'a>) -> space::MutexGuard<'a, Pair> {
    match locked {
        Ok(guard) => {
            post.come_in(false, "mutex");
            if !guard.is_whole() {
                post.fault(Fault::Torn, &format!("mutex: handed over as good: {:?}", *guard));
            }
            guard
        }
        Err(LockError::OwnerDied(mut guard, death)) => {
            post.come_in(true, "mutex");
            if !guard.is_half_done() {
                post.fault(Fault::Torn, &format!("mutex: {:?} after {death}", *guard));
            }
            guard.second = guard.first;
            guard.repair();
            guard
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn try_error<G>(error: TryLockError<G>) -> LockError<G> {
    match error {
        TryLockError::WouldBlock => LockError::WouldDeadlock,
        TryLockError::Poisoned(guard) => LockError::Poisoned(guard),
        TryLockError::OwnerDied(guard, death) => LockError::OwnerDied(guard, death),
    }
}

fn timed_error<G>(error: TimedLockError<G>) -> LockError<G> {
    match error {
        TimedLockError::TimedOut(_) | TimedLockError::WouldDeadlock => LockError::WouldDeadlock,
        TimedLockError::Poisoned(guard) => LockError::Poisoned(guard),
        TimedLockError::OwnerDied(guard, death) => LockError::OwnerDied(guard, death),
    }
}
