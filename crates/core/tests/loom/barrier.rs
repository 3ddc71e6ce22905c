//! Models of the barrier.

use std::sync::Arc;

use antiphon_core::model::{Kernel, Model};
use antiphon_core::primitive::AtomicU32;
use antiphon_core::primitive::Ordering::Relaxed;
use antiphon_core::sync::barrier::{Arrival, BarrierError, RawBarrier};
use antiphon_core::wait::{Deadline, Wait};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_deaths_to, check_to};

struct Meeting {
    barrier: RawBarrier,
    size: u32,
    parties: Vec<AtomicU32>,
    /// Changed by the one who runs the action.
    value: Watched,
}

impl Meeting {
    fn new(size: u32, words: usize) -> Arc<Self> {
        Arc::new(Self {
            barrier: RawBarrier::new(),
            size,
            parties: (0..words).map(|_| AtomicU32::new(0)).collect(),
            value: Watched::new(0),
        })
    }

    /// Arrives; the last changes the value before it lets the others pass.
    fn wait<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<u32, BarrierError> {
        match self.barrier.arrive(self.size, &self.parties, w, deadline)? {
            Arrival::Passed(index) => Ok(index),
            Arrival::Last(token) => {
                let index = token.index();
                self.value.bump();
                self.barrier.finish(token, w).map(|()| index)
            }
        }
    }
}

/// Everybody passes each phase, after its action and with an index of its own.
fn meets<W: Wait + Send + 'static>(meeting: &Arc<Meeting>, parties: Vec<W>, phases: usize) {
    let count = parties.len() as u32;
    let threads: Vec<_> = parties
        .into_iter()
        .map(|w| {
            let meeting = meeting.clone();
            thread::spawn(move || {
                let mut indices = Vec::new();
                for phase in 1..=phases {
                    indices.push(meeting.wait(&w, None).unwrap());
                    if phase == phases {
                        assert_eq!(meeting.value.get(), phase);
                    }
                }
                indices
            })
        })
        .collect();
    let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for phase in 0..phases {
        let mut indices: Vec<_> = all.iter().map(|indices| indices[phase]).collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..count));
    }
    assert_eq!(meeting.barrier.waiting(), 0);
}

#[test]
fn two_threads_meet() {
    check_to(3, "barrier, two threads", 50, || {
        let kernel = Kernel::new();
        meets(&Meeting::new(2, 0), (1..3).map(|n| kernel.thread(n)).collect(), 1);
    });
}

#[test]
fn two_threads_meet_again() {
    check("barrier, two threads, two phases", 100, || {
        let kernel = Kernel::new();
        meets(&Meeting::new(2, 0), (1..3).map(|n| kernel.thread(n)).collect(), 2);
    });
}

#[test]
fn three_threads_meet() {
    check("barrier, three threads", 500, || {
        let kernel = Kernel::new();
        meets(&Meeting::new(3, 0), (1..4).map(|n| kernel.thread(n)).collect(), 1);
    });
}

#[test]
fn the_last_sees_what_came_before_every_arrival() {
    check_to(3, "barrier, what the others did", 50, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let others = Arc::new([Watched::new(0), Watched::new(0)]);
        let arrive = move |meeting: &Meeting, me: usize, w: &Model<true>| {
            others[me].bump();
            match meeting.barrier.arrive(2, &[], w, None).unwrap() {
                Arrival::Passed(_) => {}
                Arrival::Last(token) => {
                    assert_eq!(others[1 - me].get(), 1);
                    meeting.barrier.finish(token, w).unwrap();
                }
            }
        };
        let other = {
            let (arrive, meeting, w) = (arrive.clone(), meeting.clone(), kernel.thread(2));
            thread::spawn(move || arrive(&meeting, 1, &w))
        };
        arrive(&meeting, 0, &kernel.thread(1));
        other.join().unwrap();
    });
}

#[test]
fn two_participants_meet() {
    check_to(3, "barrier, two participants", 50, || {
        let kernel = Kernel::new();
        meets(&Meeting::new(2, 2), (0..2).map(|n| kernel.participant(n)).collect(), 1);
    });
}

#[test]
fn four_threads_use_a_barrier_of_two() {
    check_to(1, "barrier, more users than parties", 1000, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let threads: Vec<_> = (2..5)
            .map(|n| {
                let (meeting, w) = (meeting.clone(), kernel.thread(n));
                thread::spawn(move || meeting.wait(&w, None).unwrap())
            })
            .collect();
        let mut sum = meeting.wait(&kernel.thread(1), None).unwrap();
        for thread in threads {
            sum += thread.join().unwrap();
        }
        assert_eq!(sum, 2, "two phases, an index 0 and an index 1 in each");
        assert_eq!(meeting.value.get(), 2);
    });
}

