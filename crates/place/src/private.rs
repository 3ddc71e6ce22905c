//! The directories that only those who share them may enter, and the errors that say so.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf, absolute};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use antiphon_sys::directory::{self, Stat};
use antiphon_sys::memory::ReserveError;
use antiphon_sys::process;

use crate::error::Error;
use crate::name::check_name;

/// How the name of a directory begins that is being made.
pub(crate) const UNREADY: &str = ".antiphon-new-";

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

/// Who may take part in a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sharing {
    /// Processes of this user.
    User,
    /// Processes of every member of this group.
    Group(u32),
}

impl Sharing {
    /// A space's name, checked, and with whom it is shared: `NAME`, or `NAME@GROUP` with the group's number.
    pub(crate) fn of(name: &str) -> Result<(&str, Self), Error> {
        let (name, sharing) = match name.split_once('@') {
            None => (name, Self::User),
            Some((plain, group)) => match group.parse() {
                Ok(group) => (plain, Self::Group(group)),
                Err(_) => {
                    let why = "what follows '@' must be the number of a group";
                    return Err(Error::BadName { name: name.to_owned(), why });
                }
            },
        };
        check_name(name)?;
        Ok((name, sharing))
    }

    /// The directory that holds such spaces.
    pub(crate) fn base(self) -> PathBuf {
        match self {
            Self::User => base_directory(),
            Self::Group(group) => match env::var_os("ANTIPHON_DIR").filter(|dir| !dir.is_empty()) {
                Some(mut dir) => {
                    dir.push(format!("-group-{group}"));
                    absolute(&dir).unwrap_or(dir.into())
                }
                None => PathBuf::from(format!("/dev/shm/antiphon-group-{group}")),
            },
        }
    }

    pub(crate) fn file_mode(self) -> u32 {
        if self == Self::User { 0o600 } else { 0o660 }
    }

    /// Does this belong to those who share, and to nobody else?
    pub(crate) fn check(self, path: &Path, stat: &Stat) -> Result<(), Error> {
        let me = process::user();
        let insecure =
            |why| Err(Error::Insecure { path: path.to_owned(), why, owner: stat.owner, me });
        match self {
            Self::User if stat.owner != me => insecure("it belongs to another user"),
            Self::User if stat.mode & 0o077 != 0 => {
                insecure("its permissions let others in, which chmod go= ends")
            }
            // Only a member can give a file to the group, so whoever owns it is one.
            Self::Group(group) if stat.group != group => insecure("it belongs to another group"),
            Self::Group(_) if stat.mode & 0o007 != 0 => {
                insecure("its permissions let others in, which chmod o= ends")
            }
            Self::Group(_) if stat.mode & 0o060 != 0o060 => {
                insecure("its permissions keep the group out, which chmod g+rw ends")
            }
            _ => Ok(()),
        }
    }
}

/// Checks the name of a space of scope `host`: that of an object, perhaps with `@` and the number of a group behind it.
///
/// # Errors
/// [`Error::BadName`] with the rule it breaks.
pub fn check_space_name(name: &str) -> Result<(), Error> {
    Sharing::of(name).map(drop)
}

/// An open directory that belongs to those who share it, with its path for messages.
#[derive(Debug)]
pub(crate) struct Private {
    pub(crate) dir: directory::Directory,
    pub(crate) path: PathBuf,
    pub(crate) sharing: Sharing,
}

