//! Models of the ring of records: what differs from the ring of cells is how much a record takes.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::bytes::{Bytes, Shape, UNIT};
use antiphon_core::comm::{Patience, RawRing};
use antiphon_core::model::{Kernel, Model};
use antiphon_core::wait::Wait;
use loom::cell::UnsafeCell;
use loom::thread;

use crate::harness::{check, check_deaths_to, check_to};

const FOREVER: Patience = Patience::Until(None);

/// A queue of messages; one watched cell stands for the whole buffer's owner at each end.
struct Queue {
    ring: RawRing,
    buffer: UnsafeCell<Box<[u64]>>,
    shape: Shape,
}

// SAFETY: the buffer is touched through the ring only; loom runs one thread at a time.
unsafe impl Sync for Queue {}

impl Queue {
    /// For `items` messages and `bytes` of footprint.
    fn new(items: u32, bytes: u64) -> Arc<Self> {
        let shape = Shape::new(items, bytes, bytes - UNIT as u64).unwrap();
        let buffer = vec![0; shape.storage() as usize / UNIT].into();
        Arc::new(Self { ring: RawRing::new(), buffer: UnsafeCell::new(buffer), shape })
    }

    fn bytes(&self) -> Bytes<'_> {
        // SAFETY: only for the address.
        let start = self.buffer.with(|buffer| unsafe { (**buffer).as_ptr() }).cast_mut();
        // SAFETY: the buffer is as long as the shape says, and lives as long as `self`.
        unsafe { Bytes::new(&self.ring, NonNull::new(start).unwrap(), self.shape) }
    }

    fn put<W: Wait>(&self, w: &W, message: &[u8]) {
        self.bytes().push_slice(w, FOREVER, message).unwrap();
    }

    fn get<W: Wait>(&self, w: &W) -> Vec<u8> {
        self.bytes().pop(w, FOREVER, copied).unwrap()
    }

    fn drain<W: Wait>(&self, w: &W) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.bytes().pop(w, Patience::Try, copied).ok()).collect()
    }
}

fn copied(from: *const u8, len: usize) -> Vec<u8> {
    // SAFETY: the ring lends that many bytes.
    unsafe { std::slice::from_raw_parts(from, len).to_vec() }
}

fn party<T: 'static>(
    queue: &Arc<Queue>,
    w: Model<false>,
    life: impl FnOnce(&Queue, &Model<false>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let queue = queue.clone();
    thread::spawn(move || life(&queue, &w))
}

#[test]
fn messages_arrive_in_order() {
    check("ring of bytes, 1:1", 2000, || {
        let kernel = Kernel::new();
        // Three units: a message of eight bytes takes two, so there is room for one of them, or for three empty ones.
        let queue = Queue::new(5, 24);
        let producer = party(&queue, kernel.participant(1), |queue, w| {
            queue.put(w, b"");
            queue.put(w, b"eleven long");
            queue.put(w, b"six in");
        });
        let w = kernel.participant(2);
        assert_eq!(queue.get(&w), b"");
        assert_eq!(queue.get(&w), b"eleven long");
        assert_eq!(queue.get(&w), b"six in");
        producer.join().unwrap();
    });
}

#[test]
fn one_large_message_makes_room_for_all_who_fit() {
    check("ring of bytes, room for several", 2000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(5, 32);
        let w = kernel.participant(3);
        queue.put(&w, b"it takes all four units.");
        let producers: Vec<_> = [&b"a"[..], b"b"]
            .into_iter()
            .zip(1..)
            .map(|(message, n)| {
                party(&queue, kernel.participant(n), move |queue, w| queue.put(w, message))
            })
            .collect();
        assert_eq!(queue.get(&w).len(), 24);
        for producer in producers {
            producer.join().unwrap();
        }
        let mut rest = queue.drain(&w);
        rest.sort();
        assert_eq!(rest, [b"a", b"b"]);
    });
}

/// One of two who sleep for room wants more than there is, and must not keep the wake from the other.
#[test]
fn who_does_not_fit_keeps_nobody_from_fitting() {
    check_to(1, "ring of bytes, room for the smaller one", 2000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(5, 32);
        let w = kernel.participant(3);
        queue.put(&w, b"12345678");
        queue.put(&w, b"12345678");
        let large = party(&queue, kernel.participant(1), |queue, w| {
            queue.put(w, b"it takes all four units.");
        });
        let small = party(&queue, kernel.participant(2), |queue, w| queue.put(w, b"x"));
        assert_eq!(queue.get(&w), b"12345678");
        // Two units are free: enough for the small one only, and nobody takes anything until it is in.
        small.join().unwrap();
        assert_eq!(queue.get(&w), b"12345678");
        assert_eq!(queue.get(&w), b"x");
        large.join().unwrap();
        assert_eq!(queue.drain(&w), [b"it takes all four units."]);
    });
}

#[test]
fn a_producers_death_is_survived() {
    check_deaths_to(1, "ring of bytes, a producer's death", 2000, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(5, 24);
        let other = party(&queue, kernel.participant(1), |queue, w| queue.put(w, b"other"));
        let consumer = party(&queue, kernel.participant(2), |queue, w| {
            let mut got = vec![queue.get(w)];
            while got.last().unwrap() != b"other" {
                got.push(queue.get(w));
            }
            got
        });
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || queue.put(&w, b"victim"));
        other.join().unwrap();
        let mut got = consumer.join().unwrap();
        got.extend(queue.drain(&kernel.participant(7)));
        got.sort();
        assert!(got == [&b"other"[..], b"victim"] || lived.is_none() && got == [b"other"]);
        lived.is_none()
    });
}
