//! A bounded queue of Rust values in a space, encoded as MessagePack.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use antiphon_core::comm::ring::Shutdown;
use antiphon_place::{Error, Spec, type_name};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::byte_queue::ByteQueue;
use super::side::depart;
use crate::error::{
    GetError, MessageError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError,
};
use crate::space::Space;
use crate::space::entry::Entry;
use crate::space::handle::{Openable, handle};

/// A bounded first-in first-out queue of values that serde can encode, for any number of putters and getters.
///
/// Values travel as MessagePack with field names, which programs in other languages read without knowing the type; so
/// putters and getters may be of different versions, as far as serde's attributes allow. A value that cannot be encoded is an
/// error of the put. Bounds and promises about deaths are those of [`ByteQueue`].
pub struct MessageQueue<T> {
    pub(in crate::space) bytes: ByteQueue,
    _items: PhantomData<fn(T) -> T>,
}

impl<T> Clone for MessageQueue<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), _items: PhantomData }
    }
}

impl Space {
    /// Opens the message queue `name`, creating it for up to `items` values of up to `bytes` together if need be.
    ///
    /// # Errors
    /// As [`byte_queue`](Self::byte_queue).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let orders = space.message_queue::<(String, u32)>("orders", 100, 1 << 16)?;
    /// orders.put(&("tea".to_owned(), 2)).unwrap();
    /// assert_eq!(orders.get().unwrap(), ("tea".to_owned(), 2));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn message_queue<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        items: u32,
        bytes: u64,
    ) -> Result<MessageQueue<T>, Error> {
        self.open_object(name, [items.into(), bytes, 0, 0], Location::caller(), |_| {})
    }
}

impl<T> Openable for MessageQueue<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        ByteQueue::spec_for(type_name::<T>(), params)
    }

    fn attach(entry: Entry) -> Self {
        Self { bytes: ByteQueue::attach(entry), _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        self.bytes.entry()
    }
}

handle!(MessageQueue<T: Serialize, DeserializeOwned>);

/// What a put of a message returns.
type Put<E> = Result<(), MessageError<E>>;
/// What a get of a message returns.
type Got<T, E> = Result<T, MessageError<E>>;

impl<T: Serialize + DeserializeOwned> MessageQueue<T> {
    /// Puts a value, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`MessageError::Encode`], or the queue's reason.
    #[track_caller]
    pub fn put(&self, item: &T) -> Put<PutError<()>> {
        depart().done(self.bytes.put(&encode(item)?).map_err(MessageError::Queue))
    }

    /// Puts a value if there is room.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn try_put(&self, item: &T) -> Put<TryPutError<()>> {
        depart().done(self.bytes.try_put(&encode(item)?).map_err(MessageError::Queue))
    }

    /// Puts a value, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    #[track_caller]
    pub fn put_timeout(&self, item: &T, timeout: Duration) -> Put<TimedPutError<()>> {
        depart().done(self.bytes.put_timeout(&encode(item)?, timeout).map_err(MessageError::Queue))
    }

    /// Puts a value, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    #[track_caller]
    pub fn put_deadline(&self, item: &T, deadline: Instant) -> Put<TimedPutError<()>> {
        depart()
            .done(self.bytes.put_deadline(&encode(item)?, deadline).map_err(MessageError::Queue))
    }

    /// Puts all `items` in their order, as [`ByteQueue::put_many`].
    ///
    /// # Errors
    /// [`MessageError::Encode`] before any is put, or the queue's reason with the number that were put.
    #[track_caller]
    pub fn put_many(&self, items: &[T]) -> Put<PutError<usize>> {
        let messages = items.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        self.bytes.put_many(&messages).map_err(MessageError::Queue)
    }

    /// Takes the oldest value, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`MessageError::Decode`] with the message, or the queue's reason.
    #[track_caller]
    pub fn get(&self) -> Got<T, GetError> {
        decode(self.bytes.get().map_err(MessageError::Queue)?)
    }

    /// Takes the oldest value if there is one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn try_get(&self) -> Got<T, TryGetError> {
        decode(self.bytes.try_get().map_err(MessageError::Queue)?)
    }

    /// Takes the oldest value, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Got<T, TimedGetError> {
        decode(self.bytes.get_timeout(timeout).map_err(MessageError::Queue)?)
    }

    /// Takes the oldest value, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn get_deadline(&self, deadline: Instant) -> Got<T, TimedGetError> {
        decode(self.bytes.get_deadline(deadline).map_err(MessageError::Queue)?)
    }

    /// Takes up to `most` messages in one commit, waiting for the first. Each is decoded by itself, so one that cannot be keeps
    /// its bytes and spoils no other.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get_many(&self, most: usize) -> Result<Vec<Got<T, GetError>>, GetError> {
        Ok(self.bytes.get_many(most)?.into_iter().map(decode).collect())
    }
}

impl<T> MessageQueue<T> {
    /// The same queue as bytes.
    pub fn as_bytes(&self) -> &ByteQueue {
        &self.bytes
    }

    /// See [`ByteQueue::shutdown`].
    pub fn shutdown(&self, how: Shutdown) {
        self.bytes.shutdown(how);
    }

    /// The number of messages, true at some instant of the call.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no messages, at some instant of the call.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The most messages it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.bytes.name()
    }
}

pub(in crate::space) fn encode<T: Serialize, E>(item: &T) -> Result<Vec<u8>, MessageError<E>> {
    rmp_serde::to_vec_named(item).map_err(|why| MessageError::Encode(why.to_string()))
}

pub(in crate::space) fn decode<T: DeserializeOwned, E>(
    bytes: Vec<u8>,
) -> Result<T, MessageError<E>> {
    rmp_serde::from_slice(&bytes)
        .map_err(|why| MessageError::Decode { why: why.to_string(), bytes })
}

impl<T> fmt::Debug for MessageQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageQueue").field(&self.bytes).finish()
    }
}
