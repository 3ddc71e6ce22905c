//! Waiting for a message, or for room.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{GetError, MessageError, PutError};
use crate::space::MessageQueue;
use crate::space::comm::message_queue::{decode, encode};
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation};

impl<T: Serialize + DeserializeOwned> MessageQueue<T> {
    /// Puts a value, waiting for room as long as it takes. Dropped before it is done, it has put nothing. The value is written when this is called.
    ///
    /// # Errors
    /// [`MessageError`].
    ///
    /// ```
    /// let orders = antiphon::Space::open("threads:doc")?.message_queue("orders-async", 10, 1024)?;
    /// smol::block_on(async {
    ///     orders.put_async(&("tea".to_owned(), 2)).await.unwrap();
    ///     assert_eq!(orders.get_async().await.unwrap(), ("tea".to_owned(), 2));
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn put_async(
        &self,
        item: &T,
    ) -> Async<impl Operation<Output = Result<(), MessageError<PutError<()>>>> + '_> {
        let mut message = Some(encode(item));
        FromFn::new(
            move |look| {
                let bytes = match message.as_ref()? {
                    Ok(bytes) => bytes,
                    Err(_) => return message.take()?.err().map(Err),
                };
                let space = &self.bytes.ends.entry.space.registration;
                let put = super::put(look.there(space, |w| self.bytes.push_as(bytes, w)))?;
                message = None;
                Some(put.map_err(MessageError::Queue))
            },
            || !self.bytes.is_full() || self.bytes.is_shut_down(),
        )
    }

    /// Takes the oldest value, waiting for one as long as it takes. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn get_async(
        &self,
    ) -> Async<impl Operation<Output = Result<T, MessageError<GetError>>> + '_> {
        FromFn::new(
            |look| {
                let space = &self.bytes.ends.entry.space.registration;
                let got = super::got(look.there(space, |w| self.bytes.pop_as(w)))?;
                Some(got.map_err(MessageError::Queue).and_then(decode))
            },
            || !self.bytes.is_empty() || self.bytes.is_shut_down(),
        )
    }
}
