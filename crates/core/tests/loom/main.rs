//! Model checks of every algorithm, from the shipped source.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p antiphon-core --release --test loom`; `LOOM_MAX_PREEMPTIONS` deepens all of them.
#![cfg(loom)]

mod harness;

mod condvar;
mod latch;
mod event;
mod mutex;
mod reentrant_mutex;
mod once;
mod ring;
mod rwlock;
