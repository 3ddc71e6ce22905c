//! Two ends that exchange whole messages.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use antiphon_core::comm::Patience;
use antiphon_core::wait::Deadline;
use antiphon_sys::poll::Interest;
use antiphon_sys::{clock, descriptor, socket};

use super::frame::{FrameError, Header, Partial};
use super::stream::{self, Received};
use super::{Address, Options};
use crate::error::Timeout;
use crate::error::socket::{
    RecvError, SendError, TimedRecvError, TimedSendError, TryRecvError, TrySendError,
};
use crate::sync::{Mutex, MutexGuard};

/// As long as it takes.
const FOREVER: Patience = Patience::Until(None);

/// A connection: whole messages in both directions, in order. [`Options::connect`] and [`Listener::accept`](super::Listener::accept)
/// make one.
///
/// Threads may share it: one may send while another receives, and each message is sent and received as a whole. When it is dropped the
/// peer receives what was sent, and then [`RecvError::Closed`].
pub struct Connection {
    socket: OwnedFd,
    peer: Option<Address>,
    max_message: u64,
    message_timeout: Option<Duration>,
    inward: Mutex<Inward>,
    outward: Mutex<Outward>,
}

/// What has come.
struct Inward {
    partial: Partial,
    /// A message that `poll` has found.
    ready: Option<Vec<u8>>,
    /// When the message that has begun must be whole.
    stalled: Option<Deadline>,
    ended: Option<Ended>,
}

/// Why nothing more will come.
#[derive(Clone, Copy)]
enum Ended {
    Closed,
    Cut,
    TooLarge(u64),
    Garbage,
    Stalled,
}

/// A message that was sent in part.
#[derive(Default)]
struct Outward {
    rest: Vec<u8>,
    sent: usize,
}

/// How far a send has come when its time is up.
#[derive(PartialEq, Eq)]
enum Sent {
    Whole,
    Part,
    Nothing,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, peer: Option<Address>, options: &Options) -> Self {
        let partial = Partial::new(options.max_message);
        Self {
            socket,
            peer,
            max_message: options.max_message,
            message_timeout: options.message_timeout,
            inward: Mutex::new(Inward { partial, ready: None, stalled: None, ended: None }),
            outward: Mutex::new(Outward::default()),
        }
    }

    /// Who is at the other end, as far as the system knows.
    #[must_use]
    pub fn peer(&self) -> Option<&Address> {
        self.peer.as_ref()
    }

    fn what(&self, side: &str) -> String {
        match &self.peer {
            Some(peer) => format!("{side} {peer}"),
            None => format!("{side} the peer"),
        }
    }
}

