//! Models of the latch.

use std::sync::Arc;

use antiphon_core::model::Kernel;
use antiphon_core::sync::latch::RawLatch;
use antiphon_core::wait::{Deadline, Wait, WaitError};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Gate {
    latch: RawLatch,
    before: [Watched; 2],
}

impl Gate {
    fn new(count: u32) -> Arc<Self> {
        let before = [Watched::new(0), Watched::new(0)];
        Arc::new(Self { latch: RawLatch::new(count), before })
    }

    fn work<W: Wait>(&self, n: usize, w: &W) {
        self.before[n].bump();
        self.latch.count_down(1, w);
    }

    fn pass<W: Wait>(&self, w: &W) {
        self.latch.wait(w, None).unwrap();
        assert_eq!(self.before.each_ref().map(Watched::get), [1, 1]);
    }
}

#[test]
fn what_was_counted_is_seen_by_those_who_pass() {
    check_to(3, "latch, two count down, one waits", 15_000, || {
        let kernel = Kernel::new();
        let gate = Gate::new(2);
        let workers = [0, 1].map(|n| {
            let (gate, w) = (gate.clone(), kernel.thread(n as u32 + 1));
            thread::spawn(move || gate.work(n, &w))
        });
        gate.pass(&kernel.thread(3));
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn all_who_wait_pass() {
    check("latch, one counts down, two wait", 15_000, || {
        let kernel = Kernel::new();
        let gate = Gate::new(2);
        let waiters = [1, 2].map(|n| {
            let (gate, w) = (gate.clone(), kernel.thread(n));
            thread::spawn(move || gate.pass(&w))
        });
        let w = kernel.thread(3);
        gate.work(0, &w);
        gate.work(1, &w);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn it_counts() {
    check("latch, alone", 1, || {
        let kernel = Kernel::new();
        let w = kernel.thread(1);
        let latch = RawLatch::new(3);
        assert_eq!(latch.wait(&w, Some(Deadline(0))), Err(WaitError::TimedOut));
        assert_eq!((latch.count_down(2, &w), latch.count()), (3, 1));
        assert_eq!((latch.count_down(5, &w), latch.count()), (1, 0));
        assert_eq!((latch.count_down(1, &w), latch.count()), (0, 0));
        assert_eq!(latch.wait(&w, None), Ok(()));
    });
}

/// Whoever counts the last one may die before it wakes the others, and one of those who wait may die as well.
#[test]
fn deaths_leave_nobody_asleep() {
    check_deaths("latch, death of the last to count", 300, |step| {
        let kernel = Kernel::mortal();
        let gate = Gate::new(1);
        let waiter = {
            let (gate, w) = (gate.clone(), kernel.participant(1));
            thread::spawn(move || gate.latch.wait(&w, None).unwrap())
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || gate.latch.count_down(1, &w));
        if lived.is_none() {
            gate.latch.count_down(1, &kernel.participant(2));
        }
        waiter.join().unwrap();
        lived.is_none()
    });
    check_deaths("latch, death of one who waits", 18_000, |step| {
        let kernel = Kernel::mortal();
        let gate = Gate::new(1);
        let waiter = {
            let (gate, w) = (gate.clone(), kernel.participant(1));
            thread::spawn(move || gate.latch.wait(&w, None).unwrap())
        };
        let victim = {
            let (kernel, gate, w) = (kernel.clone(), gate.clone(), kernel.participant(0));
            thread::spawn(move || {
                kernel.victim(w.me(), step, || gate.latch.wait(&w, None).unwrap()).is_none()
            })
        };
        gate.latch.count_down(1, &kernel.participant(2));
        waiter.join().unwrap();
        victim.join().unwrap()
    });
}
