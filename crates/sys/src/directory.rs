//! Files by name, always relative to an open directory: a name in it cannot be swapped for a symbolic link to somewhere else
//! between a check and the use.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::descriptor::{Access, path_of};
use crate::error::{check, retry};
pub use crate::stat::{Kind, Space, Stat, is_tmpfs, space, stat};

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
}

const DIRECTORY: libc::c_int = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;

impl Directory {
    /// Opens the directory at `path`, whose last part must not be a symbolic link.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        open_at(libc::AT_FDCWD, path.as_ref().as_os_str(), libc::O_RDONLY | DIRECTORY, 0)
            .map(|fd| Self { fd })
    }

    /// Opens the directory `name` in this one; not through a symbolic link.
    ///
    /// # Errors
    /// Those of `openat`.
    pub fn open_directory(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        open_at(self.raw(), name.as_ref(), libc::O_RDONLY | DIRECTORY, 0).map(|fd| Self { fd })
    }

    /// Makes the directory `name`. Its mode is `mode` without the bits of the process's mask.
    ///
    /// # Errors
    /// Those of `mkdirat`; [`io::ErrorKind::AlreadyExists`] for a name that is taken.
    pub fn create_directory(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
        let name = c_string(name)?;
        // SAFETY: the directory is open, and the name ends in a zero byte.
        check(unsafe { libc::mkdirat(self.raw(), name.as_ptr(), mode) }).map(drop)
    }

    /// Opens the file `name`; not through a symbolic link, and without waiting for anybody should it be a pipe.
    ///
    /// # Errors
    /// Those of `openat`.
    pub fn open_file(&self, name: impl AsRef<OsStr>, access: Access) -> io::Result<OwnedFd> {
        let flags = access.open_flag() | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        open_at(self.raw(), name.as_ref(), flags, 0)
    }

    /// Makes the file `name`, empty, with exactly this mode.
    ///
    /// # Errors
    /// Those of `openat`; [`io::ErrorKind::AlreadyExists`] for a name that is taken.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<OwnedFd> {
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
        let file = open_at(self.raw(), name.as_ref(), flags, mode)?;
        set_mode(&file, mode)?;
        Ok(file)
    }

    /// Makes a file without a name, empty, with exactly this mode. It is gone with its last descriptor unless it is
    /// [linked](Self::link) before: nobody ever sees it half made, and a death leaves nothing.
    ///
    /// # Errors
    /// Those of `openat`; [`io::ErrorKind::Unsupported`] where the file system has no such files.
    pub fn create_unnamed(&self, mode: u32) -> io::Result<OwnedFd> {
        let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
        let file = open_at(self.raw(), OsStr::new("."), flags, mode)?;
        set_mode(&file, mode)?;
        Ok(file)
    }

    /// Gives a file from [`create_unnamed`](Self::create_unnamed) a name. Needs `/proc`.
    ///
    /// # Errors
    /// Those of `linkat`; [`io::ErrorKind::AlreadyExists`] for a name that is taken, which then stays as it is.
    pub fn link(&self, file: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<()> {
        let source = c_string(path_of(file))?;
        let name = c_string(name)?;
        let follow = libc::AT_SYMLINK_FOLLOW;
        // SAFETY: the directory is open, and both names end in a zero byte.
        check(unsafe {
            libc::linkat(libc::AT_FDCWD, source.as_ptr(), self.raw(), name.as_ptr(), follow)
        })
        .map(drop)
    }

    /// Removes the file `name` from the directory; who has it open keeps it.
    ///
    /// # Errors
    /// Those of `unlinkat`.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.remove(name.as_ref(), 0)
    }

    /// Removes the empty directory `name`.
    ///
    /// # Errors
    /// Those of `unlinkat`.
    pub fn remove_directory(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.remove(name.as_ref(), libc::AT_REMOVEDIR)
    }

    fn remove(&self, name: &OsStr, flags: libc::c_int) -> io::Result<()> {
        let name = c_string(name)?;
        // SAFETY: the directory is open, and the name ends in a zero byte.
        check(unsafe { libc::unlinkat(self.raw(), name.as_ptr(), flags) }).map(drop)
    }

    /// Gives `from` in this directory the name `to` in it, which nothing may have.
    ///
    /// # Errors
    /// Those of `renameat2`; [`io::ErrorKind::AlreadyExists`] for a name that is taken, which then stays as it is.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        let (from, to) = (c_string(from)?, c_string(to)?);
        let at = self.raw();
        // SAFETY: the directory is open, and both names end in a zero byte.
        check(unsafe {
            libc::renameat2(at, from.as_ptr(), at, to.as_ptr(), libc::RENAME_NOREPLACE)
        })
        .map(drop)
    }

    /// What `name` is, a symbolic link being itself.
    ///
    /// # Errors
    /// Those of `fstatat`.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Stat> {
        let name = c_string(name)?;
        // SAFETY: a zeroed `stat` is a valid value of that plain struct.
        let mut found: libc::stat = unsafe { mem::zeroed() };
        let nofollow = libc::AT_SYMLINK_NOFOLLOW;
        // SAFETY: the directory is open, the name ends in a zero byte, and `found` is writable.
        check(unsafe { libc::fstatat(self.raw(), name.as_ptr(), &mut found, nofollow) })?;
        Ok(Stat::from(found))
    }

    /// The names in the directory, in no order, without `.` and `..`. Needs `/proc`.
    ///
    /// # Errors
    /// Those of reading a directory.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(path_of(self))?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn raw(&self) -> libc::c_int {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Directory> for OwnedFd {
    fn from(directory: Directory) -> Self {
        directory.fd
    }
}

