//! Synchronization: one file per primitive.

pub mod barrier;
pub mod condvar;
pub mod event;
pub(crate) mod field;
mod gate;
pub mod latch;
pub mod mutex;
pub mod once;
pub mod reentrant_mutex;
pub mod rwlock;
pub mod semaphore;
pub mod wait_group;

pub use barrier::RawBarrier;
pub use condvar::RawCondvar;
pub use event::RawEvent;
pub use latch::RawLatch;
pub use mutex::{Claim, RawMutex};
pub use once::{RawOnce, Turn};
pub use reentrant_mutex::RawReentrantMutex;
pub use rwlock::RawRwLock;
pub use semaphore::RawSemaphore;
pub use wait_group::RawWaitGroup;
