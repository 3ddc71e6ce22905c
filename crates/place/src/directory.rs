//! Where spaces are and how objects get their names: create-or-attach without races, and clearing away what the dead left.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_sys::descriptor::{self, Access};
use antiphon_sys::fork::{Still, still};
use antiphon_sys::{clock, directory, memory};
use zerocopy::IntoBytes;

use crate::control::{Control, ControlFixed, ParticipantInfo};
use crate::control_file::{join, map_control, open_or_create_control, random_id};
use crate::error::Error;
use crate::header::{Origin, Spec};
use crate::layout::boot;
use crate::name::check_name;
use crate::objects::{Keep, attach_object, local_object, named_object, restless, write_start};
use crate::participant::{Registration, lock_registry, unlock_registry};
use crate::private::{Private, Sharing, no_room, refused};
use crate::segment::Object;
use crate::sweep::{base_of, plain, remove_all, sweep};

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
    Local { objects: Mutex<Objects>, files: bool },
}

type Objects = HashMap<String, Arc<Object>>;

/// Looks into a table, which a child that is forked meanwhile must find whole and unlocked.
fn look(objects: &Mutex<Objects>) -> (Still, MutexGuard<'_, Objects>) {
    let still = still();
    (still, objects.lock().unwrap_or_else(PoisonError::into_inner))
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
        let _still = still();
        let path = Path::new("(anonymous)");
        // A description of our own: the locks of the one we were handed belong to its sender.
        let file =
            descriptor::reopen(&file, Access::ReadWrite).map_err(Error::system("reopen", path))?;
        let (fixed, storage) = map_control(&file, path, Sharing::User)?;
        lock_registry(&file).map_err(Error::system("lock", path))?;
        let registration = Registration::attach(storage, fixed.participants(), file, label)?;
        unlock_registry(registration.file());
        let place = Place::Local { objects: Mutex::default(), files: true };
        Ok((Self { place, space: fixed.space, kept: false }, registration))
    }

    /// Opens or creates the named space, and takes part in it: `NAME`, or `NAME@GROUP` for one that is shared by a group.
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
        let (name, sharing) = Sharing::of(name)?;
        let _still = still();
        let base = Private::base(sharing)?;
        sweep(&base, Some(name), false);
        // Each turn either succeeds or has met a concurrent removal, which makes progress for somebody.
        for _ in 0..1000 {
            let space = base.inside(name)?;
            let Some(file) = open_or_create_control(&space, participants, lifetime)? else {
                continue;
            };
            if let Some((registration, fixed)) = join(&base, &space, file, label)? {
                let (space, kept) = (Place::Named(space), fixed.kept());
                return Ok((Self { place: space, space: fixed.space, kept }, registration));
            }
        }
        Err(restless(&base.join(name)))
    }

    /// Opens or creates the object `name`, whose value `init` writes into the zeroed body.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Mismatch`], [`Error::Foreign`], [`Error::NoRoom`], [`Error::Removed`], [`Error::System`].
    pub fn object(
        &self,
        registration: &Registration,
        name: &str,
        spec: &Spec,
        site: String,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Arc<Object>, Error> {
        self.growing_object(registration, name, spec, spec.body_len, site, init)
    }

    /// The same, with memory behind the first `reserved` bytes of the body only; see [`Object::reserve`].
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub fn growing_object(
        &self,
        registration: &Registration,
        name: &str,
        spec: &Spec,
        reserved: usize,
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
            reserved,
        };
        match &self.place {
            Place::Named(space) => {
                let _still = still();
                named_object(space, registration, name, spec, &origin, init)
            }
            Place::Local { objects, files } => {
                let (_still, mut objects) = look(objects);
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
                attach_object(file, &path, name, spec, self.space, Keep::No(space.sharing))
                    .map(Arc::new)
            }
            Place::Local { objects, .. } => {
                let (_still, objects) = look(objects);
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
        let object =
            Arc::new(attach_object(file, Path::new(name), name, spec, self.space, Keep::Yes)?);
        if let Place::Local { objects, .. } = &self.place {
            let (_still, mut objects) = look(objects);
            return Ok(objects.entry(name.to_owned()).or_insert(object).clone());
        }
        Ok(object)
    }

    /// Is there an object of that name?
    pub fn contains(&self, name: &str) -> bool {
        match &self.place {
            Place::Named(space) => space.dir.stat(name).is_ok(),
            Place::Local { objects, .. } => {
                let (_still, objects) = look(objects);
                objects.contains_key(name)
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
                let (_still, mut objects) = look(objects);
                objects.remove(name).map(drop).ok_or_else(not_found)
            }
        }
    }

    /// Leaves the space, and removes it if nobody else is in it and it is not kept.
    pub fn leave(&self, registration: &Registration) {
        let _still = still();
        if let Place::Named(space) = &self.place
            && registration.takes_part()
            && lock_registry(registration.file()).is_ok()
        {
            let linked = directory::stat(registration.file()).is_ok_and(|stat| stat.links > 0);
            let last = registration.is_last();
            registration.leave();
            if last
                && linked
                && !self.kept
                && let Ok(base) = base_of(space)
            {
                remove_all(&base, plain(space), space);
            }
            unlock_registry(registration.file());
        } else {
            registration.leave();
        }
    }
}
