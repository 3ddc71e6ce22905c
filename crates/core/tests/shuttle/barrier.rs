//! Walks around the barrier.

use std::sync::Arc;

use antiphon_core::primitive::{AtomicU32, Ordering::Relaxed};
use antiphon_core::sync::barrier::{Arrival, BarrierError, RawBarrier};
use antiphon_core::wait::{Deadline, Wait};

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

struct Meeting {
    barrier: RawBarrier,
    size: u32,
    parties: Vec<AtomicU32>,
    /// Changed by the one who runs the action.
    phase: Watched,
}

impl Meeting {
    fn new(size: u32, words: usize) -> Arc<Self> {
        Arc::new(Self {
            barrier: RawBarrier::new(),
            size,
            parties: (0..words).map(|_| AtomicU32::new(0)).collect(),
            phase: Watched::default(),
        })
    }

    fn wait<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<u32, BarrierError> {
        match self.barrier.arrive(self.size, &self.parties, w, deadline)? {
            Arrival::Passed(index) => Ok(index),
            Arrival::Last(token) => {
                let index = token.index();
                self.phase.bump();
                self.barrier.finish(token, w).map(|()| index)
            }
        }
    }

    fn is_known<W: Wait>(&self, w: &W) -> bool {
        self.parties[w.me().get() as usize & 1023].load(Relaxed) != 0
    }
}

#[test]
fn five_meet_three_times() {
    walk("barrier, five threads, three phases", |kernel| {
        let meeting = Meeting::new(5, 0);
        let parties = (1..6).map(|n| {
            party(&meeting, kernel.thread(n), |meeting, w| {
                [1, 2, 3].map(|phase| {
                    let index = meeting.wait(w, None).unwrap();
                    // The others may be on their way to the next, but not without us.
                    assert_eq!(meeting.phase.get(), phase);
                    index
                })
            })
        });
        let indices = join(parties.collect());
        for phase in 0..3 {
            let mut indices: Vec<_> = indices.iter().map(|indices| indices[phase]).collect();
            indices.sort_unstable();
            assert_eq!(indices, [0, 1, 2, 3, 4]);
        }
    });
}

#[test]
fn a_timeout_breaks_it_for_all_until_a_reset() {
    walk("barrier, one of five in a hurry", |kernel| {
        let meeting = Meeting::new(5, 0);
        let patient = (1..5)
            .map(|n| party(&meeting, kernel.thread(n), |meeting, w| meeting.wait(w, None).is_ok()))
            .collect();
        let hasty = meeting.wait(&kernel.thread(5), Some(Deadline(0)));
        let passed = join(patient);
        assert!(passed.iter().all(|passed| *passed == hasty.is_ok()), "they all agree");
        assert_eq!(meeting.barrier.is_broken(), hasty.is_err());
        meeting.barrier.reset(&[], &kernel.thread(6));
        let again = (1..6).map(|n| {
            party(&meeting, kernel.thread(n), |meeting, w| meeting.wait(w, None).unwrap())
        });
        assert_eq!(join(again.collect()).into_iter().sum::<u32>(), 10);
    });
}

#[test]
fn deaths_break_it_for_all() {
    walk_deaths("barrier, two of five die", |kernel| {
        let meeting = Meeting::new(5, 8);
        let others = (0..3)
            .map(|n| party(&meeting, kernel.participant(n), |meeting, w| meeting.wait(w, None)))
            .collect::<Vec<_>>();
        let victims = (3..5).map(|n| {
            let dead = kernel.participant(n);
            let life = victim(&meeting, kernel, dead.clone(), 40, |m, w| m.wait(w, None));
            party(&meeting, kernel.participant(5 + n % 2), move |meeting, w| {
                let lived = life.join().unwrap();
                // Nobody misses a party that never came; somebody else has to call it off.
                if lived.is_none() && !meeting.is_known(&dead) {
                    meeting.barrier.abort(w);
                }
                lived
            })
        });
        let victims = join(victims.collect());
        let died = deaths(&victims);
        let results: Vec<_> =
            join(others).into_iter().chain(victims.into_iter().flatten()).collect();
        assert!(results.iter().all(|r| r.is_ok() == results[0].is_ok()), "they all agree");
        let last = kernel.participant(0);
        if died > 0 {
            assert_eq!(meeting.wait(&last, None), Err(BarrierError::Broken));
            meeting.barrier.reset(&meeting.parties, &last);
        } else {
            assert!(results[0].is_ok());
        }
        assert!(!meeting.barrier.is_broken());
        died
    });
}
