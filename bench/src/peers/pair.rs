//! Other people's channels for two threads.

use crate::comm::channel::{BOUND, Batched, Bounded, Channel};
use std::cell::UnsafeCell;
use std::hint::spin_loop;

/// crossfire's, which sleeps.
pub struct CrossfireSpsc;

impl<T: Send + Unpin + 'static> Channel<T> for CrossfireSpsc {
    const NAME: &'static str = "crossfire spsc";
    type Tx = crossfire::Tx<crossfire::spsc::Array<T>>;
    type Rx = crossfire::Rx<crossfire::spsc::Array<T>>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let (sender, receiver) = crossfire::spsc::bounded_blocking(BOUND);
        (tx == 1 && rx == 1).then(|| (vec![sender], vec![receiver]))
    }

    #[inline]
    fn send(tx: &Self::Tx, item: T) {
        assert!(tx.send(item).is_ok(), "the other end has gone");
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> T {
        rx.recv().expect("the other end has gone")
    }
}

/// A ring buffer that knows no waiting: both ends poll.
pub struct Rtrb;

impl<T: Send + 'static> Channel<T> for Rtrb {
    const NAME: &'static str = "rtrb, polling";
    type Tx = UnsafeCell<rtrb::Producer<T>>;
    type Rx = UnsafeCell<rtrb::Consumer<T>>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let (producer, consumer) = rtrb::RingBuffer::new(BOUND);
        (tx == 1 && rx == 1).then(|| (vec![producer.into()], vec![consumer.into()]))
    }

    #[inline]
    fn send(tx: &Self::Tx, mut item: T) {
        // SAFETY: the cell is not `Sync`, and no reference into it outlives a call.
        let tx = unsafe { &mut *tx.get() };
        while let Err(rtrb::PushError::Full(back)) = tx.push(item) {
            item = back;
            spin_loop();
        }
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> T {
        // SAFETY: as above.
        let rx = unsafe { &mut *rx.get() };
        loop {
            match rx.pop() {
                Ok(item) => return item,
                Err(_) => spin_loop(),
            }
        }
    }
}

impl<T: Send + 'static> Batched<T> for Rtrb {
    const BATCHED: &'static str = "rtrb, polling, batches of 32";

    #[inline]
    fn send_all(tx: &Self::Tx, items: &mut Vec<T>) {
        // SAFETY: as above.
        let tx = unsafe { &mut *tx.get() };
        loop {
            match tx.write_chunk_uninit(items.len()) {
                Ok(chunk) => {
                    chunk.fill_from_iter(items.drain(..));
                    return;
                }
                Err(_) => spin_loop(),
            }
        }
    }

    #[inline]
    fn recv_some(rx: &Self::Rx, items: &mut Vec<T>, most: usize) {
        // SAFETY: as above.
        let rx = unsafe { &mut *rx.get() };
        loop {
            let there = rx.slots().min(most);
            if there > 0 {
                items.extend(rx.read_chunk(there).expect("so many are there"));
                return;
            }
            spin_loop();
        }
    }
}
