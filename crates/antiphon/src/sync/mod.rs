//! Synchronization of the threads of this process: any value, `const fn new`, nothing to open and nothing to name.
//!
//! The same primitives with the same methods, for processes, are made by a [`Space`](crate::Space) and live in
//! [`space`](crate::space). Here they lie where you put them, a `static` or a struct of yours, and are as light as std's.
//!
//! | for | there is |
//! |---|---|
//! | one thread at a time at a value | [`Mutex`] |
//! | the same, where the holder may lock again | [`ReentrantMutex`] |
//! | many readers or one writer | [`RwLock`] |
//! | waiting until a value under a mutex has changed | [`Condvar`] |
//! | a number of permits, taken and given or sent | [`Semaphore`], [`BoundedSemaphore`] |
//! | waiting until a flag is set | [`Event`] |
//! | waiting for each other, again and again | [`Barrier`] |
//! | waiting until something was counted down, for good | [`Latch`] |
//! | waiting until nobody is at it any more | [`WaitGroup`] |
//! | running something once | [`Once`] |
//! | a value that is written once, or made when it is first looked at | [`OnceLock`], [`LazyLock`] |

pub mod barrier;
pub mod condvar;
pub mod event;
pub mod latch;
pub mod lazy_lock;
pub mod mutex;
pub mod once;
pub mod once_lock;
pub mod reentrant_mutex;
pub mod rwlock;
pub mod semaphore;
mod since;
pub mod wait_group;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::Condvar;
pub use event::Event;
pub use latch::Latch;
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
pub use once::Once;
pub use once_lock::OnceLock;
pub use reentrant_mutex::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
pub use wait_group::{Share, WaitGroup};
