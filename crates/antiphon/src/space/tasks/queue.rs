//! Waiting for a value of a queue, or for room.

use antiphon_core::comm::RingError;

use crate::comm::outcome;
use crate::error::{GetError, PutError};
use crate::space::{Plain, Queue};
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation};

impl<T: Plain> Queue<T> {
    /// Puts a value, waiting for room as long as it takes. Dropped before it is done, it has put nothing.
    ///
    /// # Errors
    /// [`PutError`], with the value.
    ///
    /// ```
    /// let numbers = antiphon::Space::open("threads:doc")?.queue::<u64>("numbers-async", 1)?;
    /// smol::block_on(async {
    ///     numbers.put_async(1).await.unwrap();
    ///     assert_eq!(numbers.get_async().await, Ok(1));
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn put_async(
        &self,
        item: T,
    ) -> Async<impl Operation<Output = Result<(), PutError<T>>> + Send + '_>
    where
        T: Send,
    {
        // Until it is put: then this is never done again.
        let mut item = Some(item);
        FromFn::new(
            move |look| {
                let space = &self.ends.entry.space.registration;
                let value = item.as_ref()?;
                match look.there(space, |w| self.push_as(value, w)) {
                    Err(RingError::Interrupted) => None,
                    Ok(()) => {
                        // It is in the queue now.
                        std::mem::forget(item.take());
                        Some(Ok(()))
                    }
                    Err(error) => item.take().map(|item| Err(outcome::put(error, item))),
                }
            },
            || !self.is_full() || self.is_shut_down(),
        )
    }

    /// Takes the oldest value, waiting for one as long as it takes. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get_async(&self) -> Async<impl Operation<Output = Result<T, GetError>> + Send + '_>
    where
        T: Send,
    {
        FromFn::new(
            |look| super::got(look.there(&self.ends.entry.space.registration, |w| self.pop_as(w))),
            || !self.is_empty() || self.is_shut_down(),
        )
    }
}
