//! Two callers and two workers of a service.

use std::time::Duration;

use antiphon::Space;
use antiphon::error::{CallError, TimedGetError};
use antiphon::space::ByteService;
use antiphon_verify::random::mix;

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const CALL: usize = 0;
const ANSWER: usize = 1;
/// Fewer than the dead may leave taken, if nobody gave them back.
const CALLS: u32 = 3;
const SOON: Duration = Duration::from_micros(500);
const LATE: Duration = Duration::from_millis(5);

fn open(space: &Space) -> ByteService {
    space.byte_service("service", CALLS, 8).expect("a service")
}

fn call(service: &ByteService, post: &mut Post<'_>) {
    let mut number = u64::from(post.incarnation) << 32;
    while !post.stopping() {
        number += 1;
        post.enter(CALL);
        let reply = service.call_timeout(&number.to_ne_bytes(), LATE);
        post.outside();
        match reply {
            Ok(reply) if reply == mix(number).to_ne_bytes() => {}
            Ok(_) => post.fault(Fault::Other, "service: the reply to another call"),
            Err(CallError::TimedOut(_) | CallError::WorkerDied(_)) => {}
            Err(error) => post.fault(Fault::Other, &format!("service: {error}")),
        }
    }
}

fn answer(service: &ByteService, post: &mut Post<'_>) {
    while !post.stopping() {
        post.enter(ANSWER);
        match service.take_timeout(SOON) {
            Ok(request) => {
                post.hold();
                post.dawdle();
                match request.bytes().try_into() {
                    Ok(number) => {
                        let reply = mix(u64::from_ne_bytes(number)).to_ne_bytes();
                        request.reply(&reply).expect("it is short");
                    }
                    Err(_) => post.fault(Fault::Torn, "service: a request is not whole"),
                }
            }
            Err(TimedGetError::TimedOut(_)) => {}
            Err(error) => post.fault(Fault::Other, &format!("service: {error}")),
        }
        post.outside();
    }
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "service"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "call", states: &[State::Entering], workers: &[0, 1] },
            Operation {
                name: "answer",
                states: &[State::Entering, State::Holding],
                workers: &[2, 3],
            },
        ]
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let service = open(space);
        if post.index < 2 { call(&service, post) } else { answer(&service, post) }
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let service = open(space);
        while let Ok(request) = service.try_take() {
            let _ = request.reply(b"");
        }
        // All slots can be had again.
        let pending: Vec<_> = (0..CALLS).map(|_| service.try_begin(b"")).collect();
        if pending.iter().any(Result::is_err) {
            ledger.fault(Fault::Lost, "service: a slot that the dead keep");
        }
    }
}
