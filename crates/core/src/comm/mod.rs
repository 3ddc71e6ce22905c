//! Communication: one file per primitive.

mod ahead;
pub mod bytes;
pub mod copy;
pub mod dict;
pub mod lease;
pub mod list;
pub mod loans;
mod lock;
pub mod order;
pub mod pipe;
pub mod ring;
pub mod service;
pub mod shelf;
mod slip;
pub mod slots;
pub mod spsc;
pub mod stock;
pub mod store;
pub mod topic;
mod turn;
mod words;

pub use bytes::Bytes;
pub use dict::{Dict, RawDict};
pub use lease::{Jobs, Lease};
pub use list::{List, RawList};
pub use loans::Loans;
pub use order::Order;
pub use pipe::{Pipe, RawPipe};
pub use ring::{Patience, RawRing, RingError, Shutdown};
pub use shelf::Shelf;
pub use slots::Slots;
pub use spsc::{RawSpsc, Spsc};
pub use stock::RawStock;
pub use store::Store;
