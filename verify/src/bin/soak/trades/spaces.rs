//! Objects and spaces that come and go.

use antiphon::Space;
use antiphon::error::{LockError, SpaceError};
use antiphon_verify::random::Random;

use super::Trade;

/// How many names there are.
const NAMES: u64 = 8;

/// Objects that are opened by some and removed by others meanwhile.
pub(super) struct Objects;

impl Objects {
    pub(super) fn open(_: &Space) -> Self {
        Self
    }
}

impl Trade for Objects {
    fn turn(&mut self, space: &Space, random: &mut Random) -> Result<(), String> {
        // Seldom, or the turns of the others would be lost among these.
        if !random.one_in(16) {
            return Ok(());
        }
        let name = format!("object-{}", random.below(NAMES));
        if random.one_in(4) {
            return match space.remove(&name) {
                Ok(()) | Err(SpaceError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        let object = space.mutex(&name, 0_u64).map_err(|error| error.to_string())?;
        match object.lock() {
            Ok(mut value) => *value += 1,
            Err(LockError::OwnerDied(mut value, _)) => value.repair(),
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }
}

/// Spaces that end with their last user, and sometimes with its death.
pub(super) struct Spaces;

impl Spaces {
    pub(super) fn open(_: &Space) -> Self {
        Self
    }
}

impl Trade for Spaces {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if !random.one_in(64) {
            return Ok(());
        }
        let name = format!("host:inn-{}", random.below(NAMES));
        let space = Space::open(&name).map_err(|error| error.to_string())?;
        space.event("event").map_err(|error| error.to_string())?.set();
        Ok(())
    }
}
