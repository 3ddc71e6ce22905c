//! Walks around the mutex.

use std::sync::Arc;

use antiphon_core::sync::mutex::{Claim, RawMutex};
use antiphon_core::wait::{Deadline, Wait};

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

#[derive(Default)]
struct Guarded {
    mutex: RawMutex,
    value: Watched,
}

impl Guarded {
    /// Changes the value under the lock, once the caller has it.
    fn bump_held<W: Wait>(&self, claim: Claim, w: &W) {
        if claim == Claim::Clean {
            self.value.get();
        }
        self.value.bump();
        self.mutex.unlock(w, 0);
    }

    fn bump<W: Wait>(&self, w: &W) {
        self.bump_held(self.mutex.lock(w, None).unwrap(), w);
    }

    /// Changes the value if the lock is free, and then if it becomes free in no time. How often it did.
    fn bump_hastily<W: Wait>(&self, w: &W) -> u32 {
        let tried = self.mutex.try_lock(w).map(|claim| self.bump_held(claim, w));
        let waited = self.mutex.lock(w, Some(Deadline(0))).ok();
        let waited = waited.map(|claim| self.bump_held(claim, w));
        u32::from(tried.is_some()) + u32::from(waited.is_some())
    }
}

#[test]
fn patient_and_hasty_ones_exclude_each_other() {
    walk("mutex, four patient and two hasty", |kernel| {
        let guarded = Arc::new(Guarded::default());
        let patient = (1..5).map(|n| {
            party(&guarded, kernel.thread(n), |guarded, w| (0..3).for_each(|_| guarded.bump(w)))
        });
        let patient = patient.collect();
        let hasty = (5..7).map(|n| party(&guarded, kernel.thread(n), Guarded::bump_hastily));
        let hasty: u32 = join(hasty.collect()).into_iter().sum();
        join(patient);
        assert_eq!(guarded.value.get(), 12 + hasty);
        assert_eq!(guarded.mutex.owner(), None);
    });
}

#[test]
fn three_survive_the_deaths_of_three() {
    walk_deaths("mutex, three die beside three", |kernel| {
        let guarded = Arc::new(Guarded::default());
        let twice = |guarded: &Guarded, w: &_| (0..2).for_each(|_| guarded.bump(w));
        let others =
            (0..3).map(|n| party(&guarded, kernel.participant(n), twice)).collect::<Vec<_>>();
        let victims =
            (3..6).map(|n| victim(&guarded, kernel, kernel.participant(n), 40, twice)).collect();
        let died = deaths(&join(victims));
        join(others);
        guarded.bump(&kernel.participant(7));
        let least = 7 + 2 * (3 - died);
        let changes = guarded.value.get();
        assert!((least..=least + 2 * died).contains(&changes), "{changes} changes");
        died
    });
}
