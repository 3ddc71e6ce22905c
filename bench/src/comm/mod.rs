//! The communication half.

pub mod channel;
pub mod link;
pub mod loan;
pub mod stock;

use crate::plan::Cell;

/// Every cell, in the order of the table.
pub fn cells() -> Vec<Cell> {
    [channel::cells(), link::cells(), stock::cells(), loan::cells()].into_iter().flatten().collect()
}
