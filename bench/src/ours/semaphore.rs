//! Our semaphore in threads.

use crate::sync::semaphore;
use antiphon::sync;

pub struct Semaphore(sync::Semaphore);

impl semaphore::Semaphore for Semaphore {
    const NAME: &'static str = crate::marks::OURS;

    fn new(permits: usize) -> Self {
        Self(sync::Semaphore::new(permits as u64))
    }

    #[inline]
    fn pairs(&self, times: u64) {
        for _ in 0..times {
            drop(self.0.acquire());
        }
    }
}
