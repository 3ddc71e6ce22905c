//! The communication half.

pub mod channel;
pub mod link;
pub mod loan;
pub mod pair;
pub mod service;
pub mod stock;
pub mod topic;

use crate::plan::Cell;

/// Every cell, in the order of the table.
pub fn cells() -> Vec<Cell> {
    [
        channel::cells(),
        link::cells(),
        stock::cells(),
        loan::cells(),
        pair::cells(),
        topic::cells(),
        service::cells(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
