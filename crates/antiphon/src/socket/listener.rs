//! Where peers connect.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use antiphon_core::comm::Patience;
use antiphon_core::wait::Deadline;
use antiphon_sys::poll::{self, Interest};
use antiphon_sys::{clock, socket};

use super::handshake::Role;
use super::newcomer::Newcomer;
use super::{Address, Connection, Options};
use crate::error::Timeout;
use crate::error::socket::{AcceptError, HandshakeError, TimedAcceptError, TryAcceptError};
use crate::sync::{Mutex, MutexGuard};

/// Where peers connect; [`Options::bind`] makes one. Any number of threads may accept.
///
/// When it is dropped nobody can connect any more, those in their handshake are dropped, and the file of a unix socket is
/// removed, if it is still the one that was made.
pub struct Listener {
    door: Door,
    address: Address,
    options: Options,
    /// Those in their handshake, the oldest first. Who holds it is accepting.
    newcomers: Mutex<VecDeque<Newcomer>>,
    refused: AtomicU64,
    last_refusal: Mutex<Option<Refusal>>,
}

enum Door {
    Tcp(TcpListener),
    Unix(UnixListener, Option<File>),
}

/// The file of a unix socket, and which one it is.
struct File {
    path: PathBuf,
    id: (u64, u64),
}

/// A peer that was not accepted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// Who it was, as far as the system knows.
    pub peer: Option<Address>,
    /// Why.
    pub why: HandshakeError,
}

impl Listener {
    pub(super) fn bind(options: Options, address: &Address) -> io::Result<Self> {
        let (door, address) = match address {
            Address::Tcp(name) => {
                let listener = TcpListener::bind(name.as_str())?;
                let address = listener.local_addr()?.into();
                (Door::Tcp(listener), address)
            }
            Address::Unix(path) => {
                let listener = bind_file(path, options.replace_dead)?;
                let file = File { path: path.clone(), id: id_of(path)? };
                (Door::Unix(listener, Some(file)), address.clone())
            }
            Address::Abstract(name) => {
                let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
                (Door::Unix(listener, None), address.clone())
            }
        };
        door.set_nonblocking()?;
        socket::set_backlog(door.as_fd(), options.backlog)?;
        Ok(Self {
            door,
            address,
            options,
            newcomers: Mutex::new(VecDeque::new()),
            refused: AtomicU64::new(0),
            last_refusal: Mutex::new(None),
        })
    }

    /// Where it listens; for TCP with the port that the system has chosen, if it was asked to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for a peer that knows the key, as long as it takes. Peers that do not are dropped meanwhile, see
    /// [`refused`](Self::refused).
    ///
    /// # Errors
    /// [`AcceptError`], for trouble of this process and not for that of a peer.
    pub fn accept(&self) -> Result<Connection, AcceptError> {
        loop {
            // `None` does not come without a deadline.
            if let Some(connection) = self.accept_until(Patience::Until(None))? {
                return Ok(connection);
            }
        }
    }

