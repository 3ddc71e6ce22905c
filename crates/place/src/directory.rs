//! Where spaces are and how objects get their names: create-or-attach without races, and clearing away what the dead left.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_sys::descriptor::{self, Access};
use antiphon_sys::directory::{self, Stat};
use antiphon_sys::memory::{self, Mapping};
use antiphon_sys::{clock, process};
use zerocopy::{FromBytes, IntoBytes};

use crate::control::{Control, ControlFixed, ParticipantInfo};
use crate::error::Error;
use crate::header::{Fixed, Origin, Spec};
use crate::name::check_name;
use crate::participant::{Registration, is_inhabited, lock_registry, unlock_registry};
use crate::private::{Private, check_private, no_room, refused};
use crate::segment::{Heap, Object, Storage};
use crate::sweep::{remove_all, sweep};

/// The control segment's name; no object's name begins with a dot.
pub(crate) const CONTROL: &str = ".control";

/// How long a space stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lifetime {
    /// Until its last participant has left or died.
    #[default]
    WithUsers,
    /// Until it is removed.
    Kept,
}

/// Where the objects of one space are found by name.
#[derive(Debug)]
pub struct Directory {
    place: Place,
    space: [u8; 16],
    kept: bool,
}

#[derive(Debug)]
enum Place {
    /// A directory of the shared-memory file system.
    Named(Private),
    /// Names known to this process only; `files`: each object is an unnamed file that a handle can carry.
    Local { objects: Mutex<HashMap<String, Arc<Object>>>, files: bool },
}

impl Directory {
    /// A space of this process only, on its heap.
    pub fn heap() -> (Self, Box<Registration>) {
        let place = Place::Local { objects: Mutex::default(), files: false };
        (Self { place, space: [0; 16], kept: false }, Registration::local())
    }

    /// A space without a name: its control segment is an unnamed file.
    ///
    /// # Errors
    /// [`Error::NoRoom`] or [`Error::System`].
    pub fn anonymous(participants: u32, label: &str) -> Result<(Self, Box<Registration>), Error> {
        let path = Path::new("(anonymous)");
        let len = Control::size(participants);
        let file = memory::memfd(c"antiphon", len as u64, true).map_err(|e| no_room(e, path))?;
        let fixed = ControlFixed::new(participants, false, boot(), random_id()?);
        write_start(&file, fixed.as_bytes(), path)?;
        Self::attach_anonymous(file, label)
    }

    /// Takes part in the nameless space whose control segment is `file`.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it is none, [`Error::System`] when the kernel refuses.
    pub fn attach_anonymous(
        file: OwnedFd,
        label: &str,
    ) -> Result<(Self, Box<Registration>), Error> {
        let path = Path::new("(anonymous)");
        // A description of our own: the locks of the one we were handed belong to its sender.
        let file =
            descriptor::reopen(&file, Access::ReadWrite).map_err(Error::system("reopen", path))?;
        let (fixed, storage) = map_control(&file, path)?;
        lock_registry(&file).map_err(Error::system("lock", path))?;
        let registration = Registration::attach(storage, fixed.participants(), file, label)?;
        unlock_registry(registration.file());
        let place = Place::Local { objects: Mutex::default(), files: true };
        Ok((Self { place, space: fixed.space, kept: false }, registration))
    }

    /// Opens or creates the named space, and takes part in it.
    ///
    /// Removes first what the dead have left: this space if nobody lives in it, and other spaces of the same user.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Insecure`], [`Error::Foreign`], [`Error::NoRoom`], [`Error::TooManyParticipants`],
    /// [`Error::System`].
    pub fn open(
        name: &str,
        participants: u32,
        lifetime: Lifetime,
        label: &str,
    ) -> Result<(Self, Box<Registration>), Error> {
        check_name(name)?;
        let base = Private::base()?;
        sweep(&base, Some(name), false);
        // Each turn either succeeds or has met a concurrent removal, which makes progress for somebody.
        for _ in 0..1000 {
            let space = base.inside(name)?;
            let Some(file) = open_or_create_control(&space, participants, lifetime)? else {
                continue;
            };
            if let Some((registration, fixed)) = join(&space, file, label)? {
                let (space, kept) = (Place::Named(space), fixed.kept());
                return Ok((Self { place: space, space: fixed.space, kept }, registration));
            }
        }
        Err(restless(&base.join(name)))
    }

