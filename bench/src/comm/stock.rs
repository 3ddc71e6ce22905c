//! Queues in another order, bounded to 1024: last in first out, and by priority. Between threads 1:1 and 2:2, and between two processes.

use super::channel::{BOUND, Channel, flow};
use crate::clock::{now, sleep_us};
use crate::plan::{Cell, Figures};
use crate::scene::Scene;
use crate::{ours, peers, timing};
use std::sync::atomic::Ordering::{Acquire, Release};

/// The orders, as the rows call them.
pub const LIFO: &str = "lifo";
pub const PRIORITY: &str = "priority";
/// Producers, consumers.
pub const SHAPES: [(usize, usize); 2] = [(1, 1), (2, 2)];

/// The row of threads.
pub fn row(order: &str, (tx, rx): (usize, usize)) -> String {
    format!("stock.threads.{order}.{tx}x{rx}")
}

/// The row of processes.
pub fn host_row(order: &str) -> String {
    format!("stock.host.{order}.1x1")
}

/// How urgent a number is: in no order.
pub fn urgency(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

/// A queue between two processes.
pub trait Shelf: 'static {
    const ORDER: &'static str;
    fn open(name: &str, capacity: u32) -> Self;
    fn put(&self, n: u64);
    fn get(&self) -> u64;
}

pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for shape in SHAPES {
        cells.push(threads::<ours::stock::Lifo>(LIFO, shape));
        cells.push(threads::<peers::stock::LockedVec>(LIFO, shape));
        cells.push(threads::<ours::stock::Priority>(PRIORITY, shape));
        cells.push(threads::<peers::stock::LockedHeap>(PRIORITY, shape));
    }
    cells.push(host::<ours::stock::HostLifo>());
    cells.push(host::<ours::stock::HostPriority>());
    cells
}

fn threads<C: Channel<u64>>(order: &str, shape: (usize, usize)) -> Cell {
    Cell::new(row(order, shape), C::NAME, move |effort| {
        let times = effort.times(1_000_000);
        let send = |tx: &C::Tx, count| (0..count).for_each(|n| C::send(tx, n));
        let recv = |rx: &C::Rx, count| (0..count).map(|_| C::recv(rx)).sum();
        flow::<u64, C>(shape, times, send, recv)
    })
}

fn host<S: Shelf>() -> Cell {
    Cell::new(host_row(S::ORDER), crate::marks::OURS, move |effort| {
        let times = effort.times(1_000_000);
        let name = ours::space::unique_name();
        let answers = Scene::new(2).processes(|party| {
            let shelf = S::open(&name, BOUND as u32);
            let end = party.stage.mark(0);
            party.start();
            let start = now() as f64;
            if party.index == 1 {
                let sum: u64 = (0..times).map(|_| shelf.get()).sum();
                let ended = now() as f64;
                end.store(1, Release);
                assert_eq!(sum, times * (times - 1) / 2, "items were lost or doubled");
                return vec![start, ended];
            }
            (0..times).for_each(|n| shelf.put(n));
            while end.load(Acquire) == 0 {
                sleep_us(100);
            }
            vec![start, start]
        })?;
        Ok(Figures::from([("Mmsg/s", times as f64 * 1e3 / timing::span(&answers))]))
    })
}
