//! What can go wrong with a channel. A send that fails gives the item back.

use std::fmt;

use thiserror::Error;

use super::Timeout;

const NO_RECEIVERS: &str = "the channel has no receivers any more";
const NO_SENDERS: &str = "the channel has no senders any more, and nothing is left in it";
const CORRUPT: &str = "the channel's words contradict each other: another process has overwritten them; remove the channel and create it anew";

/// Why a send did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError<T> {
    /// All receivers are gone.
    #[error("{NO_RECEIVERS}")]
    Disconnected(T),
    /// The channel's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt(T),
}

/// Why a send that does not wait did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
pub enum TrySendError<T> {
    /// There is no room, or (with a capacity of zero) nobody who receives just now.
    #[error("the channel is full")]
    Full(T),
    /// All receivers are gone.
    #[error("{NO_RECEIVERS}")]
    Disconnected(T),
    /// The channel's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt(T),
}

/// Why a send with a deadline did not happen.
#[derive(Clone, PartialEq, Eq, Error)]
pub enum TimedSendError<T> {
    /// The deadline passed.
    #[error("{1}")]
    TimedOut(T, Timeout),
    /// All receivers are gone.
    #[error("{NO_RECEIVERS}")]
    Disconnected(T),
    /// The channel's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt(T),
}

macro_rules! send_error {
    ($name:ident { $($variant:ident $(, $more:tt)?);+ }) => {
        impl<T> $name<T> {
            /// The item that was not sent.
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$variant(item $(, $more)?) => item,)+
                }
            }

            /// Whether all receivers are gone.
            pub fn is_disconnected(&self) -> bool {
                matches!(self, Self::Disconnected(_))
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
send_error!(SendError { Disconnected; Corrupt });
send_error!(TrySendError { Full; Disconnected; Corrupt });
send_error!(TimedSendError { TimedOut, _; Disconnected; Corrupt });

/// Why a receive brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RecvError {
    /// All senders are gone, and everything they sent was taken.
    #[error("{NO_SENDERS}")]
    Disconnected,
    /// The channel's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why a receive that does not wait brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TryRecvError {
    /// There is no item.
    #[error("the channel is empty")]
    Empty,
    /// All senders are gone, and everything they sent was taken.
    #[error("{NO_SENDERS}")]
    Disconnected,
    /// The channel's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why a receive with a deadline brought nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TimedRecvError {
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Timeout),
    /// All senders are gone, and everything they sent was taken.
    #[error("{NO_SENDERS}")]
    Disconnected,
    /// The channel's memory has been overwritten.
    #[error("{CORRUPT}")]
    Corrupt,
}
