//! What parent and child tell each other: a task on the way down, a report on the way up.
//!
//! Both are files without a name, made by the parent. So a message has any size, nobody waits for the other to read it,
//! and what a dead child had written is still there.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use antiphon_sys::memory::memfd;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The variable that makes a process a child: `<descriptor of the task>:<its inode>`. A child's own children inherit the
/// variable, but not the descriptor, and so do not take it for theirs.
pub(super) const VARIABLE: &str = "ANTIPHON_CHILD";

/// What the child is to do.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    /// Which program this was written by: device and inode of its file.
    pub(super) program: (u64, u64),
    /// Distance of the [runner](super::start::Runner) for these types from the program's base.
    pub(super) runner: usize,
    /// Distance of the function.
    pub(super) function: usize,
    /// The descriptor to write the report to.
    pub(super) report: RawFd,
    /// The descriptors that the argument speaks of.
    pub(super) inherited: Vec<RawFd>,
    /// What the child is called.
    pub(super) label: Option<String>,
    /// The argument, encoded.
    #[serde(with = "bytes")]
    pub(super) argument: Vec<u8>,
}

/// How far the child came.
#[derive(Serialize, Deserialize, Debug)]
pub(super) enum Report {
    /// To the function, and no further.
    Started,
    /// The function returned this, encoded.
    Returned(#[serde(with = "bytes")] Vec<u8>),
    /// The function panicked.
    Panicked {
        /// What `panic!` was given.
        message: String,
        /// Where it was called.
        location: Option<String>,
    },
    /// The argument could not be read, or the result not written.
    Value(String),
}

impl Task {
    /// Writes the task to a file that a child can be given.
    pub(super) fn write(&self) -> io::Result<OwnedFd> {
        let bytes = encode(self).map_err(io::Error::other)?;
        let file = File::from(memfd(c"antiphon-task", bytes.len() as u64, false)?);
        file.write_all_at(&bytes, 0)?;
        Ok(file.into())
    }

    /// The value of [`VARIABLE`] for the task in this file.
    pub(super) fn name(file: &OwnedFd) -> io::Result<String> {
        let number = file.as_raw_fd();
        Ok(format!("{number}:{}", inode_of(number)?))
    }

    /// The descriptor that the variable's value names, if it is open here and the file it was.
    pub(super) fn find(name: &str) -> Option<RawFd> {
        let (number, inode) = name.split_once(':')?;
        let number = number.parse().ok()?;
        (inode_of(number).ok()?.to_string() == inode).then_some(number)
    }

    /// Reads the task back.
    pub(super) fn read(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let mut bytes = vec![0; file.metadata()?.size() as usize];
        file.read_exact_at(&mut bytes, 0)?;
        decode(&bytes).map_err(io::Error::other)
    }
}

fn inode_of(number: RawFd) -> io::Result<u64> {
    fs::metadata(format!("/proc/self/fd/{number}")).map(|file| file.ino())
}

/// The program that this process executes. It is the same file for a child, whatever its path has become.
pub(super) fn program() -> io::Result<(u64, u64)> {
    fs::metadata("/proc/self/exe").map(|file| (file.dev(), file.ino()))
}

/// The bytes before a report: its length, written last.
const HEAD: u64 = size_of::<u64>() as u64;

impl Report {
    /// A file for reports, empty.
    pub(super) fn file() -> io::Result<OwnedFd> {
        Ok(memfd(c"antiphon-report", 0, false)?)
    }

    /// Replaces what the file says.
    pub(super) fn write(&self, file: impl AsFd) -> io::Result<()> {
        let bytes = encode(self).map_err(io::Error::other)?;
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        // A child that dies from here on leaves no report, rather than half of one.
        file.write_all_at(&0_u64.to_ne_bytes(), 0)?;
        file.write_all_at(&bytes, HEAD)?;
        file.write_all_at(&(bytes.len() as u64).to_ne_bytes(), 0)
    }

    /// What the file says; `None` when the child never wrote.
    pub(super) fn read(file: OwnedFd) -> io::Result<Option<Self>> {
        let file = File::from(file);
        let size = file.metadata()?.size();
        if size < HEAD {
            return Ok(None);
        }
        let mut head = [0; HEAD as usize];
        file.read_exact_at(&mut head, 0)?;
        let length = u64::from_ne_bytes(head);
        if length == 0 {
            // It died while it replaced `Started`.
            return Ok(Some(Self::Started));
        }
        if length > size - HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, HEAD)?;
        decode(&bytes).map(Some).map_err(io::Error::other)
    }
}

/// A value as bytes, with the names of its fields, so that types which leave some out come back whole.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(value).map_err(|error| error.to_string())
}

/// The value of those bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

/// Bytes as one run, where serde alone would write a list of numbers.
mod bytes {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            program: program().unwrap(),
            runner: 1,
            function: 2,
            report: 3,
            inherited: vec![4, 5],
            label: Some("worker".into()),
            argument: vec![0; 300_000],
        }
    }

    #[test]
    fn a_task_comes_back_whole() {
        let read = Task::read(task().write().unwrap()).unwrap();
        assert_eq!((read.function, &*read.inherited, read.report), (2, &[4, 5][..], 3));
        assert_eq!(read.argument.len(), 300_000);
    }

    #[test]
    fn a_task_is_found_by_those_who_have_the_file() {
        let file = task().write().unwrap();
        let name = Task::name(&file).unwrap();
        assert_eq!(Task::find(&name), Some(file.as_raw_fd()));
        let other = format!("{}:1", file.as_raw_fd());
        for wrong in [&other, "", ":", "1:", "x:y", "-1:0", "99999999999:1", "1000000:1"] {
            assert_eq!(Task::find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_report_is_whole_or_none() {
        let file = Report::file().unwrap();
        let read = || Report::read(file.try_clone().unwrap());
        assert!(read().unwrap().is_none());
        Report::Started.write(&file).unwrap();
        assert!(matches!(read().unwrap(), Some(Report::Started)));
        Report::Returned(vec![7; 100_000]).write(&file).unwrap();
        let Some(Report::Returned(bytes)) = read().unwrap() else { panic!() };
        assert_eq!(bytes, vec![7; 100_000]);
        File::from(file.try_clone().unwrap()).write_all_at(&0_u64.to_ne_bytes(), 0).unwrap();
        assert!(matches!(read().unwrap(), Some(Report::Started)));
        File::from(file.try_clone().unwrap()).write_all_at(&[0xff; 8], 0).unwrap();
        assert!(read().is_err());
    }
}
