//! A bounded queue of messages of any length in a space.

use std::fmt;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use antiphon_core::comm::bytes::{Bytes, Shape};
use antiphon_core::comm::ring::{Patience, RingError, Shutdown};
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec, message_layout};

use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use crate::space::Space;
use crate::space::ends::{self, Ends, FOREVER, ITEMS, queue_methods};
use crate::space::entry::{Entry, param};
use crate::space::handle::{Openable, handle};

/// A bounded first-in first-out queue of messages, which are bytes, for any number of putters and getters.
///
/// Bounded by messages and by bytes: a message takes its length, rounded up to 8, and 8 more. The longest message is
/// what fits the queue alone. Its promises about deaths are those of [`Queue`](super::Queue).
#[derive(Clone)]
pub struct ByteQueue {
    pub(in crate::space) ends: Ends,
    buffer: NonNull<u64>,
    shape: Shape,
}

// SAFETY: the buffer is shared memory that `ends` keeps, and touched only as the ring allows.
unsafe impl Send for ByteQueue {}
// SAFETY: as above.
unsafe impl Sync for ByteQueue {}

impl Space {
    /// Opens the byte queue `name`, creating it for up to `items` messages of up to `bytes` together if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created with other bounds, and
    /// [`Error::BadParameter`] for bounds that are zero or too large.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let lines = space.byte_queue("lines", 100, 1 << 16)?;
    /// lines.put(b"hello").unwrap();
    /// assert_eq!(lines.get().unwrap(), b"hello");
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn byte_queue(&self, name: &str, items: u32, bytes: u64) -> Result<ByteQueue, Error> {
        self.open_object(name, [items.into(), bytes, 0, 0], Location::caller(), |_| {})
    }
}

/// The shape of a queue with these bounds, if there is one.
fn shape([items, bytes, ..]: [u64; 4]) -> Option<Shape> {
    let longest = (bytes / 8 * 8).saturating_sub(Shape::footprint(0));
    Shape::new(u32::try_from(items).ok()?, bytes, longest)
}

impl ByteQueue {
    /// The spec of a queue whose messages are encodings of something called `type_name`.
    pub(super) fn spec_for(type_name: String, params: [u64; 4]) -> Result<Spec, Error> {
        let [items, bytes, ..] = params;
        let shape = shape(params).ok_or_else(|| Error::BadParameter {
            what: "the bounds of a queue",
            rule: "1 to 2^30 messages and 8 bytes to 4 GiB".to_owned(),
            found: format!("{items} messages and {bytes} bytes"),
        })?;
        let mut params = param("capacity in messages", items);
        params[1] = ("capacity in bytes", bytes);
        // What is in memory is bytes, whatever they encode: only the name tells.
        let type_layout = message_layout(&type_name);
        let body_len = ITEMS + shape.storage() as usize;
        Ok(Spec { kind: Kind::ByteQueue, type_name, type_layout, params, body_len })
    }
}

impl Openable for ByteQueue {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        Self::spec_for(String::new(), params)
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()).expect("the spec was checked");
        // SAFETY: the spec has put a ring and the buffer there; fresh memory is an empty ring.
        let (buffer, ends) = unsafe { (entry.at(ITEMS), Ends::new(entry)) };
        Self { ends, buffer, shape }
    }

    fn entry(&self) -> &Entry {
        &self.ends.entry
    }
}

handle!(ByteQueue);

