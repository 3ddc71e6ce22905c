//! Workers lock a reentrant mutex once, twice or three times.

use antiphon::Space;
use antiphon::error::{LockError, TryLockError};
use antiphon::space::{ReentrantMutex, ReentrantMutexGuard};

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const LOCK: usize = 0;
const LOCK_AGAIN: usize = 1;

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "reentrant mutex"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "lock", states: State::INSIDE, workers: &[0, 1, 2] },
            Operation { name: "lock again", states: State::INSIDE, workers: &[0, 1, 2] },
        ]
    }

    fn workers(&self) -> usize {
        3
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let mutex = space.reentrant_mutex("mutex", 0_u64).expect("a mutex");
        while !post.stopping() {
            post.enter(LOCK);
            let guard = take(post, &mutex);
            post.hold();
            let times = 1 + post.random.below(2);
            again(post, &mutex, times);
            post.dawdle();
            post.go_out("reentrant mutex");
            post.leave();
            drop(guard);
            post.outside();
            post.dawdle();
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let mutex = space.reentrant_mutex("mutex", 0_u64).expect("a mutex");
        match mutex.try_lock() {
            Ok(guard) | Err(TryLockError::OwnerDied(guard, _)) => {
                if guard.depth() != 1 {
                    let what = format!("reentrant mutex: {} deep at the end", guard.depth());
                    ledger.fault(Fault::Other, &what);
                }
            }
            Err(error) => {
                ledger.fault(Fault::Hang, &format!("reentrant mutex: at the end: {error:?}"));
            }
        }
    }
}

/// Locks it, and checks that nobody else is inside.
fn take<'a>(post: &Post<'_>, mutex: &'a ReentrantMutex<u64>) -> ReentrantMutexGuard<'a, u64> {
    let (guard, inherited) = match mutex.lock() {
        Ok(guard) => (guard, false),
        Err(LockError::OwnerDied(mut guard, _)) => {
            guard.repair();
            (guard, true)
        }
        Err(error) => panic!("{error:?}"),
    };
    post.come_in(inherited, "reentrant mutex");
    if guard.depth() != 1 {
        post.fault(Fault::Other, &format!("reentrant mutex: {} deep at first", guard.depth()));
    }
    guard
}

/// Locks it `times` more, one inside the other.
fn again(post: &mut Post<'_>, mutex: &ReentrantMutex<u64>, times: u64) {
    if times == 0 {
        return;
    }
    post.enter(LOCK_AGAIN);
    let guard = mutex.lock().expect("it is ours");
    post.hold();
    again(post, mutex, times - 1);
    post.enter(LOCK_AGAIN);
    post.hold();
    post.dawdle();
    post.leave();
    drop(guard);
    post.enter(LOCK);
    post.hold();
}
