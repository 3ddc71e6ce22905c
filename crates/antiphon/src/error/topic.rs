//! What can go wrong with a topic.

use thiserror::Error;

use super::Timeout;

/// Why a message was not published.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A subscriber that blocks is a whole topic behind, and the caller does not wait.
    #[error("a subscriber for which publishers wait has not kept up")]
    Full,
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Box<Timeout>),
    /// The message is longer than the topic's longest.
    #[error("the message is longer than the {longest} bytes that the topic takes")]
    TooLarge {
        /// The length of the longest message.
        longest: usize,
    },
}

/// Why a receive brought nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// There is no message yet.
    #[error("there is no new message in the topic")]
    Empty,
    /// The deadline passed.
    #[error("{0}")]
    TimedOut(Box<Timeout>),
    /// The topic's memory has been overwritten.
    #[error(
        "the topic's words contradict each other: another process has overwritten them; remove the topic and create it anew"
    )]
    Corrupt,
}

/// There are as many subscribers as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the topic has {most} subscribers already, which is the most that there may be")]
#[non_exhaustive]
pub struct SubscribeError {
    /// The most subscribers there may be.
    pub most: usize,
}
