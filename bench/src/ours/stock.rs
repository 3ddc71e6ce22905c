//! Our queues in another order, between threads and between processes.

use super::space::open;
use crate::comm::channel::{BOUND, Bounded, Channel};
use crate::comm::stock::{LIFO, PRIORITY, Shelf, urgency};
use antiphon::{Space, comm, space};
use std::sync::Arc;

pub struct Lifo;

impl Channel<u64> for Lifo {
    const NAME: &'static str = crate::marks::OURS;
    type Tx = Arc<comm::LifoQueue<u64>>;
    type Rx = Self::Tx;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let queue = Arc::new(comm::LifoQueue::bounded(BOUND));
        Some((vec![queue.clone(); tx], vec![queue; rx]))
    }

    #[inline]
    fn send(tx: &Self::Tx, item: u64) {
        tx.put(item).expect("the queue was shut down");
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> u64 {
        rx.get().expect("the queue was shut down")
    }
}

pub struct Priority;

impl Channel<u64> for Priority {
    const NAME: &'static str = crate::marks::OURS;
    type Tx = Arc<comm::PriorityQueue<u64, u64>>;
    type Rx = Self::Tx;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let queue = Arc::new(comm::PriorityQueue::bounded(BOUND));
        Some((vec![queue.clone(); tx], vec![queue; rx]))
    }

    #[inline]
    fn send(tx: &Self::Tx, item: u64) {
        tx.put((urgency(item), item)).expect("the queue was shut down");
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> u64 {
        rx.get().expect("the queue was shut down").1
    }
}

/// A queue in a space, which stays as long as this does.
pub struct HostLifo(space::LifoQueue<u64>, #[allow(dead_code)] Space);

impl Shelf for HostLifo {
    const ORDER: &'static str = LIFO;

    fn open(name: &str, capacity: u32) -> Self {
        let space = open(name);
        Self(space.lifo_queue("q", capacity).expect("a queue"), space)
    }

    #[inline]
    fn put(&self, n: u64) {
        self.0.put(n).expect("the queue was shut down");
    }

    #[inline]
    fn get(&self) -> u64 {
        self.0.get().expect("the queue was shut down")
    }
}

/// The same by priority.
pub struct HostPriority(space::PriorityQueue<u64, u64>, #[allow(dead_code)] Space);

impl Shelf for HostPriority {
    const ORDER: &'static str = PRIORITY;

    fn open(name: &str, capacity: u32) -> Self {
        let space = open(name);
        Self(space.priority_queue("q", capacity).expect("a queue"), space)
    }

    #[inline]
    fn put(&self, n: u64) {
        self.0.put((urgency(n), n)).expect("the queue was shut down");
    }

    #[inline]
    fn get(&self) -> u64 {
        self.0.get().expect("the queue was shut down").1
    }
}
