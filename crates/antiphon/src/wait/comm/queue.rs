//! Waiting for an item of a queue, or for room.

use std::fmt;

use antiphon_core::comm::RingError;

use crate::comm::{Queue, outcome};
use crate::error::{GetError, PutError};
use crate::wait::operation::{Look, Operation, Sealed};
use crate::wait::task::Async;

/// Until a queue has an item. See [`Queue::get_async`].
#[derive(Debug)]
pub struct Get<'a, T> {
    queue: &'a Queue<T>,
}

/// Until a queue has items. See [`Queue::get_many_async`].
#[derive(Debug)]
pub struct GetMany<'a, T> {
    queue: &'a Queue<T>,
    most: usize,
}

/// Until a queue has room for an item. See [`Queue::put_async`].
pub struct Put<'a, T> {
    queue: &'a Queue<T>,
    /// Until it is put.
    item: Option<T>,
}

impl<T> Queue<T> {
    /// Puts an item, waiting for room as long as it takes. Dropped before it is done, it has put nothing, and the item goes with it.
    ///
    /// # Errors
    /// [`PutError::ShutDown`], with the item.
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(1);
    /// smol::block_on(async {
    ///     queue.put_async(1).await.unwrap();
    ///     let (put, got) = smol::future::zip(queue.put_async(2), queue.get_async()).await;
    ///     assert_eq!((put, got), (Ok(()), Ok(1)));
    /// });
    /// assert_eq!(queue.get(), Ok(2));
    /// ```
    #[inline]
    pub fn put_async(&self, item: T) -> Async<Put<'_, T>> {
        Async::new(Put { queue: self, item: Some(item) })
    }

    /// Takes the oldest item, waiting for one as long as it takes. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    /// [`GetError::ShutDown`].
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(1);
    /// queue.put(1).unwrap();
    /// assert_eq!(smol::block_on(queue.get_async()), Ok(1));
    /// ```
    #[inline]
    pub fn get_async(&self) -> Async<Get<'_, T>> {
        Async::new(Get { queue: self })
    }

    /// Takes up to `most` items in one commit, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`GetError::ShutDown`].
    ///
    /// ```
    /// let queue = antiphon::comm::Queue::bounded(10);
    /// queue.put_many(1..=3).unwrap();
    /// assert_eq!(smol::block_on(queue.get_many_async(2)), Ok(vec![1, 2]));
    /// ```
    #[inline]
    pub fn get_many_async(&self, most: usize) -> Async<GetMany<'_, T>> {
        Async::new(GetMany { queue: self, most })
    }
}

impl<T> Sealed for Get<'_, T> {}
impl<T> Sealed for GetMany<'_, T> {}
impl<T> Sealed for Put<'_, T> {}

impl<T> Operation for Get<'_, T> {
    type Output = Result<T, GetError>;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        patient(self.queue.pop_as(&look.here()))
    }

    #[inline]
    fn seems_ready(&self) -> bool {
        has_item(self.queue)
    }
}

impl<T> Operation for GetMany<'_, T> {
    type Output = Result<Vec<T>, GetError>;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        let mut items = Vec::new();
        // Before the items are known to be there nothing is reserved, so an attempt in vain does not allocate.
        if !has_item(self.queue) {
            let first = patient(self.queue.pop_as(&look.here()))?;
            match first {
                Ok(item) => items.push(item),
                Err(error) => return Some(Err(error)),
            }
            let more = self.queue.try_get_many(self.most.saturating_sub(1));
            items.extend(more.into_iter().flatten());
            return Some(Ok(items));
        }
        let got = self.queue.pop_many_as(&mut items, self.most, &look.here());
        patient(got.map(|_| items))
    }

    #[inline]
    fn seems_ready(&self) -> bool {
        has_item(self.queue)
    }
}

impl<T> Operation for Put<'_, T> {
    type Output = Result<(), PutError<T>>;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output> {
        // Done already: never again.
        let item = self.item.take()?;
        match self.queue.push_as(item, &look.here()) {
            Ok(()) => Some(Ok(())),
            Err((RingError::Interrupted, item)) => {
                self.item = Some(item);
                None
            }
            Err((error, item)) => Some(Err(outcome::put(error, item))),
        }
    }

    #[inline]
    fn seems_ready(&self) -> bool {
        self.item.is_some() && (!self.queue.is_full() || self.queue.is_shut_down())
    }
}

#[inline]
fn has_item<T>(queue: &Queue<T>) -> bool {
    !queue.is_empty() || queue.is_shut_down()
}

/// The outcome of an attempt to get, or nothing yet.
#[inline]
fn patient<T>(got: Result<T, RingError>) -> Option<Result<T, GetError>> {
    match got {
        Err(RingError::Interrupted) => None,
        got => Some(got.map_err(outcome::get)),
    }
}

impl<T> fmt::Debug for Put<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").field("done", &self.item.is_none()).finish_non_exhaustive()
    }
}
