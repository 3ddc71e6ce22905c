//! The ring of records, which spaces put into a segment, here on the heap.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use antiphon_core::comm::bytes::{Bytes, Shape, UNIT};
use antiphon_core::comm::{Patience, RawRing, Shutdown};
use antiphon_sys::threads::Threads;

use crate::crew::{Plain, ROUNDS, crew};

const FOREVER: Patience = Patience::Until(None);

struct Records {
    ring: RawRing,
    buffer: UnsafeCell<Vec<u64>>,
    shape: Shape,
}

// SAFETY: the buffer is reached through the ring only; that this orders all accesses is what is tested.
unsafe impl Sync for Records {}

impl Records {
    fn new() -> Self {
        let shape = Shape::new(6, 200, 60).unwrap();
        let buffer = UnsafeCell::new(vec![0; shape.storage() as usize / UNIT]);
        Self { ring: RawRing::new(), buffer, shape }
    }

    fn bytes(&self) -> Bytes<'_> {
        // SAFETY: the vector itself never changes.
        let start = unsafe { (*self.buffer.get()).as_ptr() }.cast_mut();
        // SAFETY: the buffer is as long as the shape says, and lives as long as `self`.
        unsafe { Bytes::new(&self.ring, NonNull::new(start).unwrap(), self.shape) }
    }

    fn get(&self) -> Option<u64> {
        let read = |from: *const u8, len| {
            // SAFETY: the ring lends that many bytes.
            let message = unsafe { std::slice::from_raw_parts(from, len) };
            assert!(message.iter().all(|byte| usize::from(*byte) == len));
            len as u64
        };
        self.bytes().pop(&Threads, FOREVER, read).ok()
    }
}

pub(crate) fn messages_are_handed_over() {
    let records = Records::new();
    let sums: [Plain; 2] = Default::default();
    let len = |round: usize| round % 61;
    crew(3, |n| match n {
        0 => {
            crew(2, |_| {
                for round in 0..ROUNDS {
                    let message = vec![len(round) as u8; len(round)];
                    records.bytes().push_slice(&Threads, FOREVER, &message).unwrap();
                }
            });
            records.ring.shut_down(&Threads, Shutdown::Drain).unwrap();
        }
        n => {
            while let Some(len) = records.get() {
                sums[n - 1].set(sums[n - 1].get() + len);
            }
        }
    });
    let expected: usize = (0..ROUNDS).map(len).sum();
    assert_eq!(sums[0].get() + sums[1].get(), 2 * expected as u64);
}
