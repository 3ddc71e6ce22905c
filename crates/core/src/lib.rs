//! The algorithms of antiphon: each primitive as a state machine on a few words.
//!
//! Nothing here allocates, names an operating system or reads a clock. An algorithm borrows the words it works on
//! (from a struct, the heap or a shared segment, all the same) and reaches the outside through one trait,
//! [`Wait`](wait::Wait): who am I, is that one gone, sleep, wake. All-zero memory is the initial state of every
//! primitive.
//!
//! `README.md` beside this crate has, per algorithm, the table of states, the protocol, and the argument why no wake
//! is lost and why a death at any instruction can be recovered from.

#![no_std]

pub mod attempt;
pub mod bell;
pub mod comm;
pub mod lookout;
#[cfg(any(loom, shuttle))]
pub mod model;
pub mod owner;
pub mod pad;
pub mod primitive;
pub mod sync;
pub mod wait;
pub mod watch;