/// Sending.
impl Connection {
    /// Sends a message, waiting as long as the peer does not read.
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// ```
    /// use antiphon::socket::Options;
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// a.send(b"first")?;
    /// a.send(b"")?;
    /// assert_eq!((b.recv()?, b.recv()?), (b"first".to_vec(), vec![]));
    /// drop(b);
    /// assert!(a.send(b"nobody hears this").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        self.send_until(message, FOREVER).map(drop)
    }

    /// Sends a message if there is room for its beginning.
    ///
    /// # Errors
    /// [`TrySendError::Full`]: nothing was sent. [`TrySendError::Unfinished`]: it will be sent, see there.
    ///
    /// ```
    /// use antiphon::error::socket::TrySendError;
    /// use antiphon::socket::Options;
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// let large = vec![7; 1 << 20];
    /// assert!(matches!(a.try_send(&large), Err(TrySendError::Unfinished)));
    /// assert!(matches!(a.try_send(b"more"), Err(TrySendError::Full)));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(b.recv().unwrap() == large));
    ///     a.flush() // sends the rest
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_send(&self, message: &[u8]) -> Result<(), TrySendError> {
        match self.send_until(message, Patience::Try)? {
            Sent::Whole => Ok(()),
            Sent::Part => Err(TrySendError::Unfinished),
            Sent::Nothing => Err(TrySendError::Full),
        }
    }

    /// Sends a message, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedSendError::TimedOut`]: nothing was sent. [`TimedSendError::Unfinished`]: it will be sent, see there.
    pub fn send_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), TimedSendError> {
        self.send_timed(message, clock::deadline_after(timeout))
    }

    /// Sends a message, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, message: &[u8], deadline: Instant) -> Result<(), TimedSendError> {
        self.send_timed(message, clock::deadline_at(deadline))
    }

    fn send_timed(&self, message: &[u8], deadline: Deadline) -> Result<(), TimedSendError> {
        let begun = clock::now();
        let timeout = || Timeout::new(self.what("room to send to"), since(begun));
        match self.send_until(message, Patience::Until(Some(deadline)))? {
            Sent::Whole => Ok(()),
            Sent::Part => Err(TimedSendError::Unfinished(timeout())),
            Sent::Nothing => Err(TimedSendError::TimedOut(timeout())),
        }
    }

    /// Sends the rest of a message that was left unfinished, if there is one.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn flush(&self) -> Result<(), SendError> {
        self.flush_until(FOREVER).map(drop)
    }

    /// Sends as much of the rest as there is room for.
    ///
    /// # Errors
    /// [`TrySendError::Unfinished`] when that is not all.
    pub fn try_flush(&self) -> Result<(), TrySendError> {
        if self.flush_until(Patience::Try)? { Ok(()) } else { Err(TrySendError::Unfinished) }
    }

    /// Sends the rest, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedSendError::Unfinished`] when that is not all.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), TimedSendError> {
        self.flush_timed(clock::deadline_after(timeout))
    }

    /// Sends the rest, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedSendError::Unfinished`] when that is not all.
    pub fn flush_deadline(&self, deadline: Instant) -> Result<(), TimedSendError> {
        self.flush_timed(clock::deadline_at(deadline))
    }

    fn flush_timed(&self, deadline: Deadline) -> Result<(), TimedSendError> {
        let begun = clock::now();
        if self.flush_until(Patience::Until(Some(deadline)))? {
            return Ok(());
        }
        let timeout = Timeout::new(self.what("room to send to"), since(begun));
        Err(TimedSendError::Unfinished(timeout))
    }

    /// Says that nothing more will be sent: the peer receives the end. What it sends can still be received.
    ///
    /// # Errors
    /// [`SendError::Closed`] when the connection has ended anyhow.
    ///
    /// ```
    /// use antiphon::error::socket::RecvError;
    /// use antiphon::socket::Options;
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// a.finish()?;
    /// assert!(matches!(b.recv(), Err(RecvError::Closed)));
    /// b.send(b"the last word")?;
    /// assert_eq!(a.recv()?, b"the last word");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(&self) -> Result<(), SendError> {
        self.flush()?;
        socket::finish(&self.socket).map_err(send_error)
    }

    fn send_until(&self, message: &[u8], patience: Patience) -> Result<Sent, SendError> {
        let Some(mut outward) = lock(&self.outward, patience) else { return Ok(Sent::Nothing) };
        if !self.send_rest(&mut outward, patience)? {
            return Ok(Sent::Nothing);
        }
        let header = Header::of(message.len() as u64);
        let parts = [header.as_bytes(), message];
        let mut sent = 0;
        match stream::send(&self.socket, parts, &mut sent, patience) {
            Ok(true) => Ok(Sent::Whole),
            Ok(false) if sent == 0 => Ok(Sent::Nothing),
            Ok(false) => {
                outward.rest = parts.concat();
                outward.sent = sent;
                Ok(Sent::Part)
            }
            Err(error) => {
                if sent > 0 {
                    self.give_up();
                }
                Err(send_error(error))
            }
        }
    }

    fn flush_until(&self, patience: Patience) -> Result<bool, SendError> {
        let Some(mut outward) = lock(&self.outward, patience) else { return Ok(false) };
        self.send_rest(&mut outward, patience)
    }

    fn send_rest(&self, outward: &mut Outward, patience: Patience) -> Result<bool, SendError> {
        let Outward { rest, sent } = outward;
        let all = stream::send(&self.socket, [rest, &[]], sent, patience).map_err(send_error)?;
        if all {
            *outward = Outward::default();
        }
        Ok(all)
    }
}

