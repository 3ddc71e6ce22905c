//! Two ends that exchange whole messages in a space.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_core::comm::RingError;
use antiphon_core::comm::pipe::End;
use antiphon_core::comm::ring::Patience;
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::message_queue::{decode, encode};
use super::side::{self, Side, Ticketed, Wires, append};
use crate::error::MessageError;
use crate::error::pipe::{
    RecvError, SendError, TimedRecvError, TimedSendError, TryRecvError, TrySendError,
};
use crate::space::Space;
use crate::space::ends::{FOREVER, at, within};
use crate::space::entry::Noted;
use crate::space::handle::Handle;

/// One end of a pipe: whole messages to and from the other end, in order. [`Space::pipe`] makes both.
///
/// An end is a value like others: it is cloned (a clone is the same end), moved to a thread, given to a
/// [child process](crate::process::spawn), sent through a queue or another pipe. As long as any process has it, it is open. When the
/// last one has dropped it or died, the other end receives what was sent, and is then told [`RecvError::Closed`]; its sends fail
/// with [`SendError::Closed`]. That is for good.
///
/// - Who sleeps is told of a close at once, and of a death within 100 ms (with [`Space::watch`], about a millisecond). Who comes later
///   and finds nothing to receive, or no room to send, is told at once. A message that is sent after a death that nobody has
///   noticed is like one sent just before it: nobody receives it.
/// - An end that is on its way, written and not yet read by anybody, is open until its sender ends.
/// - An end that nobody has opened yet is waited for.
///
/// A message takes its length, rounded up to 8, and 8 more, of the bytes that each direction has; a longer one than
/// [`longest`](Self::longest) is refused. What is sent is in shared memory when the call returns: it survives the sender.
///
/// Several threads or processes may have the same end: each message goes to one of them, whole.
///
/// ```
/// use antiphon::Space;
/// use antiphon::error::pipe::RecvError;
///
/// let space = Space::open("threads:pipe")?;
/// let (client, server) = space.pipe("talk", 1 << 16)?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || {
///         while let Ok(question) = server.recv() {
///             server.send(&[&question[..], b"!"].concat()).unwrap();
///         }
///     });
///     client.send(b"hello").unwrap();
///     assert_eq!(client.recv(), Ok(b"hello!".to_vec()));
///     drop(client);
/// });
/// # Ok::<(), antiphon::error::SpaceError>(())
/// ```
#[derive(Clone)]
pub struct Connection {
    side: Arc<Side>,
}

/// Making pipes.
impl Space {
    /// Opens both ends of a pipe in both directions, or creates it, with room for `bytes` of messages in each. One who is to have
    /// only one of the ends is sent it, or opens it by [`pipe_end`](Self::pipe_end).
    ///
    /// # Errors
    /// [`SpaceError`](crate::error::SpaceError), for example when the name belongs to something else.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (a, b) = space.pipe("two-way", 4096)?;
    /// a.send(b"ping").unwrap();
    /// b.send(b"pong").unwrap();
    /// assert_eq!((b.recv(), a.recv()), (Ok(b"ping".to_vec()), Ok(b"pong".to_vec())));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn pipe(&self, name: &str, bytes: u64) -> Result<(Connection, Connection), Error> {
        self.both_ends(name, [bytes, 1, 0, 0], Location::caller())
    }

    /// The same in one direction: the first end receives what the second one sends.
    ///
    /// # Errors
    /// As [`pipe`](Self::pipe).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (receiver, sender) = space.one_way_pipe("one-way", 4096)?;
    /// assert!(sender.can_send() && !sender.can_receive());
    /// sender.send(b"news").unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(b"news".to_vec()));
    /// assert!(receiver.recv().is_err());
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn one_way_pipe(&self, name: &str, bytes: u64) -> Result<(Connection, Connection), Error> {
        self.both_ends(name, [bytes, 0, 0, 0], Location::caller())
    }

    /// Opens one end of a pipe by name, or creates the pipe. The other end is opened by whoever comes for it.
    ///
    /// # Errors
    /// As [`pipe`](Self::pipe).
    ///
    /// ```
    /// use antiphon::space::PipeEnd;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let a = space.pipe_end("by-name", 4096, PipeEnd::First)?;
    /// a.send(b"waits for whoever comes").unwrap();
    /// let b = space.pipe_end("by-name", 4096, PipeEnd::Second)?;
    /// assert_eq!(b.recv(), Ok(b"waits for whoever comes".to_vec()));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn pipe_end(&self, name: &str, bytes: u64, end: End) -> Result<Connection, Error> {
        let wires = self.open_object(name, [bytes, 1, 0, 0], Location::caller(), |_| {})?;
        Connection::open(wires, end)
    }

    /// The same of a pipe in one direction.
    ///
    /// # Errors
    /// As [`pipe`](Self::pipe).
    #[track_caller]
    pub fn one_way_pipe_end(&self, name: &str, bytes: u64, end: End) -> Result<Connection, Error> {
        let wires = self.open_object(name, [bytes, 0, 0, 0], Location::caller(), |_| {})?;
        Connection::open(wires, end)
    }

    fn both_ends(
        &self,
        name: &str,
        params: [u64; 4],
        caller: &'static Location<'static>,
    ) -> Result<(Connection, Connection), Error> {
        let wires: Wires = self.open_object(name, params, caller, |_| {})?;
        let second = Connection::open(wires.clone(), End::Second)?;
        Ok((Connection::open(wires, End::First)?, second))
    }
}

