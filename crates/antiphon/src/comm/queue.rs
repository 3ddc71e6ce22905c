//! Bounded queues between threads.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::comm::copy::{copy, copy_items};
use antiphon_core::comm::slots::{MAX_CAPACITY, Shape};
use antiphon_core::comm::{Patience, RawRing, RingError, Shutdown, Slots};
use antiphon_core::wait::{Deadline, Wait};
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::outcome;
use super::rest::Rest;
use crate::error::{
    GetError, PutError, TimedGetError, TimedPutError, Timeout, TryGetError, TryPutError,
};

/// As long as it takes.
const FOREVER: Patience = Patience::Until(None);

/// A bounded first-in first-out queue, for any number of threads that put and get.
///
/// Items come out in the order in which their puts were committed; so the items of one putter stay in their order, and no
/// item comes out twice. A put happens before the get that returns its item, and a get happens before the put
/// that fills its place. Not fair: a thread that runs may overtake one that sleeps.
///
/// A `try_` method does not wait for room or for an item; while another thread is moving an item at the same end of the queue,
/// for some nanoseconds, it does wait.
///
/// ```
/// use antiphon::comm::{Queue, Shutdown};
///
/// let queue = Queue::bounded(4);
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         for i in 0..10 {
///             queue.put(i).unwrap();
///         }
///         queue.shutdown(Shutdown::Drain);
///     });
///     assert!(queue.iter().eq(0..10));
/// });
/// ```
pub struct Queue<T> {
    ring: RawRing,
    cells: Box<[MaybeUninit<UnsafeCell<T>>]>,
    shape: Shape,
}

// SAFETY: items are moved from thread to thread, and no two threads touch a cell at once: the ring sees to that.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above; no reference to an item is ever given out.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Queue<T> {
    /// The largest capacity: 2^30.
    pub const MAX_CAPACITY: usize = MAX_CAPACITY as usize;

    /// An empty queue that holds up to `capacity` items. It reserves its memory at once.
    ///
    /// # Panics
    /// When the capacity is zero or more than [`MAX_CAPACITY`](Self::MAX_CAPACITY).
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::<String>::bounded(100);
    /// assert_eq!(queue.capacity(), 100);
    /// assert!(queue.is_empty());
    /// ```
    #[must_use]
    pub fn bounded(capacity: usize) -> Self {
        let shape = u32::try_from(capacity).ok().and_then(Shape::new);
        let shape = shape.expect("the capacity of a queue is 1 to 2^30 items");
        Self { ring: RawRing::new(), cells: Box::new_uninit_slice(shape.cells() as usize), shape }
    }

    #[inline]
    fn slots(&self) -> Slots<'_, T> {
        let cells = NonNull::from(&*self.cells).cast();
        // SAFETY: the cells are as many as the shape says, live as long as `self`, and are reached by this method only;
        // they are cells, into which a ring may write. Whatever shares a queue asks for `T: Send`.
        unsafe { Slots::new(&self.ring, cells, self.shape) }
    }
}

