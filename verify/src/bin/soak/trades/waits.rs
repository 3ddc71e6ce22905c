//! What one waits for without a value.

use std::time::Duration;

use antiphon::Space;
use antiphon::error::LockError;
use antiphon::space::{Barrier, Condvar, Event, Mutex, Semaphore};
use antiphon_verify::random::Random;

use super::Trade;

/// Permits, which come back from the dead.
pub(super) struct Semaphores(Semaphore);

const PERMITS: u64 = 3;
const LONG: Duration = Duration::from_secs(10);
/// Perhaps nobody answers.
const SHORT: Duration = Duration::from_micros(500);

impl Semaphores {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.semaphore("semaphore", PERMITS).expect("a semaphore"))
    }
}

impl Trade for Semaphores {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        let permit = self.0.acquire_timeout(LONG).map_err(|error| error.to_string())?;
        for _ in 0..random.below(200) {
            std::hint::spin_loop();
        }
        let free = self.0.available();
        drop(permit);
        if free < PERMITS { Ok(()) } else { Err(format!("{free} permits are free, one is taken")) }
    }
}

/// A number that some change and others wait for.
pub(super) struct Condvars {
    number: Mutex<u64>,
    changed: Condvar,
}

impl Condvars {
    pub(super) fn open(space: &Space) -> Self {
        let number = space.mutex("number", 0).expect("a mutex");
        Self { number, changed: space.condvar("changed").expect("a condvar") }
    }
}

impl Trade for Condvars {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        let mut number = match self.number.lock() {
            Ok(number) => number,
            Err(LockError::OwnerDied(mut number, _)) => {
                number.repair();
                number
            }
            Err(error) => return Err(error.to_string()),
        };
        if random.one_in(2) {
            *number += 1;
            self.changed.notify(1 + random.below(3) as u32);
            return Ok(());
        }
        match self.changed.wait_timeout(number, SHORT) {
            Ok(_) | Err(LockError::OwnerDied(..)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Set, cleared and waited for.
pub(super) struct Events(Event);

impl Events {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.event("event").expect("an event"))
    }
}

impl Trade for Events {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        match random.below(3) {
            0 => self.0.set(),
            1 => self.0.clear(),
            _ => drop(self.0.wait_timeout(SHORT)),
        }
        Ok(())
    }
}

/// Two meet, or do not.
pub(super) struct Barriers(Barrier);

impl Barriers {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.barrier("barrier", 2).expect("a barrier"))
    }
}

impl Trade for Barriers {
    fn turn(&mut self, _: &Space, _: &mut Random) -> Result<(), String> {
        if self.0.wait_timeout(SHORT).is_err() {
            self.0.reset();
        }
        Ok(())
    }
}
