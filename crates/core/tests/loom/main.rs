//! Model checks of every algorithm, from the shipped source.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p antiphon-core --release --test loom`; `LOOM_MAX_PREEMPTIONS` deepens all of them.
#![cfg(loom)]

mod harness;

mod barrier;
mod bell;
mod bytes;
mod condvar;
mod dict;
mod event;
mod latch;
mod lease;
mod list;
mod loans;
mod lookout;
mod mutex;
mod once;
mod pipe;
mod reentrant_mutex;
mod ring;
mod rwlock;
mod semaphore;
mod service;
mod spsc;
mod stock;
mod topic;
mod wait_group;
mod watch;
