//! Our mutex in threads.

use crate::sync::mutex;
use antiphon::sync;

pub struct Mutex(sync::Mutex<u64>);

impl mutex::Mutex for Mutex {
    const NAME: &'static str = crate::marks::OURS;

    fn new() -> Self {
        Self(sync::Mutex::new(0))
    }

    #[inline]
    fn with(&self, change: impl FnOnce(&mut u64)) {
        change(&mut self.0.lock().unwrap());
    }
}

/// What a mutex weighs beside its value.
pub fn bytes_beside_the_value() -> usize {
    size_of::<sync::Mutex<u64>>() - size_of::<u64>()
}