/// Receiving.
impl Connection {
    /// Receives a message, waiting as long as it takes.
    ///
    /// # Errors
    /// [`RecvError`]; the same again in every later call.
    pub fn recv(&self) -> Result<Vec<u8>, RecvError> {
        loop {
            // `None` does not come without a deadline.
            if let Some(message) = self.recv_until(FOREVER)? {
                return Ok(message);
            }
        }
    }

    /// Receives a message if all of it is there.
    ///
    /// # Errors
    /// [`TryRecvError`].
    ///
    /// ```
    /// use antiphon::error::socket::{RecvError, TryRecvError};
    /// use antiphon::socket::Options;
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// assert!(matches!(b.try_recv(), Err(TryRecvError::Empty)));
    /// a.send(b"hello")?;
    /// assert_eq!(b.try_recv()?, b"hello");
    /// drop(a);
    /// assert!(matches!(b.try_recv(), Err(TryRecvError::Recv(RecvError::Closed))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv(&self) -> Result<Vec<u8>, TryRecvError> {
        self.recv_until(Patience::Try)?.ok_or(TryRecvError::Empty)
    }

    /// Receives a message, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// ```
    /// use antiphon::error::socket::TimedRecvError;
    /// use antiphon::socket::Options;
    /// use std::time::Duration;
    ///
    /// let (_a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let b = Options::new().wrap(b);
    /// let error = b.recv_timeout(Duration::from_millis(1));
    /// assert!(matches!(error, Err(TimedRecvError::TimedOut(_))));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Vec<u8>, TimedRecvError> {
        self.recv_timed(clock::deadline_after(timeout))
    }

    /// Receives a message, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Vec<u8>, TimedRecvError> {
        self.recv_timed(clock::deadline_at(deadline))
    }

    fn recv_timed(&self, deadline: Deadline) -> Result<Vec<u8>, TimedRecvError> {
        let begun = clock::now();
        self.recv_until(Patience::Until(Some(deadline)))?.ok_or_else(|| {
            TimedRecvError::TimedOut(Timeout::new(self.what("a message from"), since(begun)))
        })
    }

    /// Whether a [`recv`](Self::recv) would not wait: a message is there, or there will be none.
    ///
    /// ```
    /// use antiphon::socket::Options;
    /// use std::time::Duration;
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// assert!(!b.poll());
    /// a.send(b"hello")?;
    /// assert!(b.poll() && b.poll_timeout(Duration::ZERO));
    /// assert_eq!(b.recv()?, b"hello");
    /// drop(a);
    /// assert!(b.poll());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll(&self) -> bool {
        self.poll_until(Patience::Try)
    }

    /// Waits until a [`recv`](Self::recv) would not wait, no longer than `timeout`, and says whether.
    pub fn poll_timeout(&self, timeout: Duration) -> bool {
        self.poll_until(Patience::Until(Some(clock::deadline_after(timeout))))
    }

    /// Waits until a [`recv`](Self::recv) would not wait, no longer than until `deadline`, and says whether.
    pub fn poll_deadline(&self, deadline: Instant) -> bool {
        self.poll_until(Patience::Until(Some(clock::deadline_at(deadline))))
    }

    fn poll_until(&self, patience: Patience) -> bool {
        let Some(mut inward) = lock(&self.inward, patience) else { return false };
        // What is wrong the next receive says.
        self.fill(&mut inward, patience).unwrap_or(true)
    }

    fn recv_until(&self, patience: Patience) -> Result<Option<Vec<u8>>, RecvError> {
        let Some(mut inward) = lock(&self.inward, patience) else { return Ok(None) };
        self.fill(&mut inward, patience)?;
        Ok(inward.ready.take())
    }

    /// Receives until a message is ready. False: time is up.
    fn fill(&self, inward: &mut Inward, patience: Patience) -> Result<bool, RecvError> {
        // Without any limit in time, the kernel may do the waiting.
        let direct = patience == FOREVER && self.message_timeout.is_none();
        loop {
            if inward.ready.is_some() {
                return Ok(true);
            }
            if let Some(ended) = inward.ended {
                return Err(self.recv_error(ended));
            }
            let step = if direct { FOREVER } else { Patience::Try };
            let received = stream::receive(&self.socket, &mut inward.partial, step);
            match received.map_err(RecvError::Io)? {
                Received::Message(message) => {
                    inward.ready = Some(message);
                    inward.stalled = None;
                }
                Received::NotYet => {
                    if !self.wait(inward, patience)? {
                        return Ok(false);
                    }
                }
                Received::End => inward.ended = Some(Ended::Closed),
                Received::Cut => inward.ended = Some(Ended::Cut),
                Received::Bad(why) => {
                    self.give_up();
                    inward.ended = Some(match why {
                        FrameError::TooLarge(size) => Ended::TooLarge(size),
                        FrameError::Garbage(_) => Ended::Garbage,
                    });
                }
            }
        }
    }

    /// Waits for more of a message. False: time is up.
    fn wait(&self, inward: &mut Inward, patience: Patience) -> Result<bool, RecvError> {
        if let Some(limit) = self.message_timeout
            && !inward.partial.is_idle()
        {
            let end = *inward.stalled.get_or_insert_with(|| clock::deadline_after(limit));
            if clock::until(end).is_zero() {
                self.give_up();
                inward.ended = Some(Ended::Stalled);
                return Ok(true);
            }
        }
        let Patience::Until(deadline) = patience else { return Ok(false) };
        let first = deadline.into_iter().chain(inward.stalled).min();
        let fd = self.socket.as_fd();
        let there = stream::wait(fd, Interest::Read, Patience::Until(first));
        // When it was not the caller's time that is up, the next turn says so.
        let is_over = deadline.is_some_and(|deadline| clock::until(deadline).is_zero());
        Ok(there.map_err(RecvError::Io)? || !is_over)
    }

    fn recv_error(&self, ended: Ended) -> RecvError {
        match ended {
            Ended::Closed => RecvError::Closed,
            Ended::Cut => RecvError::Cut,
            Ended::TooLarge(size) => RecvError::TooLarge { size, limit: self.max_message },
            Ended::Garbage => RecvError::Garbage,
            Ended::Stalled => RecvError::Stalled,
        }
    }

    /// The stream is out of step: there is no next message, in neither direction, and the peer should know.
    fn give_up(&self) {
        // It may have ended by itself.
        let _ = socket::shutdown(&self.socket);
    }
}

