//! Models of the bell: a listener that sleeps on no word of its own.

use std::sync::Arc;

use antiphon_core::attempt::Attempt;
use antiphon_core::bell::Bell;
use antiphon_core::model::{Kernel, Model};
use antiphon_core::owner::Owner;
use antiphon_core::sync::RawEvent;
use antiphon_core::wait::{self, Deadline, Wait, Word};
use loom::thread;

use crate::harness::{check_deaths, check_deaths_to, check_to};

/// A participant whose wakes ring.
#[derive(Clone)]
struct Rings {
    model: Model<false>,
    bell: Arc<Bell>,
}

impl Wait for Rings {
    const OWNER_IS_THREAD: bool = false;

    fn me(&self) -> Owner {
        self.model.me()
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.model.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.model.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, d: Option<Deadline>) -> wait::Wake {
        self.model.wait(word, expected, epoch, d)
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.model.wake(word, count);
        self.bell.ring(|bell| self.model.wake(bell, wait::ALL));
    }

    fn spin(&self, _: u32) -> bool {
        false
    }
}

/// Waits for the event by listening: arm, attempt, sleep on the bell.
fn listen(event: &RawEvent, rings: &Rings) {
    loop {
        let epoch = rings.epoch();
        let heard = rings.bell.arm();
        let attempt = Attempt::new(rings, |_: &Word, _, _| true);
        if event.wait(&attempt, None).is_ok() {
            return;
        }
        rings.model.wait(rings.bell.word(), heard, epoch, None);
    }
}

#[test]
fn a_listener_hears_of_a_change() {
    check_to(3, "bell, one listener", 50, || {
        let kernel = Kernel::new();
        let (bell, event) = (Arc::new(Bell::new()), Arc::new(RawEvent::new()));
        let listener = {
            let (event, rings) =
                (event.clone(), Rings { model: kernel.participant(1), bell: bell.clone() });
            thread::spawn(move || listen(&event, &rings))
        };
        event.set(&Rings { model: kernel.participant(0), bell });
        listener.join().unwrap();
    });
}

#[test]
fn two_changes_reach_two_listeners() {
    check_to(2, "bell, two listeners", 200, || {
        let kernel = Kernel::new();
        let bell = Arc::new(Bell::new());
        let events = Arc::new([RawEvent::new(), RawEvent::new()]);
        let listeners: Vec<_> = (0..2)
            .map(|i| {
                let (events, rings) =
                    (events.clone(), Rings { model: kernel.participant(i), bell: bell.clone() });
                thread::spawn(move || listen(&events[i as usize], &rings))
            })
            .collect();
        let rings = Rings { model: kernel.participant(2), bell };
        events[0].set(&rings);
        events[1].set(&rings);
        for listener in listeners {
            listener.join().unwrap();
        }
    });
}

#[test]
fn a_death_at_the_bell_keeps_nobody_waiting() {
    check_deaths("bell, a death of the ringer", 100, |step| {
        let kernel = Kernel::mortal();
        let (bell, event) = (Arc::new(Bell::new()), Arc::new(RawEvent::new()));
        let listener = {
            let (event, rings) =
                (event.clone(), Rings { model: kernel.participant(1), bell: bell.clone() });
            thread::spawn(move || listen(&event, &rings))
        };
        let rings = Rings { model: kernel.participant(0), bell: bell.clone() };
        let lived = kernel.victim(rings.me(), step, || event.set(&rings));
        if !event.is_set() {
            event.set(&Rings { model: kernel.participant(2), bell });
        }
        listener.join().unwrap();
        lived.is_none()
    });
}

#[test]
fn a_listener_that_dies_keeps_nobody_waiting() {
    check_deaths_to(1, "bell, a death of a listener", 100, |step| {
        let kernel = Kernel::mortal();
        let (bell, event) = (Arc::new(Bell::new()), Arc::new(RawEvent::new()));
        let sleeper = {
            let (event, model) = (event.clone(), kernel.participant(1));
            thread::spawn(move || event.wait(&model, None).unwrap())
        };
        let setter = {
            let (event, rings) =
                (event.clone(), Rings { model: kernel.participant(2), bell: bell.clone() });
            thread::spawn(move || event.set(&rings))
        };
        let rings = Rings { model: kernel.participant(0), bell };
        let lived = kernel.victim(rings.me(), step, || listen(&event, &rings));
        sleeper.join().unwrap();
        setter.join().unwrap();
        lived.is_none()
    });
}
