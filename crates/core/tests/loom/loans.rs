//! Models of the queue without copies, on blocks of which loom watches every access.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::loans::{Descriptor, RawBlocks, Run, Shape};
use antiphon_core::comm::{Loans, Patience, RawRing, RingError, Shutdown};
use antiphon_core::model::Kernel;
use antiphon_core::primitive::AtomicU32;
use antiphon_core::wait::{Deadline, Wait};
use loom::cell::UnsafeCell as Watched;

use crate::harness::{check, check_deaths, check_deaths_to, check_to, party, sorted};

const FOREVER: Patience = Patience::Until(None);
const HASTY: Patience = Patience::Until(Some(Deadline(0)));
/// Bytes of a block.
const BLOCK: u64 = 10;

/// Blocks of one number each. An item's length is its number.
struct Queue {
    ring: RawRing,
    descriptors: Box<[UnsafeCell<[u64; 2]>]>,
    raw: RawBlocks,
    owners: Box<[AtomicU32]>,
    blocks: Box<[Watched<u64>]>,
    shape: Shape,
}

// SAFETY: loom checks every access to the blocks, which is what the models are for; the descriptors are the ring's, which has
// models of its own.
unsafe impl Sync for Queue {}
// SAFETY: as above.
unsafe impl Send for Queue {}

impl Queue {
    fn new(blocks: u32) -> Arc<Self> {
        let shape = Shape::new(blocks, BLOCK).unwrap();
        Arc::new(Self {
            ring: RawRing::new(),
            descriptors: (0..shape.descriptors()).map(|_| UnsafeCell::new([0; 2])).collect(),
            raw: RawBlocks::new(),
            owners: (0..blocks).map(|_| AtomicU32::new(0)).collect(),
            blocks: (0..blocks).map(|_| Watched::new(0)).collect(),
            shape,
        })
    }

    fn loans(&self) -> Loans<'_> {
        let descriptors = NonNull::from(&*self.descriptors).cast::<Descriptor>();
        // SAFETY: as many as the shape says.
        unsafe { Loans::new(&self.ring, descriptors, &self.raw, &self.owners, self.shape) }
    }

    fn blocks(&self, run: Run) -> &[Watched<u64>] {
        &self.blocks[run.first as usize..][..run.count as usize]
    }

    /// Puts a number, which takes as many blocks as it has tens.
    fn put<W: Wait>(&self, w: &W, patience: Patience, value: u64) -> Result<(), RingError> {
        let run = self.loans().reserve(w, patience, self.shape.blocks_for(value).unwrap())?;
        for block in self.blocks(run) {
            // SAFETY: loom fails the model when another access is not ordered with this one.
            block.with_mut(|to| unsafe { *to = value });
        }
        self.loans().commit(w, run, value).inspect_err(|_| self.loans().release(w, run))
    }

    fn get<W: Wait>(&self, w: &W, patience: Patience) -> Result<u64, RingError> {
        let (run, len) = self.loans().take(w, patience)?;
        for block in self.blocks(run) {
            // SAFETY: as in `put`.
            assert_eq!(block.with(|from| unsafe { *from }), len, "an item is not whole");
        }
        self.loans().release(w, run);
        Ok(len)
    }

    fn drain<W: Wait>(&self, w: &W) -> Vec<u64> {
        std::iter::from_fn(|| self.get(w, Patience::Try).ok()).collect()
    }

    /// Every block can be borrowed, and what is in the queue stays what it is: poison goes through all that is free.
    fn accounts<W: Wait>(&self, w: &W) -> Vec<u64> {
        let mut runs = Vec::new();
        while let Ok(run) = self.loans().reserve(w, Patience::Try, 1) {
            // SAFETY: as in `put`.
            self.blocks(run)[0].with_mut(|to| unsafe { *to = 666 });
            runs.push(run);
        }
        let got = self.drain(w);
        let queued: u32 = got.iter().map(|len| self.shape.blocks_for(*len).unwrap()).sum();
        assert_eq!(runs.len() as u32 + queued, self.shape.blocks(), "a block is lost");
        for run in runs {
            self.loans().release(w, run);
        }
        assert_eq!(self.loans().free(w), Ok(self.shape.blocks() as usize));
        got
    }
}

#[test]
fn one_to_one() {
    check("loans, 1:1, one block", 500, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let producer = party(&queue, kernel.participant(1), |queue, w| {
            queue.put(w, FOREVER, 1).unwrap();
            queue.put(w, FOREVER, 2).unwrap();
        });
        let w = kernel.participant(2);
        assert_eq!(queue.get(&w, FOREVER), Ok(1));
        assert_eq!(queue.get(&w, FOREVER), Ok(2));
        producer.join().unwrap();
        assert_eq!(queue.loans().free(&w), Ok(1));
    });
}

