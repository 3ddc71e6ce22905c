//! Broadcast between processes, one publisher and one subscriber for which it waits: 64-byte messages.

use super::link::flow;
use crate::plan::Cell;
use crate::{ours, peers};

/// The row.
pub const ONE: &str = "topic.host.1x1.64";

pub fn cells() -> Vec<Cell> {
    use ours::topic::Topic;
    use peers::iceoryx::Fixed;
    vec![
        Cell::new(ONE, crate::marks::OURS, |effort| flow::<Topic>(effort.times(2_000_000), 64)),
        Cell::new(ONE, "iceoryx2, polling", |effort| flow::<Fixed<64>>(effort.times(500_000), 64)),
    ]
}
