//! Our queue between threads.

use crate::comm::channel::{BOUND, Batched, Bounded, Channel};
use antiphon::comm;
use std::sync::Arc;

pub struct Queue;

impl<T: Send + 'static> Channel<T> for Queue {
    const NAME: &'static str = crate::marks::OURS;
    type Tx = Arc<comm::Queue<T>>;
    type Rx = Arc<comm::Queue<T>>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let queue = Arc::new(comm::Queue::bounded(BOUND));
        Some((vec![queue.clone(); tx], vec![queue; rx]))
    }

    #[inline]
    fn send(tx: &Self::Tx, item: T) {
        assert!(tx.put(item).is_ok(), "the queue was shut down");
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> T {
        rx.get().expect("the queue was shut down")
    }
}

impl<T: Send + 'static> Batched<T> for Queue {
    const BATCHED: &'static str = "antiphon, batches of 32";

    #[inline]
    fn send_all(tx: &Self::Tx, items: &mut Vec<T>) {
        assert!(tx.put_many_from(items).is_ok(), "the queue was shut down");
    }

    #[inline]
    fn recv_some(rx: &Self::Rx, items: &mut Vec<T>, most: usize) {
        rx.get_many_into(items, most).expect("the queue was shut down");
    }
}
