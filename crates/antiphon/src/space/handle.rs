//! Objects as handles: sent to another process, an object arrives as the same object.
//!
//! Every object of a space can be serialized by serde. What travels is where it is: the address of its space and its name,
//! or, for anonymous ones, descriptors that a child process inherits. Deserializing opens it there.

use antiphon_place::{Error, Spec};
use antiphon_sys::descriptor::{Access, reopen};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::entry::Entry;
use super::inner::Space;
use crate::process::{inherit, inherited};

/// What objects have in common: the spec that follows from their parameters, and the entry inside.
pub(super) trait Openable: Sized {
    /// What an object with these parameters must look like in this space.
    fn spec(space: &Space, params: [u64; 4]) -> Result<Spec, Error>;

    /// The object in this entry, whose segment matches the spec.
    fn attach(entry: Entry) -> Self;

    fn entry(&self) -> &Entry;
}

/// What travels.
#[derive(Serialize, Deserialize)]
pub(super) struct Handle {
    space: String,
    name: String,
    params: [u64; 4],
    /// Of an anonymous object: the descriptors of its space's control segment and of its own.
    files: Option<(i32, i32)>,
}

impl Handle {
    pub(super) fn of(entry: &Entry) -> std::io::Result<Self> {
        let files = match (entry.space.registration.descriptor(), entry.object.file()) {
            (Some(control), Some(object)) => {
                // A description of its own: who inherits ours keeps our byte locked, and us alive beyond our death.
                let control = reopen(control, Access::ReadWrite)?;
                Some((inherit(control)?, inherit(object)?))
            }
            _ => None,
        };
        Ok(Self {
            space: entry.space.address.clone(),
            name: entry.object.name().to_owned(),
            params: entry.object.params(),
            files,
        })
    }

    pub(super) fn open<O: Openable>(self) -> Result<O, Error> {
        let received =
            |source| Error::System { doing: "receive", path: (&self.name).into(), source };
        let (space, object) = match self.files {
            None => {
                let space = Space::open(&self.space)?;
                let spec = O::spec(&space, self.params)?;
                let object = space.inner.directory.existing(&self.name, &spec)?;
                (space, object)
            }
            Some((control, object)) => {
                let (control, object) =
                    (inherited(control).map_err(received)?, inherited(object).map_err(received)?);
                let space = Space::attach_anonymous(&self.space, control)?;
                let spec = O::spec(&space, self.params)?;
                let object = space.inner.directory.object_in(&self.name, object, &spec)?;
                (space, object)
            }
        };
        Ok(O::attach(Entry { space: space.inner, object }))
    }
}

pub(super) fn serialize<O: Openable, S: Serializer>(
    object: &O,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Handle::of(object.entry()).map_err(ser::Error::custom)?.serialize(serializer)
}

pub(super) fn deserialize<'de, O: Openable, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<O, D::Error> {
    Handle::deserialize(deserializer)?.open().map_err(de::Error::custom)
}

/// Makes an object type a handle of itself.
macro_rules! handle {
    ($object:ident $(<$($t:ident: $($bound:path),+);+>)?) => {
        impl $(<$($t: $($bound +)+),+>)? serde::Serialize for $object $(<$($t),+>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::space::handle::serialize(self, serializer)
            }
        }

        impl<'de $($(, $t: $($bound +)+)+)?> serde::Deserialize<'de> for $object $(<$($t),+>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::space::handle::deserialize(deserializer)
            }
        }
    };
}
pub(super) use handle;
