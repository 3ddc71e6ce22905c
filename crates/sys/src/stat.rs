//! What the kernel says about a file, and about the file system that it is in.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{check, retry};

/// What kind of thing a name or a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file, or memory without a name.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// What the kernel says about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// The user who owns it.
    pub owner: u32,
    /// The group that owns it.
    pub group: u32,
    /// The permission bits (`0o7777`).
    pub mode: u32,
    /// How many names it has; zero once it is removed.
    pub links: u64,
    /// The device it is on; with [`inode`](Self::inode), which file it is.
    pub device: u64,
    /// Its number on the device.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl From<libc::stat> for Stat {
    fn from(found: libc::stat) -> Self {
        let kind = match found.st_mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Link,
            _ => Kind::Other,
        };
        Self {
            kind,
            owner: found.st_uid,
            group: found.st_gid,
            mode: found.st_mode & 0o7777,
            links: found.st_nlink,
            device: found.st_dev,
            inode: found.st_ino,
            size: u64::try_from(found.st_size).unwrap_or(0),
        }
    }
}

/// What `fd` is.
///
/// # Errors
/// Those of `fstat`.
pub fn stat(fd: impl AsFd) -> io::Result<Stat> {
    // SAFETY: a zeroed `stat` is a valid value of that plain struct.
    let mut found: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open, and `found` is writable.
    check(unsafe { libc::fstat(fd.as_fd().as_raw_fd(), &mut found) })?;
    Ok(Stat::from(found))
}

/// How much room a file system has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes that an ordinary user may still take.
    pub available: u64,
    /// Bytes in all; zero where there is no limit of its own, as for memory without a name.
    pub limit: u64,
}

/// The room in the file system of `fd`.
///
/// # Errors
/// Those of `fstatvfs`.
pub fn space(fd: impl AsFd) -> io::Result<Space> {
    // SAFETY: a zeroed `statvfs` is a valid value of that plain struct.
    let mut found: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open, and `found` is writable.
    retry(|| check(unsafe { libc::fstatvfs(fd.as_fd().as_raw_fd(), &mut found) }))?;
    let unit = found.f_frsize;
    Ok(Space {
        available: unit.saturating_mul(found.f_bavail),
        limit: unit.saturating_mul(found.f_blocks),
    })
}

/// Whether `fd` is in a file system that is memory (tmpfs).
///
/// # Errors
/// Those of `fstatfs`.
pub fn is_tmpfs(fd: impl AsFd) -> io::Result<bool> {
    // SAFETY: a zeroed `statfs` is a valid value of that plain struct.
    let mut found: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open, and `found` is writable.
    retry(|| check(unsafe { libc::fstatfs(fd.as_fd().as_raw_fd(), &mut found) }))?;
    Ok(found.f_type == libc::TMPFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;

    #[test]
    fn shared_memory_is_tmpfs() {
        let Ok(shm) = Directory::open("/dev/shm") else { return };
        if is_tmpfs(&shm).unwrap() {
            assert!(space(&shm).unwrap().available <= space(&shm).unwrap().limit);
        }
        assert!(is_tmpfs(crate::memory::memfd(c"t", 1, false).unwrap()).unwrap());
        assert!(!is_tmpfs(Directory::open("/proc").unwrap()).unwrap());
    }
}
