//! Other people's semaphores between threads.

use super::block_on;
use crate::sync::semaphore::Semaphore;

/// Awaited inside one `block_on`, which is tokio's best case: nothing is entered per operation.
pub struct Tokio(tokio::sync::Semaphore);

impl Semaphore for Tokio {
    const NAME: &'static str = "tokio";

    fn new(permits: usize) -> Self {
        Self(tokio::sync::Semaphore::new(permits))
    }

    fn pairs(&self, times: u64) {
        block_on(async {
            for _ in 0..times {
                drop(self.0.acquire().await.unwrap());
            }
        });
    }
}

pub struct AsyncLock(async_lock::Semaphore);

impl Semaphore for AsyncLock {
    const NAME: &'static str = "async-lock";

    fn new(permits: usize) -> Self {
        Self(async_lock::Semaphore::new(permits))
    }

    fn pairs(&self, times: u64) {
        for _ in 0..times {
            drop(self.0.acquire_blocking());
        }
    }
}
