//! One worker changes a number under a mutex and notifies, others wait for it to change.

use antiphon::Space;
use antiphon::error::LockError;
use antiphon::space::MutexGuard;

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const NOTIFY: usize = 0;
const WAIT: usize = 1;

type Locked<'a> = Result<MutexGuard<'a, u64>, LockError<MutexGuard<'a, u64>>>;

/// The guard, even if the holder before died: a number is always good.
fn guard(locked: Locked<'_>) -> MutexGuard<'_, u64> {
    locked.unwrap_or_else(|error| {
        let mut guard = error.into_guard().expect("it is not ours");
        guard.repair();
        guard
    })
}

fn notify(space: &Space, all: bool) {
    let number = space.mutex("number", 0_u64).expect("a mutex");
    let changed = space.condvar("changed").expect("a condvar");
    *guard(number.lock()) += 1;
    if all { changed.notify_all() } else { changed.notify_one() }
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "condvar"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "notify", states: &[State::Entering], workers: &[0] },
            Operation { name: "wait", states: &[State::Entering], workers: &[1, 2, 3] },
        ]
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let number = space.mutex("number", 0_u64).expect("a mutex");
        let changed = space.condvar("changed").expect("a condvar");
        let mut seen = *guard(number.lock());
        while !post.stopping() {
            if post.index == 0 {
                post.linger();
                *guard(number.lock()) += 1;
                let all = post.random.one_in(2);
                post.enter(NOTIFY);
                if all {
                    changed.notify_all();
                } else {
                    changed.notify_one();
                }
            } else {
                let mut number = guard(number.lock());
                post.enter(WAIT);
                while *number == seen {
                    number = guard(changed.wait(number));
                }
                seen = *number;
            }
            post.outside();
        }
    }

    fn release(&self, space: &Space) {
        notify(space, true);
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let number = space.mutex("number", 0_u64).expect("a mutex");
        if number.try_lock().is_err_and(|error| error.into_guard().is_none()) {
            ledger.fault(Fault::Hang, "condvar: its mutex is held at the end");
        }
    }
}
