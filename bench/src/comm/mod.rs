//! The communication half.

pub mod channel;
pub mod link;

use crate::plan::Cell;

/// Every cell, in the order of the table.
pub fn cells() -> Vec<Cell> {
    [channel::cells(), link::cells()].into_iter().flatten().collect()
}