#[test]
fn a_timeout_breaks_it_for_all() {
    check_to(3, "barrier, a timeout", 50, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(3, 0);
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.thread(2));
            thread::spawn(move || meeting.wait(&w, None))
        };
        let hasty = meeting.wait(&kernel.thread(1), Some(Deadline(0)));
        assert!(matches!(hasty, Err(BarrierError::TimedOut | BarrierError::Broken)));
        assert_eq!(other.join().unwrap(), Err(BarrierError::Broken));
        assert!(meeting.barrier.is_broken());
    });
}

#[test]
fn a_timeout_and_the_last_arrival_agree() {
    check_to(3, "barrier, a timeout against the last arrival", 50, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.thread(2));
            thread::spawn(move || meeting.wait(&w, None))
        };
        let hasty = meeting.wait(&kernel.thread(1), Some(Deadline(0)));
        let other = other.join().unwrap();
        assert_eq!(hasty.is_ok(), other.is_ok());
        assert_eq!(hasty.is_err(), meeting.barrier.is_broken());
    });
}

#[test]
fn an_abort_reaches_those_who_wait_and_those_who_come() {
    check_to(3, "barrier, an abort", 30, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.thread(2));
            thread::spawn(move || meeting.wait(&w, None))
        };
        meeting.barrier.abort(&kernel.thread(1));
        assert_eq!(other.join().unwrap(), Err(BarrierError::Broken));
        assert_eq!(meeting.wait(&kernel.thread(1), None), Err(BarrierError::Broken));
    });
}

#[test]
fn a_failed_action_breaks_it() {
    check_to(3, "barrier, a failed action", 30, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let wait =
            |meeting: &Meeting, w: &Model<true>| match meeting.barrier.arrive(2, &[], w, None) {
                Ok(Arrival::Last(token)) => {
                    meeting.barrier.fail(token, w);
                    true
                }
                result => {
                    assert_eq!(result, Err(BarrierError::Broken));
                    false
                }
            };
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.thread(2));
            thread::spawn(move || wait(&meeting, &w))
        };
        let last = wait(&meeting, &kernel.thread(1));
        assert!(last != other.join().unwrap());
        assert!(meeting.barrier.is_broken());
    });
}

#[test]
fn a_reset_tells_those_who_wait_and_nobody_else() {
    check("barrier, a reset", 100, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.thread(2));
            thread::spawn(move || meeting.wait(&w, None))
        };
        let w = kernel.thread(1);
        let first = meeting.wait(&w, None);
        // Whoever has not left the first phase yet has passed it all the same.
        meeting.barrier.abort(&w);
        meeting.barrier.reset(&[], &w);
        assert!(first.is_ok() && other.join().unwrap().is_ok());
        assert!(!meeting.barrier.is_broken());
    });
}

#[test]
fn a_reset_frees_a_waiter() {
    check("barrier, a reset beside a waiter", 50, || {
        let kernel = Kernel::new();
        let meeting = Meeting::new(2, 0);
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.thread(2));
            thread::spawn(move || {
                let first = meeting.wait(&w, None);
                if first.is_err() { (false, meeting.wait(&w, None)) } else { (true, first) }
            })
        };
        let w = kernel.thread(1);
        meeting.barrier.reset(&[], &w);
        let mine = meeting.wait(&w, None);
        let (at_once, other) = other.join().unwrap();
        assert!(mine.is_ok() && other.is_ok(), "{at_once}");
        assert_eq!(meeting.value.get(), 1);
    });
}

