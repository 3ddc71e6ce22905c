//! What can go wrong with a queue. A put that fails gives the item back.

use std::fmt;

use thiserror::Error;

use super::Timeout;

const SHUT_DOWN: &str = "the queue is shut down";
const TOO_LARGE: &str =
    "the message is larger than the queue can ever hold: create it with more bytes";
const CORRUPT: &str = "the queue's words contradict each other: another process has overwritten them; remove the queue and create it anew";

/// Why a put did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
pub enum PutError<T> {
    /// The queue is shut down.
    #[error("{SHUT_DOWN}")]
    ShutDown(T),
    /// The item can never fit.
    #[error("{TOO_LARGE}")]
    TooLarge(T),
    /// The queue's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt(T),
}

/// Why a put that does not wait did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
pub enum TryPutError<T> {
    /// There is no room.
    #[error("the queue is full")]
    Full(T),
    /// The queue is shut down.
    #[error("{SHUT_DOWN}")]
    ShutDown(T),
    /// The item can never fit.
    #[error("{TOO_LARGE}")]
    TooLarge(T),
    /// The queue's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt(T),
}

/// Why a put with a deadline did not happen.
#[derive(Clone, PartialEq, Eq, Error)]
pub enum TimedPutError<T> {
    /// The deadline passed.
    #[error("{1}")]
    TimedOut(T, Timeout),
    /// The queue is shut down.
    #[error("{SHUT_DOWN}")]
    ShutDown(T),
    /// The item can never fit.
    #[error("{TOO_LARGE}")]
    TooLarge(T),
    /// The queue's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt(T),
}

macro_rules! put_error {
    ($name:ident { $($variant:ident $(, $more:tt)?);+ }) => {
        impl<T> $name<T> {
            /// The item that was not put.
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$variant(item $(, $more)?) => item,)+
                }
            }

            /// Whether the queue is shut down.
            pub fn is_shut_down(&self) -> bool {
                matches!(self, Self::ShutDown(_))
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant(_ $(, $more)?) => concat!(stringify!($variant), "(..)"),)+
                })
            }
        }
    };
}
put_error!(PutError { ShutDown; TooLarge; Corrupt });
put_error!(TryPutError { Full; ShutDown; TooLarge; Corrupt });
put_error!(TimedPutError { TimedOut, _; ShutDown; TooLarge; Corrupt });

/// Why a get brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GetError {
    /// The queue is shut down, and (unless at once) everything in it was taken.
    #[error("{SHUT_DOWN}")]
    ShutDown,
    /// The queue's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why a get that does not wait brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TryGetError {
    /// There is no item.
    #[error("the queue is empty")]
    Empty,
    /// The queue is shut down, and (unless at once) everything in it was taken.
    #[error("{SHUT_DOWN}")]
    ShutDown,
    /// The queue's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why a get with a deadline brought nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TimedGetError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// The queue is shut down, and (unless at once) everything in it was taken.
    #[error("{SHUT_DOWN}")]
    ShutDown,
    /// The queue's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// A lease was not its holder's any more: the values may be somebody else's by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the lease is not this process's: it was taken by the process that forked this one")]
pub struct LeaseLost;

/// Why a message was not put or taken as a value.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MessageError<E> {
    /// The value cannot be encoded; nothing was put.
    #[error("the value cannot be encoded: {0}")]
    Encode(String),
    /// The message is no encoding of such a value. It was taken, and is in here.
    #[error("the message of {} bytes is no such value: {why}", bytes.len())]
    Decode {
        /// What the decoder says.
        why: String,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The queue's own reason.
    #[error(transparent)]
    Queue(E),
}
