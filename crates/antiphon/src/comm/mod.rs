//! Communication between the threads of a process, for values of any type.
//!
//! | what | for |
//! |---|---|
//! | [`Queue`] | Items from any number of putters to any number of getters, first in first out. |
//! | [`channel`] | The same with two kinds of ends, each of which notices when the other is gone: bounded, unbounded, hand to hand; and one to one, the fastest. |
//!
//! A [`Space`](crate::Space) has the same queue between processes, with the same methods, for plain values, for bytes, and for
//! messages.

pub mod channel;
pub(crate) mod outcome;
mod queue;
mod rest;

pub use antiphon_core::comm::Shutdown;
pub use queue::{Iter, Queue};