/// The victim meets two others and dies at `step`: they pass together or learn together that nobody does, and whoever
/// comes later learns it.
fn survives(step: u32, others: u32) -> bool {
    let kernel = Kernel::mortal();
    let meeting = Meeting::new(others + 1, 3);
    let others: Vec<_> = (1..=others)
        .map(|index| {
            let (meeting, w) = (meeting.clone(), kernel.participant(index));
            thread::spawn(move || meeting.wait(&w, None))
        })
        .collect();
    let w = kernel.participant(0);
    // A party that is never known is never missed, so it is known from the start.
    let lived = kernel.victim(w.me(), step, || meeting.wait(&w, None));
    if lived.is_none() && !meeting.is_known(&w) {
        meeting.barrier.abort(&kernel.participant(1));
    }
    let results: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
    if lived.is_some() {
        assert!(lived.unwrap().is_ok() && results.iter().all(Result::is_ok));
    } else {
        assert!(results.iter().all(|r| r.is_ok() == results[0].is_ok()), "all the same");
        let next = meeting.wait(&kernel.participant(1), None);
        assert_eq!(next, Err(BarrierError::Broken));
        meeting.barrier.reset(&meeting.parties, &kernel.participant(1));
        assert!(!meeting.barrier.is_broken());
        assert!(!meeting.is_known(&w));
    }
    lived.is_none()
}

impl Meeting {
    fn is_known<W: Wait>(&self, w: &W) -> bool {
        let index = w.me().get() as usize & 1023;
        self.parties[index].load(Relaxed) != 0
    }
}

#[test]
fn a_death_breaks_it_for_one() {
    check_deaths("barrier, a death beside one party", 500, |step| survives(step, 1));
}

#[test]
fn a_death_breaks_it_for_two() {
    check_deaths_to(0, "barrier, a death beside two parties", 200, |step| survives(step, 2));
}

#[test]
fn a_death_of_a_breaker_is_recovered() {
    check_deaths("barrier, a death of the one who breaks it", 500, |step| {
        let kernel = Kernel::mortal();
        let meeting = Meeting::new(3, 4);
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.participant(1));
            thread::spawn(move || meeting.wait(&w, None))
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || meeting.barrier.abort(&w));
        if lived.is_none() && !meeting.barrier.is_broken() {
            // Dead before the commit: nothing happened.
            meeting.barrier.abort(&kernel.participant(2));
        }
        assert_eq!(other.join().unwrap(), Err(BarrierError::Broken));
        lived.is_none()
    });
}

#[test]
fn who_leaves_is_not_missed() {
    check("barrier, a party leaves", 50, || {
        let kernel = Kernel::mortal();
        let meeting = Meeting::new(2, 3);
        let gone = {
            let (meeting, kernel, w) = (meeting.clone(), kernel.clone(), kernel.participant(2));
            thread::spawn(move || {
                let passed = meeting.wait(&w, None);
                meeting.barrier.leave(&meeting.parties, &w);
                kernel.declare_gone(w.me());
                passed
            })
        };
        let w = kernel.participant(1);
        assert!(meeting.wait(&w, None).is_ok());
        assert!(gone.join().unwrap().is_ok());
        let other = {
            let (meeting, w) = (meeting.clone(), kernel.participant(0));
            thread::spawn(move || meeting.wait(&w, None))
        };
        assert!(meeting.wait(&w, None).is_ok());
        assert!(other.join().unwrap().is_ok());
    });
}

#[test]
fn a_place_used_again_tells_of_the_death() {
    check("barrier, a place used again", 1, || {
        let kernel = Kernel::mortal();
        let meeting = Meeting::new(1, 1);
        let old = kernel.participant_of(0, 1);
        assert_eq!(meeting.wait(&old, None), Ok(0));
        kernel.declare_gone(old.me());
        let new = kernel.participant_of(0, 2);
        assert_eq!(meeting.wait(&new, None), Err(BarrierError::Broken));
        meeting.barrier.reset(&meeting.parties, &new);
        assert_eq!(meeting.wait(&new, None), Ok(0));
        meeting.barrier.leave(&meeting.parties, &new);
        kernel.declare_gone(new.me());
        assert_eq!(meeting.wait(&kernel.participant_of(0, 3), None), Ok(0));
    });
}

#[test]
fn a_late_look_does_not_unname_a_party() {
    // Two threads of a participant: one looks, is overtaken by a reset, and must not take the other's name away.
    check("barrier, two threads of a party and a reset", 500, || {
        let kernel = Kernel::mortal();
        let meeting = Meeting::new(3, 2);
        let late = {
            let (meeting, w) = (meeting.clone(), kernel.participant(0));
            thread::spawn(move || meeting.wait(&w, Some(Deadline(0))))
        };
        let w = kernel.participant(0);
        meeting.barrier.reset(&meeting.parties, &w);
        let _ = meeting.wait(&w, Some(Deadline(0)));
        let _ = late.join().unwrap();
        // The two top bits are the era.
        assert_eq!(meeting.parties[0].load(Relaxed) >> 30, 1, "it has arrived in this era");
    });
}
