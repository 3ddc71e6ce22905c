//! antiphon in the scenes: one small adapter per group.

pub mod channel;
pub mod gate;
pub mod host_mutex;
pub mod host_pairs;
pub mod link;
pub mod loan;
pub mod mutex;
pub mod pair;
pub mod pipe;
pub mod rounds;
pub mod rwlock;
pub mod semaphore;
pub mod service;
pub mod space;
pub mod stock;
pub mod topic;
