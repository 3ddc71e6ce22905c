//! What the proofs have in common: processes to kill, memory to note in what they did, and a place to do it.
//!
//! * `cargo run --release -p antiphon-verify --bin kill` kills processes that use a space, at random instants or at every
//!   instruction, and checks that the others go on.
//! * `... --bin soak` does everything at once for a long time, with deaths, and checks that nothing grows.
//! * `tests/` has one body per promise, run between threads and between processes.

pub mod child;
pub mod random;
pub mod scratch;
pub mod shared;
pub mod watchdog;
