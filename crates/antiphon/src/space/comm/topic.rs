//! Broadcast in a space: every subscriber sees every message.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use antiphon_core::comm::topic::{Message, RawTopic, Reader, Seat, Shape, Topic as View};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::owner::Owner;
use antiphon_core::wait::Wait;
use antiphon_place::{Error, Kind, Spec, message_layout, type_layout, type_name};

use crate::error::{PublishError, ReceiveError, SubscribeError};
use crate::space::Space;
use crate::space::ends::{self, FOREVER};
use crate::space::entry::{Entry, Noted, param};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

pub use antiphon_core::comm::topic::Policy;

/// The most subscribers that a topic has at a time.
pub const MAX_SUBSCRIBERS: usize = 128;

/// Where the seats begin: behind the words.
pub(in crate::space) const SEATS: usize = size_of::<RawTopic>();
/// Where the cells begin.
const CELLS: usize = SEATS + MAX_SUBSCRIBERS * size_of::<Seat>();

/// A broadcast of messages, which are bytes: any number of publishers, and up to [`MAX_SUBSCRIBERS`] subscribers at a time, each of
/// which gets every message from its subscription on.
///
/// A message is published by one store after its bytes are there: a publisher that dies before has published nothing. What
/// a subscriber gets that does not keep up is its [`Policy`]: publishers wait for it, or it misses the oldest messages, or all but
/// the newest, and is told how many. One that dies is waited for no longer. Publishing happens before the receives that
/// return the message.
#[derive(Clone)]
pub struct ByteTopic {
    entry: Entry,
    raw: NonNull<RawTopic>,
    seats: NonNull<[Seat]>,
    cells: NonNull<[AtomicU64]>,
    shape: Shape,
}

// SAFETY: it is made of atomics in memory that `entry` keeps.
unsafe impl Send for ByteTopic {}
// SAFETY: as above.
unsafe impl Sync for ByteTopic {}

impl Space {
    /// Opens the topic `name`, creating it for messages of up to `longest` bytes if need be. It keeps the last `capacity` messages (rounded
    /// up to a power of two): so many may a subscriber be behind, and get who comes late.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created otherwise, and [`Error::BadParameter`] for a capacity of
    /// none or more than 2^24, or messages of more than 1 GiB.
    ///
    /// ```
    /// use antiphon::space::Policy;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let news = space.byte_topic("news", 16, 100)?;
    /// news.publish(b"before")?;
    /// let mut reader = news.subscribe(Policy::Block, 1)?; // with the last message
    /// news.publish(b"after")?;
    /// assert_eq!(reader.receive()?, b"before");
    /// assert_eq!(reader.receive()?, b"after");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn byte_topic(&self, name: &str, capacity: u32, longest: u32) -> Result<ByteTopic, Error> {
        self.open_object(name, [capacity.into(), longest.into(), 0, 0], Location::caller(), |_| {})
    }

    /// Opens the topic `name` of plain values, creating it if need be. It keeps the last `capacity` values (rounded up to a power of
    /// two).
    ///
    /// # Errors
    /// As [`byte_topic`](Self::byte_topic).
    ///
    /// ```
    /// use antiphon::space::Policy;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let prices = space.topic::<[f64; 2]>("prices", 16)?;
    /// let mut latest = prices.subscribe(Policy::LatestOnly, 0)?;
    /// prices.publish(&[1.0, 1.1])?;
    /// prices.publish(&[1.2, 1.3])?;
    /// assert_eq!(latest.receive()?, [1.2, 1.3]);
    /// assert_eq!(latest.missed(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn topic<T: Plain>(&self, name: &str, capacity: u32) -> Result<Topic<T>, Error> {
        let longest = size_of::<T>() as u64;
        self.open_object(name, [capacity.into(), longest, 0, 0], Location::caller(), |_| {})
    }
}

/// The shape of a topic with these parameters, if there is one.
fn shape([capacity, longest, ..]: [u64; 4]) -> Option<Shape> {
    Shape::new(u32::try_from(capacity).ok()?, u32::try_from(longest).ok()?)
}

