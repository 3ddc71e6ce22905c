//! What the queues of threads that are not first in first out have in common: a collection of the standard library under the lock of
//! a stock.

use std::cell::UnsafeCell;
use std::time::Instant;

use antiphon_core::comm::stock::{GET, PUT};
use antiphon_core::comm::{Patience, RawStock, RingError, Shutdown};
use antiphon_core::wait::Deadline;
use antiphon_sys::threads::Threads;

use super::outcome;
use crate::error::{TimedGetError, TimedPutError, Timeout};

/// As long as it takes.
pub(super) const FOREVER: Patience = Patience::Until(None);

/// A collection that gives items back in an order of its own.
pub(super) trait Store {
    type Item;
    fn with_capacity(capacity: usize) -> Self;
    fn len(&self) -> usize;
    /// `stamp` is larger than that of every item that was pushed before.
    fn push(&mut self, item: Self::Item, stamp: u64);
    fn pop(&mut self) -> Option<Self::Item>;
}

/// A store that threads share.
pub(super) struct Stock<S> {
    stock: RawStock,
    bound: u32,
    store: UnsafeCell<S>,
}

// SAFETY: the store is touched under the stock's lock only, and moves items from thread to thread.
unsafe impl<S: Store<Item: Send>> Send for Stock<S> {}
// SAFETY: as above; no reference to an item is ever given out.
unsafe impl<S: Store<Item: Send>> Sync for Stock<S> {}

impl<S: Store> Stock<S> {
    /// The largest capacity.
    pub(super) const MAX_CAPACITY: usize = 1 << 30;

    pub(super) fn bounded(capacity: usize) -> Self {
        assert!(
            (1..=Self::MAX_CAPACITY).contains(&capacity),
            "the capacity of a queue is 1 to 2^30 items"
        );
        let store = UnsafeCell::new(S::with_capacity(capacity));
        Self { stock: RawStock::new(), bound: capacity as u32, store }
    }

    /// How many items there are. To be called by the holder of the lock.
    fn count(&self) -> Option<u32> {
        // SAFETY: nobody else touches the store while the lock is held.
        u32::try_from(unsafe { (*self.store.get()).len() }).ok()
    }

    #[inline]
    pub(super) fn put(
        &self,
        item: S::Item,
        patience: Patience,
    ) -> Result<(), (RingError, S::Item)> {
        let count = || self.count();
        match self.stock.enter::<_, PUT>(&Threads, self.bound, patience, count) {
            Err(error) => Err((error, item)),
            Ok(turn) => {
                // SAFETY: the lock is held, so nobody else touches the store.
                turn.hold(|| unsafe { (*self.store.get()).push(item, turn.stamp()) });
                turn.finish(turn.len() + 1, 1);
                Ok(())
            }
        }
    }

    /// Puts as many items as there is room for, from the first on.
    pub(super) fn put_some(
        &self,
        items: &mut impl ExactSizeIterator<Item = S::Item>,
        patience: Patience,
    ) -> Result<usize, RingError> {
        if items.len() == 0 {
            return Ok(0);
        }
        let turn = self.stock.enter::<_, PUT>(&Threads, self.bound, patience, || self.count())?;
        let n = items.len().min(turn.allowance() as usize);
        // SAFETY: as in `put`.
        turn.hold(|| unsafe {
            items.take(n).for_each(|item| (*self.store.get()).push(item, turn.stamp()));
        });
        turn.finish(turn.len() + n as u32, n as u32);
        Ok(n)
    }

    #[inline]
    pub(super) fn get(&self, patience: Patience) -> Result<S::Item, RingError> {
        let turn = self.stock.enter::<_, GET>(&Threads, self.bound, patience, || self.count())?;
        // SAFETY: as in `put`.
        let Some(item) = turn.hold(|| unsafe { (*self.store.get()).pop() }) else {
            return Err(turn.give_up());
        };
        turn.finish(turn.len() - 1, 1);
        Ok(item)
    }

    /// Takes at least one item and at most `most`.
    pub(super) fn get_some(
        &self,
        items: &mut Vec<S::Item>,
        most: usize,
        patience: Patience,
    ) -> Result<usize, RingError> {
        let most = most.min(self.bound as usize);
        if most == 0 {
            return Ok(0);
        }
        // Before the lock is taken: it may panic, and may take its time.
        items.reserve(most);
        let turn = self.stock.enter::<_, GET>(&Threads, self.bound, patience, || self.count())?;
        let n = most.min(turn.allowance() as usize);
        // SAFETY: as in `put`.
        turn.hold(|| unsafe { items.extend((0..n).map_while(|_| (*self.store.get()).pop())) });
        turn.finish(turn.len() - n as u32, n as u32);
        Ok(n)
    }