impl Connection {
    fn open(wires: Wires, end: End) -> Result<Self, Error> {
        Ok(Self { side: Arc::new(Side::open(wires, end)?) })
    }

    /// Which end it is.
    #[must_use]
    pub fn end(&self) -> End {
        self.side.end
    }

    /// Whether this end sends: not the first one of a one-way pipe.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.side.outward().is_some()
    }

    /// Whether this end receives: not the second one of a one-way pipe.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.side.inward().is_some()
    }

    /// The length of the longest message.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.side.wires.longest()
    }

    /// The number of messages to be received here, true at some instant of the call.
    #[must_use]
    pub fn len(&self) -> usize {
        self.side.inward().map_or(0, |ring| ring.ring().len() as usize)
    }

    /// Whether there are no messages to be received here, at some instant of the call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the pipe.
    #[must_use]
    pub fn name(&self) -> &str {
        self.side.wires.entry.object.name()
    }

    fn noted(&self, caller: &'static Location<'static>, deadline: Option<Deadline>) -> Noted<'_> {
        let entry = &self.side.wires.entry;
        entry.noted(caller, deadline, None)
    }
}

/// Sending.
impl Connection {
    /// Sends a message, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// # Panics
    /// When this end [does not send](Self::can_send).
    #[inline]
    #[track_caller]
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        let noted = self.noted(Location::caller(), None);
        self.push(&noted, FOREVER, message).map_err(send_error)
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// [`TrySendError`].
    ///
    /// # Panics
    /// As [`send`](Self::send).
    ///
    /// ```
    /// use antiphon::error::pipe::{SendError, TrySendError};
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (a, b) = space.pipe("small", 64)?;
    /// assert_eq!(a.try_send(&[0; 57]), Err(TrySendError::Send(SendError::TooLarge)));
    /// a.try_send(&[0; 56]).unwrap();
    /// assert_eq!(a.try_send(b""), Err(TrySendError::Full));
    /// drop(b);
    /// assert_eq!(a.try_send(b""), Err(TrySendError::Send(SendError::Closed)));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[inline]
    pub fn try_send(&self, message: &[u8]) -> Result<(), TrySendError> {
        let wait = self.side.wires.entry.wait();
        self.push(&wait, Patience::Try, message).map_err(|error| match error {
            RingError::Full => TrySendError::Full,
            error => TrySendError::Send(send_error(error)),
        })
    }

    /// Sends a message, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedSendError`].
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), TimedSendError> {
        self.send_until(message, Location::caller(), within(timeout))
    }

    /// Sends a message, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedSendError`].
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_deadline(&self, message: &[u8], deadline: Instant) -> Result<(), TimedSendError> {
        self.send_until(message, Location::caller(), at(deadline))
    }

    fn send_until(
        &self,
        message: &[u8],
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<(), TimedSendError> {
        let noted = self.noted(caller, Some(deadline));
        let patience = Patience::Until(Some(deadline));
        self.push(&noted, patience, message).map_err(|error| match error {
            RingError::TimedOut => {
                TimedSendError::TimedOut(self.side.wires.entry.timeout(&noted, None))
            }
            error => TimedSendError::Send(send_error(error)),
        })
    }

    #[inline]
    fn push<W: Wait>(&self, w: &W, patience: Patience, message: &[u8]) -> Result<(), RingError> {
        let ring = self.side.outward().expect("this end of a one-way pipe receives");
        self.side.take_part(w);
        self.side.wires.pipe().send(w, self.side.end, ring, patience, message)
    }
}

/// Receiving.
impl Connection {
    /// Receives a message, waiting as long as it takes.
    ///
    /// # Errors
    /// [`RecvError`].
    ///
    /// # Panics
    /// When this end [does not receive](Self::can_receive).
    #[track_caller]
    pub fn recv(&self) -> Result<Vec<u8>, RecvError> {
        let mut message = Vec::new();
        let noted = self.noted(Location::caller(), None);
        self.pop(&noted, FOREVER, &mut message).map_err(recv_error)?;
        Ok(message)
    }

