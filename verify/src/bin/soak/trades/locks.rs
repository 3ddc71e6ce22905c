//! Locks and their values.

use std::time::Duration;

use antiphon::Space;
use antiphon::error::TimedLockError;
use antiphon::space::{Mutex, ReentrantMutex, RwLock};
use antiphon_verify::random::Random;

use super::Trade;

/// Longer than any holder holds, even when it has died and nobody watches.
const LONG: Duration = Duration::from_secs(10);

/// Both halves are the same unless a holder died.
type Pair = [u64; 2];

/// A value of two halves under a mutex.
pub(super) struct Mutexes(Mutex<Pair>);

impl Mutexes {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.mutex("mutex", [0, 0]).expect("a mutex"))
    }
}

impl Trade for Mutexes {
    fn turn(&mut self, _: &Space, _: &mut Random) -> Result<(), String> {
        let mut value = match self.0.lock_timeout(LONG) {
            Ok(value) => value,
            Err(TimedLockError::OwnerDied(mut value, _)) => {
                value[1] = value[0];
                value.repair();
                value
            }
            Err(error) => return Err(error.to_string()),
        };
        if value[0] != value[1] {
            return Err(format!("torn: {:?}", *value));
        }
        value[0] += 1;
        value[1] += 1;
        Ok(())
    }
}

/// A lock taken twice.
pub(super) struct Reentrant(ReentrantMutex<u64>);

impl Reentrant {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.reentrant_mutex("reentrant", 7).expect("a reentrant mutex"))
    }
}

impl Trade for Reentrant {
    fn turn(&mut self, _: &Space, _: &mut Random) -> Result<(), String> {
        let outer = match self.0.lock_timeout(LONG) {
            Ok(outer) => outer,
            Err(TimedLockError::OwnerDied(mut outer, _)) => {
                outer.repair();
                outer
            }
            Err(error) => return Err(error.to_string()),
        };
        let inner = self.0.lock().map_err(|error| error.to_string())?;
        if *outer == *inner { Ok(()) } else { Err("two values".to_owned()) }
    }
}

/// A value that most read and some change.
pub(super) struct RwLocks(RwLock<Pair>);

impl RwLocks {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.rwlock("rwlock", [0, 0]).expect("an rwlock"))
    }

    fn write(&self) -> Result<(), String> {
        let mut value = match self.0.write_timeout(LONG) {
            Ok(value) => value,
            Err(TimedLockError::OwnerDied(mut value, _)) => {
                value[1] = value[0];
                value.repair();
                value
            }
            Err(error) => return Err(error.to_string()),
        };
        value[0] += 1;
        value[1] += 1;
        Ok(())
    }
}

impl Trade for RwLocks {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(4) {
            return self.write();
        }
        match self.0.read_timeout(LONG) {
            Ok(value) if value[0] == value[1] => Ok(()),
            Ok(value) => Err(format!("torn: {:?}", *value)),
            // Whoever writes next repairs it.
            Err(TimedLockError::OwnerDied(..)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