    pub(super) fn put_until(
        &self,
        item: S::Item,
        deadline: Deadline,
    ) -> Result<(), TimedPutError<S::Item>> {
        let begin = Instant::now();
        self.put(item, Patience::Until(Some(deadline))).map_err(|(error, item)| {
            outcome::timed_put(error, item, || Timeout::new("room in a queue", begin.elapsed()))
        })
    }

    pub(super) fn get_until(&self, deadline: Deadline) -> Result<S::Item, TimedGetError> {
        let begin = Instant::now();
        self.get(Patience::Until(Some(deadline))).map_err(|error| {
            outcome::timed_get(error, || Timeout::new("an item of a queue", begin.elapsed()))
        })
    }

    pub(super) fn shut_down(&self, how: Shutdown) {
        let done = self.stock.shut_down(&Threads, how);
        debug_assert!(done.is_ok(), "only a signal could interrupt this, and none does");
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.stock.is_shut_down()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.stock.len() as usize
    }

    pub(super) fn capacity(&self) -> usize {
        self.bound as usize
    }
}

/// The methods of such a queue. `$sample` is an item for the examples, of which `$first` is one that comes out before it whichever was
/// put first, and `$next` what that means in words.
macro_rules! stock_methods {
    ($name:literal, $item:ty, $a:literal, $b:literal, $next:literal) => {
        /// The largest capacity: 2^30.
        pub const MAX_CAPACITY: usize = Stock::<Vec<()>>::MAX_CAPACITY;

        /// An empty queue that holds up to `capacity` items. It reserves its memory at once.
        ///
        /// # Panics
        /// When the capacity is zero or more than [`MAX_CAPACITY`](Self::MAX_CAPACITY).
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(100);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        /// assert_eq!(queue.capacity(), 100);
        /// ```
        #[must_use]
        pub fn bounded(capacity: usize) -> Self {
            Self { stock: Stock::bounded(capacity) }
        }

        /// Puts an item, waiting for room as long as it takes.
        ///
        /// # Errors
        /// [`PutError::ShutDown`], with the item.
        ///
        /// ```
        /// use antiphon::comm::Shutdown;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(2);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        /// queue.shutdown(Shutdown::Drain);
        #[doc = concat!("assert_eq!(queue.put(", $b, ").unwrap_err().into_inner(), ", $b, ");")]
        /// ```
        #[inline]
        pub fn put(&self, item: $item) -> Result<(), PutError<$item>> {
            self.stock.put(item, FOREVER).map_err(|(error, item)| outcome::put(error, item))
        }

        /// Puts an item if there is room.
        ///
        /// # Errors
        /// [`TryPutError::Full`] or [`TryPutError::ShutDown`], with the item.
        ///
        /// ```
        /// use antiphon::error::TryPutError;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(1);")]
        #[doc = concat!("queue.try_put(", $a, ").unwrap();")]
        #[doc = concat!("assert_eq!(queue.try_put(", $b, "), Err(TryPutError::Full(", $b, ")));")]
        /// ```
        #[inline]
        pub fn try_put(&self, item: $item) -> Result<(), TryPutError<$item>> {
            let put = self.stock.put(item, Patience::Try);
            put.map_err(|(error, item)| outcome::try_put(error, item))
        }

        /// Puts an item, waiting for room no longer than `timeout`.
        ///
        /// # Errors
        /// [`TimedPutError::TimedOut`] or [`TimedPutError::ShutDown`], with the item.
        ///
        /// ```
        /// use std::time::Duration;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(1);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        #[doc = concat!("let error = queue.put_timeout(", $b, ", Duration::from_millis(1)).unwrap_err();")]
        #[doc = concat!("assert_eq!(error.into_inner(), ", $b, ");")]
        /// ```
        pub fn put_timeout(
            &self,
            item: $item,
            timeout: Duration,
        ) -> Result<(), TimedPutError<$item>> {
            self.stock.put_until(item, clock::deadline_after(timeout))
        }

        /// Puts an item, waiting for room no longer than until `deadline`.
        ///
        /// # Errors
        /// As [`put_timeout`](Self::put_timeout).
        ///
        /// ```
        /// use std::time::Instant;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(1);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        #[doc = concat!("assert!(queue.put_deadline(", $b, ", Instant::now()).is_err());")]
        /// ```
        pub fn put_deadline(
            &self,
            item: $item,
            deadline: Instant,
        ) -> Result<(), TimedPutError<$item>> {
            self.stock.put_until(item, clock::deadline_at(deadline))
        }

        /// Puts all items, waiting for room as long as it takes; as many at a time as there is room for. Others' items may come in
        /// between.
        ///
        /// # Errors
        /// [`PutError::ShutDown`], with the items that were not put.
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(10);")]
        #[doc = concat!("queue.put_many(vec![", $a, ", ", $b, "]).unwrap();")]
        #[doc = concat!("assert_eq!(queue.get_many(10).unwrap(), [", $b, ", ", $a, "]);")]
        /// ```
        pub fn put_many(
            &self,
            items: impl IntoIterator<Item = $item>,
        ) -> Result<(), PutError<Vec<$item>>> {
            // Collected before any lock is taken: the iterator is the caller's code.
            let items: Vec<_> = items.into_iter().collect();
            let mut items = items.into_iter();
            while items.len() > 0 {
                let put = self.stock.put_some(&mut items, FOREVER);
                if let Err(error) = put {
                    return Err(outcome::put(error, items.collect()));
                }
            }
            Ok(())
        }

        /// Puts as many of `items` as there is room for, from the first on; takes them out of the vector and says how many.
        ///
        /// # Errors
        /// [`TryPutError`] if there is no room for any; all are still in `items`.
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(1);")]
        #[doc = concat!("let mut items = vec![", $a, ", ", $b, "];")]
        /// assert_eq!(queue.try_put_many_from(&mut items), Ok(1));
        #[doc = concat!("assert_eq!(items, [", $b, "]);")]
        /// ```
        pub fn try_put_many_from(&self, items: &mut Vec<$item>) -> Result<usize, TryPutError<()>> {
            let mut rest = std::mem::take(items).into_iter();
            let put = self.stock.put_some(&mut rest, Patience::Try);
            *items = rest.collect();
            put.map_err(|error| outcome::try_put(error, ()))
        }

        #[doc = concat!("Takes ", $next, ", waiting for an item as long as it takes.")]
        ///
        /// # Errors
        /// [`GetError::ShutDown`].
        ///
        /// ```
        /// use antiphon::comm::Shutdown;
        /// use antiphon::error::GetError;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(2);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        #[doc = concat!("queue.put(", $b, ").unwrap();")]
        /// queue.shutdown(Shutdown::Drain);
        #[doc = concat!("assert_eq!(queue.get(), Ok(", $b, "));")]
        #[doc = concat!("assert_eq!(queue.get(), Ok(", $a, "));")]
        /// assert_eq!(queue.get(), Err(GetError::ShutDown));
        /// ```
        #[inline]
        pub fn get(&self) -> Result<$item, GetError> {
            self.stock.get(FOREVER).map_err(outcome::get)
        }

        #[doc = concat!("Takes ", $next, " if there is an item.")]
        ///
        /// # Errors
        /// [`TryGetError::Empty`] or [`TryGetError::ShutDown`].
        ///
        /// ```
        /// use antiphon::error::TryGetError;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(2);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        #[doc = concat!("assert_eq!(queue.try_get(), Ok(", $a, "));")]
        /// assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        /// ```
        #[inline]
        pub fn try_get(&self) -> Result<$item, TryGetError> {
            self.stock.get(Patience::Try).map_err(outcome::try_get)
        }

        #[doc = concat!("Takes ", $next, ", waiting for an item no longer than `timeout`.")]
        ///
        /// # Errors
        /// [`TimedGetError::TimedOut`] or [`TimedGetError::ShutDown`].
        ///
        /// ```
        /// use std::time::Duration;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(2);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        /// assert!(queue.get_timeout(Duration::from_millis(1)).is_ok());
        /// assert!(queue.get_timeout(Duration::from_millis(1)).is_err());
        /// ```
        pub fn get_timeout(&self, timeout: Duration) -> Result<$item, TimedGetError> {
            self.stock.get_until(clock::deadline_after(timeout))
        }

        #[doc = concat!("Takes ", $next, ", waiting for an item no longer than until `deadline`.")]
        ///
        /// # Errors
        /// As [`get_timeout`](Self::get_timeout).
        ///
        /// ```
        /// use std::time::Instant;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(2);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        /// assert!(queue.get_deadline(Instant::now()).is_ok());
        /// assert!(queue.get_deadline(Instant::now()).is_err());
        /// ```
        pub fn get_deadline(&self, deadline: Instant) -> Result<$item, TimedGetError> {
            self.stock.get_until(clock::deadline_at(deadline))
        }

        /// Takes up to `most` items at once, in the order in which they would come one by one, waiting for the first as long as it
        /// takes.
        ///
        /// # Errors
        /// [`GetError::ShutDown`].
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(10);")]
        #[doc = concat!("queue.put_many([", $a, ", ", $b, "]).unwrap();")]
        #[doc = concat!("assert_eq!(queue.get_many(1), Ok(vec![", $b, "]));")]
        #[doc = concat!("assert_eq!(queue.get_many(10), Ok(vec![", $a, "]));")]
        /// ```
        pub fn get_many(&self, most: usize) -> Result<Vec<$item>, GetError> {
            let mut items = Vec::new();
            self.get_many_into(&mut items, most)?;
            Ok(items)
        }

        /// The same, onto the end of `items`, and says how many.
        ///
        /// # Errors
        /// [`GetError::ShutDown`].
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(10);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        #[doc = concat!("let mut items = vec![", $b, "];")]
        /// assert_eq!(queue.get_many_into(&mut items, 10), Ok(1));
        #[doc = concat!("assert_eq!(items, [", $b, ", ", $a, "]);")]
        /// ```
        pub fn get_many_into(&self, items: &mut Vec<$item>, most: usize) -> Result<usize, GetError> {
            self.stock.get_some(items, most, FOREVER).map_err(outcome::get)
        }

        /// Takes up to `most` items at once, at least one if there is any.
        ///
        /// # Errors
        /// [`TryGetError::Empty`] or [`TryGetError::ShutDown`].
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(10);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        #[doc = concat!("assert_eq!(queue.try_get_many(10), Ok(vec![", $a, "]));")]
        /// assert!(queue.try_get_many(10).is_err());
        /// ```
        pub fn try_get_many(&self, most: usize) -> Result<Vec<$item>, TryGetError> {
            let mut items = Vec::new();
            self.stock.get_some(&mut items, most, Patience::Try).map_err(outcome::try_get)?;
            Ok(items)
        }

        /// The items until the queue is shut down and empty. Waits for each.
        ///
        /// ```
        /// use antiphon::comm::Shutdown;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(10);")]
        #[doc = concat!("queue.put_many([", $a, ", ", $b, "]).unwrap();")]
        /// queue.shutdown(Shutdown::Drain);
        #[doc = concat!("assert!(queue.iter().eq([", $b, ", ", $a, "]));")]
        /// ```
        pub fn iter(&self) -> impl Iterator<Item = $item> + '_ {
            std::iter::from_fn(|| self.get().ok())
        }

        /// Ends the queue: later puts fail, and gets once it is empty ([`Shutdown::Drain`]) or at once
        /// ([`Shutdown::Immediate`]; what is in it goes with the queue). Wakes all who wait. May be repeated and hardened. Waits
        /// for those who are putting or taking just now, so that nothing is put once it has returned.
        ///
        /// ```
        /// use antiphon::comm::Shutdown;
        /// use antiphon::error::GetError;
        ///
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(10);")]
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        /// queue.shutdown(Shutdown::Immediate);
        /// assert!(queue.is_shut_down());
        /// assert_eq!(queue.get(), Err(GetError::ShutDown));
        /// ```
        pub fn shutdown(&self, how: Shutdown) {
            self.stock.shut_down(how);
        }

        /// Whether it was shut down.
        pub fn is_shut_down(&self) -> bool {
            self.stock.is_shut_down()
        }

        /// The number of items, true at some instant of the call.
        ///
        /// ```
        #[doc = concat!("let queue = antiphon::comm::", $name, "::bounded(1);")]
        /// assert!(queue.is_empty());
        #[doc = concat!("queue.put(", $a, ").unwrap();")]
        /// assert_eq!(queue.len(), 1);
        /// assert!(queue.is_full());
        /// ```
        pub fn len(&self) -> usize {
            self.stock.len()
        }

        /// Whether there are no items, at some instant of the call.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether there is no room, at some instant of the call.
        pub fn is_full(&self) -> bool {
            self.len() >= self.capacity()
        }

        /// The most items it holds.
        pub fn capacity(&self) -> usize {
            self.stock.capacity()
        }
    };
}
pub(super) use stock_methods;