    /// Receives a message into `message`, whose contents it replaces, waiting as long as it takes.
    ///
    /// # Errors
    /// [`RecvError`].
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (a, b) = space.pipe("reused", 4096)?;
    /// let mut message = Vec::with_capacity(64);
    /// for text in ["one", "two"] {
    ///     a.send(text.as_bytes()).unwrap();
    ///     b.recv_into(&mut message).unwrap();
    ///     assert_eq!(message, text.as_bytes());
    /// }
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv_into(&self, message: &mut Vec<u8>) -> Result<(), RecvError> {
        let noted = self.noted(Location::caller(), None);
        self.pop(&noted, FOREVER, message).map_err(recv_error)
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`].
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// use antiphon::error::pipe::{RecvError, TryRecvError};
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (a, b) = space.pipe("maybe", 64)?;
    /// assert_eq!(b.try_recv(), Err(TryRecvError::Empty));
    /// a.send(b"last").unwrap();
    /// drop(a);
    /// assert_eq!(b.try_recv(), Ok(b"last".to_vec()));
    /// assert_eq!(b.try_recv(), Err(TryRecvError::Recv(RecvError::Closed)));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn try_recv(&self) -> Result<Vec<u8>, TryRecvError> {
        let mut message = Vec::new();
        let wait = self.side.wires.entry.wait();
        match self.pop(&wait, Patience::Try, &mut message) {
            Ok(()) => Ok(message),
            Err(RingError::Empty) => Err(TryRecvError::Empty),
            Err(error) => Err(TryRecvError::Recv(recv_error(error))),
        }
    }

    /// Receives a message, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Vec<u8>, TimedRecvError> {
        self.recv_until(Location::caller(), within(timeout))
    }

    /// Receives a message, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Vec<u8>, TimedRecvError> {
        self.recv_until(Location::caller(), at(deadline))
    }

    fn recv_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<Vec<u8>, TimedRecvError> {
        let mut message = Vec::new();
        let noted = self.noted(caller, Some(deadline));
        match self.pop(&noted, Patience::Until(Some(deadline)), &mut message) {
            Ok(()) => Ok(message),
            Err(RingError::TimedOut) => {
                Err(TimedRecvError::TimedOut(self.side.wires.entry.timeout(&noted, None)))
            }
            Err(error) => Err(TimedRecvError::Recv(recv_error(error))),
        }
    }

    #[inline]
    fn pop<W: Wait>(&self, w: &W, patience: Patience, to: &mut Vec<u8>) -> Result<(), RingError> {
        let ring = self.side.inward().expect("this end of a one-way pipe sends");
        self.side.take_part(w);
        self.side.wires.pipe().receive(w, self.side.end, ring, patience, |from, len| {
            to.clear();
            append(to, from, len);
        })
    }

    /// Whether a [`recv`](Self::recv) would not wait: a message is there, or there will be none.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (a, b) = space.pipe("asked", 64)?;
    /// assert!(!b.poll() && !b.poll_timeout(Duration::from_millis(1)));
    /// a.send(b"x").unwrap();
    /// assert!(b.poll());
    /// b.recv().unwrap();
    /// drop(a);
    /// assert!(b.poll());
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn poll(&self) -> bool {
        self.poll_with(&self.side.wires.entry.wait(), Patience::Try)
    }

    /// Waits until a [`recv`](Self::recv) would not wait, no longer than `timeout`, and says whether.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn poll_timeout(&self, timeout: Duration) -> bool {
        let deadline = within(timeout);
        let noted = self.noted(Location::caller(), Some(deadline));
        self.poll_with(&noted, Patience::Until(Some(deadline)))
    }

    /// Waits until a [`recv`](Self::recv) would not wait, no longer than until `deadline`, and says whether.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn poll_deadline(&self, deadline: Instant) -> bool {
        let deadline = at(deadline);
        let noted = self.noted(Location::caller(), Some(deadline));
        self.poll_with(&noted, Patience::Until(Some(deadline)))
    }

    fn poll_with<W: Wait>(&self, w: &W, patience: Patience) -> bool {
        assert!(self.can_receive(), "this end of a one-way pipe sends");
        self.side.take_part(w);
        self.side.wires.pipe().poll(w, self.side.end, patience).is_ok()
    }
}

/// Values by serde, as MessagePack with field names; handles to objects, other ends among them, travel too.
impl Connection {
    /// [`send`](Self::send) of a value.
    ///
    /// # Errors
    /// [`MessageError::Encode`], or that of `send`.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    ///
    /// ```
    /// use antiphon::space::Mutex;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let (a, b) = space.pipe("values", 4096)?;
    /// a.send_value(&("total", space.mutex("total", 7u64)?)).unwrap();
    /// let (name, total): (String, Mutex<u64>) = b.recv_value().unwrap();
    /// assert_eq!((&*name, *total.lock().unwrap()), ("total", 7));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn send_value<T: Serialize>(&self, value: &T) -> Result<(), MessageError<SendError>> {
        let noted = self.noted(Location::caller(), None);
        let queue = |error| MessageError::Queue(send_error(error));
        side::depart().done(self.push(&noted, FOREVER, &encode(value)?).map_err(queue))
    }

