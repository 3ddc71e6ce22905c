//! Our queue between threads: the one of a space in scope `threads`.

use crate::clock::now;
use crate::comm::channel::{BOUND, Batched, Bounded, Channel};
use antiphon::Space;
use antiphon::space::{self, Plain};

pub struct Queue;

impl<T: Plain + Send + 'static> Channel<T> for Queue {
    const NAME: &'static str = crate::marks::OURS;
    type Tx = space::Queue<T>;
    type Rx = space::Queue<T>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let space = Space::open(&format!("threads:bench-{}", now())).expect("a space");
        let queue = space.queue::<T>("q", BOUND as u32).expect("a queue");
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

impl<T: Plain + Send + 'static> Batched<T> for Queue {
    const BATCHED: &'static str = "antiphon, batches of 32";

    #[inline]
    fn send_all(tx: &Self::Tx, items: &mut Vec<T>) {
        assert!(tx.put_many(items).is_ok(), "the queue was shut down");
        items.clear();
    }

    #[inline]
    fn recv_some(rx: &Self::Rx, items: &mut Vec<T>, most: usize) {
        rx.get_many_into(items, most).expect("the queue was shut down");
    }
}
