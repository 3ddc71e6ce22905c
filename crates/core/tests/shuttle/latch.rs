//! Walks around the latch.

use std::sync::Arc;

use antiphon_core::sync::latch::RawLatch;
use antiphon_core::wait::Wait;

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

struct Gate {
    latch: RawLatch,
    before: [Watched; 3],
}

impl Gate {
    fn new(count: u32) -> Arc<Self> {
        Arc::new(Self { latch: RawLatch::new(count), before: Default::default() })
    }

    fn pass<W: Wait>(&self, w: &W) {
        self.latch.wait(w, None).unwrap();
    }
}

#[test]
fn what_was_counted_is_seen_by_all_who_pass() {
    walk("latch, three count down and three wait", |kernel| {
        let gate = Gate::new(6);
        let waiters = (1..4)
            .map(|n| {
                party(&gate, kernel.thread(n), |gate, w| {
                    gate.pass(w);
                    assert_eq!(gate.before.each_ref().map(Watched::get), [2; 3]);
                })
            })
            .collect();
        let workers = (0..3).map(|n| {
            party(&gate, kernel.thread(4 + n), move |gate, w| {
                for _ in 0..2 {
                    gate.before[n as usize].bump();
                    gate.latch.count_down(1, w);
                }
            })
        });
        join(workers.collect());
        join(waiters);
        assert_eq!(gate.latch.count(), 0);
    });
}

#[test]
fn deaths_leave_nobody_asleep() {
    walk_deaths("latch, two who wait and two who count die", |kernel| {
        let gate = Gate::new(3);
        let survivors: Vec<_> =
            (0..2).map(|n| party(&gate, kernel.participant(n), Gate::pass)).collect();
        let waiters = (2..4)
            .map(|n| victim(&gate, kernel, kernel.participant(n), 12, Gate::pass))
            .collect::<Vec<_>>();
        let workers = (4..6)
            .map(|n| {
                victim(&gate, kernel, kernel.participant(n), 8, |gate, w| {
                    gate.latch.count_down(1, w);
                })
            })
            .collect();
        let workers = deaths(&join(workers));
        let left = gate.latch.count();
        assert!((1..=1 + workers).contains(&left), "{left} are left");
        gate.latch.count_down(left, &kernel.participant(7));
        join(survivors);
        workers + deaths(&join(waiters))
    });
}
