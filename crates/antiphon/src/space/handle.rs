//! Handles: plain values by which another process opens the same object.

use serde::{Deserialize, Serialize};

use antiphon_place::Error;

use super::inner::Space;

/// Where an object is. Serialize it, send it, and open it there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handle {
    /// The address of its space.
    pub space: String,
    /// Its name in the space.
    pub name: String,
}

impl Handle {
    /// Opens the space of the object, with the usual settings.
    ///
    /// # Errors
    /// As [`Space::open`].
    pub fn space(&self) -> Result<Space, Error> {
        Space::open(&self.space)
    }
}

/// Objects that a handle leads to.
pub trait Shared: Sized {
    /// The handle of this object.
    fn handle(&self) -> Handle;

    /// Opens the object that the handle leads to. It must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of opening it by name.
    fn from_handle(handle: &Handle) -> Result<Self, Error>;
}
