//! Synchronization and communication that work the same between threads and between processes, and survive `kill -9`.

pub mod death;
pub mod error;
pub mod space;

pub use death::{Cause, Death};
pub use space::Space;
