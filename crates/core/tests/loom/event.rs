//! Models of the event.

use std::cell::Cell;
use std::sync::Arc;

use antiphon_core::model::{Kernel, Model};
use antiphon_core::owner::Owner;
use antiphon_core::primitive::Ordering::Relaxed;
use antiphon_core::sync::event::RawEvent;
use antiphon_core::wait::{Deadline, Wait, WaitError, Wake, Word};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Signpost {
    event: RawEvent,
    value: Watched,
}

impl Signpost {
    fn new() -> Arc<Self> {
        Arc::new(Self { event: RawEvent::new(), value: Watched::new(0) })
    }
}

/// Waiters are released by a setting, and see what came before it. `clear` follows at once.
fn releases(waiters: u32, clear: bool) {
    let kernel = Kernel::new();
    let signpost = Signpost::new();
    let waiters: Vec<_> = (2..2 + waiters)
        .map(|n| {
            let (signpost, w) = (signpost.clone(), kernel.thread(n));
            thread::spawn(move || {
                // When all is over before it begins, nothing may come to release it.
                let deadline = if clear { Some(Deadline(0)) } else { None };
                if signpost.event.wait(&w, deadline).is_ok() {
                    assert_eq!(signpost.value.get(), 1);
                }
            })
        })
        .collect();
    signpost.value.bump();
    signpost.event.set(&kernel.thread(1));
    if clear {
        signpost.event.clear();
    }
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(signpost.event.is_set(), !clear);
}

#[test]
fn a_setting_releases_a_waiter() {
    check_to(3, "event, one waiter", 20, || releases(1, false));
}

#[test]
fn a_setting_releases_all_waiters() {
    check_to(3, "event, two waiters", 500, || releases(2, false));
}

#[test]
fn what_was_set_and_cleared_publishes() {
    check_to(3, "event, set and cleared", 50, || releases(2, true));
}

#[test]
fn a_clear_after_a_setting_holds_nobody_back() {
    check_to(3, "event, a sleeper, set and cleared", 20, || {
        let kernel = Kernel::new();
        let signpost = Signpost::new();
        let ready = Arc::new(RawEvent::new());
        let waiter = {
            let (signpost, ready, w) = (signpost.clone(), ready.clone(), kernel.thread(2));
            thread::spawn(move || {
                ready.wait(&w, None).unwrap();
                signpost.event.wait(&w, None).unwrap();
            })
        };
        let w = kernel.thread(1);
        // The first look is between the two settings or after them; it is never before and lost.
        signpost.event.set(&w);
        signpost.event.clear();
        ready.set(&w);
        signpost.event.set(&w);
        waiter.join().unwrap();
    });
}

#[test]
fn a_clear_forgets_no_sleeper() {
    check_to(3, "event, cleared beside a waiter", 20, || {
        let kernel = Kernel::new();
        let signpost = Signpost::new();
        let waiter = {
            let (signpost, w) = (signpost.clone(), kernel.thread(2));
            thread::spawn(move || signpost.event.wait(&w, None).unwrap())
        };
        signpost.event.clear();
        signpost.event.set(&kernel.thread(1));
        waiter.join().unwrap();
    });
}

/// Instead of sleeping, it sees the event set and cleared at once.
struct Dozing<'a> {
    awake: Model<true>,
    event: &'a RawEvent,
    slept: Cell<bool>,
}

impl Wait for Dozing<'_> {
    const OWNER_IS_THREAD: bool = true;

    fn me(&self) -> Owner {
        self.awake.me()
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.awake.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.awake.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, _: u32, _: Option<Deadline>) -> Wake {
        assert!(!self.slept.replace(true), "asleep again after a setting");
        assert_eq!(word.load(Relaxed), expected);
        self.event.set(&self.awake);
        self.event.clear();
        Wake::Woken
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.awake.wake(word, count);
    }

    fn spin(&self, _: u32) -> bool {
        false
    }
}

#[test]
fn a_sleeper_is_released_by_what_is_over_when_it_wakes() {
    check("event, set and cleared in its sleep", 1, || {
        let event = RawEvent::new();
        let w = Dozing { awake: Kernel::new().thread(1), event: &event, slept: Cell::new(false) };
        assert_eq!(event.wait(&w, None), Ok(()));
        assert!(!event.is_set());
        assert_eq!(event.wait(&w.awake, Some(Deadline(0))), Err(WaitError::TimedOut));
    });
}

#[test]
fn each_setting_publishes() {
    check_to(3, "event, two setters", 100, || {
        let kernel = Kernel::new();
        let signpost = Signpost::new();
        let second = Arc::new(RawEvent::new());
        let setter = {
            let (signpost, second, w) = (signpost.clone(), second.clone(), kernel.thread(2));
            thread::spawn(move || {
                signpost.value.bump();
                signpost.event.set(&w);
                second.set(&w);
            })
        };
        let w = kernel.thread(1);
        signpost.event.set(&w);
        second.wait(&w, None).unwrap();
        // Found set already, and yet it publishes what its caller knows.
        let reader = {
            let (signpost, w) = (signpost.clone(), kernel.thread(3));
            thread::spawn(move || {
                signpost.event.wait(&w, None).unwrap();
            })
        };
        reader.join().unwrap();
        assert_eq!(signpost.value.get(), 1);
        setter.join().unwrap();
    });
}

#[test]
fn a_timeout_takes_nothing() {
    check("event, timeout among sleepers", 100, || {
        let kernel = Kernel::new();
        let signpost = Signpost::new();
        let hasty = {
            let (signpost, w) = (signpost.clone(), kernel.thread(2));
            thread::spawn(move || {
                if let Err(error) = signpost.event.wait(&w, Some(Deadline(0))) {
                    assert_eq!(error, WaitError::TimedOut);
                }
            })
        };
        let patient = {
            let (signpost, w) = (signpost.clone(), kernel.thread(3));
            thread::spawn(move || signpost.event.wait(&w, None).unwrap())
        };
        signpost.event.set(&kernel.thread(1));
        hasty.join().unwrap();
        patient.join().unwrap();
    });
}

#[test]
fn a_dead_waiter_costs_the_others_nothing() {
    check_deaths("event, a death beside a waiter", 200, |step| {
        let kernel = Kernel::mortal();
        let signpost = Signpost::new();
        let waiter = {
            let (signpost, w) = (signpost.clone(), kernel.participant(1));
            thread::spawn(move || signpost.event.wait(&w, None).unwrap())
        };
        let setter = {
            let (signpost, w) = (signpost.clone(), kernel.participant(2));
            thread::spawn(move || signpost.event.set(&w))
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || signpost.event.wait(&w, None).unwrap());
        waiter.join().unwrap();
        setter.join().unwrap();
        lived.is_none()
    });
}

#[test]
fn a_setter_that_dies_has_set_or_not() {
    check_deaths("event, a death of the setter", 100, |step| {
        let kernel = Kernel::mortal();
        let signpost = Signpost::new();
        let waiter = {
            let (signpost, w) = (signpost.clone(), kernel.participant(1));
            thread::spawn(move || signpost.event.wait(&w, None).unwrap())
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || signpost.event.set(&w));
        // Dead before the commit: somebody else must set it. Dead after it: the waiter is free.
        if !signpost.event.is_set() {
            assert!(lived.is_none());
            signpost.event.set(&kernel.participant(2));
        }
        waiter.join().unwrap();
        lived.is_none()
    });
}
