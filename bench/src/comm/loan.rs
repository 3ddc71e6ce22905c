//! Messages that are written and read where they lie, between two processes: every byte is written by the one and read by the
//! other, in place.

use super::channel::trips;
use crate::clock::{now, sleep_us};
use crate::plan::{Cell, Effort, Figures};
use crate::scene::{Failure, Scene};
use crate::{ours, peers, stats, timing};
use std::sync::atomic::Ordering::{Acquire, Release};

/// The sizes, with their words.
pub const SIZES: [(usize, &str); 2] = [(4 << 10, "4KiB"), (1 << 20, "1MiB")];

/// The row of messages one way.
pub fn flow_row(size: &str) -> String {
    format!("loan.host.{size}")
}

/// The row of round trips.
pub fn trip_row(size: &str) -> String {
    format!("loan.host.{size}.rtt")
}

/// A one-way queue between two processes that lends its memory.
pub trait Lender: 'static {
    const NAME: &'static str;
    /// What is made before the fork. Must leave no thread behind and open no space.
    type Wires;
    type Tx;
    type Rx;
    /// For messages of so many bytes.
    fn wires(bytes: usize) -> Self::Wires;
    fn tx(wires: &Self::Wires) -> Self::Tx;
    fn rx(wires: &Self::Wires) -> Self::Rx;
    fn send(tx: &mut Self::Tx, bytes: usize, fill: impl Fn(&mut [u8]));
    /// Receives one message and shows it.
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8]));
}

pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (bytes, size) in SIZES {
        let (times, few) = if bytes > 1 << 16 { (2_000, 500) } else { (200_000, 20_000) };
        cells.push(flow::<ours::loan::Loans>(bytes, size, times));
        cells.push(flow::<peers::iceoryx::Slice>(bytes, size, times));
        cells.push(round_trips::<ours::loan::Loans>(bytes, size, few));
        cells.push(round_trips::<peers::iceoryx::Slice>(bytes, size, few));
    }
    cells
}

/// Writes every byte.
fn fill(bytes: &mut [u8], n: u64) {
    for (word, value) in bytes.as_chunks_mut().0.iter_mut().zip(n..) {
        *word = value.to_ne_bytes();
    }
}

/// Reads every byte.
fn check(bytes: &[u8], n: u64) {
    let words = bytes.as_chunks().0;
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
    let count = words.len() as u64;
    assert_eq!(sum, count * n + count * (count - 1) / 2, "message {n} is lost or torn");
}

fn flow<L: Lender>(bytes: usize, size: &str, times: u64) -> Cell {
    Cell::new(flow_row(size), L::NAME, move |effort| {
        let times = effort.times(times);
        let wires = L::wires(bytes);
        let answers = Scene::new(2).processes(|party| {
            let end = party.stage.mark(0);
            if party.index == 1 {
                let mut rx = L::rx(&wires);
                party.start();
                let start = now();
                (0..times).for_each(|n| L::recv(&mut rx, |message| check(message, n)));
                let ended = now();
                end.store(1, Release);
                return vec![start as f64, ended as f64];
            }
            let mut tx = L::tx(&wires);
            party.start();
            let start = now() as f64;
            (0..times).for_each(|n| L::send(&mut tx, bytes, |message| fill(message, n)));
            // What is in flight may end with its sender (iceoryx2): stay until the other end has it all.
            while end.load(Acquire) == 0 {
                sleep_us(100);
            }
            vec![start, start]
        })?;
        let ns = timing::span(&answers);
        let rate = times as f64 * 1e3 / ns;
        Ok(Figures::from([("Mmsg/s", rate), ("GB/s", times as f64 * bytes as f64 / ns)]))
    })
}

fn round_trips<L: Lender>(bytes: usize, size: &str, times: u64) -> Cell {
    Cell::new(trip_row(size), L::NAME, move |effort| trips_of::<L>(bytes, effort, times))
}

fn trips_of<L: Lender>(bytes: usize, effort: Effort, times: u64) -> Result<Figures, Failure> {
    let times = effort.times(times);
    let wires = [L::wires(bytes), L::wires(bytes)];
    let answers = Scene::new(2).processes(|party| {
        // The receiving end first: a publisher finds the subscribers that are there.
        let mut rx = L::rx(&wires[1 - party.index]);
        let mut tx = L::tx(&wires[party.index]);
        party.start();
        if party.index == 1 {
            for n in 0..times {
                L::recv(&mut rx, |message| check(message, n));
                L::send(&mut tx, bytes, |message| fill(message, n));
            }
            while party.stage.mark(0).load(Acquire) == 0 {
                sleep_us(100);
            }
            return Vec::new();
        }
        let mut us = Vec::with_capacity(times as usize);
        for n in 0..times {
            us.extend(
                trips(1, |_| {
                    L::send(&mut tx, bytes, |message| fill(message, n));
                    L::recv(&mut rx, |message| check(message, n));
                })
                .first(),
            );
        }
        party.stage.mark(0).store(1, Release);
        vec![stats::percentile(&us, 0.5), stats::percentile(&us, 0.99)]
    })?;
    Ok(Figures::from([("p50 us", answers[0][0]), ("p99 us", answers[0][1])]))
}
