//! One worker counts down one latch after the other, others wait for them.

use std::sync::atomic::Ordering::SeqCst;

use antiphon::Space;
use antiphon::space::Latch;

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const COUNT: u32 = 3;
const LATCHES: u64 = 2000;

fn latch(space: &Space, number: u64) -> Latch {
    space.latch(&format!("latch-{number}"), COUNT).expect("a latch")
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "latch"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "count_down", states: &[State::Entering], workers: &[0] },
            Operation { name: "wait", states: &[State::Entering], workers: &[1, 2] },
        ]
    }

    fn workers(&self) -> usize {
        3
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let current = &post.ledger.words[0];
        while !post.stopping() {
            let number = current.load(SeqCst);
            let latch = latch(space, number);
            if post.index == 0 {
                while !latch.is_open() {
                    post.enter(0);
                    latch.count_down(1);
                    post.outside();
                    post.linger();
                }
                post.outside();
                if number + 1 < LATCHES {
                    current.store(number + 1, SeqCst);
                }
            } else {
                post.enter(1);
                latch.wait();
                if !latch.is_open() {
                    post.fault(Fault::Other, "latch: a wait returned before it was open");
                }
                post.outside();
            }
        }
        if post.index == 0 {
            // The others may wait for the one that is current.
            latch(space, current.load(SeqCst)).count_down(COUNT);
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let number = ledger.words[0].load(SeqCst);
        if !latch(space, number).is_open() {
            ledger.fault(Fault::Lost, "latch: a count at the end");
        }
    }
}
