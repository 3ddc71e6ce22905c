//! The files of objects: made whole before they have a name, checked before they are believed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_sys::descriptor::Access;
use antiphon_sys::directory::{self, Stat};
use antiphon_sys::memory::{self, Mapping};
use zerocopy::{FromBytes, IntoBytes};

use crate::error::Error;
use crate::header::{Fixed, Header, Kind, Origin, Spec};
use crate::participant::Registration;
use crate::private::{Private, Sharing, no_room, refused};
use crate::segment::{Heap, Kept, Object, Storage};

/// A segment's file must be shared as its space is, or have no name, and then its size must be sealed.
pub(crate) fn examine(file: &OwnedFd, path: &Path, sharing: Sharing) -> Result<Stat, Error> {
    let stat = directory::stat(file).map_err(Error::system("examine", path))?;
    if stat.links > 0 || !memory::is_size_sealed(file) {
        sharing.check(path, &stat)?;
    }
    Ok(stat)
}

pub(crate) fn named_object(
    space: &Private,
    registration: &Registration,
    name: &str,
    spec: &Spec,
    origin: &Origin,
    init: impl FnOnce(NonNull<u8>),
) -> Result<Arc<Object>, Error> {
    let path = space.join(name);
    let mut init = Some(init);
    let mut made = None;
    // Each turn either succeeds or has met a concurrent creation or removal.
    for _ in 0..1000 {
        match space.dir.open_file(name, Access::ReadWrite) {
            Ok(file) => {
                match attach_object(file, &path, name, spec, origin.space, Keep::No(space.sharing))
                {
                    // Left by an earlier space of this name, whose removal was cut short.
                    Err(Error::Foreign { why: OTHER_SPACE, .. }) => {
                        let _ = space.dir.remove_file(name);
                    }
                    result => return result.map(Arc::new),
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(refused("open", &path, e)),
        }
        if let Some(init) = init.take() {
            let file = match space.dir.create_unnamed(space.sharing.file_mode()) {
                // The directory itself is not there any more.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(removed(space)),
                file => file.map_err(|e| refused("create", &path, e))?,
            };
            prepare(&file, spec, origin, &path)?;
            let named = file.try_clone().map_err(Error::system("duplicate", &path))?;
            made = Some((
                named,
                create_object(file, &path, name, spec, origin, Keep::No(space.sharing), init)?,
            ));
        }
        match made.as_ref().map(|(file, _)| space.dir.link(file, name)) {
            Some(Ok(())) if is_removed(registration) => {
                // Others in the space may know another object by this name, which the removal has taken away.
                let _ = space.dir.remove_file(name);
                return Err(removed(space));
            }
            Some(Ok(())) => return Ok(Arc::new(made.expect("linked").1)),
            Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => return Err(removed(space)),
            Some(Err(e)) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refused("link", &path, e));
            }
            _ => {}
        }
    }
    Err(restless(&path))
}

/// Was the space removed while this process used it? Its control segment is the first to lose its name.
fn is_removed(registration: &Registration) -> bool {
    let control = registration.descriptor();
    control.is_some_and(|file| directory::stat(file).is_ok_and(|stat| stat.links == 0))
}

fn removed(space: &Private) -> Error {
    Error::Removed { path: space.path.clone() }
}

pub(crate) fn restless(path: &Path) -> Error {
    let source = io::Error::other("it is being removed over and over by others");
    Error::System { doing: "open", path: path.to_owned(), source }
}

const OTHER_SPACE: &str = "it belongs to an earlier space of this name";

/// Whether an object keeps its file open, as those without a name do for their handles; else how it is shared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    Yes,
    No(Sharing),
}

impl Keep {
    fn kept(self, kind: Kind, file: OwnedFd) -> Kept {
        match self {
            Self::Yes => Kept::ForHandles(file),
            Self::No(_) if kind == Kind::Memory => Kept::ForGrowth(file),
            Self::No(_) => Kept::No,
        }
    }
}

