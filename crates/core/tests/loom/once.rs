//! Models of the once.

use std::sync::Arc;

use antiphon_core::model::Kernel;
use antiphon_core::sync::once::{RawOnce, Turn};
use antiphon_core::wait::{Deadline, Wait, WaitError};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Lazy {
    once: RawOnce,
    value: Watched,
}

impl Lazy {
    fn new() -> Arc<Self> {
        Arc::new(Self { once: RawOnce::new(), value: Watched::new(0) })
    }

    /// Does it, unless it has been done. Whether it was done here.
    fn get<W: Wait>(&self, w: &W) -> bool {
        let mine = self.once.begin(w, None).unwrap() != Turn::Done;
        if mine {
            self.value.bump();
            self.once.finish(w);
        }
        assert!(self.value.get() >= 1);
        mine
    }
}

fn done_once(threads: u32) {
    let kernel = Kernel::new();
    let lazy = Lazy::new();
    let others: Vec<_> = (2..=threads)
        .map(|n| {
            let (lazy, w) = (lazy.clone(), kernel.thread(n));
            thread::spawn(move || lazy.get(&w))
        })
        .collect();
    let mut done = usize::from(lazy.get(&kernel.thread(1)));
    for other in others {
        done += usize::from(other.join().unwrap());
    }
    assert_eq!((done, lazy.value.get()), (1, 1));
}

#[test]
fn two_do_it_once() {
    check_to(3, "once, two threads", 400, || done_once(2));
}

#[test]
fn three_do_it_once() {
    check("once, three threads", 9000, || done_once(3));
}

#[test]
fn who_gives_up_lets_the_next() {
    check("once, giving up", 25_000, || {
        let kernel = Kernel::new();
        let lazy = Lazy::new();
        let others = [1, 2].map(|n| {
            let (lazy, w) = (lazy.clone(), kernel.thread(n));
            thread::spawn(move || lazy.get(&w))
        });
        let w = kernel.thread(3);
        if lazy.once.begin(&w, None).unwrap() != Turn::Done {
            lazy.once.give_up(&w);
        }
        let done = others.map(|other| usize::from(other.join().unwrap()));
        assert_eq!((done[0] + done[1], lazy.value.get()), (1, 1));
    });
}

#[test]
fn doing_it_within_itself_is_an_error() {
    check("once, within itself", 1, || {
        let kernel = Kernel::new();
        let once = RawOnce::new();
        let w = kernel.thread(1);
        assert_eq!(once.begin(&w, None), Ok(Turn::Yours(None)));
        assert_eq!(once.begin(&w, None), Err(WaitError::WouldDeadlock));
        let hasty = once.begin(&kernel.thread(2), Some(Deadline(0)));
        assert_eq!(hasty, Err(WaitError::TimedOut));
        assert_eq!(once.owner(), Some(w.me()));
        once.finish(&w);
        assert!(once.is_done());
        assert_eq!(once.begin(&w, None), Ok(Turn::Done));
    });
}

#[test]
fn who_tries_does_it_once_or_finds_another_at_it() {
    check_to(3, "once, tried", 100, || {
        let kernel = Kernel::new();
        let lazy = Lazy::new();
        let tries = |lazy: &Lazy, w| match lazy.once.try_begin(&w) {
            None => 0,
            Some(Turn::Done) => {
                assert_eq!(lazy.value.get(), 1);
                0
            }
            Some(Turn::Yours(_)) => {
                lazy.value.bump();
                lazy.once.finish(&w);
                1
            }
        };
        let other = {
            let (lazy, w) = (lazy.clone(), kernel.thread(2));
            thread::spawn(move || tries(&lazy, w))
        };
        let mine = tries(&lazy, kernel.thread(1));
        assert_eq!((mine + other.join().unwrap(), lazy.value.get()), (1, 1));
    });
}

#[test]
fn who_tries_replaces_the_dead() {
    check_deaths("once, death and a try", 5, |step| {
        let kernel = Kernel::mortal();
        let lazy = Lazy::new();
        let (w, other) = (kernel.participant(0), kernel.participant(1));
        let lived = kernel.victim(w.me(), step, || lazy.get(&w)).is_some();
        // Nobody who lives is at it.
        let turn = lazy.once.try_begin(&other).expect("no death hinders a try");
        assert!(!lived || turn == Turn::Done);
        !lived
    });
}

/// The victim begins, and dies at `step`; so many others wait, and one of them does it instead.
fn replaces(step: u32, others: u32) -> bool {
    let kernel = Kernel::mortal();
    let lazy = Lazy::new();
    let others: Vec<_> = (1..=others)
        .map(|n| {
            let (lazy, w) = (lazy.clone(), kernel.participant(n));
            thread::spawn(move || lazy.get(&w))
        })
        .collect();
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || lazy.get(&w));
    for other in others {
        other.join().unwrap();
    }
    assert!(lazy.once.is_done());
    assert!(lazy.value.get() <= 1 + usize::from(lived.is_none()));
    lived.is_none()
}

#[test]
fn the_only_other_replaces_the_dead() {
    check_deaths("once, death beside one", 300, |step| replaces(step, 1));
}

#[test]
fn the_next_replaces_the_dead() {
    check_deaths("once, death beside two", 70_000, |step| replaces(step, 2));
}

#[test]
fn who_only_waits_sees_it_done() {
    check("once, a waiter", 150, || {
        let kernel = Kernel::new();
        let lazy = Lazy::new();
        let waiter = {
            let (lazy, w) = (lazy.clone(), kernel.thread(2));
            thread::spawn(move || {
                lazy.once.wait(&w, None).unwrap();
                assert_eq!(lazy.value.get(), 1);
            })
        };
        assert!(lazy.get(&kernel.thread(1)));
        waiter.join().unwrap();
    });
}

#[test]
fn who_only_waits_takes_no_turn() {
    check_deaths("once, a waiter and a death", 500, |step| {
        let kernel = Kernel::mortal();
        let lazy = Lazy::new();
        let waiter = {
            let (lazy, w) = (lazy.clone(), kernel.participant(1));
            thread::spawn(move || {
                lazy.once.wait(&w, None).unwrap();
                assert!(lazy.value.get() >= 1);
            })
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || lazy.get(&w));
        lazy.get(&kernel.participant(2));
        waiter.join().unwrap();
        lived.is_none()
    });
}
