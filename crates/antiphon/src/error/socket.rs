//! What can go wrong with sockets.

use std::io;

use thiserror::Error;

use super::Timeout;

/// The text is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("an address is tcp:HOST:PORT, unix:PATH or abstract:NAME")]
pub struct AddressError;

/// Why a peer was not let in, or did not let us in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer has proved no knowledge of our key.
    #[error("the peer has another key, or none, or speaks something else")]
    WrongKey,
    /// The peer does not accept our proof.
    #[error("the peer does not accept our key")]
    Refused,
    /// The peer knows nothing better than MD5, which is not allowed.
    #[error("the peer uses MD5, which is not allowed: see Options::allow_md5")]
    Md5,
    /// The peer does not say what belongs into a handshake.
    #[error("the peer does not speak this protocol, or has no key while we have one")]
    Protocol,
    /// The peer has hung up.
    #[error("the peer has hung up in the middle of the handshake")]
    Closed,
    /// The peer did not finish in time.
    #[error("the peer did not finish the handshake in time")]
    TooSlow,
    /// The system's own reason.
    #[error(transparent)]
    Io(io::Error),
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// The two do not agree on a key.
    #[error(transparent)]
    Handshake(HandshakeError),
    /// The system's own reason.
    #[error(transparent)]
    Io(io::Error),
}

/// Why nobody can be accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The system's own reason: no descriptors are left, for one.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why nobody was accepted without waiting.
#[derive(Debug, Error)]
pub enum TryAcceptError {
    /// Nobody has connected and proved that it knows the key.
    #[error("nobody has connected")]
    Nobody,
    /// Nobody can be accepted.
    #[error(transparent)]
    Accept(#[from] AcceptError),
}

/// Why nobody was accepted until the deadline.
#[derive(Debug, Error)]
pub enum TimedAcceptError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// Nobody can be accepted.
    #[error(transparent)]
    Accept(#[from] AcceptError),
}

/// Why a message was not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer has closed the connection.
    #[error("the peer has closed the connection")]
    Closed,
    /// The system's own reason. Part of the message may have gone, so the connection is of no use any more.
    #[error(transparent)]
    Io(io::Error),
}

/// Why a message was not sent without waiting.
#[derive(Debug, Error)]
pub enum TrySendError {
    /// There is no room. Nothing was sent.
    #[error("the connection's buffer is full")]
    Full,
    /// The message is on its way, but not all of it: the rest goes before anything else does. Do not send it again; `flush` waits for
    /// it.
    #[error("part of the message is still to be sent: flush")]
    Unfinished,
    /// The connection has ended.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why a message was not sent until the deadline.
#[derive(Debug, Error)]
pub enum TimedSendError {
    /// The deadline passed. Nothing was sent.
    #[error("{0}")]
    TimedOut(Timeout),
    /// The deadline passed. The message is on its way, but not all of it: the rest goes before anything else does. Do not send it
    /// again; `flush` waits for it.
    #[error("{0}; part of the message is still to be sent: flush")]
    Unfinished(Timeout),
    /// The connection has ended.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why there is no message, and will be none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The peer has finished.
    #[error("the peer has closed the connection")]
    Closed,
    /// The peer has finished in the middle of a message.
    #[error("the peer has closed the connection in the middle of a message")]
    Cut,
    /// The next message is too long; not a byte of it was read, and none will be.
    #[error("a message of {size} bytes is more than the {limit} allowed: see Options::max_message")]
    TooLarge {
        /// What the peer announced.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// What came is not the length of a message.
    #[error("the peer does not speak this protocol")]
    Garbage,
    /// A message took longer than [`Options::message_timeout`](crate::socket::Options::message_timeout).
    #[error("the peer stopped in the middle of a message")]
    Stalled,
    /// The system's own reason.
    #[error(transparent)]
    Io(io::Error),
}

/// Why there is no message now.
#[derive(Debug, Error)]
pub enum TryRecvError {
    /// No message has come, or not all of it.
    #[error("there is no message")]
    Empty,
    /// There will be none.
    #[error(transparent)]
    Recv(#[from] RecvError),
}

/// Why there was no message until the deadline.
#[derive(Debug, Error)]
pub enum TimedRecvError {
    /// The deadline passed. What has come of a message is kept.
    #[error("{0}")]
    TimedOut(Timeout),
    /// There will be none.
    #[error(transparent)]
    Recv(#[from] RecvError),
}
