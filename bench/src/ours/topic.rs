//! Our topic between processes.

use super::space::{open, unique_name};
use crate::comm::channel::BOUND;
use crate::comm::link::Link;
use antiphon::Space;
use antiphon::space::{self, Policy, Subscriber};

pub struct Topic;

impl Link for Topic {
    const NAME: &'static str = crate::marks::OURS;
    type Wires = String;
    type Tx = (space::Topic<[u8; 64]>, Space);
    type Rx = (Subscriber<[u8; 64]>, Space);

    fn wires(_: usize) -> String {
        unique_name()
    }

    fn tx(wires: &String) -> Self::Tx {
        let space = open(wires);
        (space.topic("t", BOUND as u32).expect("a topic"), space)
    }

    fn rx(wires: &String) -> Self::Rx {
        let (topic, space) = Self::tx(wires);
        (topic.subscribe(Policy::Block, 0).expect("a seat"), space)
    }

    #[inline]
    fn send(tx: &mut Self::Tx, bytes: &[u8]) {
        tx.0.publish(bytes.try_into().expect("the length")).unwrap();
    }

    #[inline]
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8])) {
        show(&rx.0.receive().unwrap());
    }
}