    /// Opens or creates the object `name`, whose value `init` writes into the zeroed body.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Mismatch`], [`Error::Foreign`], [`Error::NoRoom`], [`Error::System`].
    pub fn object(
        &self,
        registration: &Registration,
        name: &str,
        spec: &Spec,
        site: String,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Arc<Object>, Error> {
        check_name(name)?;
        let label =
            registration.info(registration.me()).map(ParticipantInfo::called).unwrap_or_default();
        let origin = Origin {
            space: self.space,
            participants: registration.participants(),
            creator: registration.me(),
            pid: std::process::id(),
            label,
            site,
            wall: clock::wall(),
        };
        match &self.place {
            Place::Named(space) => named_object(space, name, spec, &origin, init),
            Place::Local { objects, files } => {
                let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(object) = objects.get(name) {
                    object.fixed().matches(name, spec)?;
                    return Ok(object.clone());
                }
                let object = Arc::new(local_object(name, spec, &origin, *files, init)?);
                objects.insert(name.to_owned(), object.clone());
                Ok(object)
            }
        }
    }

    /// The number that tells this space from every other, and from an earlier one of the same name.
    pub fn id(&self) -> [u8; 16] {
        self.space
    }

    /// Opens the object `name`, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::BadName`], [`Error::Mismatch`], [`Error::Foreign`], [`Error::System`].
    pub fn existing(&self, name: &str, spec: &Spec) -> Result<Arc<Object>, Error> {
        check_name(name)?;
        let not_found = || Error::NotFound { what: "object", name: name.to_owned() };
        match &self.place {
            Place::Named(space) => {
                let path = space.join(name);
                let file = match space.dir.open_file(name, Access::ReadWrite) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(not_found()),
                    result => result.map_err(|e| refused("open", &path, e))?,
                };
                attach_object(file, &path, name, spec, self.space, false).map(Arc::new)
            }
            Place::Local { objects, .. } => {
                let objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                let object = objects.get(name).ok_or_else(not_found)?;
                object.fixed().matches(name, spec)?;
                Ok(object.clone())
            }
        }
    }

    /// The anonymous object in `file`, which came with a handle.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::Mismatch`], [`Error::System`].
    pub fn object_in(&self, name: &str, file: OwnedFd, spec: &Spec) -> Result<Arc<Object>, Error> {
        let object = Arc::new(attach_object(file, Path::new(name), name, spec, self.space, true)?);
        if let Place::Local { objects, .. } = &self.place {
            let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(objects.entry(name.to_owned()).or_insert(object).clone());
        }
        Ok(object)
    }

    /// Is there an object of that name?
    pub fn contains(&self, name: &str) -> bool {
        match &self.place {
            Place::Named(space) => space.dir.stat(name).is_ok(),
            Place::Local { objects, .. } => {
                objects.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
            }
        }
    }

    /// Removes the object's name; those who use it go on with it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::System`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        let not_found = || Error::NotFound { what: "object", name: name.to_owned() };
        match &self.place {
            Place::Named(space) => match space.dir.remove_file(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Err(not_found()),
                result => result.map_err(Error::system("remove", space.join(name))),
            },
            Place::Local { objects, .. } => {
                let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                objects.remove(name).map(drop).ok_or_else(not_found)
            }
        }
    }

    /// Leaves the space, and removes it if nobody else is in it and it is not kept.
    pub fn leave(&self, registration: &Registration) {
        if let Place::Named(space) = &self.place
            && lock_registry(registration.file()).is_ok()
        {
            let linked = directory::stat(registration.file()).is_ok_and(|stat| stat.links > 0);
            let last = registration.is_last();
            registration.leave();
            if last && linked && !self.kept {
                remove_all(space);
            }
            unlock_registry(registration.file());
        } else {
            registration.leave();
        }
    }
}

