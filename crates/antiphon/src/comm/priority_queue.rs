//! Bounded queues between threads, the most urgent item first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::comm::{Patience, Shutdown};
use antiphon_sys::clock;

use super::outcome;
use super::stock::{FOREVER, Stock, Store, stock_methods};
use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};

/// A bounded queue of pairs of a priority and a value, the smallest priority first, for any number of threads that put and get.
///
/// Values of the same priority come out in the order in which they were put. For the largest first, wrap the priority in
/// [`Reverse`](std::cmp::Reverse). A put happens before the get that returns its item. Not fair: a thread that runs may overtake
/// one that sleeps. If comparing two priorities panics, so does the put or the get, and the order of what is in the
/// queue is no longer promised.
///
/// ```
/// use antiphon::comm::PriorityQueue;
///
/// let queue = PriorityQueue::bounded(4);
/// queue.put((2, "later")).unwrap();
/// queue.put((1, "soon")).unwrap();
/// queue.put((1, "then")).unwrap();
/// assert_eq!(queue.get(), Ok((1, "soon")));
/// assert_eq!(queue.get(), Ok((1, "then")));
/// assert_eq!(queue.get(), Ok((2, "later")));
/// ```
pub struct PriorityQueue<P: Ord, T> {
    stock: Stock<BinaryHeap<Entry<P, T>>>,
}

/// An item in the heap, whose largest is what comes out first: the smallest priority, and of equal ones the smallest stamp.
struct Entry<P, T> {
    priority: P,
    stamp: u64,
    value: T,
}

impl<P: Ord, T> Ord for Entry<P, T> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.priority.cmp(&self.priority).then(other.stamp.cmp(&self.stamp))
    }
}

impl<P: Ord, T> PartialOrd for Entry<P, T> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P: Ord, T> PartialEq for Entry<P, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P: Ord, T> Eq for Entry<P, T> {}

impl<P: Ord, T> Store for BinaryHeap<Entry<P, T>> {
    type Item = (P, T);

    fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity(capacity)
    }

    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn push(&mut self, (priority, value): (P, T), stamp: u64) {
        self.push(Entry { priority, stamp, value });
    }

    #[inline]
    fn pop(&mut self) -> Option<(P, T)> {
        self.pop().map(|entry| (entry.priority, entry.value))
    }
}

impl<P: Ord, T> PriorityQueue<P, T> {
    stock_methods!(
        "PriorityQueue",
        (P, T),
        "(2, 'a')",
        "(1, 'b')",
        "the item with the smallest priority"
    );
}

impl<P: Ord, T> fmt::Debug for PriorityQueue<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_shut_down", &self.is_shut_down())
            .finish()
    }
}