impl<T> Queue<T> {
    /// Puts an item, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`PutError::ShutDown`], with the item.
    ///
    /// ```
    /// use antiphon::comm::{Queue, Shutdown};
    ///
    /// let queue = Queue::bounded(1);
    /// queue.put("first").unwrap();
    /// queue.shutdown(Shutdown::Drain);
    /// assert_eq!(queue.put("second").unwrap_err().into_inner(), "second");
    /// ```
    #[inline]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.push(item, FOREVER).map_err(|(error, item)| outcome::put(error, item))
    }

    /// Puts an item if there is room.
    ///
    /// # Errors
    /// [`TryPutError::Full`] or [`TryPutError::ShutDown`], with the item.
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use antiphon::error::TryPutError;
    ///
    /// let queue = Queue::bounded(1);
    /// queue.try_put(1).unwrap();
    /// assert_eq!(queue.try_put(2), Err(TryPutError::Full(2)));
    /// ```
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        self.push(item, Patience::Try).map_err(|(error, item)| outcome::try_put(error, item))
    }

    /// Puts an item, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedPutError::TimedOut`] or [`TimedPutError::ShutDown`], with the item.
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use std::time::Duration;
    ///
    /// let queue = Queue::bounded(1);
    /// queue.put(1).unwrap();
    /// let error = queue.put_timeout(2, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.into_inner(), 2);
    /// ```
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), TimedPutError<T>> {
        self.put_until(item, clock::deadline_after(timeout))
    }

    /// Puts an item, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`put_timeout`](Self::put_timeout).
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use std::time::Instant;
    ///
    /// let queue = Queue::bounded(1);
    /// queue.put(1).unwrap();
    /// assert!(queue.put_deadline(2, Instant::now()).is_err());
    /// ```
    pub fn put_deadline(&self, item: T, deadline: Instant) -> Result<(), TimedPutError<T>> {
        self.put_until(item, clock::deadline_at(deadline))
    }

    fn put_until(&self, item: T, deadline: Deadline) -> Result<(), TimedPutError<T>> {
        let begin = Instant::now();
        self.push(item, Patience::Until(Some(deadline))).map_err(|(error, item)| {
            let timeout = || Timeout::new("room in a queue", begin.elapsed());
            outcome::timed_put(error, item, timeout)
        })
    }

    /// Puts all items in their order, waiting for room as long as it takes. Each part for which there is room is one
    /// commit, so a batch costs little more than one put. Others' items may come in between parts.
    ///
    /// # Errors
    /// [`PutError::ShutDown`], with the items that were not put.
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(10);
    /// queue.put_many(vec![1, 2, 3]).unwrap();
    /// queue.put_many(4..=5).unwrap();
    /// assert_eq!(queue.get_many(10).unwrap(), [1, 2, 3, 4, 5]);
    /// ```
    pub fn put_many(&self, items: impl IntoIterator<Item = T>) -> Result<(), PutError<Vec<T>>> {
        // Collected before any lock is taken: the iterator is the caller's code.
        let mut items: Vec<T> = items.into_iter().collect();
        match self.put_many_from(&mut items) {
            Ok(()) => Ok(()),
            Err(PutError::ShutDown(())) => Err(PutError::ShutDown(items)),
            Err(PutError::TooLarge(())) => Err(PutError::TooLarge(items)),
            Err(PutError::Corrupt(())) => Err(PutError::Corrupt(items)),
        }
    }

    /// As [`put_many`](Self::put_many), taking the items out of a vector that can be filled again.
    ///
    /// # Errors
    /// [`PutError::ShutDown`]; what was not put is still in `items`.
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(10);
    /// let mut items = vec![1, 2, 3];
    /// queue.put_many_from(&mut items).unwrap();
    /// assert!(items.is_empty() && items.capacity() >= 3);
    /// ```
    #[inline]
    pub fn put_many_from(&self, items: &mut Vec<T>) -> Result<(), PutError<()>> {
        let mut rest = Rest::of(items);
        while rest.len() > 0 {
            self.push_rest(&mut rest, FOREVER).map_err(|error| outcome::put(error, ()))?;
        }
        Ok(())
    }

    /// Puts as many of `items` as there is room for, from the first on, in one commit; takes them out of the vector and says how
    /// many.
    ///
    /// # Errors
    /// [`TryPutError`] if there is no room for any; all are still in `items`.
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(2);
    /// let mut items = vec![1, 2, 3];
    /// assert_eq!(queue.try_put_many_from(&mut items), Ok(2));
    /// assert_eq!(items, [3]);
    /// ```
    pub fn try_put_many_from(&self, items: &mut Vec<T>) -> Result<usize, TryPutError<()>> {
        let mut rest = Rest::of(items);
        self.push_rest(&mut rest, Patience::Try).map_err(|error| outcome::try_put(error, ()))
    }

    /// Takes the oldest item, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`GetError::ShutDown`].
    ///
    /// ```
    /// use antiphon::comm::{Queue, Shutdown};
    /// use antiphon::error::GetError;
    ///
    /// let queue = Queue::bounded(1);
    /// queue.put(7).unwrap();
    /// queue.shutdown(Shutdown::Drain);
    /// assert_eq!(queue.get(), Ok(7));
    /// assert_eq!(queue.get(), Err(GetError::ShutDown));
    /// ```
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.pop(FOREVER).map_err(outcome::get)
    }

    /// Takes the oldest item if there is one.
    ///
    /// # Errors
    /// [`TryGetError::Empty`] or [`TryGetError::ShutDown`].
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use antiphon::error::TryGetError;
    ///
    /// let queue = Queue::<u32>::bounded(1);
    /// assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.pop(Patience::Try).map_err(outcome::try_get)
    }

    /// Takes the oldest item, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedGetError::TimedOut`] or [`TimedGetError::ShutDown`].
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use antiphon::error::TimedGetError;
    /// use std::time::Duration;
    ///
    /// let queue = Queue::<u32>::bounded(1);
    /// let nothing = queue.get_timeout(Duration::from_millis(1));
    /// assert!(matches!(nothing, Err(TimedGetError::TimedOut(_))));
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TimedGetError> {
        self.get_until(clock::deadline_after(timeout))
    }

    /// Takes the oldest item, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`get_timeout`](Self::get_timeout).
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use std::time::Instant;
    ///
    /// let queue = Queue::<u32>::bounded(1);
    /// assert!(queue.get_deadline(Instant::now()).is_err());
    /// ```
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, TimedGetError> {
        self.get_until(clock::deadline_at(deadline))
    }

    fn get_until(&self, deadline: Deadline) -> Result<T, TimedGetError> {
        let begin = Instant::now();
        self.pop(Patience::Until(Some(deadline))).map_err(|error| {
            outcome::timed_get(error, || Timeout::new("an item of a queue", begin.elapsed()))
        })
    }

    /// Takes up to `most` items in one commit, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`GetError::ShutDown`].
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(10);
    /// queue.put_many(1..=3).unwrap();
    /// assert_eq!(queue.get_many(2), Ok(vec![1, 2]));
    /// assert_eq!(queue.get_many(2), Ok(vec![3]));
    /// ```
    pub fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
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
    /// let queue = antiphon::comm::Queue::bounded(10);
    /// queue.put_many(1..=3).unwrap();
    /// let mut items = Vec::new();
    /// assert_eq!(queue.get_many_into(&mut items, 10), Ok(3));
    /// assert_eq!(items, [1, 2, 3]);
    /// ```
    #[inline]
    pub fn get_many_into(&self, items: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.pop_onto(items, most, FOREVER).map_err(outcome::get)
    }

    /// Takes up to `most` items in one commit, at least one if there is any.
    ///
    /// # Errors
    /// [`TryGetError::Empty`] or [`TryGetError::ShutDown`].
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use antiphon::error::TryGetError;
    ///
    /// let queue = Queue::bounded(10);
    /// queue.put_many(1..=3).unwrap();
    /// assert_eq!(queue.try_get_many(10), Ok(vec![1, 2, 3]));
    /// assert_eq!(queue.try_get_many(10), Err(TryGetError::Empty));
    /// ```
    pub fn try_get_many(&self, most: usize) -> Result<Vec<T>, TryGetError> {
        let mut items = Vec::new();
        self.pop_onto(&mut items, most, Patience::Try).map_err(outcome::try_get)?;
        Ok(items)
    }

    #[inline]
    pub(super) fn push(&self, item: T, patience: Patience) -> Result<(), (RingError, T)> {
        self.push_with(item, &Threads, patience)
    }

    /// A put that waits in a way of its own.
    #[inline]
    pub(crate) fn push_as<W: Wait>(&self, item: T, w: &W) -> Result<(), (RingError, T)> {
        self.push_with(item, w, FOREVER)
    }

    #[inline]
    fn push_with<W: Wait>(&self, item: T, w: &W, patience: Patience) -> Result<(), (RingError, T)> {
        let item = ManuallyDrop::new(item);
        // SAFETY: the cell is ours until we commit, and apart from `item`, which is given back only if this is not called.
        let write = |cell: *mut T| unsafe {
            copy((&raw const item).cast(), cell.cast(), size_of::<T>());
        };
        match self.slots().push(w, patience, write) {
            Ok(()) => Ok(()),
            Err(error) => Err((error, ManuallyDrop::into_inner(item))),
        }
    }

    #[inline]
    pub(super) fn pop(&self, patience: Patience) -> Result<T, RingError> {
        self.pop_with(&Threads, patience)
    }

    /// A get that waits in a way of its own.
    #[inline]
    pub(crate) fn pop_as<W: Wait>(&self, w: &W) -> Result<T, RingError> {
        self.pop_with(w, FOREVER)
    }

    #[inline]
    fn pop_with<W: Wait>(&self, w: &W, patience: Patience) -> Result<T, RingError> {
        self.slots().pop(w, patience, |cell| {
            let mut item = MaybeUninit::<T>::uninit();
            // SAFETY: a committed cell holds an item, which moves out: the cell is not read again before the next put.
            unsafe {
                copy(cell.cast(), item.as_mut_ptr().cast(), size_of::<T>());
                item.assume_init()
            }
        })
    }

    #[inline]
    fn push_rest(&self, rest: &mut Rest<'_, T>, patience: Patience) -> Result<usize, RingError> {
        let (from, len) = (rest.start(), rest.len());
        let count = len.min(Self::MAX_CAPACITY) as u32;
        // SAFETY: `to` is room for `n` items; that many from `first` on are in the rest, and move.
        let put = self.slots().push_many(&Threads, patience, count, |to, first, n| unsafe {
            copy_items(from.add(first), to, n);
        })? as usize;
        rest.moved(put);
        Ok(put)
    }

    #[inline]
    fn pop_onto(
        &self,
        items: &mut Vec<T>,
        most: usize,
        patience: Patience,
    ) -> Result<usize, RingError> {
        self.pop_many_with(items, most, &Threads, patience)
    }

    /// A get of many that waits in a way of its own.
    pub(crate) fn pop_many_as<W: Wait>(
        &self,
        items: &mut Vec<T>,
        most: usize,
        w: &W,
    ) -> Result<usize, RingError> {
        self.pop_many_with(items, most, w, FOREVER)
    }

    #[inline]
    fn pop_many_with<W: Wait>(
        &self,
        items: &mut Vec<T>,
        most: usize,
        w: &W,
        patience: Patience,
    ) -> Result<usize, RingError> {
        let most = most.min(self.capacity());
        // Before the lock is taken: it may panic, and may take its time.
        items.reserve(most);
        let to = items.spare_capacity_mut().as_mut_ptr().cast::<T>();
        // SAFETY: at most `most` committed cells, for which there is room, and which are not read again.
        let got = self.slots().pop_many(w, patience, most as u32, |from, first, n| unsafe {
            copy_items(from, to.add(first), n);
        })? as usize;
        // SAFETY: that many items have just moved there.
        unsafe { items.set_len(items.len() + got) };
        Ok(got)
    }

    /// The items until the queue is shut down and empty. Waits for each.
    ///
    /// ```
    /// use antiphon::comm::{Queue, Shutdown};
    ///
    /// let queue = Queue::bounded(10);
    /// queue.put_many(1..=3).unwrap();
    /// queue.shutdown(Shutdown::Drain);
    /// assert_eq!(queue.iter().sum::<i32>(), 6);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: self }
    }

    /// Ends the queue: later puts fail, and gets once it is empty ([`Shutdown::Drain`]) or at once
    /// ([`Shutdown::Immediate`]; what is in it goes with the queue). Wakes all who wait. May be repeated and hardened. Waits
    /// for those who are putting or taking just now, so that nothing is put once it has returned.
    ///
    /// ```
    /// use antiphon::comm::{Queue, Shutdown};
    /// use antiphon::error::GetError;
    ///
    /// let queue = Queue::bounded(10);
    /// queue.put(1).unwrap();
    /// queue.shutdown(Shutdown::Immediate);
    /// assert_eq!(queue.get(), Err(GetError::ShutDown));
    /// ```
    pub fn shutdown(&self, how: Shutdown) {
        let done = self.ring.shut_down(&Threads, how);
        debug_assert!(done.is_ok(), "only a signal could interrupt this, and none does");
    }

    /// Whether it was shut down.
    ///
    /// ```
    /// use antiphon::comm::{Queue, Shutdown};
    ///
    /// let queue = Queue::<u32>::bounded(1);
    /// assert!(!queue.is_shut_down());
    /// queue.shutdown(Shutdown::Drain);
    /// assert!(queue.is_shut_down());
    /// ```
    pub fn is_shut_down(&self) -> bool {
        self.ring.is_shut_down()
    }

    /// The number of items, true at some instant of the call.
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(3);
    /// queue.put('a').unwrap();
    /// assert_eq!(queue.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.ring.len() as usize
    }

    /// Whether there are no items, at some instant of the call.
    ///
    /// ```
    /// assert!(antiphon::comm::Queue::<u32>::bounded(3).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether there is no room, at some instant of the call.
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(1);
    /// queue.put('a').unwrap();
    /// assert!(queue.is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// The most items it holds.
    ///
    /// ```
    /// assert_eq!(antiphon::comm::Queue::<u32>::bounded(3).capacity(), 3);
    /// ```
    pub fn capacity(&self) -> usize {
        self.shape.capacity() as usize
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        if mem::needs_drop::<T>() {
            // SAFETY: `&mut self` says that nobody else uses the ring. Each cell that is given holds an item.
            unsafe { self.slots().abandon(|cell| cell.drop_in_place()) };
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_shut_down", &self.is_shut_down())
            .finish()
    }
}

/// The items of a [`Queue`] until it is shut down and empty. See [`Queue::iter`].
pub struct Iter<'a, T> {
    queue: &'a Queue<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.get().ok()
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(self.queue).finish()
    }
}

impl<'a, T> IntoIterator for &'a Queue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
