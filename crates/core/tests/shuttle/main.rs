//! Random walks through scenes too large to be explored: many threads, several rounds, several deaths.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p antiphon-core --release --test shuttle`; `WALKS=10` makes every walk ten times as long. A
//! failure prints a schedule and a seed; `SHUTTLE_RANDOM_SEED` repeats it.
//!
//! Every access is sequentially consistent here, so orderings are the business of the loom models.
#![cfg(shuttle)]

mod harness;

mod barrier;
mod bytes;
mod condvar;
mod event;
mod latch;
mod mutex;
mod once;
mod reentrant_mutex;
mod ring;
mod rwlock;
mod semaphore;
