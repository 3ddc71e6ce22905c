//! The scenes: every primitive in the way that its users use it.

mod barrier;
mod condvar;
mod dict;
mod event;
mod latch;
mod mutex;
mod once;
mod open;
mod pipe;
mod queue;
mod reentrant_mutex;
mod rwlock;
mod semaphore;
mod service;
mod topic;

pub(crate) use queue::Item;
use queue::Which;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::scene::Scene;

/// Every scene.
pub(crate) fn all() -> Vec<Box<dyn Scene>> {
    vec![
        Box::new(mutex::Scene),
        Box::new(reentrant_mutex::Scene),
        Box::new(rwlock::Scene),
        Box::new(semaphore::Scene { bounded: false }),
        Box::new(semaphore::Scene { bounded: true }),
        Box::new(condvar::Scene),
        Box::new(event::Scene),
        Box::new(barrier::Scene),
        Box::new(once::Scene),
        Box::new(latch::Scene),
        Box::new(dict::DictScene),
        Box::new(dict::ListScene),
        Box::new(queue::Scene { name: "queue", which: Which::Plain, batch: 1 }),
        Box::new(queue::Scene { name: "queue, batches", which: Which::Plain, batch: 16 }),
        Box::new(queue::Scene { name: "byte queue", which: Which::Bytes, batch: 1 }),
        Box::new(queue::Scene { name: "byte queue, batch", which: Which::Bytes, batch: 8 }),
        Box::new(queue::Scene { name: "lifo queue", which: Which::Lifo, batch: 1 }),
        Box::new(queue::Scene { name: "lifo queue, batches", which: Which::Lifo, batch: 16 }),
        Box::new(queue::Scene { name: "priority queue", which: Which::Priority, batch: 1 }),
        Box::new(queue::Scene { name: "priority q, batches", which: Which::Priority, batch: 16 }),
        Box::new(queue::Scene { name: "loan queue", which: Which::Loans, batch: 1 }),
        Box::new(pipe::Scene),
        Box::new(topic::Scene),
        Box::new(service::Scene),
        Box::new(open::Scene),
    ]
}

/// A value that is torn while it is changed: good when both halves are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Pair {
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Pair {
    pub(crate) const ZERO: Self = Self { first: 0, second: 0 };

    pub(crate) fn is_whole(&self) -> bool {
        self.first == self.second
    }

    /// Could a holder have died here?
    pub(crate) fn is_half_done(&self) -> bool {
        self.first.wrapping_sub(self.second) <= 1
    }
}
