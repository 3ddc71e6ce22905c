//! Collections in shared memory.

use antiphon::Space;
use antiphon::error::UpdateError;
use antiphon::space::{Dict, List};
use antiphon_verify::random::{Random, mix};

use super::Trade;

/// Keys that there are.
const KEYS: u64 = 40;
const BYTES: u64 = 16 << 10;

/// Entries whose value follows from the key and a seed.
pub(super) struct Dicts(Dict<u64, (u64, String)>);

impl Dicts {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.dict("dict", BYTES).expect("a dict"))
    }
}

fn text(key: u64, seed: u64) -> String {
    format!("{:x}", mix(key ^ seed)).repeat(1 + seed as usize % 6)
}

impl Trade for Dicts {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        let key = random.below(KEYS);
        match random.below(4) {
            0 => drop(self.0.remove(&key).map_err(|error| error.to_string())?),
            1 => {
                let seed = random.draw() >> 1;
                match self.0.insert(&key, &(seed, text(key, seed))) {
                    Ok(_) | Err(UpdateError::Full { .. }) => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
            _ => {
                let found = self.0.get(&key).map_err(|error| error.to_string())?;
                if let Some((seed, found)) = found
                    && found != text(key, seed)
                {
                    return Err(format!("torn: {key} {seed} {found}"));
                }
            }
        }
        Ok(())
    }
}

/// Items that are pushed, changed and popped.
pub(super) struct Lists(List<(u64, String)>);

impl Lists {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.list("list", BYTES).expect("a list"))
    }
}

impl Trade for Lists {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        let (seed, index) = (random.draw() >> 1, random.below(KEYS) as usize);
        let item = (seed, text(0, seed));
        let changed = match random.below(4) {
            0 => self.0.push(&item),
            1 => self.0.set(index, &item),
            2 => self.0.pop().map(drop).map_err(UpdateError::from),
            _ => {
                let found = self.0.get(index).map_err(|error| error.to_string())?;
                return match found {
                    Some((seed, found)) if found != text(0, seed) => {
                        Err(format!("torn: {seed} {found}"))
                    }
                    _ => Ok(()),
                };
            }
        };
        match changed {
            Ok(()) | Err(UpdateError::Full { .. } | UpdateError::OutOfRange { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
