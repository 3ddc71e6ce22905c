//! Walks around the condition variable, with the mutex that it needs.

use std::sync::Arc;

use antiphon_core::primitive::{AtomicU32, Ordering::Relaxed};
use antiphon_core::sync::condvar::RawCondvar;
use antiphon_core::sync::mutex::RawMutex;
use antiphon_core::wait::Wait;

use crate::harness::{deaths, join, party, victim, walk, walk_deaths};

/// A place for a few tokens.
#[derive(Default)]
struct Table {
    mutex: RawMutex,
    laid: RawCondvar,
    taken: RawCondvar,
    /// Guarded by the mutex.
    tokens: AtomicU32,
}

impl Table {
    fn wait<W: Wait>(&self, condvar: &RawCondvar, w: &W) {
        let ticket = condvar.prepare(w);
        self.mutex.unlock(w, 0);
        let _ = condvar.wait(ticket, w, None);
        let _ = self.mutex.lock(w, None).unwrap();
    }

    /// Takes a token, once there is one.
    fn take<W: Wait>(&self, w: &W) {
        let _ = self.mutex.lock(w, None).unwrap();
        while self.tokens.load(Relaxed) == 0 {
            self.wait(&self.laid, w);
        }
        self.tokens.fetch_sub(1, Relaxed);
        self.mutex.unlock(w, 0);
        self.taken.notify(1, w);
    }

    /// Lays a token down, once there are fewer than `most`.
    fn lay<W: Wait>(&self, most: u32, w: &W) {
        let _ = self.mutex.lock(w, None).unwrap();
        while self.tokens.load(Relaxed) >= most {
            self.wait(&self.taken, w);
        }
        self.tokens.fetch_add(1, Relaxed);
        self.mutex.unlock(w, 0);
        self.laid.notify(1, w);
    }
}

#[test]
fn tokens_pass_a_small_table() {
    walk("condvar, three lay down and three take", |kernel| {
        let table = Arc::new(Table::default());
        let mut parties: Vec<_> = (1..4)
            .map(|n| party(&table, kernel.thread(n), |t, w| (0..2).for_each(|_| t.lay(1, w))))
            .collect();
        parties.extend(
            (4..7).map(|n| party(&table, kernel.thread(n), |t, w| (0..2).for_each(|_| t.take(w)))),
        );
        join(parties);
        assert_eq!(table.tokens.load(Relaxed), 0);
    });
}

#[test]
fn all_are_notified() {
    walk("condvar, five wait for one notification of all", |kernel| {
        let table = Arc::new(Table::default());
        let parties = (1..6).map(|n| party(&table, kernel.thread(n), Table::take)).collect();
        let w = kernel.thread(7);
        let _ = table.mutex.lock(&w, None).unwrap();
        table.tokens.store(5, Relaxed);
        table.mutex.unlock(&w, 0);
        table.laid.notify_all(&w);
        join(parties);
    });
}

#[test]
fn deaths_swallow_no_notification() {
    walk_deaths("condvar, two who wait and two who notify die", |kernel| {
        let table = Arc::new(Table::default());
        let lay = |table: &Table, w: &_| table.lay(u32::MAX, w);
        let survivors: Vec<_> =
            (0..2).map(|n| party(&table, kernel.participant(n), Table::take)).collect();
        let takers = (2..4)
            .map(|n| victim(&table, kernel, kernel.participant(n), 40, Table::take))
            .collect::<Vec<_>>();
        let givers =
            (4..6).map(|n| victim(&table, kernel, kernel.participant(n), 20, lay)).collect();
        let w = kernel.participant(7);
        let died = deaths(&join(givers));
        // With what the givers may have left there is enough for all.
        (0..2 + died).for_each(|_| lay(&table, &w));
        join(survivors);
        died + deaths(&join(takers))
    });
}
