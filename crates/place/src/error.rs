//! What can be wrong with a place.

use std::io;
use std::path::PathBuf;

/// Why a space or an object could not be opened, created or removed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name cannot name anything.
    #[error("\"{name}\" is not a usable name: {why}")]
    BadName {
        /// The name as given.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The address of a space names no known scope.
    #[error("\"{address}\" names no scope: write \"host:NAME\" or \"threads:NAME\"")]
    BadScope {
        /// The address as given.
        address: String,
    },
    /// Another user owns the path, or its permissions let others in.
    #[error(
        "{path} cannot be trusted: {why} (it belongs to user {owner}, you are user {me}); remove it or set ANTIPHON_DIR"
    )]
    Insecure {
        /// The offending path.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// The user id that owns it.
        owner: u32,
        /// The caller's user id.
        me: u32,
    },
    /// The file system has no room for the segment.
    #[error(
        "{path} needs {size} bytes but its file system has {available} free of {limit}: free some, or enlarge or move it with ANTIPHON_DIR"
    )]
    NoRoom {
        /// The segment that could not be created.
        path: PathBuf,
        /// Bytes asked for.
        size: u64,
        /// Bytes free.
        available: u64,
        /// Bytes in all.
        limit: u64,
    },
    /// The file is not a segment of this version, or is damaged.
    #[error("{path} is not a usable segment: {why}; remove it if nothing uses it")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Somebody has removed the space while this process used it, so nothing can be found or made in it any more.
    #[error("{path} was removed while it was used: leave it, and open it again for a new one")]
    Removed {
        /// The space's directory.
        path: PathBuf,
    },
    /// The object exists, but is something else than what was asked for.
    #[error("{name} exists with another {what}: asked for {wanted}, found {found}")]
    Mismatch {
        /// The object's name.
        name: String,
        /// Kind, type or capacity.
        what: &'static str,
        /// What the caller asked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// Nothing has that name.
    #[error("there is no {what} named \"{name}\"")]
    NotFound {
        /// Space or object.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// All participant slots of the space are taken by living processes.
    #[error("the space already has {limit} participants: create it with room for more")]
    TooManyParticipants {
        /// Slots in the space.
        limit: u32,
    },
    /// A value that the segment cannot hold.
    #[error("{what} must be {rule}, not {found}")]
    BadParameter {
        /// The parameter.
        what: &'static str,
        /// The rule.
        rule: String,
        /// What was given.
        found: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The reason it gave.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { doing, path, source }
    }
}
