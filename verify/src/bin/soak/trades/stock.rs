//! Queues that are not first in first out, and one without copies.

use std::time::Duration;

use antiphon::Space;
use antiphon::error::{TimedGetError, TimedPutError};
use antiphon::space::{LifoQueue, LoanQueue, PriorityQueue};
use antiphon_verify::random::{Random, mix};

use super::{Trade, words};

const CAPACITY: u32 = 64;
const SHORT: Duration = Duration::from_micros(500);

/// The newest first.
pub(super) struct Lifo(LifoQueue<[u64; 4]>);

impl Lifo {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.lifo_queue("lifo", CAPACITY).expect("a lifo queue"))
    }
}

impl Trade for Lifo {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            return match self.0.put_timeout(words(random.draw()), SHORT) {
                Ok(()) | Err(TimedPutError::TimedOut(..)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        match self.0.get_timeout(SHORT) {
            Ok(item) if item == words(item[0]) => Ok(()),
            Ok(item) => Err(format!("torn: {item:x?}")),
            Err(TimedGetError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The smallest first.
pub(super) struct Priorities(PriorityQueue<u64, [u64; 4]>);

impl Priorities {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.priority_queue("priorities", CAPACITY).expect("a priority queue"))
    }
}

impl Trade for Priorities {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            let seed = random.draw();
            return match self.0.put_timeout((mix(seed) % 8, words(seed)), SHORT) {
                Ok(()) | Err(TimedPutError::TimedOut(..)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        match self.0.get_timeout(SHORT) {
            Ok((key, item)) if item == words(item[0]) && key == mix(item[0]) % 8 => Ok(()),
            Ok(torn) => Err(format!("torn: {torn:x?}")),
            Err(TimedGetError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Written and read where they lie; some loans and views are given up.
pub(super) struct Loans(LoanQueue);

impl Loans {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.loan_queue("loans", 32, 1024).expect("a loan queue"))
    }
}

impl Trade for Loans {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            let len = 1 + random.below(2500) as usize;
            let mut loan = match self.0.reserve_timeout(len, SHORT) {
                Ok(loan) => loan,
                Err(TimedPutError::TimedOut(..)) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            loan.fill(mix(len as u64) as u8);
            if random.one_in(8) {
                return Ok(());
            }
            return loan.commit().map_err(|error| error.to_string());
        }
        match self.0.get_timeout(SHORT) {
            Ok(view) if view.iter().all(|byte| *byte == mix(view.len() as u64) as u8) => Ok(()),
            Ok(view) => Err(format!("{} torn bytes", view.len())),
            Err(TimedGetError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
