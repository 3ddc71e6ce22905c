//! Synchronization: one file per primitive.

pub mod condvar;
pub mod latch;
pub mod mutex;
pub mod once;
pub mod rwlock;

pub use condvar::RawCondvar;
pub use latch::RawLatch;
pub use mutex::{Claim, RawMutex};
pub use once::{RawOnce, Turn};
pub use rwlock::RawRwLock;
