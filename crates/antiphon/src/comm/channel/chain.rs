//! A queue without a bound: rings, each twice as large as the one before.
//!
//! Puts go to ring `put_at`. Whoever finds it full makes the next one, moves `put_at`, and *then* shuts the full one down, so
//! that no later put can land in it. Gets come from ring `get_at`, and move on when it is shut down and empty. So everything
//! in a ring was put before anything whose put began after the ring was left: the order of a queue. Rings are kept until the
//! end: all together hold less than twice what was ever in the largest one, which goes on being used like a bounded queue.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize, fence};

use antiphon_core::comm::{Patience, RingError, Shutdown};

use crate::comm::Queue;
use crate::sync::OnceLock;

/// Items of the first ring.
const FIRST: usize = 64;
/// So many rings: the last one has the largest capacity that there is.
const RINGS: usize = 25;

const _: () = assert!(FIRST << (RINGS - 1) == 1 << 30);

pub(super) struct Chain<T> {
    rings: [OnceLock<Queue<T>>; RINGS],
    put_at: AtomicUsize,
    get_at: AtomicUsize,
    /// Nobody gets any more.
    ended: AtomicBool,
}

impl<T> Chain<T> {
    pub(super) fn new() -> Self {
        let chain = Self {
            rings: [const { OnceLock::new() }; RINGS],
            put_at: AtomicUsize::new(0),
            get_at: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        };
        chain.make(0);
        chain
    }

    fn make(&self, i: usize) -> &Queue<T> {
        let made = self.rings[i].get_or_init(|| Queue::bounded(FIRST << i));
        made.expect("a queue is made without looking at the chain")
    }

    fn ring(&self, i: usize) -> &Queue<T> {
        self.rings[i].get().expect("made before an index came here")
    }

    pub(super) fn push(&self, mut item: T, patience: Patience) -> Result<(), (RingError, T)> {
        loop {
            // Acquire pairs with the exchange in `grow`: the ring is made.
            let i = self.put_at.load(Acquire);
            let patience = if i + 1 < RINGS { Patience::Try } else { patience };
            item = match self.ring(i).push(item, patience) {
                Err((RingError::Full, item)) if i + 1 < RINGS => {
                    self.grow(i);
                    item
                }
                // Left for the next one before it was shut down.
                Err((RingError::ShutDown, item)) if self.put_at.load(Acquire) != i => item,
                done => return done,
            };
        }
    }

    /// Ring `i` is full: the next one, then.
    #[cold]
    fn grow(&self, i: usize) {
        let next = self.make(i + 1);
        // AcqRel: Release publishes the ring.
        let _ = self.put_at.compare_exchange(i, i + 1, AcqRel, Relaxed);
        self.ring(i).shutdown(Shutdown::Drain);
        // Pairs with the fence in `end`: that one sees our ring, or we see that it has ended the others.
        fence(SeqCst);
        if self.ended.load(Relaxed) {
            next.shutdown(Shutdown::Immediate);
        }
    }

    pub(super) fn pop(&self, patience: Patience) -> Result<T, RingError> {
        loop {
            let i = self.get_at.load(Acquire);
            match self.ring(i).pop(patience) {
                // Empty for good. Acquire pairs with the exchange in `grow`.
                Err(RingError::ShutDown) if self.put_at.load(Acquire) > i => {
                    let _ = self.get_at.compare_exchange(i, i + 1, AcqRel, Relaxed);
                }
                done => return done,
            }
        }
    }

    /// Nobody puts any more: what is there can still be taken.
    pub(super) fn drain(&self) {
        self.ring(self.put_at.load(Acquire)).shutdown(Shutdown::Drain);
    }

    /// Nobody gets any more: puts fail.
    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
        fence(SeqCst);
        for ring in self.rings.iter().filter_map(OnceLock::get) {
            ring.shutdown(Shutdown::Immediate);
        }
    }

    /// The number of items. While others put and get, about.
    pub(super) fn len(&self) -> usize {
        self.rings.iter().filter_map(OnceLock::get).map(Queue::len).sum()
    }
}
