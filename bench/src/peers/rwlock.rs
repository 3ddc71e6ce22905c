//! Other people's readers-writer locks between threads.

use crate::sync::rwlock::RwLock;

pub struct Std(std::sync::RwLock<u64>);

impl RwLock for Std {
    const NAME: &'static str = "std";

    fn new() -> Self {
        Self(std::sync::RwLock::new(0))
    }

    #[inline]
    fn read(&self) -> u64 {
        *self.0.read().unwrap()
    }

    #[inline]
    fn add(&self, n: u64) {
        *self.0.write().unwrap() += n;
    }
}

pub struct ParkingLot(parking_lot::RwLock<u64>);

impl RwLock for ParkingLot {
    const NAME: &'static str = "parking_lot";

    fn new() -> Self {
        Self(parking_lot::RwLock::new(0))
    }

    #[inline]
    fn read(&self) -> u64 {
        *self.0.read()
    }

    #[inline]
    fn add(&self, n: u64) {
        *self.0.write() += n;
    }
}
