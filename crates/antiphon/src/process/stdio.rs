//! The standard streams of a child.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};

use antiphon_sys::spawn::Stream;

/// What one of a child's standard streams is.
#[derive(Debug, Default)]
pub enum Stdio {
    /// The same as this process's.
    #[default]
    Inherit,
    /// Nothing: reads end at once, and what is written vanishes.
    Null,
    /// A pipe, whose other end the [`Child`](super::Child) has.
    Piped,
    /// This open file.
    File(OwnedFd),
}

macro_rules! from_file {
    ($($file:ty)*) => { $(
        impl From<$file> for Stdio {
            fn from(file: $file) -> Self {
                Self::File(file.into())
            }
        }
    )* };
}
from_file!(OwnedFd File PipeReader PipeWriter);

/// Our end of a stream and the child's.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) ours: Option<OwnedFd>,
    theirs: Option<OwnedFd>,
    null: bool,
}

impl Ends {
    /// The two ends of what the child reads.
    pub(super) fn of_input(stdio: Stdio) -> io::Result<Self> {
        Self::of(stdio, |(reader, writer)| (writer.into(), reader.into()))
    }

    /// The two ends of what the child writes.
    pub(super) fn of_output(stdio: Stdio) -> io::Result<Self> {
        Self::of(stdio, |(reader, writer)| (reader.into(), writer.into()))
    }

    fn of(
        stdio: Stdio,
        sides: impl FnOnce((PipeReader, PipeWriter)) -> (OwnedFd, OwnedFd),
    ) -> io::Result<Self> {
        Ok(match stdio {
            Stdio::Inherit => Self::default(),
            Stdio::Null => Self { null: true, ..Self::default() },
            Stdio::File(file) => Self { theirs: Some(file), ..Self::default() },
            Stdio::Piped => {
                let (ours, theirs) = sides(io::pipe()?);
                Self { ours: Some(ours), theirs: Some(theirs), null: false }
            }
        })
    }

    /// The child's end.
    pub(super) fn stream(&self) -> Stream<'_> {
        match &self.theirs {
            Some(file) => Stream::File(file.as_fd()),
            None if self.null => Stream::Null,
            None => Stream::Inherit,
        }
    }
}
