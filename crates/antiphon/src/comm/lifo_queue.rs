//! Bounded queues between threads, last in first out.

use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::comm::{Patience, Shutdown};
use antiphon_sys::clock;

use super::outcome;
use super::stock::{FOREVER, Stock, Store, stock_methods};
use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};

/// A bounded queue whose newest item comes out first, for any number of threads that put and get.
///
/// A put happens before the get that returns its item. Not fair: a thread that runs may overtake one that sleeps. A `try_`
/// method does not wait for room or for an item; while another thread is putting or taking one, for some nanoseconds, it does wait.
///
/// ```
/// use antiphon::comm::LifoQueue;
///
/// let queue = LifoQueue::bounded(4);
/// queue.put("bottom").unwrap();
/// queue.put("top").unwrap();
/// assert_eq!(queue.get(), Ok("top"));
/// assert_eq!(queue.get(), Ok("bottom"));
/// ```
pub struct LifoQueue<T> {
    stock: Stock<Vec<T>>,
}

impl<T> Store for Vec<T> {
    type Item = T;

    fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity(capacity)
    }

    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn push(&mut self, item: T, _: u64) {
        self.push(item);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.pop()
    }
}

impl<T> LifoQueue<T> {
    stock_methods!("LifoQueue", T, "1", "2", "the newest item");
}

impl<T> fmt::Debug for LifoQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifoQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_shut_down", &self.is_shut_down())
            .finish()
    }
}