/// Open files, over unix sockets.
impl Connection {
    /// Sends a duplicate of an open file, which the peer must expect: [`recv_fd`](Self::recv_fd), or Python's
    /// `multiprocessing.reduction.recv_handle`.
    ///
    /// # Errors
    /// [`SendError::Io`], for one when this is no unix socket.
    ///
    /// ```
    /// use antiphon::socket::Options;
    /// use std::io::{Read, Write, pipe};
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// let (mut reader, writer) = pipe()?;
    /// a.send_fd(&writer)?;
    /// drop(writer);
    /// std::fs::File::from(b.recv_fd()?).write_all(b"hello")?;
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_fd(&self, fd: impl AsFd) -> Result<(), SendError> {
        let mut outward = locked(self.outward.lock().ok());
        self.send_rest(&mut outward, FOREVER)?;
        loop {
            // As CPython does it: one byte, the number of descriptors.
            match descriptor::send(&self.socket, &[1], &[fd.as_fd()]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let wait = stream::wait(self.socket.as_fd(), Interest::Write, FOREVER);
                    wait.map_err(send_error)?;
                }
                result => return result.map(drop).map_err(send_error),
            }
        }
    }

    /// Receives an open file, waiting as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Garbage`] when something else has come.
    pub fn recv_fd(&self) -> Result<OwnedFd, RecvError> {
        loop {
            // `None` does not come without a deadline.
            if let Some(fd) = self.recv_fd_until(FOREVER)? {
                return Ok(fd);
            }
        }
    }

    /// Receives an open file if one has come.
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd), and [`TryRecvError::Empty`].
    pub fn try_recv_fd(&self) -> Result<OwnedFd, TryRecvError> {
        self.recv_fd_until(Patience::Try)?.ok_or(TryRecvError::Empty)
    }

    /// Receives an open file, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd), and [`TimedRecvError::TimedOut`].
    pub fn recv_fd_timeout(&self, timeout: Duration) -> Result<OwnedFd, TimedRecvError> {
        self.recv_fd_timed(clock::deadline_after(timeout))
    }

    /// Receives an open file, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd), and [`TimedRecvError::TimedOut`].
    pub fn recv_fd_deadline(&self, deadline: Instant) -> Result<OwnedFd, TimedRecvError> {
        self.recv_fd_timed(clock::deadline_at(deadline))
    }

    fn recv_fd_timed(&self, deadline: Deadline) -> Result<OwnedFd, TimedRecvError> {
        let begun = clock::now();
        self.recv_fd_until(Patience::Until(Some(deadline)))?.ok_or_else(|| {
            TimedRecvError::TimedOut(Timeout::new(self.what("an open file from"), since(begun)))
        })
    }

    fn recv_fd_until(&self, patience: Patience) -> Result<Option<OwnedFd>, RecvError> {
        let Some(mut inward) = lock(&self.inward, patience) else { return Ok(None) };
        if let Some(ended) = inward.ended {
            return Err(self.recv_error(ended));
        }
        if inward.ready.is_some() || !inward.partial.is_idle() {
            // A message comes first; an open file never comes within one.
            return Err(RecvError::Garbage);
        }
        // Now or never: what `patience` allows is waited for here.
        let now = Patience::Until(Some(Deadline(0)));
        let patience = if patience == Patience::Try { now } else { patience };
        if !stream::wait(self.socket.as_fd(), Interest::Read, patience).map_err(RecvError::Io)? {
            return Ok(None);
        }
        let mut count = [0];
        let (len, fds) = descriptor::receive(&self.socket, &mut count, 1).map_err(RecvError::Io)?;
        let ended = match (len, fds.into_iter().next()) {
            (0, _) => Ended::Closed,
            (_, Some(fd)) => return Ok(Some(fd)),
            (_, None) => {
                self.give_up();
                Ended::Garbage
            }
        };
        inward.ended = Some(ended);
        Err(self.recv_error(ended))
    }
}

/// Locks one direction. `None`: another thread is at it, and time is up.
fn lock<T>(side: &Mutex<T>, patience: Patience) -> Option<MutexGuard<'_, T>> {
    match patience {
        Patience::Try => side.try_lock().ok(),
        Patience::Until(None) => Some(locked(side.lock().ok())),
        Patience::Until(Some(deadline)) => side.lock_timeout(clock::until(deadline)).ok(),
    }
}

/// The guard of a lock that no thread locks twice or panics under.
fn locked<T>(guard: Option<MutexGuard<'_, T>>) -> MutexGuard<'_, T> {
    guard.expect("nothing panics under this lock")
}

fn since(begun: u64) -> Duration {
    Duration::from_nanos(clock::now() - begun)
}

fn send_error(error: io::Error) -> SendError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    match error.kind() {
        BrokenPipe | ConnectionReset | NotConnected => SendError::Closed,
        _ => SendError::Io(error),
    }
}

impl AsFd for Connection {
    /// The socket. Reading from it takes bytes out of messages; waiting at it is harmless.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Connection> for OwnedFd {
    /// The socket. A message that was received or sent in part is lost.
    fn from(connection: Connection) -> Self {
        connection.socket
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("socket", &self.socket)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
