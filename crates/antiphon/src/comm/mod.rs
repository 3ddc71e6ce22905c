//! Communication between the threads of a process, for values of any type.
//!
//! | what | for |
//! |---|---|
//! | [`Queue`] | Items from any number of putters to any number of getters, first in first out. |
//!
//! A [`Space`](crate::Space) has the same queue between processes, with the same methods, for plain values, for bytes, and for
//! messages.

pub(crate) mod outcome;
mod queue;

pub use antiphon_core::comm::Shutdown;
pub use queue::{Iter, Queue};
