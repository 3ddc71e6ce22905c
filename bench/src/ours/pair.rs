//! Our channel for two threads.

use crate::comm::channel::{BOUND, Batched, Bounded, Channel};
use antiphon::comm::channel::{SpscReceiver, SpscSender, spsc};
use std::cell::UnsafeCell;

pub struct Spsc;

impl<T: Send + 'static> Channel<T> for Spsc {
    const NAME: &'static str = crate::marks::OURS;
    // Each end is one party's alone, though it is used through a shared reference here.
    type Tx = UnsafeCell<SpscSender<T>>;
    type Rx = UnsafeCell<SpscReceiver<T>>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let (sender, receiver) = spsc(BOUND);
        (tx == 1 && rx == 1).then(|| (vec![sender.into()], vec![receiver.into()]))
    }

    #[inline]
    fn send(tx: &Self::Tx, item: T) {
        // SAFETY: the cell is not `Sync`, and no reference into it outlives a call.
        assert!(unsafe { &mut *tx.get() }.send(item).is_ok(), "the other end has gone");
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> T {
        // SAFETY: as above.
        unsafe { &mut *rx.get() }.recv().expect("the other end has gone")
    }
}

impl<T: Send + 'static> Batched<T> for Spsc {
    const BATCHED: &'static str = "antiphon, batches of 32";

    #[inline]
    fn send_all(tx: &Self::Tx, items: &mut Vec<T>) {
        // SAFETY: as above.
        assert!(unsafe { &mut *tx.get() }.send_many_from(items).is_ok(), "the other end has gone");
    }

    #[inline]
    fn recv_some(rx: &Self::Rx, items: &mut Vec<T>, most: usize) {
        // SAFETY: as above.
        unsafe { &mut *rx.get() }.recv_many_into(items, most).expect("the other end has gone");
    }
}
