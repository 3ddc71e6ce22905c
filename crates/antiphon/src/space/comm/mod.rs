//! Communication between the participants of a space: one file per primitive.

mod byte_queue;
mod message_queue;
mod queue;

pub use antiphon_core::comm::ring::Shutdown;
pub use byte_queue::ByteQueue;
pub use message_queue::MessageQueue;
pub use queue::Queue;