/// Gives a new file its length, and memory behind as much of it as is there from the beginning.
fn prepare(file: &OwnedFd, spec: &Spec, origin: &Origin, path: &Path) -> Result<(), Error> {
    memory::set_length(file, spec.total() as u64).map_err(Error::system("enlarge", path))?;
    let first = size_of::<Header>() + origin.reserved.min(spec.body_len.next_multiple_of(64));
    memory::reserve(file, first as u64).map_err(|e| no_room(e, path))
}

pub(crate) fn attach_object(
    file: OwnedFd,
    path: &Path,
    name: &str,
    spec: &Spec,
    space: [u8; 16],
    keep: Keep,
) -> Result<Object, Error> {
    let foreign = |why| Error::Foreign { path: path.to_owned(), why };
    let sharing = match keep {
        Keep::Yes => Sharing::User,
        Keep::No(sharing) => sharing,
    };
    let stat = examine(&file, path, sharing)?;
    let fixed: Fixed = read_fixed(file.as_fd()).ok_or_else(|| foreign("it is too short"))?;
    let kind = fixed.check(stat.size).map_err(foreign)?;
    if fixed.space() != space {
        return Err(foreign(OTHER_SPACE));
    }
    fixed.matches(name, spec)?;
    let mapping = map(&file, spec.total(), path)?;
    Ok(Object::new(Storage::Mapped(mapping), fixed, kind, name, keep.kept(kind, file)))
}

fn create_object(
    file: OwnedFd,
    path: &Path,
    name: &str,
    spec: &Spec,
    origin: &Origin,
    keep: Keep,
    init: impl FnOnce(NonNull<u8>),
) -> Result<Object, Error> {
    let fixed = Fixed::new(spec, origin);
    write_start(&file, fixed.as_bytes(), path)?;
    let mapping = map(&file, spec.total(), path)?;
    let storage = Storage::Mapped(mapping);
    let object = Object::new(storage, fixed, spec.kind, name, keep.kept(spec.kind, file));
    init(object.body());
    Ok(object)
}

fn map(file: &OwnedFd, len: usize, path: &Path) -> Result<Mapping, Error> {
    Mapping::new(file, len, Access::ReadWrite).map_err(Error::system("map", path))
}

pub(crate) fn local_object(
    name: &str,
    spec: &Spec,
    origin: &Origin,
    files: bool,
    init: impl FnOnce(NonNull<u8>),
) -> Result<Object, Error> {
    let path = Path::new(name);
    let len = spec.total();
    if files {
        let file = memory::memfd(c"antiphon", 0, false).map_err(|e| no_room(e, path))?;
        prepare(&file, spec, origin, path)?;
        memory::seal_size(&file).map_err(Error::system("seal", path))?;
        return create_object(file, path, name, spec, origin, Keep::Yes, init);
    }
    let none = || Error::system("reserve memory for", path)(io::ErrorKind::OutOfMemory.into());
    let storage = Storage::Heap(Heap::new(len).ok_or_else(none)?);
    let object = Object::new(storage, Fixed::new(spec, origin), spec.kind, name, Kept::No);
    init(object.body());
    Ok(object)
}

/// The fixed part at the start of a file; `None` when the file is shorter.
pub(crate) fn read_fixed<T: FromBytes + IntoBytes>(file: BorrowedFd<'_>) -> Option<T> {
    let mut fixed = T::new_zeroed();
    let file = File::from(file.try_clone_to_owned().ok()?);
    file.read_exact_at(fixed.as_mut_bytes(), 0).ok()?;
    Some(fixed)
}

pub(crate) fn write_start(file: &OwnedFd, bytes: &[u8], path: &Path) -> Result<(), Error> {
    let doing = Error::system("write", path);
    file.try_clone().and_then(|file| File::from(file).write_all_at(bytes, 0)).map_err(doing)
}