fn open_at(at: libc::c_int, name: &OsStr, flags: libc::c_int, mode: u32) -> io::Result<OwnedFd> {
    let name = c_string(name)?;
    // SAFETY: the name ends in a zero byte; the descriptor that comes back is nobody else's.
    retry(|| unsafe {
        check(libc::openat(at, name.as_ptr(), flags, mode)).map(|fd| OwnedFd::from_raw_fd(fd))
    })
}

/// The name as the kernel takes it.
pub(crate) fn c_string(name: impl AsRef<OsStr>) -> io::Result<CString> {
    Ok(CString::new(name.as_ref().as_bytes())?)
}

/// Gives the file to a group, of which this process must be a member.
///
/// # Errors
/// Those of `fchown`.
pub fn set_group(fd: impl AsFd, group: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open; the owner stays as it is.
    check(unsafe { libc::fchown(fd.as_fd().as_raw_fd(), u32::MAX, group) }).map(drop)
}

/// Sets the file's permission bits, whatever the process's mask is.
///
/// # Errors
/// Those of `fchmod`.
pub fn set_mode(fd: impl AsFd, mode: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchmod(fd.as_fd().as_raw_fd(), mode) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of one's own that is removed at the end.
    struct Scratch {
        path: std::path::PathBuf,
        directory: Directory,
    }

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("antiphon-sys-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir(&path).unwrap();
            Self { directory: Directory::open(&path).unwrap(), path }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }

    #[test]
    fn an_unnamed_file_appears_whole_or_not_at_all() {
        let scratch = Scratch::new("unnamed");
        let directory = &scratch.directory;
        let file = match directory.create_unnamed(0o640) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return,
            file => file.unwrap(),
        };
        assert_eq!((stat(&file).unwrap().links, stat(&file).unwrap().mode), (0, 0o640));
        assert!(directory.names().unwrap().is_empty());
        directory.link(&file, "x").unwrap();
        assert_eq!(directory.names().unwrap(), ["x"]);
        assert_eq!(directory.stat("x").unwrap(), stat(&file).unwrap());
        let other = directory.create_unnamed(0o600).unwrap();
        let error = directory.link(&other, "x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        directory.remove_file("x").unwrap();
        assert_eq!(stat(&file).unwrap().links, 0);
    }

    #[test]
    fn a_name_that_is_taken_stays() {
        let scratch = Scratch::new("rename");
        let directory = &scratch.directory;
        directory.create_directory("a", 0o700).unwrap();
        directory.create_directory("b", 0o700).unwrap();
        let error = directory.rename("a", "b").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        directory.rename("a", "c").unwrap();
        assert!(directory.stat("a").is_err() && directory.stat("c").is_ok());
        assert_eq!(directory.rename("a", "d").unwrap_err().kind(), io::ErrorKind::NotFound);
        directory.remove_directory("b").unwrap();
        directory.remove_directory("c").unwrap();
    }

    #[test]
    fn links_are_not_followed() {
        let scratch = Scratch::new("links");
        let directory = &scratch.directory;
        directory.create_directory("real", 0o700).unwrap();
        std::os::unix::fs::symlink("real", scratch.path.join("alias")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", scratch.path.join("file")).unwrap();
        assert!(directory.open_directory("real").is_ok());
        assert!(directory.open_directory("alias").is_err());
        assert!(Directory::open(scratch.path.join("alias")).is_err());
        assert!(directory.open_file("file", Access::Read).is_err());
        assert!(directory.create_file("file", 0o600).is_err());
        assert_eq!(directory.stat("file").unwrap().kind, Kind::Link);
        directory.remove_directory("real").unwrap();
    }

    #[test]
    fn files_are_made_once_and_say_what_they_are() {
        let scratch = Scratch::new("files");
        let directory = &scratch.directory;
        let file = directory.create_file("a", 0o600).unwrap();
        let again = directory.create_file("a", 0o600).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let found = stat(&file).unwrap();
        assert_eq!((found.kind, found.mode, found.links, found.size), (Kind::File, 0o600, 1, 0));
        assert_eq!(found.owner, crate::process::user());
        let same = stat(directory.open_file("a", Access::Read).unwrap()).unwrap();
        assert_eq!(same, found);
        assert_eq!(stat(directory).unwrap().kind, Kind::Directory);
        let missing = directory.open_file("b", Access::Read).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(directory.open_file("a\0b", Access::Read).is_err());
    }
}
