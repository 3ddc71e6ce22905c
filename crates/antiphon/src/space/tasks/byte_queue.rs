//! Waiting for a message of bytes, or for room.

use crate::error::{GetError, PutError};
use crate::space::ByteQueue;
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation};

impl ByteQueue {
    /// Puts a copy of `message`, waiting for room as long as it takes. Dropped before it is done, it has put nothing.
    ///
    /// # Errors
    /// [`PutError`].
    ///
    /// ```
    /// let lines = antiphon::Space::open("threads:doc")?.byte_queue("lines-async", 10, 1024)?;
    /// smol::block_on(async {
    ///     lines.put_async(b"hello").await.unwrap();
    ///     assert_eq!(lines.get_async().await.unwrap(), b"hello");
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn put_async<'a>(
        &'a self,
        message: &'a [u8],
    ) -> Async<impl Operation<Output = Result<(), PutError<()>>> + Send + 'a> {
        let mut done = false;
        FromFn::new(
            move |look| {
                if done {
                    return None;
                }
                let space = &self.ends.entry.space.registration;
                let put = super::put(look.there(space, |w| self.push_as(message, w)))?;
                done = true;
                Some(put)
            },
            || !self.is_full() || self.is_shut_down(),
        )
    }

    /// Takes the oldest message, waiting for one as long as it takes. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get_async(
        &self,
    ) -> Async<impl Operation<Output = Result<Vec<u8>, GetError>> + Send + '_> {
        FromFn::new(
            |look| super::got(look.there(&self.ends.entry.space.registration, |w| self.pop_as(w))),
            || !self.is_empty() || self.is_shut_down(),
        )
    }
}
