//! Communication: one file per primitive.

pub mod bytes;
pub mod copy;
pub mod dict;
pub mod list;
mod lock;
pub mod ring;
pub mod slots;
pub mod spsc;
pub mod store;
mod turn;

pub use bytes::Bytes;
pub use dict::{Dict, RawDict};
pub use list::{List, RawList};
pub use ring::{Patience, RawRing, RingError, Shutdown};
pub use slots::Slots;
pub use spsc::{RawSpsc, Spsc};
pub use store::Store;
