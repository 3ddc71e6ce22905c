//! Open files that a child inherits, as values inside its argument.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use antiphon_sys::descriptor::set_inherited;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

thread_local! {
    /// What the argument being written wants inherited; `None` while no argument is being written.
    static COLLECTED: RefCell<Option<Vec<OwnedFd>>> = const { RefCell::new(None) };
}

/// In a child: what it inherited and nobody has asked for yet.
static INHERITED: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Has the child that is being started inherit a duplicate of `fd`, and returns the number by which the child gets it from
/// [`inherited`]. For `Serialize` implementations of values that are backed by a descriptor.
///
/// # Errors
/// When no child's argument is being written (a descriptor means nothing in a queue or a file), or this process has no
/// descriptors left.
pub fn inherit(fd: impl AsFd) -> io::Result<RawFd> {
    COLLECTED.with_borrow_mut(|collected| {
        let collected = collected.as_mut().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "an open file can be sent only in the argument of a child process",
            )
        })?;
        let duplicate = fd.as_fd().try_clone_to_owned()?;
        let number = duplicate.as_raw_fd();
        collected.push(duplicate);
        Ok(number)
    })
}

/// Takes what this process inherited under the number from [`inherit`]. For `Deserialize` implementations.
///
/// # Errors
/// When this process inherited no such descriptor, or it has been taken.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    let mut all = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    let at = all.iter().position(|fd| fd.as_raw_fd() == number).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("this process has inherited no descriptor {number}"),
        )
    })?;
    Ok(all.swap_remove(at))
}

/// Runs `write`, and returns also what was [passed to `inherit`](inherit) meanwhile.
pub(super) fn collect<T>(write: impl FnOnce() -> T) -> (T, Vec<OwnedFd>) {
    /// Puts the collection of an outer call back, should `write` panic too.
    struct Restore(Option<Vec<OwnedFd>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            COLLECTED.set(self.0.take());
        }
    }
    let _outer = Restore(COLLECTED.replace(Some(Vec::new())));
    let value = write();
    let collected = COLLECTED.take();
    (value, collected.unwrap_or_default())
}

/// In a child: makes what it inherited its own.
///
/// # Safety
/// Each number must be a descriptor that was left open for this process only to be taken here, and is taken once.
pub(super) unsafe fn adopt(numbers: &[RawFd]) -> io::Result<()> {
    let mut all = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    for &number in numbers {
        // SAFETY: the caller says so.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        // Not for this process's own children, unless it says so in turn.
        set_inherited(&fd, false)?;
        all.push(fd);
    }
    Ok(())
}

/// An open file that can be part of a child's argument: the child gets a duplicate.
///
/// The duplicate shares the open file description: position, and locks of the kind that belong to it.
/// ```no_run
/// use antiphon::process::{self, Descriptor};
/// use std::io::{Read, Write, pipe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// process::init();
/// let (mut reader, writer) = pipe()?;
/// let child = process::spawn(
///     |writer: Descriptor| std::io::PipeWriter::from(writer.into_fd()).write_all(b"hello").unwrap(),
///     Descriptor::from(std::os::fd::OwnedFd::from(writer)),
/// )?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// child.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Descriptor(OwnedFd);

impl Descriptor {
    /// The open file itself.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.0
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl IntoRawFd for Descriptor {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        inherit(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        inherited(RawFd::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_collected_only_while_an_argument_is_written() {
        let (reader, _writer) = io::pipe().unwrap();
        let error = inherit(&reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let (number, fds) = collect(|| inherit(&reader).unwrap());
        assert_eq!(fds.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(), [number]);
        assert!(inherit(&reader).is_err());
        let (_, fds) = collect(|| collect(|| inherit(&reader).unwrap()));
        assert!(fds.is_empty(), "the inner collection was the one that was asked");
    }

    #[test]
    fn what_was_not_inherited_cannot_be_taken() {
        assert_eq!(inherited(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