impl ByteQueue {
    #[inline]
    fn bytes(&self) -> Bytes<'_> {
        // SAFETY: the buffer lies behind the ring, as long as the shape says, and no reference into it exists.
        unsafe { Bytes::new(self.ends.ring(), self.buffer, self.shape) }
    }

    queue_methods!();

    /// A put that waits in a way of its own.
    pub(in crate::space) fn push_as<W: Wait>(
        &self,
        message: &[u8],
        w: &W,
    ) -> Result<(), RingError> {
        self.bytes().push_slice(w, FOREVER, message)
    }

    /// A get that waits in a way of its own.
    pub(in crate::space) fn pop_as<W: Wait>(&self, w: &W) -> Result<Vec<u8>, RingError> {
        self.bytes().pop(w, FOREVER, copied)
    }

    /// The most messages it holds.
    pub fn capacity(&self) -> usize {
        self.shape.items() as usize
    }

    /// The length of the longest message it takes.
    pub fn longest(&self) -> usize {
        self.shape.longest() as usize
    }

    /// Puts a copy of `message`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`PutError`].
    #[inline]
    #[track_caller]
    pub fn put(&self, message: &[u8]) -> Result<(), PutError<()>> {
        let noted = self.ends.noted(Location::caller(), None);
        self.bytes().push_slice(&noted, FOREVER, message).map_err(|e| ends::put(e, ()))
    }

    /// Puts a copy of `message` if there is room.
    ///
    /// # Errors
    /// [`TryPutError`].
    #[inline]
    pub fn try_put(&self, message: &[u8]) -> Result<(), TryPutError<()>> {
        let wait = self.ends.entry.wait();
        self.bytes().push_slice(&wait, Patience::Try, message).map_err(|e| ends::try_put(e, ()))
    }

    /// Puts a copy of `message`, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedPutError`].
    #[track_caller]
    pub fn put_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), TimedPutError<()>> {
        self.put_until(message, Location::caller(), ends::within(timeout))
    }

    /// Puts a copy of `message`, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedPutError`].
    #[track_caller]
    pub fn put_deadline(&self, message: &[u8], deadline: Instant) -> Result<(), TimedPutError<()>> {
        self.put_until(message, Location::caller(), ends::at(deadline))
    }

    fn put_until(
        &self,
        message: &[u8],
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<(), TimedPutError<()>> {
        let noted = self.ends.noted(caller, Some(deadline));
        let put = self.bytes().push_slice(&noted, Patience::Until(Some(deadline)), message);
        put.map_err(|error| self.ends.timed_put(error, (), &noted))
    }

    /// Puts copies of all `messages` in their order, waiting for room as long as it takes. Each part for which there is room
    /// is one commit; others' messages may come in between parts.
    ///
    /// # Errors
    /// [`PutError`], with the number of messages that were put.
    #[track_caller]
    pub fn put_many<M: AsRef<[u8]>>(&self, messages: &[M]) -> Result<(), PutError<usize>> {
        let noted = self.ends.noted(Location::caller(), None);
        let mut put = 0;
        while put < messages.len() {
            match self.bytes().push_many(&noted, FOREVER, &messages[put..]) {
                Ok(n) => put += n,
                Err(error) => return Err(ends::put(error, put)),
            }
        }
        Ok(())
    }

    /// Takes the oldest message, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get(&self) -> Result<Vec<u8>, GetError> {
        let noted = self.ends.noted(Location::caller(), None);
        self.bytes().pop(&noted, FOREVER, copied).map_err(ends::get)
    }

    /// The same, in place of what `message` holds: saves the allocation.
    ///
    /// # Errors
    /// [`GetError`]; `message` is as it was.
    #[inline]
    #[track_caller]
    pub fn get_into(&self, message: &mut Vec<u8>) -> Result<(), GetError> {
        let noted = self.ends.noted(Location::caller(), None);
        let got = self.bytes().pop(&noted, FOREVER, |from, len| copy_into(message, from, len));
        got.map_err(ends::get)
    }

    /// Takes the oldest message if there is one.
    ///
    /// # Errors
    /// [`TryGetError`].
    pub fn try_get(&self) -> Result<Vec<u8>, TryGetError> {
        let wait = self.ends.entry.wait();
        self.bytes().pop(&wait, Patience::Try, copied).map_err(ends::try_get)
    }

    /// Takes the oldest message, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<u8>, TimedGetError> {
        self.get_until(Location::caller(), ends::within(timeout))
    }

    /// Takes the oldest message, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn get_deadline(&self, deadline: Instant) -> Result<Vec<u8>, TimedGetError> {
        self.get_until(Location::caller(), ends::at(deadline))
    }

    fn get_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<Vec<u8>, TimedGetError> {
        let noted = self.ends.noted(caller, Some(deadline));
        let got = self.bytes().pop(&noted, Patience::Until(Some(deadline)), copied);
        got.map_err(|error| self.ends.timed_get(error, &noted))
    }

    /// Takes up to `most` messages in one commit, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get_many(&self, most: usize) -> Result<Vec<Vec<u8>>, GetError> {
        let mut messages = Vec::new();
        self.take_many(Location::caller(), most, |from, len| messages.push(copied(from, len)))?;
        Ok(messages)
    }

    /// Takes up to `most` messages in one commit, waiting for the first, one behind the other onto the end of `bytes`, and their
    /// lengths onto the end of `lengths`: saves the allocations of [`get_many`](Self::get_many).
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get_many_into(
        &self,
        bytes: &mut Vec<u8>,
        lengths: &mut Vec<usize>,
        most: usize,
    ) -> Result<usize, GetError> {
        self.take_many(Location::caller(), most, |from, len| {
            append(bytes, from, len);
            lengths.push(len);
        })
    }

    fn take_many(
        &self,
        caller: &'static Location<'static>,
        most: usize,
        take: impl FnMut(*const u8, usize),
    ) -> Result<usize, GetError> {
        let noted = self.ends.noted(caller, None);
        self.bytes().pop_many(&noted, FOREVER, most, take).map_err(ends::get)
    }

    /// The messages until the queue is shut down and empty. Waits for each.
    pub fn iter(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        std::iter::from_fn(|| self.get().ok())
    }
}

fn copied(from: *const u8, len: usize) -> Vec<u8> {
    let mut message = Vec::new();
    append(&mut message, from, len);
    message
}

#[inline]
fn copy_into(message: &mut Vec<u8>, from: *const u8, len: usize) {
    message.clear();
    append(message, from, len);
}

#[inline]
fn append(message: &mut Vec<u8>, from: *const u8, len: usize) {
    message.reserve(len);
    // SAFETY: there is room for `len`, and the ring vouches for that many readable bytes, apart from our own.
    unsafe {
        ptr::copy_nonoverlapping(from, message.as_mut_ptr().add(message.len()), len);
        message.set_len(message.len() + len);
    }
}

impl fmt::Debug for ByteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
