//! Walks around the readers-writer lock.

use std::sync::Arc;

use antiphon_core::primitive::AtomicU64;
use antiphon_core::sync::mutex::Claim;
use antiphon_core::sync::rwlock::RawRwLock;
use antiphon_core::wait::{Deadline, Wait};

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

struct Guarded {
    lock: RawRwLock,
    readers: Vec<AtomicU64>,
    value: Watched,
}

impl Guarded {
    fn new(words: usize) -> Arc<Self> {
        let readers = (0..words).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { lock: RawRwLock::new(), readers, value: Watched::default() })
    }

    /// Changes the value, and repairs it if that is needed.
    fn write<W: Wait>(&self, w: &W) {
        if self.lock.write(&self.readers, w, None).unwrap() == Claim::Clean {
            self.value.get();
        }
        self.value.bump();
        self.lock.unlock_write(w, 0);
    }

    fn read<W: Wait>(&self, w: &W) {
        let claim = self.lock.read(&self.readers, w, None).unwrap();
        self.read_held(claim, w);
    }

    fn read_held<W: Wait>(&self, claim: Claim, w: &W) {
        let value = self.value.look();
        assert!(value.is_some() || claim != Claim::Clean, "a broken value is passed off as clean");
        self.lock.unlock_read(&self.readers, w);
    }

    /// Changes the value, and then only reads it without letting a writer come in between.
    fn write_and_look<W: Wait>(&self, w: &W) {
        let _ = self.lock.write(&self.readers, w, None).unwrap();
        self.value.bump();
        let value = self.value.get();
        self.lock.downgrade(&self.readers, w, 0);
        assert_eq!(self.value.get(), value);
        self.lock.unlock_read(&self.readers, w);
    }
}

#[test]
fn readers_and_writers_exclude_each_other() {
    walk("rwlock, three write and three read", |kernel| {
        let guarded = Guarded::new(1);
        let mut parties: Vec<_> = (1..3)
            .map(|n| party(&guarded, kernel.thread(n), |g, w| (0..2).for_each(|_| g.write(w))))
            .collect();
        parties.push(party(&guarded, kernel.thread(3), Guarded::write_and_look));
        parties.extend(
            (4..6)
                .map(|n| party(&guarded, kernel.thread(n), |g, w| (0..3).for_each(|_| g.read(w)))),
        );
        parties.push(party(&guarded, kernel.thread(6), |g, w| {
            for deadline in [None, Some(Deadline(0))] {
                let claim = match deadline {
                    None => g.lock.try_read(&g.readers, w),
                    deadline => g.lock.read(&g.readers, w, deadline).ok(),
                };
                if let Some(claim) = claim {
                    g.read_held(claim, w);
                }
            }
        }));
        join(parties);
        assert_eq!(guarded.value.get(), 5);
        assert_eq!(guarded.lock.readers(&guarded.readers), 0);
    });
}

#[test]
fn readers_and_writers_survive_deaths() {
    walk_deaths("rwlock, a writer and a reader die beside two each", |kernel| {
        let guarded = Guarded::new(8);
        let mut others: Vec<_> =
            (0..2).map(|n| party(&guarded, kernel.participant(n), Guarded::write)).collect();
        others.extend((2..4).map(|n| party(&guarded, kernel.participant(n), Guarded::read)));
        let victims = vec![
            victim(&guarded, kernel, kernel.participant(4), 50, Guarded::write),
            victim(&guarded, kernel, kernel.participant(5), 30, Guarded::read),
        ];
        let victims = join(victims);
        join(others);
        let last = kernel.participant(7);
        guarded.write(&last);
        guarded.read(&last);
        let least = 3 + u32::from(victims[0].is_some());
        assert!((least..=4).contains(&guarded.value.get()));
        assert_eq!(guarded.lock.readers(&guarded.readers), 0);
        deaths(&victims)
    });
}