impl Private {
    /// Opens the base directory, made if need be.
    pub(crate) fn base(sharing: Sharing) -> Result<Self, Error> {
        let path = sharing.base();
        if sharing == Sharing::User {
            // Closed to others from its first instant: who opens it in the midst must not find it open to them.
            return match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    Err(refused("create", &path, e))
                }
                _ => Self::existing_base(sharing),
            };
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Self::existing_base(sharing);
        };
        // Anybody's: what is opened in it is checked.
        let dir = fs::canonicalize(parent).and_then(directory::Directory::open);
        let dir = dir.map_err(|e| refused("open", parent, e))?;
        Self { dir, path: parent.to_owned(), sharing }.inside(name)
    }

    /// Opens the base directory, which must exist.
    pub(crate) fn existing_base(sharing: Sharing) -> Result<Self, Error> {
        Self::open(sharing.base(), sharing)
    }

    /// Opens a directory that must be ours.
    pub(crate) fn open(path: PathBuf, sharing: Sharing) -> Result<Self, Error> {
        let dir = directory::Directory::open(&path).map_err(|e| refused("open", &path, e))?;
        Self::checked(dir, path, sharing)
    }

    fn checked(dir: directory::Directory, path: PathBuf, sharing: Sharing) -> Result<Self, Error> {
        let stat = directory::stat(&dir).map_err(Error::system("examine", &path))?;
        sharing.check(&path, &stat)?;
        Ok(Self { dir, path, sharing })
    }

    /// Opens the directory `name` inside, which must be ours: nobody else may own or enter it, and it may be no symbolic link.
    pub(crate) fn existing(&self, name: impl AsRef<OsStr>) -> Result<Self, Error> {
        let path = self.join(&name);
        let dir = self.dir.open_directory(name).map_err(|e| refused("open", &path, e))?;
        Self::checked(dir, path, self.sharing)
    }

    /// Opens the directory `name` inside, made if need be.
    pub(crate) fn inside(&self, name: impl AsRef<OsStr>) -> Result<Self, Error> {
        let name = name.as_ref();
        let mut last = io::ErrorKind::NotFound.into();
        // Each turn either succeeds or has met a concurrent removal, so that somebody has made progress.
        for _ in 0..1000 {
            match self.make(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    last = e;
                    continue;
                }
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(refused("create", &self.join(name), e));
                }
                _ => {}
            }
            match self.existing(name) {
                Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
        }
        Err(refused("create", &self.join(name), last))
    }

    /// Makes a directory that is right from the first instant at which it can be found.
    fn make(&self, name: &OsStr) -> io::Result<()> {
        let Sharing::Group(group) = self.sharing else {
            return self.dir.create_directory(name, 0o700);
        };
        if self.dir.stat(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // The mask, and the group that a parent lays down, allow that in several steps only.
        static TURN: AtomicU32 = AtomicU32::new(0);
        let unready = loop {
            let turn = TURN.fetch_add(1, Relaxed);
            let unready = format!("{UNREADY}{}-{turn}", process::id());
            match self.dir.create_directory(&unready, 0o700) {
                // Left by one of this number who died here.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => break made.map(|()| unready)?,
            }
        };
        let made = self.dir.open_directory(&unready).and_then(|dir| {
            directory::set_group(&dir, group)?;
            directory::set_mode(&dir, 0o2770)?;
            self.dir.rename(&unready, name)
        });
        if made.is_err() {
            let _ = self.dir.remove_directory(&unready);
        }
        made
    }

    /// Is `name` inside that very directory?
    pub(crate) fn names_it(&self, name: &str, space: &Self) -> bool {
        let found = self.dir.stat(name).map(|stat| (stat.device, stat.inode)).ok();
        found.is_some() && found == space.id()
    }

    /// What tells a directory from all others.
    pub(crate) fn id(&self) -> Option<(u64, u64)> {
        directory::stat(&self.dir).map(|stat| (stat.device, stat.inode)).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("antiphon-private-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    fn open(path: &Path, sharing: Sharing) -> Private {
        let dir = directory::Directory::open(path).unwrap();
        Private { dir, path: path.to_owned(), sharing }
    }

    #[test]
    fn what_is_inside_is_inside_whatever_becomes_of_the_path() {
        let path = scratch("inside");
        let base = path.join("base");
        fs::create_dir(&base).unwrap();
        let private = open(&base, Sharing::User);
        fs::rename(&base, path.join("moved")).unwrap();
        fs::create_dir(&base).unwrap();
        private.inside("space").unwrap();
        assert!(path.join("moved/space").exists() && !base.join("space").exists());
        // Nor is a link followed.
        std::os::unix::fs::symlink("/tmp", path.join("moved/link")).unwrap();
        assert!(private.inside("link").is_err());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_group_is_let_in_and_nobody_else() {
        let path = scratch("group");
        let group = fs::metadata(&path).unwrap().gid();
        let base = open(&path, Sharing::Group(group));
        let space = base.inside("space").unwrap();
        let stat = directory::stat(&space.dir).unwrap();
        assert_eq!((stat.group, stat.mode), (group, 0o2770));
        assert_eq!(base.names().unwrap(), ["space"]);
        for (mode, good) in [(0o2770, true), (0o2771, false), (0o700, false), (0o660, true)] {
            let stat = Stat { mode, ..stat };
            assert_eq!(base.sharing.check(&path, &stat).is_ok(), good, "{mode:o}");
        }
        let other = Stat { group: group + 1, ..stat };
        assert!(base.sharing.check(&path, &other).is_err());
        assert!(Sharing::User.check(&path, &stat).is_err());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_name_may_name_a_group() {
        assert_eq!(Sharing::of("a").unwrap(), ("a", Sharing::User));
        assert_eq!(Sharing::of("a@7").unwrap(), ("a", Sharing::Group(7)));
        for bad in ["@7", "a@", "a@b", "a@-1", "a@7@8", "a/b@7"] {
            assert!(Sharing::of(bad).is_err(), "{bad}");
        }
    }
}
