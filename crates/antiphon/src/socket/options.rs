//! What a listener or a client asks of its peers.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_core::comm::Patience;
use antiphon_core::wait::Deadline;
use antiphon_sys::{clock, socket};

use super::handshake::{Demand, Role};
use super::newcomer::Newcomer;
use super::{Address, Connection, Digest, Listener, stream};
use crate::error::Timeout;
use crate::error::socket::{ConnectError, HandshakeError};

/// What a listener or a client asks of its peers, and how much it puts up with.
///
/// ```
/// use antiphon::socket::{Digest, Options};
/// use std::time::Duration;
///
/// let options = Options::new()
///     .key(std::env::var("SHOP_KEY").unwrap_or_default())
///     .allow_md5(false) // Python 3.12 or later
///     .max_message(1 << 20)
///     .handshake_timeout(Duration::from_secs(2));
/// let listener = options.bind(&"tcp:localhost:0".parse()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Options {
    key: Option<Arc<[u8]>>,
    digest: Digest,
    allow_md5: bool,
    handshake_timeout: Duration,
    pub(super) max_message: u64,
    pub(super) message_timeout: Option<Duration>,
    pub(super) backlog: u32,
    pub(super) newcomers: usize,
    pub(super) replace_dead: bool,
}

impl Options {
    /// The longest message unless another is set: 256 MiB.
    pub const MAX_MESSAGE: u64 = 256 << 20;

