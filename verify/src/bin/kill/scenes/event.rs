//! One worker sets and clears an event, others wait for it.

use std::time::Duration;

use antiphon::Space;

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const SET: usize = 0;
const CLEAR: usize = 1;
const WAIT: usize = 2;

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "event"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "set", states: &[State::Entering], workers: &[0] },
            Operation { name: "clear", states: &[State::Entering], workers: &[0] },
            Operation { name: "wait", states: &[State::Entering], workers: &[1, 2] },
        ]
    }

    fn workers(&self) -> usize {
        3
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let event = space.event("event").expect("an event");
        while !post.stopping() {
            if post.index == 0 {
                post.enter(CLEAR);
                event.clear();
                post.outside();
                post.dawdle();
                post.enter(SET);
                event.set();
            } else {
                post.enter(WAIT);
                if post.random.one_in(4) {
                    event.wait_timeout(Duration::from_secs(60)).expect("set within a minute");
                } else {
                    event.wait();
                }
            }
            post.outside();
            post.dawdle();
        }
    }

    fn release(&self, space: &Space) {
        space.event("event").expect("an event").set();
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let event = space.event("event").expect("an event");
        event.set();
        if event.wait_timeout(Duration::ZERO).is_err() {
            ledger.fault(Fault::Lost, "event: a setting");
        }
        event.clear();
        if event.wait_timeout(Duration::from_millis(1)).is_ok() {
            ledger.fault(Fault::Other, "event: it is set after clear");
        }
    }
}