impl ByteTopic {
    fn spec_for(type_name: String, type_layout: u64, params: [u64; 4]) -> Result<Spec, Error> {
        let [capacity, longest, ..] = params;
        let bad = || Error::BadParameter {
            what: "the size of a topic",
            rule: "1 to 2^24 messages of up to 1 GiB".to_owned(),
            found: format!("{capacity} messages of up to {longest} bytes"),
        };
        let shape = shape(params).ok_or_else(bad)?;
        let mut params = param("capacity in messages", capacity);
        params[1] = ("longest message", longest);
        let len = usize::try_from(shape.words() * 8).map_err(|_| bad())?;
        let body_len = CELLS + len;
        Ok(Spec { kind: Kind::Topic, type_name, type_layout, params, body_len })
    }
}

impl Openable for ByteTopic {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        Self::spec_for(String::new(), message_layout(""), params)
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()).expect("the spec was checked");
        // SAFETY: the spec has put the words, the seats and the cells there; atomics may be any bytes.
        let (raw, seats, cells) =
            unsafe { (entry.at(0), entry.at::<Seat>(SEATS), entry.at(CELLS)) };
        let seats = NonNull::slice_from_raw_parts(seats, MAX_SUBSCRIBERS);
        let cells = NonNull::slice_from_raw_parts(cells, shape.words() as usize);
        assert!(CELLS + shape.words() as usize * 8 <= entry.object.body_len());
        Self { entry, raw, seats, cells, shape }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(ByteTopic);

impl ByteTopic {
    #[inline]
    fn view(&self) -> View<'_> {
        // SAFETY: all three lie in the object that `entry` keeps, by the assertion in `attach`.
        let (raw, seats, cells) =
            unsafe { (self.raw.as_ref(), self.seats.as_ref(), self.cells.as_ref()) };
        View::new(raw, seats, cells, self.shape)
    }

    /// Publishes a copy of `message`, waiting as long as it takes for subscribers that [block](Policy::Block).
    ///
    /// # Errors
    /// [`PublishError::TooLarge`].
    #[inline]
    #[track_caller]
    pub fn publish(&self, message: &[u8]) -> Result<(), PublishError> {
        self.publish_until(message, Location::caller(), FOREVER)
    }

    /// Publishes a copy of `message` if no subscriber that blocks is in the way.
    ///
    /// # Errors
    /// [`PublishError::Full`], [`PublishError::TooLarge`].
    #[inline]
    #[track_caller]
    pub fn try_publish(&self, message: &[u8]) -> Result<(), PublishError> {
        self.publish_until(message, Location::caller(), Patience::Try)
    }

    /// Publishes a copy of `message`, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`PublishError::TimedOut`], [`PublishError::TooLarge`].
    #[track_caller]
    pub fn publish_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), PublishError> {
        let patience = Patience::Until(Some(ends::within(timeout)));
        self.publish_until(message, Location::caller(), patience)
    }

    /// Publishes a copy of `message`, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`PublishError::TimedOut`], [`PublishError::TooLarge`].
    #[track_caller]
    pub fn publish_deadline(&self, message: &[u8], deadline: Instant) -> Result<(), PublishError> {
        let patience = Patience::Until(Some(ends::at(deadline)));
        self.publish_until(message, Location::caller(), patience)
    }

    #[inline]
    fn publish_until(
        &self,
        message: &[u8],
        caller: &'static Location<'static>,
        patience: Patience,
    ) -> Result<(), PublishError> {
        let noted = noted(&self.entry, caller, patience);
        self.view().publish(&noted, patience, message).map_err(|error| match error {
            RingError::TooLarge => PublishError::TooLarge { longest: self.longest() },
            RingError::TimedOut => {
                PublishError::TimedOut(Box::new(self.entry.timeout(&noted, None)))
            }
            _ => PublishError::Full,
        })
    }

    /// Subscribes: the last `history` messages that are still there, and all that come. The subscription ends when it is dropped,
    /// or with this process.
    ///
    /// # Errors
    /// [`SubscribeError`] when there are [`MAX_SUBSCRIBERS`] already.
    pub fn subscribe(
        &self,
        policy: Policy,
        history: u64,
    ) -> Result<ByteSubscriber, SubscribeError> {
        let wait = self.entry.wait();
        let reader = self.view().subscribe(&wait, policy, history);
        let reader = reader.ok().flatten().ok_or(SubscribeError { most: MAX_SUBSCRIBERS })?;
        Ok(ByteSubscriber { topic: self.clone(), reader, owner: wait.me() })
    }

    /// How many messages have been published so far.
    pub fn published(&self) -> u64 {
        // SAFETY: as in `view`.
        unsafe { self.raw.as_ref() }.published()
    }

    /// How many messages it keeps.
    pub fn capacity(&self) -> usize {
        self.shape.capacity() as usize
    }

    /// The length of the longest message it takes.
    pub fn longest(&self) -> usize {
        self.shape.longest() as usize
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

/// A wait that is noted for those who look.
#[inline]
fn noted<'a>(
    entry: &'a Entry,
    caller: &'static Location<'static>,
    patience: Patience,
) -> Noted<'a> {
    let deadline = match patience {
        Patience::Try => None,
        Patience::Until(deadline) => deadline,
    };
    entry.noted(caller, deadline, None)
}

