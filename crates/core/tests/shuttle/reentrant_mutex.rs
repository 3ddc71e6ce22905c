//! Walks around the reentrant mutex.

use std::sync::Arc;

use antiphon_core::sync::mutex::Claim;
use antiphon_core::sync::reentrant_mutex::RawReentrantMutex;
use antiphon_core::wait::Wait;

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

#[derive(Default)]
struct Guarded {
    mutex: RawReentrantMutex,
    value: Watched,
}

impl Guarded {
    /// Changes the value twice, under two locks and then under one.
    fn bump_twice<W: Wait>(&self, thread: u32, w: &W) {
        let claim = self.mutex.lock(thread, w, None).unwrap().expect("not held before");
        if claim == Claim::Clean {
            self.value.get();
        }
        assert_eq!(self.mutex.lock(thread, w, None), Ok(None));
        self.value.bump();
        assert!(!self.mutex.unlock(w, 0));
        self.value.bump();
        assert!(self.mutex.unlock(w, 0));
    }
}

#[test]
fn threads_of_two_participants_exclude_each_other() {
    walk("reentrant mutex, three threads each of two participants", |kernel| {
        let guarded = Arc::new(Guarded::default());
        let parties = (0..6).map(|n| {
            party(&guarded, kernel.participant(n % 2), move |guarded, w| {
                (0..2).for_each(|_| guarded.bump_twice(10 + n, w));
            })
        });
        join(parties.collect());
        assert_eq!(guarded.value.get(), 24);
        assert_eq!((guarded.mutex.holder(), guarded.mutex.depth()), (None, 0));
    });
}

#[test]
fn two_survive_the_deaths_of_three() {
    walk_deaths("reentrant mutex, three die beside two", |kernel| {
        let guarded = Arc::new(Guarded::default());
        // All have the same thread number: only the owner tells them apart.
        let life = |guarded: &Guarded, w: &_| guarded.bump_twice(5, w);
        let others =
            (0..2).map(|n| party(&guarded, kernel.participant(n), life)).collect::<Vec<_>>();
        let victims =
            (2..5).map(|n| victim(&guarded, kernel, kernel.participant(n), 40, life)).collect();
        let died = deaths(&join(victims));
        join(others);
        guarded.bump_twice(6, &kernel.participant(7));
        let least = 6 + 2 * (3 - died);
        let changes = guarded.value.get();
        assert!((least..=least + 2 * died).contains(&changes), "{changes} changes");
        died
    });
}
