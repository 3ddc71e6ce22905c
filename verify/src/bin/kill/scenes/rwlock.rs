//! Workers read and change a value of two words under a readers-writer lock.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use antiphon::Space;
use antiphon::space::RwLock;

use super::{Pair, mutex};
use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const READ: usize = 0;
const WRITE: usize = 1;

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "rwlock"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "read", states: State::INSIDE, workers: &[0, 1, 2, 3] },
            Operation { name: "write", states: State::INSIDE, workers: &[0, 1, 2, 3] },
        ]
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let lock = space.rwlock("lock", Pair::ZERO).expect("a lock");
        while !post.stopping() {
            if post.random.one_in(3) {
                write(&lock, post);
            } else {
                read(&lock, post);
            }
            post.outside();
            post.dawdle();
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        let lock = space.rwlock("lock", Pair::ZERO).expect("a lock");
        let value = match lock.try_write() {
            Ok(guard) => *guard,
            Err(error) => match error.into_guard() {
                Some(guard) => *guard,
                None => return ledger.fault(Fault::Hang, "rwlock: held at the end"),
            },
        };
        mutex::count(ledger, value.first, fallen);
    }
}

fn read(lock: &RwLock<Pair>, post: &mut Post<'_>) {
    let form = post.random.below(10);
    post.enter(READ);
    let result = match form {
        0 => match lock.try_read() {
            Ok(guard) => Ok(guard),
            Err(error) => match error.into_guard() {
                Some(guard) => Err(guard),
                None => return,
            },
        },
        1 => lock
            .read_timeout(Duration::from_secs(60))
            .map_err(|error| error.into_guard().expect("within a minute")),
        _ => lock.read().map_err(|error| error.into_guard().expect("it is not ours")),
    };
    post.hold();
    let (guard, whole) = match result {
        Ok(guard) => (guard, true),
        // A writer died in the midst of it; the next writer repairs that.
        Err(guard) => (guard, false),
    };
    let before = *guard;
    post.dawdle();
    if whole && !before.is_whole() {
        post.fault(Fault::Torn, &format!("rwlock: read as good: {before:?}"));
    }
    if *guard != before {
        post.fault(Fault::Other, "rwlock: a writer came in while one read");
    }
    post.leave();
    drop(guard);
}

fn write(lock: &RwLock<Pair>, post: &mut Post<'_>) {
    post.enter(WRITE);
    let (mut guard, inherited) = match lock.write() {
        Ok(guard) => (guard, false),
        Err(error) => (error.into_guard().expect("it is not ours"), true),
    };
    post.come_in(inherited, "rwlock");
    if inherited && guard.is_half_done() {
        guard.second = guard.first;
        guard.repair();
    }
    if !guard.is_whole() {
        post.fault(Fault::Torn, &format!("rwlock: handed over: {:?}", *guard));
    }
    post.hold();
    guard.first += 1;
    post.ledger.done.fetch_add(1, SeqCst);
    post.dawdle();
    guard.second += 1;
    post.go_out("rwlock");
    if post.random.one_in(4) {
        let guard = guard.downgrade();
        post.dawdle();
        post.leave();
        drop(guard);
    } else {
        post.leave();
        drop(guard);
    }
}