/// Opens the control segment. `None`: look again, since it was just made, or the directory was removed meanwhile.
fn open_or_create_control(
    space: &Private,
    participants: u32,
    lifetime: Lifetime,
) -> Result<Option<OwnedFd>, Error> {
    let path = space.join(CONTROL);
    match space.dir.open_file(CONTROL, Access::ReadWrite) {
        Ok(file) => return Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(refused("open", &path, e)),
    }
    let file = match space.dir.create_unnamed(0o600) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refused("create", &path, e)),
    };
    let fixed = ControlFixed::new(participants, lifetime == Lifetime::Kept, boot(), random_id()?);
    let len = Control::size(participants) as u64;
    memory::reserve(&file, len).map_err(|e| no_room(e, &path))?;
    write_start(&file, fixed.as_bytes(), &path)?;
    match space.dir.link(&file, CONTROL) {
        Ok(()) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refused("link", &path, e)),
    }
}

/// A participant, and what its space is.
type Joined = (Box<Registration>, ControlFixed);

/// Joins the space under its registry lock. `None`: it was removed, by others or here because only the dead had used it.
fn join(space: &Private, file: OwnedFd, label: &str) -> Result<Option<Joined>, Error> {
    let path = space.join(CONTROL);
    lock_registry(&file).map_err(Error::system("lock", &path))?;
    match current(space, &file, &path) {
        Ok(Some((fixed, storage))) => {
            let registration = Registration::attach(storage, fixed.participants(), file, label)?;
            unlock_registry(registration.file());
            Ok(Some((registration, fixed)))
        }
        none => {
            unlock_registry(&file);
            none.map(|_| None)
        }
    }
}

/// Maps the control segment, unless it was removed, by others or here. The caller holds the registry lock.
fn current(
    space: &Private,
    file: &OwnedFd,
    path: &Path,
) -> Result<Option<(ControlFixed, Storage)>, Error> {
    let stat = directory::stat(file).map_err(Error::system("examine", path))?;
    if stat.links == 0 {
        return Ok(None);
    }
    let (fixed, storage) = map_control(file, path)?;
    let stale = fixed.boot() != boot() || (was_used(&storage) && !fixed.kept());
    if stale && !is_inhabited(file, fixed.participants()).unwrap_or(true) {
        remove_all(space);
        return Ok(None);
    }
    Ok(Some((fixed, storage)))
}

/// Has anybody ever taken part? A control segment that was just linked awaits its first participant.
fn was_used(storage: &Storage) -> bool {
    // SAFETY: `map_control` checked the length; the live part may be any bytes.
    let control: &Control = unsafe { storage.base().cast().as_ref() };
    control.next().load(Relaxed) != 0
}

pub(crate) fn map_control(file: &OwnedFd, path: &Path) -> Result<(ControlFixed, Storage), Error> {
    let foreign = |why| Error::Foreign { path: path.to_owned(), why };
    let stat = examine(file, path)?;
    let fixed: ControlFixed = read_fixed(file.as_fd()).ok_or_else(|| foreign("it is too short"))?;
    fixed.check(stat.size).map_err(foreign)?;
    let mapping = Mapping::new(file, Control::size(fixed.participants()), Access::ReadWrite)
        .map_err(Error::system("map", path))?;
    Ok((fixed, Storage::Mapped(mapping)))
}

/// A segment's file must be private, or have no name, and then its size must be sealed.
fn examine(file: &OwnedFd, path: &Path) -> Result<Stat, Error> {
    let stat = directory::stat(file).map_err(Error::system("examine", path))?;
    if stat.links > 0 || !memory::is_size_sealed(file) {
        check_private(path, &stat)?;
    }
    Ok(stat)
}

