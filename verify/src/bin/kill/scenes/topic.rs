//! Two publishers of a topic, a subscriber for which they wait and one for which they do not.

use std::collections::HashMap;
use std::time::Duration;

use antiphon::Space;
use antiphon::error::{PublishError, ReceiveError};
use antiphon::space::{Policy, Topic};

use super::Item;
use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const PUBLISH: usize = 0;
const RECEIVE: usize = 1;
const SUBSCRIBE: usize = 2;
const CAPACITY: u32 = 16;
const SOON: Duration = Duration::from_micros(300);

fn open(space: &Space) -> Topic<Item> {
    space.topic("topic", CAPACITY).expect("a topic")
}

fn publish(topic: &Topic<Item>, post: &mut Post<'_>) {
    let maker = post.incarnation;
    let mut number = 0;
    while !post.stopping() {
        let item = Item::new(maker, number);
        post.enter(PUBLISH);
        let published = if post.random.below(2) == 0 {
            topic.try_publish(&item)
        } else {
            topic.publish_timeout(&item, SOON)
        };
        post.outside();
        match published {
            Ok(()) => number += 1,
            Err(PublishError::Full | PublishError::TimedOut(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn read(topic: &Topic<Item>, post: &mut Post<'_>, policy: Policy) {
    while !post.stopping() {
        post.enter(SUBSCRIBE);
        let mut reader = topic.subscribe(policy, 4).expect("a seat: those of the dead are free");
        post.outside();
        let mut next = HashMap::new();
        let most = 50 + post.random.below(500);
        for _ in 0..most {
            post.enter(RECEIVE);
            let received = reader.receive_timeout(SOON);
            post.outside();
            let item = match received {
                Ok(item) => item,
                Err(ReceiveError::TimedOut(_)) if post.stopping() => return,
                Err(ReceiveError::TimedOut(_)) => continue,
                Err(error) => panic!("{error:?}"),
            };
            if !item.is_whole() {
                post.fault(Fault::Torn, "topic: a message is not whole");
                continue;
            }
            // Of each publisher the messages come in order; for one that blocks, without a hole.
            let expected = next.insert(item.maker, item.number + 1);
            let holes = policy == Policy::Block && reader.missed() == 0;
            match expected {
                Some(expected) if item.number < expected => {
                    post.fault(Fault::Disorder, &format!("topic: {item:?}, not {expected}"));
                }
                Some(expected) if holes && item.number > expected => {
                    post.fault(Fault::Lost, &format!("topic: {item:?}, not {expected}"));
                }
                _ => {}
            }
        }
    }
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "topic"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "publish", states: &[State::Entering], workers: &[0, 1] },
            Operation { name: "receive", states: &[State::Entering], workers: &[2, 3] },
            Operation { name: "subscribe", states: &[State::Entering], workers: &[2, 3] },
        ]
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let topic = open(space);
        match post.index {
            0 | 1 => publish(&topic, post),
            2 => read(&topic, post, Policy::Block),
            _ => read(&topic, post, Policy::DropOldest),
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, _: &[Fallen]) {
        let topic = open(space);
        // The seats of the dead are in nobody's way.
        for number in 0..2 * CAPACITY {
            if topic.try_publish(&Item::new(0, number)).is_err() {
                ledger.fault(Fault::Lost, "topic: the dead are waited for");
                return;
            }
        }
    }
}