    /// [`try_send`](Self::try_send) of a value.
    ///
    /// # Errors
    /// [`MessageError::Encode`], or that of `try_send`.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    pub fn try_send_value<T: Serialize>(
        &self,
        value: &T,
    ) -> Result<(), MessageError<TrySendError>> {
        side::depart().done(self.try_send(&encode(value)?).map_err(MessageError::Queue))
    }

    /// [`send_timeout`](Self::send_timeout) of a value.
    ///
    /// # Errors
    /// [`MessageError::Encode`], or that of `send_timeout`.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_value_timeout<T: Serialize>(
        &self,
        value: &T,
        timeout: Duration,
    ) -> Result<(), MessageError<TimedSendError>> {
        self.send_value_until(value, Location::caller(), within(timeout))
    }

    /// [`send_deadline`](Self::send_deadline) of a value.
    ///
    /// # Errors
    /// [`MessageError::Encode`], or that of `send_deadline`.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_value_deadline<T: Serialize>(
        &self,
        value: &T,
        deadline: Instant,
    ) -> Result<(), MessageError<TimedSendError>> {
        self.send_value_until(value, Location::caller(), at(deadline))
    }

    fn send_value_until<T: Serialize>(
        &self,
        value: &T,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<(), MessageError<TimedSendError>> {
        let sent = |message: &[u8]| self.send_until(message, caller, deadline);
        side::depart().done(sent(&encode(value)?).map_err(MessageError::Queue))
    }

    /// [`recv`](Self::recv) of a value.
    ///
    /// # Errors
    /// [`MessageError::Decode`], with the message, or that of `recv`.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_value<T: DeserializeOwned>(&self) -> Result<T, MessageError<RecvError>> {
        decode(self.recv().map_err(MessageError::Queue)?)
    }

    /// [`try_recv`](Self::try_recv) of a value.
    ///
    /// # Errors
    /// [`MessageError::Decode`], with the message, or that of `try_recv`.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    pub fn try_recv_value<T: DeserializeOwned>(&self) -> Result<T, MessageError<TryRecvError>> {
        decode(self.try_recv().map_err(MessageError::Queue)?)
    }

    /// [`recv_timeout`](Self::recv_timeout) of a value.
    ///
    /// # Errors
    /// [`MessageError::Decode`], with the message, or that of `recv_timeout`.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_value_timeout<T: DeserializeOwned>(
        &self,
        timeout: Duration,
    ) -> Result<T, MessageError<TimedRecvError>> {
        decode(self.recv_timeout(timeout).map_err(MessageError::Queue)?)
    }

    /// [`recv_deadline`](Self::recv_deadline) of a value.
    ///
    /// # Errors
    /// [`MessageError::Decode`], with the message, or that of `recv_deadline`.
    ///
    /// # Panics
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_value_deadline<T: DeserializeOwned>(
        &self,
        deadline: Instant,
    ) -> Result<T, MessageError<TimedRecvError>> {
        decode(self.recv_deadline(deadline).map_err(MessageError::Queue)?)
    }
}

fn send_error(error: RingError) -> SendError {
    match error {
        RingError::ShutDown => SendError::Closed,
        RingError::TooLarge => SendError::TooLarge,
        _ => SendError::Corrupt,
    }
}

fn recv_error(error: RingError) -> RecvError {
    match error {
        RingError::ShutDown => RecvError::Closed,
        _ => RecvError::Corrupt,
    }
}

/// What travels: where the pipe is, which end of it, and who keeps it open until it arrives.
#[derive(Serialize, Deserialize)]
struct Travelling {
    pipe: Handle,
    second: bool,
    ticket: Ticketed,
}

impl Serialize for Connection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pipe = Handle::of(&self.side.wires.entry).map_err(ser::Error::custom)?;
        let ticket = side::send_away(&self.side).map_err(ser::Error::custom)?;
        let second = self.side.end == End::Second;
        Travelling { pipe, second, ticket }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Connection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Travelling { pipe, second, ticket } = Travelling::deserialize(deserializer)?;
        let wires = pipe.open::<Wires>().map_err(de::Error::custom)?;
        let end = if second { End::Second } else { End::First };
        let side = Side::arrive(wires, end, ticket).map_err(de::Error::custom)?;
        Ok(Self { side: Arc::new(side) })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("name", &self.name())
            .field("end", &self.side.end)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
