//! Communication between the participants of a space: one file per primitive.

mod array;
mod byte_dict;
mod byte_list;
mod byte_queue;
mod code;
mod dict;
mod keep;
mod lifo_queue;
mod list;
mod loan_queue;
pub(super) mod memory;
mod message_queue;
mod priority;
mod priority_queue;
mod queue;
pub(super) mod service;
mod shareable_list;
mod stock;
pub(super) mod topic;

pub use antiphon_core::comm::ring::Shutdown;
pub use array::{Array, Value};
pub use byte_dict::{ByteDict, ByteDictGuard, ByteDictIter};
pub use byte_list::{ByteList, ByteListGuard};
pub use byte_queue::ByteQueue;
pub use dict::{Dict, DictGuard, DictIter};
pub use lifo_queue::{ByteLifoQueue, LifoQueue};
pub use list::{List, ListGuard};
pub use loan_queue::{Loan, LoanQueue, View};
pub use memory::{Atomic, Memory};
pub use message_queue::MessageQueue;
pub use priority::Priority;
pub use priority_queue::{BytePriorityQueue, PriorityQueue};
pub use queue::Queue;
pub use service::{ByteService, Pending, PendingReply, Request, Service};
pub use shareable_list::{Item, ShareableList};
pub use topic::{ByteSubscriber, ByteTopic, MAX_SUBSCRIBERS, Policy, Subscriber, Topic};
