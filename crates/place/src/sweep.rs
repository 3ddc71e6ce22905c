//! Clearing away what the dead left: spaces in which nobody lives any more.

use std::fs;
use std::io;
use std::path::Path;

use antiphon_sys::descriptor::Access;
use antiphon_sys::directory;

use crate::directory::{CONTROL, boot, map_control};
use crate::error::Error;
use crate::inspect::open;
use crate::name::check_name;
use crate::participant::{is_inhabited, lock_registry, try_lock_registry, unlock_registry};
use crate::private::{Private, base_directory};

/// Removes everything in a space's directory, the control segment last: until then openers find it and wait for us.
pub(crate) fn remove_all(space: &Private) {
    for name in space.names().unwrap_or_default() {
        if name != CONTROL {
            let _ = space.dir.remove_file(&name);
        }
    }
    let _ = space.dir.remove_file(CONTROL);
    // Fails if somebody has just begun a new space here: theirs.
    let _ = fs::remove_dir(&space.path);
}

/// Removes the spaces in which nobody lives any more, and returns their names; with `dry`, only says which.
pub(crate) fn sweep(base: &Private, except: Option<&str>, dry: bool) -> Vec<String> {
    let mut swept = base.names().unwrap_or_default();
    swept.retain(|name| {
        except != Some(name) && check_name(name).is_ok() && sweep_one(&base.join(name), dry)
    });
    swept
}

fn sweep_one(path: &Path, dry: bool) -> bool {
    let Ok(space) = Private::open(path.to_owned()) else { return false };
    let Ok(file) = space.dir.open_file(CONTROL, Access::ReadWrite) else {
        // A creator died, or is about to link its control segment: that one will find the directory gone and begin again.
        let empty = space.names().is_ok_and(|names| names.is_empty());
        return empty && (dry || fs::remove_dir(path).is_ok());
    };
    let Ok((fixed, _)) = map_control(&file, path) else { return false };
    // Also one that nobody has joined yet: its creator may have died, and one that lives begins again.
    let stale = fixed.boot() != boot() || !fixed.kept();
    if !stale || !try_lock_registry(&file).unwrap_or(false) {
        return false;
    }
    let linked = directory::stat(&file).is_ok_and(|stat| stat.links > 0);
    let dead = linked && !is_inhabited(&file, fixed.participants()).unwrap_or(true);
    if dead && !dry {
        remove_all(&space);
    }
    unlock_registry(&file);
    dead
}

/// Removes what the dead have left in all spaces of this user, and returns the names of the spaces removed. With `dry`,
/// only says which would be.
pub fn clean(dry: bool) -> Vec<String> {
    Private::open(base_directory()).map(|base| sweep(&base, None, dry)).unwrap_or_default()
}

/// The names of this user's spaces.
///
/// # Errors
/// [`Error::Insecure`], [`Error::System`].
pub fn list_spaces() -> Result<Vec<String>, Error> {
    let path = base_directory();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut names = Private::open(path)?.names()?;
    names.retain(|name| check_name(name).is_ok());
    Ok(names)
}

/// Removes a whole space, used or not; those who use it go on with what they have open.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Insecure`], [`Error::System`].
pub fn remove_space(name: &str) -> Result<(), Error> {
    let space = open(name)?;
    let path = space.path.clone();
    let control = space.dir.open_file(CONTROL, Access::ReadWrite);
    if let Ok(file) = &control {
        lock_registry(file).map_err(Error::system("lock", space.join(CONTROL)))?;
    }
    // Removed meanwhile: what is there now is a new space, whose lock we do not hold.
    let is_it = control.as_ref().is_ok_and(|file| directory::stat(file).is_ok_and(|s| s.links > 0));
    if is_it || control.is_err() {
        remove_all(&space);
    }
    if let Ok(file) = &control {
        unlock_registry(file);
    }
    if path.exists() {
        let source = io::Error::other("it has come into use again");
        return Err(Error::System { doing: "remove", path, source });
    }
    Ok(())
}

/// Takes an object's name away, used or not; those who use it go on with it, later openers get a new one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Insecure`], [`Error::System`].
pub fn remove_object(space: &str, name: &str) -> Result<(), Error> {
    check_name(name)?;
    let space = open(space)?;
    match space.dir.remove_file(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(Error::NotFound { what: "object", name: name.to_owned() })
        }
        result => result.map_err(Error::system("remove", space.join(name))),
    }
}
