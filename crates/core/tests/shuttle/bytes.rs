//! Walks around the ring of records.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use antiphon_core::comm::bytes::{Bytes, Shape, UNIT};
use antiphon_core::comm::{Patience, RawRing, RingError, Shutdown};
use antiphon_core::primitive::{AtomicU32, Ordering::Relaxed};
use antiphon_core::wait::Wait;

use crate::harness::{deaths, join, party, victim, walk, walk_deaths};

const FOREVER: Patience = Patience::Until(None);

/// A queue of messages that say how long they are.
struct Queue {
    ring: RawRing,
    buffer: UnsafeCell<Box<[u64]>>,
    shape: Shape,
    /// Something to touch in the middle of a copy: others may come in between, or death.
    middle: AtomicU32,
    taken: Mutex<Vec<Vec<u8>>>,
}

// SAFETY: the buffer is touched through the ring only, and the checker runs one thread at a time.
unsafe impl Sync for Queue {}

impl Queue {
    /// For `items` messages and `bytes` of footprint.
    fn new(items: u32, bytes: u64) -> Arc<Self> {
        let shape = Shape::new(items, bytes, bytes - UNIT as u64).unwrap();
        let buffer = vec![0; shape.storage() as usize / UNIT].into();
        Arc::new(Self {
            ring: RawRing::new(),
            buffer: UnsafeCell::new(buffer),
            shape,
            middle: AtomicU32::new(0),
            taken: Mutex::default(),
        })
    }

    fn bytes(&self) -> Bytes<'_> {
        // SAFETY: only for the address.
        let start = unsafe { (*self.buffer.get()).as_mut_ptr() };
        // SAFETY: the buffer is as long as the shape says, and lives as long as `self`.
        unsafe { Bytes::new(&self.ring, NonNull::new(start).unwrap(), self.shape) }
    }

    fn put<W: Wait>(&self, w: &W, message: &[u8]) {
        let put = self.bytes().push(w, FOREVER, message.len(), |to| {
            let (first, second) = message.split_at(message.len() / 2);
            // SAFETY: the ring lends that many bytes.
            unsafe {
                to.copy_from_nonoverlapping(first.as_ptr(), first.len());
                self.middle.load(Relaxed);
                to.add(first.len()).copy_from_nonoverlapping(second.as_ptr(), second.len());
            }
        });
        put.unwrap();
    }

    fn get<W: Wait>(&self, w: &W) -> Result<(), RingError> {
        let message = self.bytes().pop(w, FOREVER, |from, len| {
            // SAFETY: the ring lends that many bytes.
            let first = unsafe { std::slice::from_raw_parts(from, len / 2).to_vec() };
            self.middle.load(Relaxed);
            // SAFETY: as above.
            let second = unsafe { std::slice::from_raw_parts(from.add(len / 2), len - len / 2) };
            [&first, second].concat()
        })?;
        self.taken.lock().unwrap().push(message);
        Ok(())
    }

    fn get_all<W: Wait>(&self, w: &W) {
        while self.get(w).is_ok() {
            let mut some = Vec::new();
            let got = self.bytes().pop_many(w, Patience::Try, 2, |from, len| {
                // SAFETY: the ring lends that many bytes.
                some.push(unsafe { std::slice::from_raw_parts(from, len).to_vec() });
            });
            assert!(got.is_ok() || matches!(got, Err(RingError::Empty | RingError::ShutDown)));
            self.taken.lock().unwrap().extend(some);
        }
    }

    /// What was taken, in order, each message whole.
    fn taken(&self) -> Vec<Vec<u8>> {
        let mut taken = self.taken.lock().unwrap().clone();
        taken.sort();
        for message in &taken {
            assert!(message.iter().all(|byte| usize::from(byte % 32) == message.len()), "torn");
        }
        taken
    }
}

/// A message of one producer: as many bytes, which say so and by whom.
fn message(producer: u8, len: u8) -> Vec<u8> {
    vec![producer * 32 + len; usize::from(len)]
}

fn sorted(mut messages: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    messages.sort();
    messages
}

#[test]
fn messages_of_all_lengths_arrive_whole() {
    walk("ring of bytes, 3:3", |kernel| {
        let queue = Queue::new(4, 40);
        let producers = (1..4)
            .map(|n| {
                party(&queue, kernel.participant(n.into()), move |queue, w| {
                    queue.put(w, &message(n, 30));
                    queue.put(w, &message(n, 5));
                    let batch = [message(n, 9), message(n, 2)];
                    let put = queue.bytes().push_many(w, FOREVER, &batch).unwrap();
                    batch[put..].iter().for_each(|message| queue.put(w, message));
                })
            })
            .collect();
        let consumers: Vec<_> =
            (4..7).map(|n| party(&queue, kernel.participant(n), Queue::get_all)).collect();
        join(producers);
        queue.ring.shut_down(&kernel.participant(7), Shutdown::Drain).unwrap();
        join(consumers);
        let all = (1..4).flat_map(|n| [30, 5, 9, 2].map(|len| message(n, len)));
        assert_eq!(queue.taken(), sorted(all.collect()));
    });
}

#[test]
fn deaths_tear_nothing() {
    walk_deaths("ring of bytes, two producers and a consumer die", |kernel| {
        let queue = Queue::new(4, 32);
        let produce = |n: u8| {
            move |queue: &Queue, w: &_| {
                for len in [20, 3, 9] {
                    queue.put(w, &message(n, len));
                }
            }
        };
        let survivors: Vec<_> =
            (1..3).map(|n| party(&queue, kernel.participant(n.into()), produce(n))).collect();
        let consumer = party(&queue, kernel.participant(3), Queue::get_all);
        let glutton = victim(&queue, kernel, kernel.participant(4), 120, Queue::get_all);
        let producers = (5..7)
            .map(|n| victim(&queue, kernel, kernel.participant(n.into()), 80, produce(n)))
            .collect();
        let producers = join(producers);
        join(survivors);
        queue.ring.shut_down(&kernel.participant(7), Shutdown::Drain).unwrap();
        consumer.join().unwrap();
        let glutton = deaths(&[glutton.join().unwrap()]);
        let taken = queue.taken();
        assert!(taken.windows(2).all(|pair| pair[0] != pair[1]), "taken twice");
        let lived = producers.iter().zip(5..).filter(|(life, _)| life.is_some()).map(|(_, n)| n);
        let committed = [1, 2].into_iter().chain(lived);
        let committed = committed.flat_map(|n| [20, 3, 9].map(|len| message(n, len)));
        let lost = committed.filter(|message| !taken.contains(message)).count();
        assert!(lost <= 2 * glutton as usize, "{lost} messages are lost");
        glutton + deaths(&producers)
    });
}
