//! A connected stream socket, and waiting at it until a deadline.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use antiphon_core::comm::Patience;
use antiphon_sys::poll::{self, Interest};
use antiphon_sys::socket::{self, Mode};

use super::frame::{FrameError, Partial};

/// How much of a message is asked for at first: as much as a socket usually holds.
pub(super) const RECEIVE_STEP: usize = 256 << 10;

/// How an attempt to receive a message ended.
#[derive(Debug)]
pub(super) enum Received {
    /// The message is whole.
    Message(Vec<u8>),
    /// Time is up; what has come is kept for the next attempt.
    NotYet,
    /// The peer has finished, between messages.
    End,
    /// The peer has finished, within a message.
    Cut,
    /// What has come is no message that is wanted.
    Bad(FrameError),
}

/// Waits for what `interest` says. False: time is up.
pub(super) fn wait(fd: BorrowedFd<'_>, interest: Interest, patience: Patience) -> io::Result<bool> {
    let deadline = match patience {
        Patience::Try => return Ok(false),
        Patience::Until(deadline) => deadline,
    };
    loop {
        match poll::ready(&[(fd, interest)], deadline) {
            // A handler has run; the wait goes on.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?[0]),
        }
    }
}

/// The first attempt may wait in the kernel when nothing ends the wait anyhow.
fn mode(patience: Patience) -> Mode {
    if patience == Patience::Until(None) { Mode::Wait } else { Mode::Now }
}

/// Receives until `partial` is whole.
pub(super) fn receive(
    socket: &OwnedFd,
    partial: &mut Partial,
    patience: Patience,
) -> io::Result<Received> {
    loop {
        let idle = partial.is_idle();
        let Some((bytes, most)) = partial.want() else {
            // Whole, by what `want` says.
            return Ok(partial.take().map_or(Received::NotYet, Received::Message));
        };
        match socket::receive(socket, bytes, most, mode(patience)) {
            Ok(0) => return Ok(if idle { Received::End } else { Received::Cut }),
            Ok(_) => {
                if let Err(error) = partial.advance() {
                    return Ok(Received::Bad(error));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !wait(socket.as_fd(), Interest::Read, patience)? {
                    return Ok(Received::NotYet);
                }
            }
            // The peer has gone and left some of what we sent unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(if idle { Received::End } else { Received::Cut });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Sends `parts` and counts in `sent` what went. False: time is up.
pub(super) fn send(
    socket: &OwnedFd,
    parts: [&[u8]; 2],
    sent: &mut usize,
    patience: Patience,
) -> io::Result<bool> {
    let [first, second] = parts;
    while *sent < first.len() + second.len() {
        let first_left = &first[(*sent).min(first.len())..];
        let second_left = &second[sent.saturating_sub(first.len())..];
        let slices = [IoSlice::new(first_left), IoSlice::new(second_left)];
        match socket::send(socket, &slices, mode(patience)) {
            Ok(went) => *sent += went,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !wait(socket.as_fd(), Interest::Write, patience)? {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
