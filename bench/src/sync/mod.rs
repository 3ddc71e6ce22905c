//! The synchronization half.

pub mod counts;
pub mod growth;
pub mod host_mutex;
pub mod host_pairs;
pub mod kill;
pub mod mutex;
pub mod objects;
pub mod rounds;
pub mod rwlock;
pub mod semaphore;

use crate::plan::Cell;

/// Every cell, in the order of the table.
pub fn cells() -> Vec<Cell> {
    [
        counts::cells(),
        mutex::cells(),
        rwlock::cells(),
        rounds::cells(),
        semaphore::cells(),
        host_mutex::cells(),
        host_pairs::cells(),
        kill::cells(),
        growth::cells(),
        objects::cells(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
