//! The directories that only their user may enter, and the errors that say so.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf, absolute};

use antiphon_sys::directory::{self, Stat};
use antiphon_sys::memory::ReserveError;
use antiphon_sys::process;

use crate::error::Error;

/// The directory that holds this user's spaces: `ANTIPHON_DIR`, else `antiphon` in `XDG_RUNTIME_DIR` if that is a memory
/// file system, else `/dev/shm/antiphon-UID`.
pub fn base_directory() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = set("ANTIPHON_DIR") {
        // It stays the same directory when the process changes its own.
        return absolute(&dir).unwrap_or(dir);
    }
    if let Some(dir) = set("XDG_RUNTIME_DIR") {
        let on_tmpfs = directory::Directory::open(&dir).and_then(|d| directory::is_tmpfs(&d));
        if on_tmpfs.unwrap_or(false) {
            return dir.join("antiphon");
        }
    }
    PathBuf::from(format!("/dev/shm/antiphon-{}", process::user()))
}

/// An open directory of our own, with its path for messages.
#[derive(Debug)]
pub(crate) struct Private {
    pub(crate) dir: directory::Directory,
    pub(crate) path: PathBuf,
}

impl Private {
    /// Opens the base directory, made if need be.
    pub(crate) fn base() -> Result<Self, Error> {
        let path = base_directory();
        // Closed to others from its first instant: who opens it in the midst must not find it open to them.
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(refused("create", &path, e)),
            _ => Self::open(path),
        }
    }

    /// Opens a directory that must be ours: nobody else may own or enter it, and it may be no symbolic link.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let opened = Self::open_any(path)?;
        let stat = directory::stat(&opened.dir).map_err(Error::system("examine", &opened.path))?;
        check_private(&opened.path, &stat)?;
        Ok(opened)
    }

    fn open_any(path: PathBuf) -> Result<Self, Error> {
        let dir = directory::Directory::open(&path).map_err(|e| refused("open", &path, e))?;
        Ok(Self { dir, path })
    }

    /// Opens the directory `name` inside, made if need be.
    pub(crate) fn inside(&self, name: &str) -> Result<Self, Error> {
        let path = self.path.join(name);
        loop {
            match self.dir.create_directory(name, 0o700) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(refused("create", &path, e));
                }
                _ => {}
            }
            match Self::open(path.clone()) {
                // Removed in between by the last who left, so somebody has made progress: make it again.
                Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
        }
    }

    /// The names inside that can be ours.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let names = self.dir.names().map_err(Error::system("list", &self.path))?;
        let mut names: Vec<String> =
            names.into_iter().filter_map(|n| n.into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// The path of `name` inside.
    pub(crate) fn join(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }
}

/// A system error, with the owner of the path when permission is the reason.
pub(crate) fn refused(doing: &'static str, path: &Path, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::PermissionDenied {
        let nearest = path.ancestors().find_map(|p| Some((p, p.symlink_metadata().ok()?)));
        if let Some((nearest, found)) = nearest {
            return Error::Insecure {
                path: nearest.to_owned(),
                why: "you may not use it",
                owner: found.uid(),
                me: process::user(),
            };
        }
    }
    Error::System { doing, path: path.to_owned(), source }
}

pub(crate) fn check_private(path: &Path, stat: &Stat) -> Result<(), Error> {
    let me = process::user();
    let insecure = |why| Err(Error::Insecure { path: path.to_owned(), why, owner: stat.owner, me });
    if stat.owner != me {
        return insecure("it belongs to another user");
    }
    if stat.mode & 0o077 != 0 {
        return insecure("its permissions let others in, which chmod go= ends");
    }
    Ok(())
}

/// An error of reservation, with the numbers when the reason is that there is no room.
pub(crate) fn no_room(error: ReserveError, path: &Path) -> Error {
    match error {
        ReserveError::Full { wanted, available, limit } => {
            Error::NoRoom { path: path.to_owned(), size: wanted, available, limit }
        }
        ReserveError::System(source) => {
            Error::System { doing: "reserve memory for", path: path.to_owned(), source }
        }
    }
}
