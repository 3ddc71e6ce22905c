//! Models of the wait group.

use std::sync::Arc;

use antiphon_core::model::Kernel;
use antiphon_core::primitive::AtomicU64;
use antiphon_core::sync::RawWaitGroup;
use antiphon_core::wait::{Deadline, Wait, WaitError};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Crowd {
    group: RawWaitGroup,
    shares: Vec<AtomicU64>,
    values: Vec<Watched>,
}

impl Crowd {
    fn new(words: usize) -> Arc<Self> {
        Arc::new(Self {
            group: RawWaitGroup::new(),
            shares: (0..words).map(|_| AtomicU64::new(0)).collect(),
            values: (0..2).map(|_| Watched::new(0)).collect(),
        })
    }

    fn enter<W: Wait>(&self, w: &W) {
        assert!(self.group.enter(&self.shares, 1, w));
    }

    /// Works, and goes.
    fn leave<W: Wait>(&self, value: usize, w: &W) {
        self.values[value].bump();
        self.group.leave(&self.shares, 1, w);
    }

    fn wait<W: Wait>(&self, w: &W) {
        self.group.wait(&self.shares, w, None).unwrap();
    }
}

#[test]
fn a_wait_ends_when_all_have_gone() {
    check("wait group, two threads and a waiter", 500, || {
        let kernel = Kernel::new();
        let crowd = Crowd::new(1);
        let w = kernel.thread(1);
        crowd.enter(&w);
        crowd.enter(&w);
        let others = [0, 1].map(|n| {
            let (crowd, w) = (crowd.clone(), kernel.thread(2 + n as u32));
            thread::spawn(move || crowd.leave(n, &w))
        });
        crowd.wait(&w);
        assert_eq!((crowd.values[0].get(), crowd.values[1].get()), (1, 1));
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn two_wait_for_one() {
    check("wait group, two waiters", 300, || {
        let kernel = Kernel::new();
        let crowd = Crowd::new(1);
        let w = kernel.thread(1);
        crowd.enter(&w);
        let others = [2, 3].map(|n| {
            let (crowd, w) = (crowd.clone(), kernel.thread(n));
            thread::spawn(move || {
                crowd.wait(&w);
                assert_eq!(crowd.values[0].get(), 1);
            })
        });
        crowd.leave(0, &w);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// The share goes from the participant whose word is looked at last to the one whose word is looked at first.
#[test]
fn a_share_that_is_handed_over_is_not_overlooked() {
    check_to(3, "wait group, handed over", 300, || {
        let kernel = Kernel::new();
        let crowd = Crowd::new(2);
        let (first, last) = (kernel.participant(0), kernel.participant(1));
        crowd.enter(&last);
        let other = {
            let crowd = crowd.clone();
            thread::spawn(move || {
                crowd.enter(&first);
                crowd.leave(0, &last);
                crowd.leave(1, &first);
            })
        };
        crowd.wait(&kernel.participant(2));
        assert_eq!((crowd.values[0].get(), crowd.values[1].get()), (1, 1));
        other.join().unwrap();
    });
}

#[test]
fn a_deadline_ends_a_wait_and_a_group_begins_empty() {
    check("wait group, deadline", 1, || {
        let kernel = Kernel::new();
        let crowd = Crowd::new(1);
        let w = kernel.thread(1);
        crowd.wait(&w);
        assert!(!crowd.group.has_begun());
        crowd.enter(&w);
        assert!(crowd.group.has_begun());
        let hasty = crowd.group.wait(&crowd.shares, &w, Some(Deadline(0)));
        assert_eq!(hasty, Err(WaitError::TimedOut));
        assert!(!crowd.group.enter(&crowd.shares, u32::MAX, &w));
        assert_eq!(crowd.group.shares(&crowd.shares), 1);
    });
}

#[test]
fn the_dead_are_not_waited_for() {
    check_deaths("wait group, death beside a waiter", 300, |step| {
        let kernel = Kernel::mortal();
        let crowd = Crowd::new(2);
        let waiter = {
            let (crowd, w) = (crowd.clone(), kernel.participant(1));
            crowd.enter(&w);
            thread::spawn(move || {
                crowd.leave(0, &w);
                crowd.wait(&w);
            })
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || {
            crowd.enter(&w);
            crowd.leave(1, &w);
        });
        waiter.join().unwrap();
        // Its successor in the same place begins with nothing.
        let next = kernel.participant_of(0, 2);
        if lived.is_none() {
            crowd.enter(&next);
            assert_eq!(RawWaitGroup::peek(&crowd.shares[0], next.me()), 1);
            assert!(!crowd.group.is_empty(&crowd.shares, &next));
            crowd.group.leave(&crowd.shares, 1, &next);
        }
        crowd.wait(&next);
        lived.is_none()
    });
}
