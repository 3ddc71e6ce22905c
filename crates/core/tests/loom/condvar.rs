//! Models of the condition variable, with the mutex that it needs.

use std::sync::Arc;

use antiphon_core::model::{Kernel, Model};
use antiphon_core::primitive::{AtomicU32, Ordering::Relaxed};
use antiphon_core::sync::condvar::RawCondvar;
use antiphon_core::sync::mutex::RawMutex;
use antiphon_core::wait::{Deadline, Wait, Wake};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Shared {
    mutex: RawMutex,
    condvar: RawCondvar,
    /// Was ever a token laid down? How many are there, how many were there ever? All guarded by the mutex.
    tokens: Watched,
    left: AtomicU32,
    given: AtomicU32,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            mutex: RawMutex::new(),
            condvar: RawCondvar::new(),
            tokens: Watched::new(0),
            left: AtomicU32::new(0),
            given: AtomicU32::new(0),
        })
    }

    /// Waits for a token and takes it.
    fn take<W: Wait>(&self, w: &W) {
        let _ = self.mutex.lock(w, None).unwrap();
        while self.left.load(Relaxed) == 0 {
            let ticket = self.condvar.prepare(w);
            self.mutex.unlock(w, 0);
            let _ = self.condvar.wait(ticket, w, None);
            let _ = self.mutex.lock(w, None).unwrap();
        }
        assert!(self.tokens.get() > 0);
        self.left.fetch_sub(1, Relaxed);
        self.mutex.unlock(w, 0);
    }

    /// Lays `n` tokens down.
    fn give<W: Wait>(&self, n: u32, w: &W) {
        let _ = self.mutex.lock(w, None).unwrap();
        self.tokens.bump();
        self.left.fetch_add(n, Relaxed);
        self.given.fetch_add(n, Relaxed);
        self.mutex.unlock(w, 0);
    }
}

#[test]
fn one_notification_ends_one_wait() {
    check_to(3, "condvar, one waits", 150, || {
        let kernel = Kernel::new();
        let shared = Shared::new();
        let waiter = {
            let (shared, w) = (shared.clone(), kernel.thread(1));
            thread::spawn(move || shared.take(&w))
        };
        let w = kernel.thread(2);
        shared.give(1, &w);
        shared.condvar.notify(1, &w);
        waiter.join().unwrap();
    });
}

/// Two wait for a token each; `give` lays two down and notifies.
fn two_wait(give: fn(&Shared, &Model<true>)) {
    let kernel = Kernel::new();
    let shared = Shared::new();
    let waiters = [1, 2].map(|n| {
        let (shared, w) = (shared.clone(), kernel.thread(n));
        thread::spawn(move || shared.take(&w))
    });
    give(&shared, &kernel.thread(3));
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(shared.left.load(Relaxed), 0);
}

#[test]
fn two_notifications_end_two_waits() {
    check("condvar, two wait for one each", 3000, || {
        two_wait(|shared, w| {
            for _ in 0..2 {
                shared.give(1, w);
                shared.condvar.notify(1, w);
            }
        });
    });
}

#[test]
fn one_notification_of_two_ends_two_waits() {
    check("condvar, two wait for notify(2)", 800, || {
        two_wait(|shared, w| {
            shared.give(2, w);
            shared.condvar.notify(2, w);
        });
    });
}

#[test]
fn all_are_notified() {
    check("condvar, two wait for notify_all", 900, || {
        two_wait(|shared, w| {
            shared.give(2, w);
            shared.condvar.notify_all(w);
        });
    });
}

#[test]
fn a_wait_times_out() {
    check("condvar, timeout", 1, || {
        let kernel = Kernel::new();
        let w = kernel.thread(1);
        let condvar = RawCondvar::new();
        let ticket = condvar.prepare(&w);
        assert_eq!(condvar.wait(ticket, &w, Some(Deadline(0))), Wake::TimedOut);
        condvar.notify(1, &w);
        assert_eq!(condvar.wait(ticket, &w, Some(Deadline(0))), Wake::Woken);
    });
}

/// One notification for two waiters, of whom one dies at any step: the other must not sleep for ever beside the token.
#[test]
fn a_dead_waiter_swallows_no_notification() {
    check_deaths("condvar, death of a waiter", 45_000, |step| {
        let kernel = Kernel::mortal();
        let shared = Shared::new();
        let victim = {
            let (kernel, shared, w) = (kernel.clone(), shared.clone(), kernel.participant(0));
            thread::spawn(move || kernel.victim(w.me(), step, || shared.take(&w)).is_none())
        };
        let survivor = {
            let (shared, w) = (shared.clone(), kernel.participant(1));
            thread::spawn(move || shared.take(&w))
        };
        let w = kernel.participant(2);
        // One for each, so that both end if the victim lives; notified one by one.
        for _ in 0..2 {
            shared.give(1, &w);
            shared.condvar.notify(1, &w);
        }
        survivor.join().unwrap();
        victim.join().unwrap()
    });
}

/// Whether a token was laid down, asked by somebody alive.
fn laid(shared: &Shared, kernel: &Kernel) -> bool {
    let w = kernel.participant(2);
    let _ = shared.mutex.lock(&w, None).unwrap();
    let laid = shared.given.load(Relaxed) > 0;
    shared.mutex.unlock(&w, 0);
    laid
}

/// The notifier dies between laying the token down and the wake. Whoever declares it gone wakes the waiter.
#[test]
fn a_dead_notifier_leaves_nobody_asleep() {
    check_deaths("condvar, death of the notifier", 2500, |step| {
        let kernel = Kernel::mortal();
        let shared = Shared::new();
        let waiter = {
            let (shared, w) = (shared.clone(), kernel.participant(1));
            thread::spawn(move || shared.take(&w))
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || {
            shared.give(1, &w);
            shared.condvar.notify(1, &w);
        });
        if lived.is_none() {
            // Perhaps it died before it laid the token down. One too many does no harm, and without this notification the
            // waiter of a token that is there would have to be woken by the death alone.
            if laid(&shared, &kernel) {
                waiter.join().unwrap();
                return true;
            }
            let w = kernel.participant(2);
            shared.give(1, &w);
            shared.condvar.notify(1, &w);
        }
        waiter.join().unwrap();
        lived.is_none()
    });
}
