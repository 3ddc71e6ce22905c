//! A peer that has connected and not yet proved that it knows the key.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use antiphon_core::comm::Patience;
use antiphon_core::wait::Deadline;
use antiphon_sys::poll::Interest;

use super::frame::Partial;
use super::handshake::{Demand, Handshake, LONGEST, Role, Step};
use super::stream::{self, Received};
use super::{Address, frame};
use crate::error::socket::HandshakeError;

/// A connection with its handshake.
pub(super) struct Newcomer {
    pub(super) socket: OwnedFd,
    pub(super) peer: Option<Address>,
    pub(super) deadline: Deadline,
    /// `None`: no key is asked for.
    handshake: Option<Handshake>,
    partial: Partial,
    /// What is being sent, and how much of it went.
    out: Vec<u8>,
    sent: usize,
    /// What happens when all is sent.
    then: Then,
}

enum Then {
    Hear,
    Accept,
    Refuse(HandshakeError),
}

impl Newcomer {
    pub(super) fn new(
        socket: OwnedFd,
        peer: Option<Address>,
        demand: Option<Demand>,
        role: Role,
        deadline: Deadline,
    ) -> io::Result<Self> {
        let handshake = demand.map(|demand| Handshake::new(demand, role)).transpose()?;
        let mut newcomer = Self {
            socket,
            peer,
            deadline,
            handshake,
            partial: Partial::new(LONGEST),
            out: Vec::new(),
            sent: 0,
            then: Then::Accept,
        };
        if let Some(handshake) = &mut newcomer.handshake {
            let step = handshake.begin();
            newcomer.follow(step);
        }
        Ok(newcomer)
    }

    fn follow(&mut self, step: Step) {
        let (message, then) = match step {
            Step::Send(message) => (Some(message), Then::Hear),
            Step::Wait => (None, Then::Hear),
            Step::Done(message) => (message, Then::Accept),
            Step::Refuse(message, why) => (message, Then::Refuse(why)),
        };
        self.out.clear();
        self.sent = 0;
        if let Some(message) = message {
            self.out.extend_from_slice(frame::Header::of(message.len() as u64).as_bytes());
            self.out.extend_from_slice(&message);
        }
        self.then = then;
    }

    /// Goes as far as possible without waiting. `Some`: it goes on when that is possible; `None`: the peer is accepted.
    pub(super) fn advance(&mut self) -> Result<Option<Interest>, HandshakeError> {
        loop {
            if !stream::send(&self.socket, [&self.out, &[]], &mut self.sent, Patience::Try)
                .map_err(lost)?
            {
                return Ok(Some(Interest::Write));
            }
            match std::mem::replace(&mut self.then, Then::Hear) {
                Then::Accept => return Ok(None),
                Then::Refuse(why) => return Err(why),
                Then::Hear => {}
            }
            let received = stream::receive(&self.socket, &mut self.partial, Patience::Try);
            match (received.map_err(lost)?, &mut self.handshake) {
                (Received::Message(message), Some(handshake)) => {
                    let step = handshake.hear(&message);
                    self.follow(step);
                }
                (Received::NotYet, _) => return Ok(Some(Interest::Read)),
                (Received::End | Received::Cut, _) => return Err(HandshakeError::Closed),
                // Without a handshake nothing is received.
                (Received::Bad(_) | Received::Message(_), _) => {
                    return Err(HandshakeError::Protocol);
                }
            }
        }
    }
}

impl Newcomer {
    /// What it waits for.
    pub(super) fn interest(&self) -> Interest {
        if self.sent < self.out.len() { Interest::Write } else { Interest::Read }
    }
}

/// A peer that hangs up is no trouble of ours.
fn lost(error: io::Error) -> HandshakeError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => HandshakeError::Closed,
        _ => HandshakeError::Io(error),
    }
}

impl AsFd for Newcomer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