fn named_object(
    space: &Private,
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
            Ok(file) => match attach_object(file, &path, name, spec, origin.space, false) {
                // Left by an earlier space of this name, whose removal was cut short.
                Err(Error::Foreign { why: OTHER_SPACE, .. }) => {
                    let _ = space.dir.remove_file(name);
                }
                result => return result.map(Arc::new),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(refused("open", &path, e)),
        }
        if let Some(init) = init.take() {
            let file = space.dir.create_unnamed(0o600).map_err(|e| refused("create", &path, e))?;
            memory::reserve(&file, spec.total() as u64).map_err(|e| no_room(e, &path))?;
            let named = file.try_clone().map_err(Error::system("duplicate", &path))?;
            made = Some((named, create_object(file, &path, name, spec, origin, false, init)?));
        }
        match made.as_ref().map(|(file, _)| space.dir.link(file, name)) {
            Some(Ok(())) => return Ok(Arc::new(made.expect("linked").1)),
            Some(Err(e)) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refused("link", &path, e));
            }
            _ => {}
        }
    }
    Err(restless(&path))
}

fn restless(path: &Path) -> Error {
    let source = io::Error::other("it is being removed over and over by others");
    Error::System { doing: "open", path: path.to_owned(), source }
}

const OTHER_SPACE: &str = "it belongs to an earlier space of this name";

fn attach_object(
    file: OwnedFd,
    path: &Path,
    name: &str,
    spec: &Spec,
    space: [u8; 16],
    keep: bool,
) -> Result<Object, Error> {
    let foreign = |why| Error::Foreign { path: path.to_owned(), why };
    let stat = examine(&file, path)?;
    let fixed: Fixed = read_fixed(file.as_fd()).ok_or_else(|| foreign("it is too short"))?;
    let kind = fixed.check(stat.size).map_err(foreign)?;
    if fixed.space() != space {
        return Err(foreign(OTHER_SPACE));
    }
    fixed.matches(name, spec)?;
    let mapping = map(&file, spec.total(), path)?;
    Ok(Object::new(Storage::Mapped(mapping), fixed, kind, name, keep.then_some(file)))
}

fn create_object(
    file: OwnedFd,
    path: &Path,
    name: &str,
    spec: &Spec,
    origin: &Origin,
    keep: bool,
    init: impl FnOnce(NonNull<u8>),
) -> Result<Object, Error> {
    let fixed = Fixed::new(spec, origin);
    write_start(&file, fixed.as_bytes(), path)?;
    let mapping = map(&file, spec.total(), path)?;
    let storage = Storage::Mapped(mapping);
    let object = Object::new(storage, fixed, spec.kind, name, keep.then_some(file));
    init(object.body());
    Ok(object)
}

fn map(file: &OwnedFd, len: usize, path: &Path) -> Result<Mapping, Error> {
    Mapping::new(file, len, Access::ReadWrite).map_err(Error::system("map", path))
}

fn local_object(
    name: &str,
    spec: &Spec,
    origin: &Origin,
    files: bool,
    init: impl FnOnce(NonNull<u8>),
) -> Result<Object, Error> {
    let path = Path::new(name);
    let len = spec.total();
    if files {
        let file = memory::memfd(c"antiphon", len as u64, true).map_err(|e| no_room(e, path))?;
        return create_object(file, path, name, spec, origin, true, init);
    }
    let none = || Error::system("reserve memory for", path)(io::ErrorKind::OutOfMemory.into());
    let storage = Storage::Heap(Heap::new(len).ok_or_else(none)?);
    let object = Object::new(storage, Fixed::new(spec, origin), spec.kind, name, None);
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

fn write_start(file: &OwnedFd, bytes: &[u8], path: &Path) -> Result<(), Error> {
    let doing = Error::system("write", path);
    file.try_clone().and_then(|file| File::from(file).write_all_at(bytes, 0)).map_err(doing)
}

/// This boot's id: memory does not outlive a boot, but `ANTIPHON_DIR` may be on a disk.
pub(crate) fn boot() -> [u8; 16] {
    process::boot_id().unwrap_or_default().to_le_bytes()
}

fn random_id() -> Result<[u8; 16], Error> {
    let path = Path::new("/dev/urandom");
    let mut id = [0; 16];
    File::open(path)
        .and_then(|file| file.read_exact_at(&mut id, 0))
        .map_err(Error::system("read", path))?;
    Ok(id)
}
