//! Our condition variable, event and barrier in threads.

use crate::sync::rounds;
use antiphon::sync;

pub struct Turn {
    turn: sync::Mutex<u64>,
    changed: sync::Condvar,
}

impl rounds::Turn for Turn {
    const NAME: &'static str = crate::marks::OURS;

    fn new() -> Self {
        Self { turn: sync::Mutex::new(0), changed: sync::Condvar::new() }
    }

    fn pass(&self, me: u64, next: u64) {
        let turn = self.turn.lock().unwrap();
        let mut turn = self.changed.wait_while(turn, |turn| *turn != me).unwrap();
        *turn = next;
        drop(turn);
        self.changed.notify_one();
    }
}

pub struct Event(sync::Event);

impl rounds::Event for Event {
    const NAME: &'static str = crate::marks::OURS;

    fn new() -> Self {
        Self(sync::Event::new())
    }

    fn set(&self) {
        self.0.set();
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn wait(&self) {
        self.0.wait();
    }
}

pub struct Barrier(sync::Barrier);

impl rounds::Barrier for Barrier {
    const NAME: &'static str = crate::marks::OURS;

    fn new(parties: usize) -> Self {
        Self(sync::Barrier::new(parties as u32))
    }

    fn wait(&self) {
        self.0.wait().unwrap();
    }
}
