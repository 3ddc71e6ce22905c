//! The file of a control segment: made, joined, mapped, and told from one that was removed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use antiphon_sys::descriptor::Access;
use antiphon_sys::directory;
use antiphon_sys::memory::{self, Mapping};
use zerocopy::IntoBytes;

use crate::control::{Control, ControlFixed};
use crate::directory::{CONTROL, Lifetime};
use crate::error::Error;
use crate::layout::boot;
use crate::objects::{examine, read_fixed, write_start};
use crate::participant::{Registration, is_inhabited, lock_registry, unlock_registry};
use crate::private::{Private, Sharing, no_room, refused};
use crate::segment::Storage;
use crate::sweep::{plain, remove_all};

/// Opens the control segment. `None`: look again, since it was just made, or the directory was removed meanwhile.
pub(crate) fn open_or_create_control(
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
    let file = match space.dir.create_unnamed(space.sharing.file_mode()) {
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
pub(crate) type Joined = (Box<Registration>, ControlFixed);

/// Joins the space under its registry lock. `None`: it was removed, by others or here because only the dead had used it.
pub(crate) fn join(
    base: &Private,
    space: &Private,
    file: OwnedFd,
    label: &str,
) -> Result<Option<Joined>, Error> {
    let path = space.join(CONTROL);
    lock_registry(&file).map_err(Error::system("lock", &path))?;
    match current(base, space, &file, &path) {
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
    base: &Private,
    space: &Private,
    file: &OwnedFd,
    path: &Path,
) -> Result<Option<(ControlFixed, Storage)>, Error> {
    let stat = directory::stat(file).map_err(Error::system("examine", path))?;
    // The second: its directory has lost its name, and somebody who had opened that before began it anew there.
    if stat.links == 0 || !base.names_it(plain(space), space) {
        return Ok(None);
    }
    let (fixed, storage) = map_control(file, path, space.sharing)?;
    let stale = fixed.boot() != boot() || (was_used(&storage) && !fixed.kept());
    if stale && !is_inhabited(file, fixed.participants()).unwrap_or(true) {
        remove_all(base, plain(space), space);
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

pub(crate) fn map_control(
    file: &OwnedFd,
    path: &Path,
    sharing: Sharing,
) -> Result<(ControlFixed, Storage), Error> {
    let foreign = |why| Error::Foreign { path: path.to_owned(), why };
    let stat = examine(file, path, sharing)?;
    let fixed: ControlFixed = read_fixed(file.as_fd()).ok_or_else(|| foreign("it is too short"))?;
    fixed.check(stat.size).map_err(foreign)?;
    let mapping = Mapping::new(file, Control::size(fixed.participants()), Access::ReadWrite)
        .map_err(Error::system("map", path))?;
    Ok((fixed, Storage::Mapped(mapping)))
}

/// A number that no other space has.
pub(crate) fn random_id() -> Result<[u8; 16], Error> {
    let path = Path::new("/dev/urandom");
    let mut id = [0; 16];
    File::open(path)
        .and_then(|file| file.read_exact_at(&mut id, 0))
        .map_err(Error::system("read", path))?;
    Ok(id)
}
