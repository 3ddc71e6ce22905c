//! Clearing away what the dead left: spaces in which nobody lives any more.
//!
//! A space that is removed loses its name first, in one step: who opens the name from then on begins a new one. Then it loses
//! its control segment, by which those who are still in it know, and then the rest. What is cut short by a death goes on
//! with the next sweep, which knows such a directory by its name.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use antiphon_sys::descriptor::Access;
use antiphon_sys::directory;
use antiphon_sys::fork::still;

use crate::control_file::map_control;
use crate::directory::CONTROL;
use crate::error::Error;
use crate::inspect::open;
use crate::layout::boot;
use crate::name::check_name;
use crate::participant::{is_inhabited, lock_registry, try_lock_registry, unlock_registry};
use crate::private::{Private, Sharing, UNREADY};

/// How the name of a directory begins that was a space and is being removed; its number follows.
const DOOMED: &str = ".antiphon-gone-";

/// Removes the space called `name` in `base`, whose registry lock the caller holds if there is a control segment.
/// False: something in it cannot be removed.
pub(crate) fn remove_all(base: &Private, name: &str, space: &Private) -> bool {
    let inode = space.id().map_or(0, |(_, inode)| inode);
    let doomed = format!("{DOOMED}{inode}");
    let is_renamed = base.names_it(name, space) && base.dir.rename(name, &doomed).is_ok();
    empty(base, if is_renamed { &doomed } else { name }, space)
}

/// Removes what is in a directory, and then the directory, unless that is another by now.
fn empty(base: &Private, name: &str, space: &Private) -> bool {
    let _ = space.dir.remove_file(CONTROL);
    // Somebody who was about to create something may do so still, once: then there is another turn.
    for _ in 0..1000 {
        let mut removed = 0;
        for name in space.dir.names().unwrap_or_default() {
            let gone = space.dir.remove_file(&name).or_else(|_| space.dir.remove_directory(&name));
            removed += u32::from(gone.is_ok());
        }
        let is_there = base.names_it(name, space);
        if !is_there || base.dir.remove_directory(name).is_ok() {
            return true;
        }
        if removed == 0 {
            break;
        }
    }
    false
}

/// Removes the spaces in which nobody lives any more, and returns their names; with `dry`, only says which.
pub(crate) fn sweep(base: &Private, except: Option<&str>, dry: bool) -> Vec<String> {
    let _still = still();
    let mut swept = base.names().unwrap_or_default();
    swept.retain(|name| {
        if !dry && name.starts_with(DOOMED) {
            if let Ok(space) = base.existing(name) {
                empty(base, name, &space);
            }
        } else if !dry && name.starts_with(UNREADY) {
            // Its maker has died, or will make another.
            let _ = base.dir.remove_directory(name);
        }
        except != Some(name) && check_name(name).is_ok() && sweep_one(base, name, dry)
    });
    swept
}

fn sweep_one(base: &Private, name: &str, dry: bool) -> bool {
    let Ok(space) = base.existing(name) else { return false };
    let Ok(file) = space.dir.open_file(CONTROL, Access::ReadWrite) else {
        // A creator died, or is about to link its control segment: that one will find the directory gone and begin again.
        let empty = space.dir.names().is_ok_and(|names| names.is_empty());
        return empty && (dry || base.dir.remove_directory(name).is_ok());
    };
    let Ok((fixed, _)) = map_control(&file, &space.path, space.sharing) else { return false };
    // Also one that nobody has joined yet: its creator may have died, and one that lives begins again.
    let stale = fixed.boot() != boot() || !fixed.kept();
    if !stale || !try_lock_registry(&file).unwrap_or(false) {
        return false;
    }
    let linked = directory::stat(&file).is_ok_and(|stat| stat.links > 0);
    let dead = linked && !is_inhabited(&file, fixed.participants()).unwrap_or(true);
    if dead && !dry {
        remove_all(base, name, &space);
    }
    unlock_registry(&file);
    dead
}

/// Removes what the dead have left in all spaces of this user, and returns the names of the spaces removed. With `dry`,
/// only says which would be.
pub fn clean(dry: bool) -> Vec<String> {
    let base = Private::existing_base(Sharing::User);
    base.map(|base| sweep(&base, None, dry)).unwrap_or_default()
}

/// The names of this user's spaces.
///
/// # Errors
/// [`Error::Insecure`], [`Error::System`].
pub fn list_spaces() -> Result<Vec<String>, Error> {
    if !Sharing::User.base().exists() {
        return Ok(Vec::new());
    }
    let mut names = Private::existing_base(Sharing::User)?.names()?;
    names.retain(|name| check_name(name).is_ok());
    Ok(names)
}

/// Removes a whole space, used or not; those who use it go on with what they have open, and cannot open more in it.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Insecure`], [`Error::System`].
pub fn remove_space(name: &str) -> Result<(), Error> {
    let _still = still();
    let (base, space) = open(name)?;
    let name = plain(&space);
    let control = space.dir.open_file(CONTROL, Access::ReadWrite);
    if let Ok(file) = &control {
        lock_registry(file).map_err(Error::system("lock", space.join(CONTROL)))?;
    }
    // Removed meanwhile: what is there now is a new space, whose lock we do not hold.
    let is_it = control.as_ref().is_ok_and(|file| directory::stat(file).is_ok_and(|s| s.links > 0));
    let is_done = !(is_it || control.is_err()) || remove_all(&base, name, &space);
    if let Ok(file) = &control {
        unlock_registry(file);
    }
    if !is_done {
        let source = io::Error::other("it holds what cannot be removed");
        return Err(Error::System { doing: "remove", path: space.path, source });
    }
    Ok(())
}

/// The name of an open space in its base directory.
pub(crate) fn plain(space: &Private) -> &str {
    space.path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// The base directory of an open space, if it is where it was.
pub(crate) fn base_of(space: &Private) -> Result<Private, Error> {
    let path = space.path.parent().unwrap_or(Path::new("/"));
    Private::open(path.to_owned(), space.sharing)
}

/// Takes an object's name away, used or not; those who use it go on with it, later openers get a new one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Insecure`], [`Error::System`].
pub fn remove_object(space: &str, name: &str) -> Result<(), Error> {
    check_name(name)?;
    let (_, space) = open(space)?;
    match space.dir.remove_file(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(Error::NotFound { what: "object", name: name.to_owned() })
        }
        result => result.map_err(Error::system("remove", space.join(name))),
    }
}
