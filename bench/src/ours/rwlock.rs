//! Our readers-writer lock in threads.

use crate::sync::rwlock;
use antiphon::sync;

pub struct RwLock(sync::RwLock<u64>);

impl rwlock::RwLock for RwLock {
    const NAME: &'static str = crate::marks::OURS;

    fn new() -> Self {
        Self(sync::RwLock::new(0))
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
