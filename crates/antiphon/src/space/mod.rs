//! Spaces: named places where objects live that threads or processes share.
//!
//! A space is opened by its address, a scope and a name: `host:orders` is shared by the processes of this machine,
//! `threads:orders` by the threads of this process. Everything in it is opened by name, created by whoever comes
//! first, and has the same methods in both scopes.
//!
//! ```
//! # let dir = std::env::temp_dir().join(format!("antiphon-doc-{}", std::process::id()));
//! # // SAFETY: this program has one thread.
//! # unsafe { std::env::set_var("ANTIPHON_DIR", &dir) };
//! use antiphon::Space;
//!
//! let space = Space::open("host:shop")?;
//! let stock = space.mutex("stock", 10u64)?;
//! *stock.lock().unwrap() -= 1;
//! assert_eq!(*stock.lock().unwrap(), 9);
//! # Ok::<(), antiphon::error::SpaceError>(())
//! ```
//!
//! # Values
//! A value in a space is [`Plain`] data: any bytes are a valid value and it holds no pointers, since other processes map it at
//! other addresses and may be programs written by others.
//!
//! # Handles
//! Every object is a handle of itself: serde writes where it is, and reading that opens it. So objects are passed as (parts
//! of) the argument of a [child process](crate::process::spawn) or sent as messages to whoever can open the space. Objects of an
//! [anonymous](Space::anonymous) space travel to children only, which inherit their memory.
//!
//! # Death
//! A process that ends without leaving (`kill -9`, `abort`, power of the OOM killer) is a *death*. Sleepers notice within 100 ms of
//! the kernel having closed the victim's files, those who arrive later at once, and all within about a millisecond when
//! some process has called [`Space::watch`]. Locks are handed to the next with
//! [`OwnerDied`](crate::error::LockError::OwnerDied), permits come back, readers are let go, barriers break.
//!
//! # Trust
//! Processes of one user trust each other: who can write the segment can write the values in it. The library itself stays
//! memory-safe whatever the bytes are.

mod builder;
mod comm;
mod ends;
mod entry;
mod handle;
mod inner;
pub(crate) mod inspect;
mod plain;
mod sync;
mod tasks;
mod turn;
pub(crate) mod wait;
mod watch;

pub use builder::{Builder, Lifetime};
pub use comm::*;
pub use inner::Space;
pub use plain::Plain;
pub use sync::*;
