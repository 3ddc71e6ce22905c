//! Synchronization between the participants of a space: one file per primitive.

mod barrier;
mod event;
mod mutex;
mod reentrant_mutex;
mod semaphore;

pub use barrier::Barrier;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use reentrant_mutex::{ReentrantMutex, ReentrantMutexGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
