//! What can go wrong when a process is started, and when it is joined.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use thiserror::Error;

use super::Child;

/// Which child an error speaks of.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// Its process number; another's, perhaps, once it has been joined.
    pub pid: u32,
    /// What [`Builder::label`](super::Builder::label) called it.
    pub label: Option<String>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "child process `{label}` ({})", self.pid),
            None => write!(f, "child process {}", self.pid),
        }
    }
}

/// Why a child was not started. Nothing of it is left.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// [`init`](super::init) has not been called, so the child would run this program's `main` instead of the function.
    #[error(
        "a child cannot be started before antiphon::process::init() was called: make it the first statement of main"
    )]
    NotInitialized,
    /// The function belongs to a shared library, which a child need not have loaded.
    #[error("the function is not part of this program but of a shared library that it has loaded")]
    ForeignFunction,
    /// The argument cannot be written: its `Serialize` says no, or its type is none of serde's data model.
    #[error("the argument cannot be sent to a child: {0}")]
    Argument(String),
    /// The system refused memory, a descriptor or a process.
    #[error("the child cannot be started: {0}")]
    System(#[from] io::Error),
}

/// Why a child gave no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked.
    #[error("{child} panicked{}: {message}", At(location))]
    Panicked {
        /// Which child.
        child: Identity,
        /// What `panic!` was given.
        message: String,
        /// The place in the source: file, line and column.
        location: Option<String>,
    },
    /// The child was killed, or it exited, before the function returned.
    #[error("{child} ended without a result: {status}")]
    Ended {
        /// Which child.
        child: Identity,
        /// The signal or the exit code.
        status: ExitStatus,
    },
    /// The child ended before it came to [`init`](super::init).
    #[error(
        "{child} ended before it came to antiphon::process::init(), which must be the first statement of main: {status}"
    )]
    NotStarted {
        /// Which child.
        child: Identity,
        /// The signal or the exit code.
        status: ExitStatus,
    },
    /// The argument or the result could not be written or read back.
    #[error("{child} cannot pass a value: {reason}")]
    Value {
        /// Which child.
        child: Identity,
        /// Which value, and what was wrong with it.
        reason: String,
    },
    /// The system could not wait for the child or read what it left.
    #[error("{child} cannot be joined: {source}")]
    System {
        /// Which child.
        child: Identity,
        /// The error of the system.
        source: io::Error,
    },
}

/// A place, if it is known.
struct At<'a>(&'a Option<String>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, " at {place}"),
            None => Ok(()),
        }
    }
}

impl JoinError {
    /// Which child gave no result.
    #[must_use]
    pub fn child(&self) -> &Identity {
        match self {
            Self::Panicked { child, .. }
            | Self::Ended { child, .. }
            | Self::NotStarted { child, .. }
            | Self::Value { child, .. }
            | Self::System { child, .. } => child,
        }
    }
}

/// Why a join that does not wait for ever gave no result.
#[derive(Error)]
pub enum TryJoinError<R> {
    /// The child has not ended; here it is back.
    #[error("{} is still running", .0.identity())]
    Running(Child<R>),
    /// It has ended, without a result.
    #[error(transparent)]
    Failed(#[from] JoinError),
}

impl<R> TryJoinError<R> {
    /// The child, if it is still running.
    #[must_use]
    pub fn into_running(self) -> Option<Child<R>> {
        match self {
            Self::Running(child) => Some(child),
            Self::Failed(_) => None,
        }
    }
}

impl<R> fmt::Debug for TryJoinError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(child) => f.debug_tuple("Running").field(child).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}
