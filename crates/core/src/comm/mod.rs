//! Communication: one file per primitive.

pub mod bytes;
pub mod copy;
mod lock;
pub mod ring;
pub mod slots;
pub mod spsc;
mod turn;

pub use bytes::Bytes;
pub use ring::{Patience, RawRing, RingError, Shutdown};
pub use slots::Slots;
pub use spsc::{RawSpsc, Spsc};
