//! Models of the lookout.

use std::sync::Arc;

use antiphon_core::lookout::{Lookout, Place};
use antiphon_core::model::Kernel;
use antiphon_core::wait::{Wait, Wake};
use loom::thread;

use crate::harness::{check, check_deaths};

/// Sits, sleeps on the bench until there is a seat, and leaves it. With one seat that is a lock.
fn keep_watch<W: Wait, const SEATS: usize>(lookout: &Lookout<SEATS>, w: &W) {
    let mut heir = false;
    let seat = loop {
        let epoch = w.epoch();
        match lookout.sit(w.me(), heir, |owner| w.is_gone(owner)) {
            Place::Seat(seat) => break seat,
            Place::Bench(expected) => {
                let _ = w.wait(lookout.bench(), expected, epoch, None);
                heir = true;
            }
        }
    };
    if lookout.leave(seat, w.me()) {
        w.wake(lookout.bench(), 1);
    }
}

/// Comes to the bench, or a seat, and goes at once: as one does whose own word was woken.
fn pass_by<W: Wait, const SEATS: usize>(lookout: &Lookout<SEATS>, w: &W) {
    let owes = match lookout.sit(w.me(), false, |owner| w.is_gone(owner)) {
        Place::Seat(seat) => lookout.leave(seat, w.me()),
        Place::Bench(expected) => lookout.rise(expected),
    };
    if owes {
        w.wake(lookout.bench(), 1);
    }
}

fn seats_are_handed_on<const SEATS: usize>(name: &str, floor: usize, others: u32) {
    check(name, floor, move || {
        let kernel = Kernel::new();
        let lookout = Arc::new(Lookout::<SEATS>::new());
        let others: Vec<_> = (1..=others)
            .map(|n| {
                let (lookout, w) = (lookout.clone(), kernel.thread(n));
                thread::spawn(move || keep_watch(&lookout, &w))
            })
            .collect();
        keep_watch(&lookout, &kernel.thread(7));
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn one_seat_is_handed_on() {
    seats_are_handed_on::<1>("lookout, one seat, three sleepers", 1000, 2);
}

#[test]
fn two_seats_are_handed_on() {
    seats_are_handed_on::<2>("lookout, two seats, three sleepers", 1000, 2);
}

/// One that is woken to take the seat, but goes, passes the wake on.
#[test]
fn who_goes_instead_of_sitting_wakes_the_next() {
    check("lookout, woken and gone", 1000, || {
        let kernel = Kernel::new();
        let lookout = Arc::new(Lookout::<1>::new());
        let first = kernel.thread(1);
        let Place::Seat(seat) = lookout.sit(first.me(), false, |_| false) else {
            panic!("nobody is there")
        };
        let sleeper = {
            let (lookout, w) = (lookout.clone(), kernel.thread(2));
            thread::spawn(move || keep_watch(&lookout, &w))
        };
        let passer = {
            let (lookout, w) = (lookout.clone(), kernel.thread(3));
            thread::spawn(move || match lookout.sit(w.me(), false, |_| false) {
                Place::Seat(seat) => {
                    lookout.leave(seat, w.me()).then(|| w.wake(lookout.bench(), 1))
                }
                Place::Bench(expected) => {
                    let woken = w.wait(lookout.bench(), expected, w.epoch(), None);
                    assert_eq!(woken, Wake::Woken);
                    lookout.rise(expected).then(|| w.wake(lookout.bench(), 1))
                }
            })
        };
        if lookout.leave(seat, first.me()) {
            first.wake(lookout.bench(), 1);
        }
        sleeper.join().unwrap();
        passer.join().unwrap();
    });
}

#[test]
fn the_seat_of_the_dead_is_taken() {
    check_deaths("lookout, death in a seat", 900, |step| {
        let kernel = Kernel::mortal();
        let lookout = Arc::new(Lookout::<1>::new());
        let other = {
            let (lookout, w) = (lookout.clone(), kernel.participant(1));
            thread::spawn(move || keep_watch(&lookout, &w))
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || pass_by(&lookout, &w)).is_some();
        other.join().unwrap();
        !lived
    });
}
