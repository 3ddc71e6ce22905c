//! Synchronization between the participants of a space: one file per primitive.

mod barrier;
mod condvar;
mod event;
mod latch;
mod mutex;
mod once;
mod once_value;
pub(in crate::space) mod outcome;
mod reentrant_mutex;
mod rwlock;
mod semaphore;
mod wait_group;

pub use barrier::Barrier;
pub use condvar::Condvar;
pub use event::Event;
pub use latch::Latch;
pub use mutex::{Mutex, MutexGuard};
pub use once::Once;
pub use once_value::OnceValue;
pub use reentrant_mutex::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
pub use wait_group::{Share, WaitGroup};