    /// Accepts a peer if one has proved that it knows the key. It may be half-way, so ask again: each call lets handshakes go on.
    ///
    /// # Errors
    /// [`TryAcceptError`].
    ///
    /// ```
    /// use antiphon::error::socket::TryAcceptError;
    /// use antiphon::socket::Options;
    ///
    /// let listener = Options::new().bind(&"tcp:localhost:0".parse()?)?;
    /// assert!(matches!(listener.try_accept(), Err(TryAcceptError::Nobody)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_accept(&self) -> Result<Connection, TryAcceptError> {
        self.accept_until(Patience::Try)?.ok_or(TryAcceptError::Nobody)
    }

    /// Waits for a peer that knows the key, no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedAcceptError`].
    ///
    /// ```
    /// use antiphon::error::socket::TimedAcceptError;
    /// use antiphon::socket::Options;
    /// use std::time::Duration;
    ///
    /// let listener = Options::new().bind(&"tcp:localhost:0".parse()?)?;
    /// let nobody = listener.accept_timeout(Duration::from_millis(1));
    /// assert!(matches!(nobody, Err(TimedAcceptError::TimedOut(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Connection, TimedAcceptError> {
        self.accept_timed(clock::deadline_after(timeout))
    }

    /// Waits for a peer that knows the key, no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedAcceptError`].
    pub fn accept_deadline(&self, deadline: Instant) -> Result<Connection, TimedAcceptError> {
        self.accept_timed(clock::deadline_at(deadline))
    }

    fn accept_timed(&self, deadline: Deadline) -> Result<Connection, TimedAcceptError> {
        let begun = clock::now();
        self.accept_until(Patience::Until(Some(deadline)))?.ok_or_else(|| {
            let waited = Duration::from_nanos(clock::now() - begun);
            TimedAcceptError::TimedOut(Timeout::new(format!("a peer at {}", self.address), waited))
        })
    }

    /// Peers as they come, for ever.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = antiphon::socket::Options::new().key(b"k").bind(&"unix:/run/shop".parse()?)?;
    /// for peer in listener.incoming() {
    ///     let peer = peer?;
    ///     std::thread::spawn(move || while let Ok(message) = peer.recv() { /* … */ });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// How many peers were dropped: without the key, too slow, or talking something else.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Takes note of the last peer that was dropped, if one was since the last call.
    #[must_use]
    pub fn last_refusal(&self) -> Option<Refusal> {
        locked(self.last_refusal.lock().ok()).take()
    }

    /// Repeatedly: let in who knocks; let each newcomer go on; drop the bad ones; sleep until one of them has something to say.
    fn accept_until(&self, patience: Patience) -> Result<Option<Connection>, AcceptError> {
        let newcomers = match patience {
            Patience::Try => self.newcomers.try_lock().ok(),
            Patience::Until(None) => self.newcomers.lock().ok(),
            Patience::Until(Some(deadline)) => {
                self.newcomers.lock_timeout(clock::until(deadline)).ok()
            }
        };
        // Another thread is accepting, and time is up. (The lock has no poison: nothing is called that panics.)
        let Some(mut newcomers) = newcomers else { return Ok(None) };
        loop {
            self.let_in(&mut newcomers)?;
            if let Some(connection) = self.advance(&mut newcomers) {
                return Ok(Some(connection));
            }
            let deadline = match patience {
                Patience::Try => return Ok(None),
                Patience::Until(Some(deadline)) if clock::until(deadline).is_zero() => {
                    return Ok(None);
                }
                Patience::Until(deadline) => deadline,
            };
            self.sleep(&newcomers, deadline)?;
        }
    }

    /// Takes from the kernel all who have connected, as far as there is room.
    fn let_in(&self, newcomers: &mut VecDeque<Newcomer>) -> Result<(), AcceptError> {
        // No more than there is room for, so that a flood does not keep us from those who are in.
        for _ in 0..self.options.newcomers {
            let (socket, peer) = match self.door.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    // One who has gone again.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                    // Out of descriptors, for one.
                    _ => return Err(AcceptError::Io(error)),
                },
            };
            if newcomers.len() >= self.options.newcomers
                && let Some(oldest) = newcomers.pop_front()
            {
                self.refuse(oldest.peer, HandshakeError::TooSlow);
            }
            let deadline = self.options.handshake_deadline();
            let demand = self.options.demand();
            let newcomer = Newcomer::new(socket, peer, demand, Role::Listener, deadline);
            newcomers.push_back(newcomer.map_err(AcceptError::Io)?);
        }
        Ok(())
    }

    /// Lets every newcomer go on, drops the bad ones, and takes out the first that is done.
    fn advance(&self, newcomers: &mut VecDeque<Newcomer>) -> Option<Connection> {
        let mut at = 0;
        while let Some(newcomer) = newcomers.get_mut(at) {
            let outcome = newcomer.advance();
            let is_late = clock::until(newcomer.deadline).is_zero();
            let why = match outcome {
                Ok(Some(_)) if !is_late => {
                    at += 1;
                    continue;
                }
                Ok(Some(_)) => HandshakeError::TooSlow,
                Ok(None) => {
                    let Newcomer { socket, peer, .. } = newcomers.remove(at)?;
                    return Some(Connection::new(socket, peer, &self.options));
                }
                Err(why) => why,
            };
            let newcomer = newcomers.remove(at)?;
            self.refuse(newcomer.peer, why);
        }
        None
    }

    fn refuse(&self, peer: Option<Address>, why: HandshakeError) {
        self.refused.fetch_add(1, Relaxed);
        *locked(self.last_refusal.lock().ok()) = Some(Refusal { peer, why });
    }

    /// Until somebody knocks, a newcomer can go on, one of them is late, or `deadline`.
    fn sleep(
        &self,
        newcomers: &VecDeque<Newcomer>,
        deadline: Option<Deadline>,
    ) -> Result<(), AcceptError> {
        let mut fds = vec![(self.door.as_fd(), Interest::Read)];
        fds.extend(newcomers.iter().map(|newcomer| (newcomer.as_fd(), newcomer.interest())));
        let late = newcomers.iter().map(|newcomer| newcomer.deadline).chain(deadline).min();
        match poll::ready(&fds, late) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(AcceptError::Io(error)),
            _ => Ok(()),
        }
    }
}

/// The guard of a lock that no thread locks twice or panics under.
fn locked<T>(guard: Option<MutexGuard<'_, T>>) -> MutexGuard<'_, T> {
    guard.expect("nothing panics under this lock")
}

/// Binds to `path`; replaces a file at which nobody listens if asked to.
fn bind_file(path: &Path, replace_dead: bool) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && replace_dead => {
            let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
            let now = clock::deadline_after(Duration::from_millis(1));
            let name = Address::unix_name(Some(path), None);
            match socket::connect_unix(&name, Some(now)) {
                Err(nobody) if nobody.kind() == io::ErrorKind::ConnectionRefused && is_socket => {
                    fs::remove_file(path)?;
                    UnixListener::bind(path)
                }
                _ => Err(error),
            }
        }
        result => result,
    }
}

fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl Door {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener, _) => listener.set_nonblocking(true),
        }
    }

    fn accept(&self) -> io::Result<(OwnedFd, Option<Address>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                // A message is written as a whole, so there is nothing to gather.
                stream.set_nodelay(true)?;
                Ok((stream.into(), Some(peer.into())))
            }
            Self::Unix(listener, _) => {
                let (stream, peer) = listener.accept()?;
                Ok((stream.into(), Address::of_unix(&peer)))
            }
        }
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Somebody else may have put another file there.
        if let Self::Unix(_, Some(file)) = self
            && id_of(&file.path).is_ok_and(|id| id == file.id)
        {
            // If it cannot be removed, a later listener is told so.
            let _ = fs::remove_file(&file.path);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .field("options", &self.options)
            .field("refused", &self.refused())
            .finish_non_exhaustive()
    }
}

/// Peers as they come; [`Listener::incoming`] makes one.
#[derive(Debug)]
pub struct Incoming<'a>(&'a Listener);

impl Iterator for Incoming<'_> {
    type Item = Result<Connection, AcceptError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.accept())
    }
}
