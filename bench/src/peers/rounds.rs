//! Other people's condition variables, events and barriers between threads.

use super::block_on;
use crate::sync::rounds::{Barrier, Event, Turn};

pub struct StdTurn(std::sync::Mutex<u64>, std::sync::Condvar);

impl Turn for StdTurn {
    const NAME: &'static str = "std";

    fn new() -> Self {
        Self(std::sync::Mutex::new(0), std::sync::Condvar::new())
    }

    fn pass(&self, me: u64, next: u64) {
        let mut turn = self.1.wait_while(self.0.lock().unwrap(), |turn| *turn != me).unwrap();
        *turn = next;
        drop(turn);
        self.1.notify_one();
    }
}

macro_rules! turn {
    ($type:ident, $name:literal, $library:ident) => {
        pub struct $type($library::Mutex<u64>, $library::Condvar);

        impl Turn for $type {
            const NAME: &'static str = $name;

            fn new() -> Self {
                Self($library::Mutex::new(0), $library::Condvar::new())
            }

            fn pass(&self, me: u64, next: u64) {
                let mut turn = self.0.lock();
                while *turn != me {
                    self.1.wait(&mut turn);
                }
                *turn = next;
                drop(turn);
                self.1.notify_one();
            }
        }
    };
}

turn!(ParkingLotTurn, "parking_lot", parking_lot);
turn!(UsyncTurn, "usync", usync);

/// What one writes without an event at hand: a flag under a mutex, and a condition variable.
pub struct StdEvent(std::sync::Mutex<bool>, std::sync::Condvar);

impl Event for StdEvent {
    const NAME: &'static str = "std mutex+condvar";

    fn new() -> Self {
        Self(std::sync::Mutex::new(false), std::sync::Condvar::new())
    }

    fn set(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn clear(&self) {
        *self.0.lock().unwrap() = false;
    }

    fn wait(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |set| !*set).unwrap());
    }
}

pub struct ParkingLotEvent(parking_lot::Mutex<bool>, parking_lot::Condvar);

impl Event for ParkingLotEvent {
    const NAME: &'static str = "parking_lot mutex+condvar";

    fn new() -> Self {
        Self(parking_lot::Mutex::new(false), parking_lot::Condvar::new())
    }

    fn set(&self) {
        *self.0.lock() = true;
        self.1.notify_all();
    }

    fn clear(&self) {
        *self.0.lock() = false;
    }

    fn wait(&self) {
        let mut set = self.0.lock();
        while !*set {
            self.1.wait(&mut set);
        }
    }
}

/// The nearest thing that tokio has: a permit for one waiter, which `wait` takes, so there is nothing to clear.
pub struct TokioNotify(tokio::sync::Notify);

impl Event for TokioNotify {
    const NAME: &'static str = "tokio Notify";

    fn new() -> Self {
        Self(tokio::sync::Notify::new())
    }

    fn set(&self) {
        self.0.notify_one();
    }

    fn clear(&self) {}

    fn wait(&self) {
        block_on(self.0.notified());
    }
}

pub struct StdBarrier(std::sync::Barrier);

impl Barrier for StdBarrier {
    const NAME: &'static str = "std";

    fn new(parties: usize) -> Self {
        Self(std::sync::Barrier::new(parties))
    }

    fn wait(&self) {
        self.0.wait();
    }
}

pub struct UsyncBarrier(usync::Barrier);

impl Barrier for UsyncBarrier {
    const NAME: &'static str = "usync";

    fn new(parties: usize) -> Self {
        Self(usync::Barrier::new(parties))
    }

    fn wait(&self) {
        self.0.wait();
    }
}
