//! Workers open a space of their own, create objects in it, and leave it again.

use antiphon::Space;
use antiphon::error::{SpaceError, TryLockError};

use super::Pair;
use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const SPACE: &str = "host:other";

fn meet(space: &Space, number: u64) -> Result<(), SpaceError> {
    let mutex = space.mutex(&format!("mutex-{number}"), Pair::ZERO)?;
    match mutex.lock() {
        Ok(_) => {}
        Err(error) => {
            let mut guard = error.into_guard().expect("no deadlock");
            guard.repair();
        }
    }
    Ok(())
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "space"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "open", states: State::INSIDE, workers: &[0, 1, 2] },
            Operation { name: "object", states: &[State::Entering], workers: &[0, 1, 2] },
        ]
    }

    fn workers(&self) -> usize {
        3
    }

    fn work(&self, _: &Space, post: &mut Post<'_>) {
        while !post.stopping() {
            post.enter(0);
            let space = match Space::builder(SPACE).participants(16).open() {
                Ok(space) => space,
                Err(error) => {
                    post.fault(Fault::Other, &format!("space: {error}"));
                    post.outside();
                    continue;
                }
            };
            post.hold();
            post.linger();
            let number = post.random.below(3);
            post.enter(1);
            let met = meet(&space, number);
            post.enter(0);
            post.hold();
            post.linger();
            post.leave();
            if let Err(error) = met {
                post.fault(Fault::Other, &format!("space: {error}"));
            }
            drop(space);
            post.outside();
        }
    }

    fn check(&self, _: &Space, ledger: &Ledger, _: &[Fallen]) {
        let opened = Space::builder(SPACE).participants(16).open();
        let Ok(space) = opened else {
            return ledger.fault(Fault::Other, &format!("space: at the end {opened:?}"));
        };
        for number in 0..3 {
            let mutex = space.mutex(&format!("mutex-{number}"), Pair::ZERO);
            match mutex.as_ref().map(|mutex| mutex.try_lock().map(drop)) {
                Ok(Ok(()) | Err(TryLockError::OwnerDied(..))) => {}
                other => ledger.fault(Fault::Other, &format!("space: at the end {other:?}")),
            }
        }
    }
}