/// A subscription to a [`ByteTopic`].
pub struct ByteSubscriber {
    topic: ByteTopic,
    reader: Reader,
    owner: Owner,
}

impl ByteSubscriber {
    /// The next message, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn receive(&mut self) -> Result<Vec<u8>, ReceiveError> {
        let mut message = Vec::new();
        self.receive_until(&mut message, Location::caller(), FOREVER)?;
        Ok(message)
    }

    /// The same, in place of what `message` holds: saves the allocation.
    ///
    /// # Errors
    /// [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn receive_into(&mut self, message: &mut Vec<u8>) -> Result<(), ReceiveError> {
        self.receive_until(message, Location::caller(), FOREVER)
    }

    /// The next message, if there is one.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`], [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn try_receive(&mut self) -> Result<Vec<u8>, ReceiveError> {
        let mut message = Vec::new();
        self.receive_until(&mut message, Location::caller(), Patience::Try)?;
        Ok(message)
    }

    /// The next message, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`], [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn receive_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, ReceiveError> {
        let (mut message, patience) = (Vec::new(), Patience::Until(Some(ends::within(timeout))));
        self.receive_until(&mut message, Location::caller(), patience)?;
        Ok(message)
    }

    /// The next message, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`], [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn receive_deadline(&mut self, deadline: Instant) -> Result<Vec<u8>, ReceiveError> {
        let (mut message, patience) = (Vec::new(), Patience::Until(Some(ends::at(deadline))));
        self.receive_until(&mut message, Location::caller(), patience)?;
        Ok(message)
    }

    fn receive_until(
        &mut self,
        message: &mut Vec<u8>,
        caller: &'static Location<'static>,
        patience: Patience,
    ) -> Result<(), ReceiveError> {
        self.read(caller, patience, |found| {
            message.resize(found.len(), 0);
            found.copy_to(message);
        })
    }

    #[inline]
    fn read<R>(
        &mut self,
        caller: &'static Location<'static>,
        patience: Patience,
        read: impl FnMut(Message<'_>) -> R,
    ) -> Result<R, ReceiveError> {
        let topic = &self.topic;
        let noted = noted(&topic.entry, caller, patience);
        let received = topic.view().receive(&mut self.reader, &noted, patience, read);
        received.map_err(|error| match error {
            RingError::Empty => ReceiveError::Empty,
            RingError::TimedOut => {
                ReceiveError::TimedOut(Box::new(topic.entry.timeout(&noted, None)))
            }
            _ => ReceiveError::Corrupt,
        })
    }

    /// How many messages this subscriber has missed so far, because it did not keep up and does not block.
    pub fn missed(&self) -> u64 {
        self.reader.missed()
    }
}

impl Drop for ByteSubscriber {
    fn drop(&mut self) {
        let wait = self.topic.entry.wait();
        // In a forked child the seat is its parent's.
        if wait.is(self.owner) {
            self.topic.view().unsubscribe(&wait, &self.reader);
        }
    }
}

/// A broadcast of plain values. See [`ByteTopic`].
pub struct Topic<T> {
    bytes: ByteTopic,
    _values: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), _values: PhantomData }
    }
}

