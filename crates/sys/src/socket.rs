//! Stream sockets: what std's do not offer. Calls that never wait, whatever the mode of the socket, and that make no signal of
//! a closed peer; connecting with a deadline; the length of the queue of those who want to connect.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use antiphon_core::wait::Deadline;

use crate::clock::until;
use crate::error::{check, check_size, retry};

/// Whether a call may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As the socket is set.
    Wait,
    /// Never: [`io::ErrorKind::WouldBlock`] instead.
    Now,
}

impl Mode {
    fn flags(self) -> libc::c_int {
        match self {
            Mode::Wait => 0,
            Mode::Now => libc::MSG_DONTWAIT,
        }
    }
}

/// Sends the beginning of `parts`, one behind the other, and says how much went.
///
/// # Errors
/// Those of `sendmsg`. A closed peer is an error and no signal.
pub fn send(socket: impl AsFd, parts: &[IoSlice<'_>], mode: Mode) -> io::Result<usize> {
    // SAFETY: a zeroed `msghdr` is a valid value of that plain struct.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    // An `IoSlice` is an `iovec`, says std; the kernel only reads it.
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len();
    let (socket, flags) = (socket.as_fd().as_raw_fd(), mode.flags() | libc::MSG_NOSIGNAL);
    retry(|| {
        // SAFETY: everything that `message` points to lives until the call returns.
        check_size(unsafe { libc::sendmsg(socket, &message, flags) })
    })
}

/// Appends up to `most` received bytes to `bytes`, as far as its capacity goes, and says how many. Zero, though there is room:
/// the peer has closed.
///
/// # Errors
/// Those of `recv`.
pub fn receive(
    socket: impl AsFd,
    bytes: &mut Vec<u8>,
    most: usize,
    mode: Mode,
) -> io::Result<usize> {
    let len = bytes.len();
    let socket = socket.as_fd().as_raw_fd();
    let spare = bytes.spare_capacity_mut();
    let (room, most) = (spare.as_mut_ptr(), most.min(spare.len()));
    let got = retry(|| {
        // SAFETY: the spare capacity has at least `most` bytes, which nobody else uses.
        check_size(unsafe { libc::recv(socket, room.cast(), most, mode.flags()) })
    })?;
    // SAFETY: the kernel has written that many bytes behind the first `len`, within the capacity.
    unsafe { bytes.set_len(len + got) };
    Ok(got)
}

/// Connects to the unix stream socket at `address`: a path, or (`\0` in front) an abstract name.
///
/// # Errors
/// Those of `connect`; [`io::ErrorKind::TimedOut`] when the listener's queue was full until the deadline;
/// [`io::ErrorKind::InvalidInput`] for an address that is empty or too long.
pub fn connect_unix(address: &OsStr, deadline: Option<Deadline>) -> io::Result<OwnedFd> {
    let (name, len) = unix_name(address.as_bytes())?;
    // SAFETY: no memory is passed.
    let fd =
        check(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    loop {
        if let Some(deadline) = deadline {
            let left = until(deadline);
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // What connecting waits for is room to send.
            set_send_timeout(&socket, left)?;
        }
        let name = (&raw const name).cast();
        // SAFETY: `name` is readable for `len` bytes.
        match check(unsafe { libc::connect(fd, name, len) }) {
            Ok(_) => break,
            // The kernel's time was up, or a signal came: look whether there is any left. Neither leaves a
            // half-made connection behind in this family.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
    if deadline.is_some() {
        set_send_timeout(&socket, Duration::ZERO)?;
    }
    Ok(socket)
}

/// How long a waiting send may take; zero: as long as it takes.
fn set_send_timeout(socket: &OwnedFd, timeout: Duration) -> io::Result<()> {
    let time = libc::timeval {
        // Longer than the kernel can count is for ever.
        tv_sec: timeout.as_secs().min(1 << 32) as libc::time_t,
        // Not zero for less than a microsecond.
        tv_usec: timeout.subsec_nanos().div_ceil(1000).min(999_999) as libc::suseconds_t,
    };
    // SAFETY: `time` is readable for its size.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDTIMEO,
            (&raw const time).cast(),
            size_of_val(&time) as libc::socklen_t,
        )
    })
    .map(drop)
}

/// The address in the kernel's form, with its length.
fn unix_name(address: &[u8]) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: a zeroed `sockaddr_un` is a valid value of that plain struct.
    let mut name: libc::sockaddr_un = unsafe { mem::zeroed() };
    name.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let is_abstract = address.first() == Some(&0);
    // A path ends with a zero byte, an abstract name with its length.
    let room = name.sun_path.len() - usize::from(!is_abstract);
    let has_zero = !is_abstract && address.contains(&0);
    if address.is_empty() || address.len() > room || has_zero {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a unix socket's address has 1 to {room} bytes and no zeros"),
        ));
    }
    for (to, from) in name.sun_path.iter_mut().zip(address) {
        *to = *from as libc::c_char;
    }
    let len =
        mem::offset_of!(libc::sockaddr_un, sun_path) + address.len() + usize::from(!is_abstract);
    Ok((name, len as libc::socklen_t))
}

/// Lets up to `backlog` connections wait to be accepted by the listening `socket`; the kernel has a limit of its own.
///
/// # Errors
/// When the socket is not bound.
pub fn set_backlog(socket: impl AsFd, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: no memory is passed.
    check(unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) }).map(drop)
}

/// Ends the connection in both directions, for all who share it. The peer is told.
///
/// # Errors
/// When it has ended already.
pub fn shutdown(socket: impl AsFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::shutdown(socket.as_fd().as_raw_fd(), libc::SHUT_RDWR) }).map(drop)
}

/// Ends this side's half of the connection: the peer receives what was sent, and then the end.
///
/// # Errors
/// When the connection has ended already.
pub fn finish(socket: impl AsFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::shutdown(socket.as_fd().as_raw_fd(), libc::SHUT_WR) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use super::*;
    use crate::clock::deadline_after;

    #[test]
    fn bytes_go_and_come_and_nobody_waits() {
        let (a, b) = UnixStream::pair().unwrap();
        let mut got = Vec::with_capacity(3);
        let nothing = receive(&b, &mut got, 3, Mode::Now).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(send(&a, &[IoSlice::new(b"ab"), IoSlice::new(b"cd")], Mode::Wait).unwrap(), 4);
        assert_eq!(receive(&b, &mut got, 9, Mode::Wait).unwrap(), 3);
        assert_eq!(got, b"abc");
        drop(b);
        let error = send(&a, &[IoSlice::new(b"x")], Mode::Now).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn connecting_to_a_full_listener_ends_at_the_deadline() {
        let text = format!("antiphon-sys-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&text).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        set_backlog(&listener, 0).unwrap();
        let name = format!("\0{text}");
        let mut waiting = Vec::new();
        let error = loop {
            let deadline = deadline_after(Duration::from_millis(30));
            match connect_unix(OsStr::new(&name), Some(deadline)) {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
            assert!(waiting.len() < 9);
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!waiting.is_empty());
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for address in ["", "a\0b", &"x".repeat(108)] {
            let error = connect_unix(OsStr::new(address), None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address:?}");
        }
    }
}
