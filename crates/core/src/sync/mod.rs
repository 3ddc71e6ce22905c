//! Synchronization: one file per primitive.

pub mod mutex;

pub use mutex::{Claim, RawMutex};
