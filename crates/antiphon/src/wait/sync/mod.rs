//! The waits of `sync`.

mod event;
mod latch;
mod mutex;
mod rwlock;
mod semaphore;

pub use event::EventWait;
pub use latch::LatchWait;
pub use mutex::Lock;
pub use rwlock::{Read, Write};
pub use semaphore::Acquire;