impl<T: Plain> Openable for Topic<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        ByteTopic::spec_for(type_name::<T>(), type_layout::<T>(), params)
    }

    fn attach(entry: Entry) -> Self {
        Self { bytes: ByteTopic::attach(entry), _values: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.bytes.entry
    }
}

handle!(Topic<T: Plain>);

impl<T: Plain> Topic<T> {
    /// Publishes `value`, waiting as long as it takes for subscribers that [block](Policy::Block).
    ///
    /// # Errors
    /// None in a topic that nobody scribbled on.
    #[inline]
    #[track_caller]
    pub fn publish(&self, value: &T) -> Result<(), PublishError> {
        self.bytes.publish(value.as_bytes())
    }

    /// Publishes `value` if no subscriber that blocks is in the way.
    ///
    /// # Errors
    /// [`PublishError::Full`].
    #[inline]
    #[track_caller]
    pub fn try_publish(&self, value: &T) -> Result<(), PublishError> {
        self.bytes.try_publish(value.as_bytes())
    }

    /// Publishes `value`, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`PublishError::TimedOut`].
    #[track_caller]
    pub fn publish_timeout(&self, value: &T, timeout: Duration) -> Result<(), PublishError> {
        self.bytes.publish_timeout(value.as_bytes(), timeout)
    }

    /// Publishes `value`, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`PublishError::TimedOut`].
    #[track_caller]
    pub fn publish_deadline(&self, value: &T, deadline: Instant) -> Result<(), PublishError> {
        self.bytes.publish_deadline(value.as_bytes(), deadline)
    }

    /// Subscribes, as [`ByteTopic::subscribe`].
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn subscribe(&self, policy: Policy, history: u64) -> Result<Subscriber<T>, SubscribeError> {
        Ok(Subscriber { bytes: self.bytes.subscribe(policy, history)?, _values: PhantomData })
    }
}

impl<T> Topic<T> {
    /// The same topic as bytes.
    pub fn as_bytes(&self) -> &ByteTopic {
        &self.bytes
    }
}

/// A subscription to a [`Topic`].
pub struct Subscriber<T> {
    bytes: ByteSubscriber,
    _values: PhantomData<fn() -> T>,
}

impl<T: Plain> Subscriber<T> {
    /// The next value, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`ReceiveError::Corrupt`].
    #[inline]
    #[track_caller]
    pub fn receive(&mut self) -> Result<T, ReceiveError> {
        self.receive_until(Location::caller(), FOREVER)
    }

    /// The next value, if there is one.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`], [`ReceiveError::Corrupt`].
    #[inline]
    #[track_caller]
    pub fn try_receive(&mut self) -> Result<T, ReceiveError> {
        self.receive_until(Location::caller(), Patience::Try)
    }

    /// The next value, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`], [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn receive_timeout(&mut self, timeout: Duration) -> Result<T, ReceiveError> {
        self.receive_until(Location::caller(), Patience::Until(Some(ends::within(timeout))))
    }

    /// The next value, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`], [`ReceiveError::Corrupt`].
    #[track_caller]
    pub fn receive_deadline(&mut self, deadline: Instant) -> Result<T, ReceiveError> {
        self.receive_until(Location::caller(), Patience::Until(Some(ends::at(deadline))))
    }

    #[inline]
    fn receive_until(
        &mut self,
        caller: &'static Location<'static>,
        patience: Patience,
    ) -> Result<T, ReceiveError> {
        self.bytes.read(caller, patience, |message| {
            let mut value = T::new_zeroed();
            message.copy_to(value.as_mut_bytes());
            value
        })
    }
}

impl<T> Subscriber<T> {
    /// How many values this subscriber has missed so far, because it did not keep up and does not block.
    pub fn missed(&self) -> u64 {
        self.bytes.missed()
    }
}

impl fmt::Debug for ByteTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteTopic")
            .field("name", &self.name())
            .field("published", &self.published())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ByteSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteSubscriber")
            .field("topic", &self.topic.name())
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Topic").field(&self.bytes).finish()
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscriber").field(&self.bytes).finish()
    }
}