    /// No key, messages of up to [`MAX_MESSAGE`](Self::MAX_MESSAGE) bytes, 10 seconds for a handshake, no limit on
    /// the time that a message takes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: None,
            digest: Digest::default(),
            allow_md5: true,
            handshake_timeout: Duration::from_secs(10),
            max_message: Self::MAX_MESSAGE,
            message_timeout: None,
            backlog: 128,
            newcomers: 64,
            replace_dead: false,
        }
    }

    /// Asks each peer to prove that it knows `key`, and proves it in turn: Python's `authkey`.
    #[must_use]
    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        Self { key: Some(key.as_ref().into()), ..self }
    }

    /// How the peer is asked to prove that it knows the key: by default [`Digest::Sha256`]. A Python of version 3.11 or before answers
    /// with MD5 whatever it is asked for.
    #[must_use]
    pub fn digest(self, digest: Digest) -> Self {
        Self { digest, ..self }
    }

    /// Whether MD5 will do, as for Python 3.11 and before: by default it will.
    #[must_use]
    pub fn allow_md5(self, allow: bool) -> Self {
        Self { allow_md5: allow, ..self }
    }

    /// How long the handshake may take before the peer is dropped.
    #[must_use]
    pub fn handshake_timeout(self, timeout: Duration) -> Self {
        Self { handshake_timeout: timeout, ..self }
    }

    /// The longest message that is received, in bytes.
    #[must_use]
    pub fn max_message(self, bytes: u64) -> Self {
        Self { max_message: bytes, ..self }
    }

    /// How long a message may take from the first byte that a receive has seen to its last: a peer that takes longer is given
    /// up for good, as [`RecvError::Stalled`](crate::error::socket::RecvError::Stalled).
    #[must_use]
    pub fn message_timeout(self, timeout: Duration) -> Self {
        Self { message_timeout: Some(timeout), ..self }
    }

    /// How many connections wait in the kernel to be accepted: by default 128. The kernel has a limit of its own.
    #[must_use]
    pub fn backlog(self, connections: u32) -> Self {
        Self { backlog: connections, ..self }
    }

    /// How many connections may be in their handshake at once: by default 64. One more, and the oldest is dropped.
    ///
    /// # Panics
    /// When it is zero.
    #[must_use]
    pub fn newcomers(self, most: usize) -> Self {
        assert!(most > 0, "somebody must be allowed to connect");
        Self { newcomers: most, ..self }
    }

    /// Whether [`bind`](Self::bind) may replace the file of a unix socket at which nobody listens any more, as one who was
    /// killed leaves it: by default not. Of two that replace the same file at the same time, one may remove the other's.
    #[must_use]
    pub fn replace_dead(self, replace: bool) -> Self {
        Self { replace_dead: replace, ..self }
    }

    /// Listens at `address`. A unix socket's file is made with the process's `umask`; who may write it may connect.
    ///
    /// # Errors
    /// Those of the system: the address is in use, its folder is not there, …
    pub fn bind(&self, address: &Address) -> io::Result<Listener> {
        Listener::bind(self.clone(), address)
    }

    /// Connects to `address`, as long as it takes; a peer that has accepted has the time of a handshake. There is no `try_`
    /// form: a connection without waiting is none.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(&self, address: &Address) -> Result<Connection, ConnectError> {
        self.connect_until(address, None)
    }

    /// Connects to `address` within `timeout`. Looking up the name of a host may take longer.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// ```
    /// use antiphon::error::socket::ConnectError;
    /// use antiphon::socket::Options;
    /// use std::time::Duration;
    ///
    /// // Somebody listens, and does not accept.
    /// let silent = std::net::TcpListener::bind("localhost:0")?;
    /// let address = silent.local_addr()?.into();
    /// let error = Options::new().key(b"k").connect_timeout(&address, Duration::from_millis(10));
    /// assert!(matches!(error, Err(ConnectError::TimedOut(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_timeout(
        &self,
        address: &Address,
        timeout: Duration,
    ) -> Result<Connection, ConnectError> {
        self.connect_until(address, Some(clock::deadline_after(timeout)))
    }

    /// Connects to `address` until `deadline`. Looking up the name of a host may take longer.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_deadline(
        &self,
        address: &Address,
        deadline: Instant,
    ) -> Result<Connection, ConnectError> {
        self.connect_until(address, Some(clock::deadline_at(deadline)))
    }

    /// A connection over a stream socket that is connected already: nobody proves anything.
    ///
    /// ```
    /// use antiphon::socket::Options;
    ///
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    /// a.send(b"hello")?;
    /// assert_eq!(b.recv()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wrap(&self, socket: impl Into<OwnedFd>) -> Connection {
        Connection::new(socket.into(), None, self)
    }

    fn connect_until(
        &self,
        address: &Address,
        deadline: Option<Deadline>,
    ) -> Result<Connection, ConnectError> {
        let begun = clock::now();
        let timed_out = || {
            let waited = Duration::from_nanos(clock::now() - begun);
            ConnectError::TimedOut(Timeout::new(format!("a connection to {address}"), waited))
        };
        let socket = match open(address, deadline) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::TimedOut && deadline.is_some() => {
                return Err(timed_out());
            }
            Err(error) => return Err(ConnectError::Io(error)),
        };
        let patience = clock::deadline_after(self.handshake_timeout);
        let patience = deadline.map_or(patience, |deadline| patience.min(deadline));
        let peer = Some(address.clone());
        let newcomer = Newcomer::new(socket, peer, self.demand(), Role::Client, patience);
        let mut newcomer = newcomer.map_err(ConnectError::Io)?;
        while let Some(interest) = newcomer.advance().map_err(refused)? {
            let until = Patience::Until(Some(patience));
            let fd = std::os::fd::AsFd::as_fd(&newcomer);
            if !stream::wait(fd, interest, until).map_err(ConnectError::Io)? {
                return Err(match deadline {
                    Some(deadline) if deadline == patience => timed_out(),
                    _ => ConnectError::Handshake(HandshakeError::TooSlow),
                });
            }
        }
        Ok(Connection::new(newcomer.socket, newcomer.peer, self))
    }

    /// What is asked of those who connect, if anything.
    pub(super) fn demand(&self) -> Option<Demand> {
        let key = self.key.clone()?;
        Some(Demand { key, digest: self.digest, allow_md5: self.allow_md5 })
    }

    /// When one who connects now must be done.
    pub(super) fn handshake_deadline(&self) -> Deadline {
        clock::deadline_after(self.handshake_timeout)
    }
}

fn refused(error: HandshakeError) -> ConnectError {
    match error {
        HandshakeError::Io(error) => ConnectError::Io(error),
        error => ConnectError::Handshake(error),
    }
}

fn open(address: &Address, deadline: Option<Deadline>) -> io::Result<OwnedFd> {
    match address {
        Address::Tcp(name) => open_tcp(name, deadline),
        Address::Unix(path) => {
            socket::connect_unix(&Address::unix_name(Some(path), None), deadline)
        }
        Address::Abstract(name) => {
            socket::connect_unix(&Address::unix_name(None, Some(name)), deadline)
        }
    }
}

/// Tries each address that the host has.
fn open_tcp(name: &str, deadline: Option<Deadline>) -> io::Result<OwnedFd> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in name.to_socket_addrs()? {
        let stream = match deadline.map(clock::until) {
            None => TcpStream::connect(address),
            Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
            Some(left) => TcpStream::connect_timeout(&address, left),
        };
        match stream {
            Ok(stream) => {
                // A message is written as a whole, so there is nothing to gather.
                stream.set_nodelay(true)?;
                return Ok(stream.into());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        f.debug_struct("Options")
            .field("has_key", &self.key.is_some())
            .field("digest", &self.digest)
            .field("allow_md5", &self.allow_md5)
            .field("max_message", &self.max_message)
            .finish_non_exhaustive()
    }
}
