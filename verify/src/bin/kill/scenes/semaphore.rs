//! Workers take one permit or two of three.

use std::time::Duration;

use antiphon::{Space, space};

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

const PERMITS: u64 = 3;

pub(crate) struct Scene {
    pub(crate) bounded: bool,
}

impl Scene {
    fn open(&self, space: &Space) -> space::Semaphore {
        if self.bounded {
            (*space.bounded_semaphore("permits", PERMITS).expect("a semaphore")).clone()
        } else {
            space.semaphore("permits", PERMITS).expect("a semaphore")
        }
    }
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        if self.bounded { "bounded semaphore" } else { "semaphore" }
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "acquire", states: State::INSIDE, workers: &[0, 1, 2, 3] },
            Operation { name: "acquire_many", states: State::INSIDE, workers: &[0, 1, 2, 3] },
        ]
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let permits = self.open(space);
        while !post.stopping() {
            let form = post.random.below(10);
            post.enter(usize::from(form >= 6));
            let permit = match form {
                0 => match permits.try_acquire() {
                    Some(permit) => permit,
                    None => {
                        post.outside();
                        continue;
                    }
                },
                1 => permits.acquire_timeout(Duration::from_secs(60)).expect("in a minute"),
                2..6 => permits.acquire(),
                _ => permits.acquire_many(2),
            };
            post.hold();
            post.dawdle();
            post.leave();
            drop(permit);
            post.outside();
            post.dawdle();
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let permits = self.open(space);
        // The books of the dead are settled by those who need permits.
        let Some(all) = permits.try_acquire_many(PERMITS) else {
            let what = format!("{}: {} of {PERMITS} permits", self.name(), permits.available());
            return ledger.fault(Fault::Lost, &what);
        };
        if permits.try_acquire().is_some() {
            ledger.fault(Fault::Twice, &format!("{}: more than {PERMITS} permits", self.name()));
        }
        drop(all);
        if permits.available() != PERMITS {
            ledger.fault(Fault::Lost, &format!("{}: not all permits came back", self.name()));
        }
    }
}
