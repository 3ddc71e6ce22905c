//! What all processes of a soak note, in memory outside of what is tested.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::Duration;

use zerocopy::FromZeros;

use crate::trades;

/// Two classes per doubling of nanoseconds.
const CLASSES: usize = 96;
/// Workers that ever are at the same time.
pub(crate) const DESKS: usize = 16;

/// What is noted.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(crate) struct Record {
    stop: AtomicU64,
    kills: AtomicU64,
    faults: AtomicU64,
    /// Turns done, by worker and by trade.
    desks: [AtomicU64; DESKS],
    trades: [AtomicU64; trades::NAMES.len()],
    /// How long turns of the residents took since the last sample.
    latencies: [AtomicU64; CLASSES],
}

impl Record {
    pub(crate) fn stop(&self) {
        self.stop.store(1, Relaxed);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Relaxed) != 0
    }

    pub(crate) fn killed(&self) {
        self.kills.fetch_add(1, Relaxed);
    }

    pub(crate) fn kills(&self) -> u64 {
        self.kills.load(Relaxed)
    }

    /// Counts something that must not be, and says what.
    pub(crate) fn fault(&self, what: &str) {
        if self.faults.fetch_add(1, AcqRel) < 20 {
            eprintln!("fault: {what}");
        }
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }

    /// A worker has done a turn of a trade.
    pub(crate) fn turn(&self, desk: usize, trade: usize) {
        self.desks[desk].fetch_add(1, Relaxed);
        self.trades[trade].fetch_add(1, Relaxed);
    }

    pub(crate) fn done_by(&self, desk: usize) -> u64 {
        self.desks[desk].load(Relaxed)
    }

    pub(crate) fn turns(&self) -> u64 {
        self.trades.iter().map(|turns| turns.load(Relaxed)).sum()
    }

    pub(crate) fn turns_of(&self, trade: usize) -> u64 {
        self.trades[trade].load(Relaxed)
    }

    pub(crate) fn took(&self, time: Duration) {
        let half_octaves = (time.as_nanos().max(1) as f64).log2() * 2.0;
        self.latencies[(half_octaves as usize).min(CLASSES - 1)].fetch_add(1, Relaxed);
    }

    /// The median and the 99th percentile since the last call, in nanoseconds.
    pub(crate) fn latencies(&self) -> [f64; 2] {
        let counts: Vec<u64> = self.latencies.iter().map(|class| class.swap(0, Relaxed)).collect();
        [0.5, 0.99].map(|share| percentile(&counts, share))
    }
}

/// Where so much of the counts lies below, between the ends of its class in proportion.
fn percentile(counts: &[u64], share: f64) -> f64 {
    let mut below = share * counts.iter().sum::<u64>() as f64;
    for (class, count) in counts.iter().map(|count| *count as f64).enumerate() {
        if below <= count && count > 0.0 {
            return ((class as f64 + below / count) / 2.0).exp2();
        }
        below -= count;
    }
    0.0
}