#[test]
fn runs_of_blocks() {
    check_to(1, "loans, runs of blocks", 100, || {
        let kernel = Kernel::new();
        let queue = Queue::new(3);
        let producer = party(&queue, kernel.participant(1), |queue, w| {
            for value in [15, 25] {
                queue.put(w, FOREVER, value).unwrap();
            }
        });
        let w = kernel.participant(2);
        for value in [15, 25] {
            assert_eq!(queue.get(&w, FOREVER), Ok(value));
        }
        producer.join().unwrap();
        assert_eq!(queue.loans().free(&w), Ok(3));
        assert_eq!(queue.loans().reserve(&w, FOREVER, 4), Err(RingError::TooLarge));
    });
}

#[test]
fn two_producers_want_one_block() {
    check_to(1, "loans, two producers and one block", 300, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let producers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), move |queue, w| {
                    queue.put(w, FOREVER, n.into()).unwrap();
                })
            })
            .collect();
        let w = kernel.participant(3);
        let got = (0..2).map(|_| queue.get(&w, FOREVER).unwrap()).collect();
        assert_eq!(sorted(got), [1, 2]);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn a_timeout_takes_nothing() {
    check("loans, timeout", 100, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let w = kernel.participant(3);
        queue.put(&w, FOREVER, 1).unwrap();
        let hasty = party(&queue, kernel.participant(2), |queue, w| queue.put(w, HASTY, 3));
        assert_eq!(queue.get(&w, FOREVER), Ok(1));
        let put = hasty.join().unwrap();
        assert!(matches!(put, Ok(()) | Err(RingError::TimedOut)));
        assert_eq!(queue.accounts(&w), if put.is_ok() { vec![3] } else { vec![] });
    });
}

#[test]
fn a_shutdown_releases_sleepers() {
    check("loans, shutdown beside a sleeper", 50, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let w = kernel.participant(1);
        queue.put(&w, FOREVER, 1).unwrap();
        let sleeper = party(&queue, kernel.participant(2), |queue, w| queue.put(w, FOREVER, 2));
        queue.loans().shut_down(&w, Shutdown::Drain).unwrap();
        assert_eq!(sleeper.join().unwrap(), Err(RingError::ShutDown));
        assert_eq!(queue.get(&w, FOREVER), Ok(1));
        assert_eq!(queue.get(&w, FOREVER), Err(RingError::ShutDown));
    });
}

#[test]
fn a_producers_death_leaves_nothing() {
    check_deaths("loans, a producer's death", 200, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(2);
        let consumer =
            party(&queue, kernel.participant(1), |queue, w| queue.get(w, Patience::Try).ok());
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || queue.put(&w, FOREVER, 15).unwrap());
        let mut got = Vec::from_iter(consumer.join().unwrap());
        let last = kernel.participant(7);
        got.extend(queue.drain(&last));
        // Both blocks, of which the victim may have had one or two.
        queue.put(&last, Patience::Try, 16).unwrap();
        got.extend(queue.accounts(&last));
        assert!(got == [15, 16] || lived.is_none() && got == [16], "{got:?}");
        lived.is_none()
    });
}

#[test]
fn a_consumers_death_leaves_nothing() {
    check_deaths("loans, a consumer's death", 200, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(3);
        let w = kernel.participant(0);
        queue.put(&w, FOREVER, 15).unwrap();
        queue.put(&w, FOREVER, 6).unwrap();
        let other = party(&queue, kernel.participant(2), |queue, w| queue.get(w, FOREVER).unwrap());
        let lived = kernel.victim(w.me(), step, || queue.get(&w, FOREVER).unwrap());
        let mut got = vec![other.join().unwrap()];
        got.extend(queue.accounts(&kernel.participant(7)));
        got.extend(lived);
        let got = sorted(got);
        match lived {
            Some(_) => assert_eq!(got, [6, 15]),
            // What it had taken ended with it.
            None => assert!(got == [6, 15] || got.len() == 1),
        }
        lived.is_none()
    });
}

#[test]
fn what_is_queued_outlives_who_put_it() {
    check_deaths("loans, a death in a sweep", 50, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(3);
        // Puts one item, borrows for another one, and dies.
        let first = kernel.participant(1);
        queue.put(&first, FOREVER, 7).unwrap();
        queue.loans().reserve(&first, FOREVER, 1).unwrap();
        kernel.declare_gone(first.me());
        // Needs both other blocks, so it has to sweep, and dies in the midst of it.
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || queue.put(&w, FOREVER, 15).unwrap());
        let got = queue.accounts(&kernel.participant(7));
        assert!(got == [7, 15] || lived.is_none() && got == [7], "{got:?}");
        lived.is_none()
    });
}

#[test]
fn a_sleeper_gets_what_the_dead_had() {
    check_deaths_to(1, "loans, a death beside a sleeper", 50, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(1);
        let w = kernel.participant(0);
        let run = queue.loans().reserve(&w, FOREVER, 1).unwrap();
        let sleeper = party(&queue, kernel.participant(1), |queue, w| queue.put(w, FOREVER, 2));
        let lived = kernel.victim(w.me(), step, || queue.loans().release(&w, run));
        assert_eq!(sleeper.join().unwrap(), Ok(()));
        assert_eq!(queue.accounts(&kernel.participant(7)), [2]);
        lived.is_none()
    });
}
