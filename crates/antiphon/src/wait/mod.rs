//! Waiting in other ways than by blocking on one thing: async, and for the first of several.
//!
//! Every method that waits has a form that ends in `_async`. What it returns is a future for any executor, and also a choice of a
//! [`Select`], which blocks its thread until the first of several can be done.
//!
//! ```
//! use antiphon::comm::Queue;
//! use antiphon::sync::Event;
//! use antiphon::wait::Select;
//!
//! let (queue, stop) = (Queue::bounded(4), Event::new());
//! queue.put(7).unwrap();
//!
//! assert_eq!(smol::block_on(queue.get_async()), Ok(7));
//!
//! stop.set();
//! let next = Select::new()
//!     .on(queue.get_async(), |item| Some(item))
//!     .on(stop.wait_async(), |()| None)
//!     .wait();
//! assert_eq!(next, None);
//! ```
//!
//! # What it costs
//! An operation that need not wait does what the blocking form does, and neither allocates nor registers anything. One that waits is
//! put on a roll beside the threads that sleep for the same word, and told when they are woken; nobody's wake is consumed. So threads,
//! tasks and selects may wait for the same object. There is no runtime behind it.
//!
//! Between processes, all wakes of a space ring a bell while somebody listens who waits so. A select listens itself; for the tasks of
//! a process one thread does. The first that has to wait starts it, and it ends about a second after the last.
//!
//! # Cancelling
//! A future may be dropped at any time, and nothing is lost: what it waits for it has not taken. A thread that is told, or a task
//! that is woken, looks again; no other counts on it.

pub(crate) mod comm;
mod far;
pub(crate) mod operation;
mod parker;
mod select;
pub(crate) mod sync;
mod task;

pub use comm::*;
pub use operation::Operation;
pub use select::{Select, Selecting};
pub use sync::*;
pub use task::{Async, TaskGuard};
