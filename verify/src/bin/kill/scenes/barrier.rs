//! Three workers meet at a barrier; when one dies it breaks, and the others make it new.

use std::sync::atomic::Ordering::SeqCst;

use antiphon::Space;
use antiphon::error::BarrierError;

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const PARTIES: u32 = 3;

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "barrier"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "wait", states: &[State::Entering], workers: &[0, 1, 2] },
            Operation { name: "reset", states: &[State::Entering], workers: &[0, 1, 2] },
            Operation { name: "abort", states: &[State::Entering], workers: &[0, 1, 2] },
        ]
    }

    fn workers(&self) -> usize {
        PARTIES as usize
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let barrier = space.barrier("barrier", PARTIES).expect("a barrier");
        let acting = &post.ledger.words[0];
        while !post.stopping() {
            if post.random.one_in(8) {
                post.enter(2);
                // Over and over, since one is over too soon to die in.
                for _ in 0..post.random.below(3000) {
                    barrier.abort();
                }
            }
            post.enter(0);
            let passed = barrier.wait_with(|| {
                // The others wait until this is over, or are told that it failed.
                acting.store(u64::from(post.incarnation), SeqCst);
                std::hint::spin_loop();
                acting.store(0, SeqCst);
            });
            match passed {
                Ok(passed) if passed.index() < PARTIES => {}
                Ok(passed) => post.fault(Fault::Other, &format!("barrier: {passed:?}")),
                Err(BarrierError::Broken) => {
                    if barrier.is_broken() {
                        post.enter(1);
                        for _ in 0..1 + post.random.below(3000) {
                            barrier.reset();
                        }
                    }
                }
                Err(error) => panic!("{error}"),
            }
            post.outside();
            post.dawdle();
        }
    }

    fn release(&self, space: &Space) {
        space.barrier("barrier", PARTIES).expect("a barrier").abort();
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let barrier = space.barrier("barrier", PARTIES).expect("a barrier");
        barrier.reset();
        let passed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..PARTIES).map(|_| scope.spawn(|| barrier.wait())).collect();
            let mut indexes: Vec<_> = threads
                .into_iter()
                .map(|t| t.join().expect("no panic").ok().map(|passed| passed.index()))
                .collect();
            indexes.sort_unstable();
            indexes
        });
        if passed != [Some(0), Some(1), Some(2)] {
            ledger.fault(Fault::Other, &format!("barrier: at the end {passed:?} passed"));
        }
    }
}
