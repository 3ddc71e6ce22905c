//! How far apart the two processors are at this moment: the hypervisor moves them, and cross-core figures move 3-5x with them.

use crate::clock::now;
use crate::cpu;
use crate::scene::Scene;
use crate::stats::median;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// A cache-line round trip below this is "near".
pub const NEAR_NS: f64 = 200.0;

const TRIPS: u64 = 600;
/// Odd, so that one stretch in which a party was preempted does not count.
const STRETCHES: u64 = 5;

/// The round trip of one cache line between processors 0 and 1, in nanoseconds. `None` with one processor.
pub fn line_round_trip() -> Option<f64> {
    if cpu::count() < 2 {
        return None;
    }
    let answers = Scene::new(2).threads(
        || AtomicU64::new(0),
        |party, ball| {
            party.start();
            let stretch = |nth: u64| {
                let start = now();
                for trip in nth * TRIPS..(nth + 1) * TRIPS {
                    let mine = trip * 2 + party.index as u64;
                    while ball.load(Acquire) != mine {
                        std::hint::spin_loop();
                    }
                    ball.store(mine + 1, Release);
                }
                (now() - start) as f64 / TRIPS as f64
            };
            vec![median(&(0..STRETCHES).map(stretch).collect::<Vec<f64>>())]
        },
    );
    answers.ok().map(|a| a[0][0])
}

/// The word for a round trip.
pub fn name(line_ns: f64) -> &'static str {
    if line_ns < NEAR_NS { "near" } else { "far" }
}
