//! Communication between the participants of a space: one file per primitive.

mod array;
mod byte_dict;
mod byte_list;
mod byte_queue;
mod code;
mod dict;
mod keep;
mod list;
pub(super) mod memory;
mod message_queue;
mod queue;
mod shareable_list;

pub use antiphon_core::comm::ring::Shutdown;
pub use array::{Array, Value};
pub use byte_dict::{ByteDict, ByteDictGuard, ByteDictIter};
pub use byte_list::{ByteList, ByteListGuard};
pub use byte_queue::ByteQueue;
pub use dict::{Dict, DictGuard, DictIter};
pub use list::{List, ListGuard};
pub use memory::{Atomic, Memory};
pub use message_queue::MessageQueue;
pub use queue::Queue;
pub use shareable_list::{Item, ShareableList};
