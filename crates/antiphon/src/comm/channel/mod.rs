//! Channels between threads: what goes in at [`Sender`]s comes out at [`Receiver`]s, and each side notices when the other is gone.
//!
//! | made by | holds | senders × receivers |
//! |---|---|---|
//! | [`bounded`] | so many items; a send waits for room | any × any |
//! | [`rendezvous`] | nothing: a send returns when a receiver has the item | any × any |
//! | [`unbounded`] | what there is room for in memory; a send never waits | any × any |
//! | [`spsc`] | so many items, without locks | one × one |
//!
//! When the last sender is dropped the receivers get what is left, and then [`Disconnected`](crate::error::RecvError::Disconnected).
//! When the last receiver is dropped, a send gives the item back. A send happens before the receive that returns its item.
//!
//! ```
//! use antiphon::comm::channel;
//!
//! let (sender, receiver) = channel::bounded(4);
//! std::thread::scope(|s| {
//!     for worker in 0..3 {
//!         let sender = sender.clone();
//!         s.spawn(move || sender.send(worker).unwrap());
//!     }
//!     drop(sender); // the clones are gone when their threads are
//!     assert_eq!(receiver.iter().sum::<i32>(), 3);
//! });
//! ```

mod chain;
mod ends;
mod meeting;
pub(crate) mod outcome;
mod spsc;

pub use ends::{Receiver, Sender, bounded, rendezvous, unbounded};
pub use spsc::{SpscReceiver, SpscSender, spsc};
