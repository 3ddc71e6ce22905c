//! The waits of `comm`.

mod queue;

pub use queue::{Get, GetMany, Put};
