//! What one would write with the standard library: a mutex around a collection, and two condition variables.

use crate::comm::channel::{BOUND, Bounded, Channel};
use crate::comm::stock::urgency;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex};

/// The standard library's collections under one name.
pub trait Store: Default + Send + 'static {
    const NAME: &'static str;
    fn len(&self) -> usize;
    fn put(&mut self, item: u64);
    fn take(&mut self) -> Option<u64>;
}

impl Store for Vec<u64> {
    const NAME: &'static str = "std Mutex<Vec>";

    fn len(&self) -> usize {
        self.len()
    }

    fn put(&mut self, item: u64) {
        self.push(item);
    }

    fn take(&mut self) -> Option<u64> {
        self.pop()
    }
}

impl Store for BinaryHeap<Reverse<(u64, u64)>> {
    const NAME: &'static str = "std Mutex<BinaryHeap>";

    fn len(&self) -> usize {
        self.len()
    }

    fn put(&mut self, item: u64) {
        self.push(Reverse((urgency(item), item)));
    }

    fn take(&mut self) -> Option<u64> {
        self.pop().map(|Reverse((_, item))| item)
    }
}

/// A bounded queue around a collection.
#[derive(Default)]
pub struct Locked<S> {
    store: Mutex<S>,
    items: Condvar,
    room: Condvar,
}

pub type LockedVec = Locked<Vec<u64>>;
pub type LockedHeap = Locked<BinaryHeap<Reverse<(u64, u64)>>>;

impl<S: Store> Channel<u64> for Locked<S> {
    const NAME: &'static str = S::NAME;
    type Tx = Arc<Self>;
    type Rx = Arc<Self>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Arc<Self>, Arc<Self>>> {
        let queue = Arc::new(Self::default());
        Some((vec![queue.clone(); tx], vec![queue; rx]))
    }

    #[inline]
    fn send(tx: &Arc<Self>, item: u64) {
        let full = |store: &mut S| store.len() == BOUND;
        let mut store = tx.room.wait_while(tx.store.lock().unwrap(), full).unwrap();
        store.put(item);
        drop(store);
        tx.items.notify_one();
    }

    #[inline]
    fn recv(rx: &Arc<Self>) -> u64 {
        let mut store = rx.store.lock().unwrap();
        loop {
            if let Some(item) = store.take() {
                drop(store);
                rx.room.notify_one();
                return item;
            }
            store = rx.items.wait(store).unwrap();
        }
    }
}
