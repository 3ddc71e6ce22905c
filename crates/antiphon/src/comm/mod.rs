//! Communication between the threads of a process, for values of any type.
//!
//! | what | for |
//! |---|---|
//! | [`Queue`] | Items from any number of putters to any number of getters, first in first out. |
//! | [`channel`] | The same with two kinds of ends, each of which notices when the other is gone: bounded, unbounded, hand to hand; and one to one, the fastest. |
//! | [`LifoQueue`] | The same, last in first out. |
//! | [`PriorityQueue`] | The same, the smallest priority first. |
//!
//! A [`Space`](crate::Space) has the same queues between processes, with the same methods, for plain values, for bytes, and for
//! messages.

pub mod channel;
mod lifo_queue;
pub(crate) mod outcome;
mod priority_queue;
mod queue;
mod rest;
mod stock;

pub use antiphon_core::comm::Shutdown;
pub use lifo_queue::LifoQueue;
pub use priority_queue::PriorityQueue;
pub use queue::{Iter, Queue};
