//! Channels between two threads, one producer and one consumer, bounded to 1024: 8 and 64 bytes, one by one and in batches.

use super::channel::{Message, batched_as, single_as};
use crate::plan::Cell;
use crate::{ours, peers};

/// The row of a size.
pub fn row(bytes: usize) -> String {
    format!("channel.threads.1x1.{bytes}")
}

pub fn cells() -> Vec<Cell> {
    [of_size::<u64>(), of_size::<[u64; 8]>()].into_iter().flatten().collect()
}

fn of_size<T: Message>() -> Vec<Cell> {
    use ours::pair::Spsc;
    use peers::pair::{CrossfireSpsc, Rtrb};
    let row = row(T::BYTES);
    vec![
        single_as::<T, Spsc>(&row, (1, 1)),
        batched_as::<T, Spsc>(&row, (1, 1)),
        single_as::<T, CrossfireSpsc>(&row, (1, 1)),
        single_as::<T, Rtrb>(&row, (1, 1)),
        batched_as::<T, Rtrb>(&row, (1, 1)),
    ]
}
