//! The loops that the scenes share.

use crate::clock::now;
use crate::scene::{Failure, Scene};
use crate::stage::Party;
use crate::stats;

const BATCHES: usize = 9;

/// Nanoseconds per operation: the median of some batches after a warm-up.
pub fn per_op(times: u64, mut op: impl FnMut()) -> f64 {
    let mut batch = || {
        let start = now();
        for _ in 0..times {
            op();
        }
        (now() - start) as f64 / times as f64
    };
    batch();
    stats::median(&std::array::from_fn::<f64, BATCHES, _>(|_| batch()))
}

/// One party alone in a child process: nanoseconds per operation on what `make` builds.
pub fn alone<S: Sync>(
    times: u64,
    make: impl FnOnce() -> S,
    op: impl Fn(&S) + Sync,
) -> Result<f64, Failure> {
    let answers = Scene::new(1).threads(make, |party, shared| {
        party.start();
        vec![per_op(times, || op(shared))]
    })?;
    Ok(answers[0][0])
}

/// Repeats until the conductor stops; answers how often, and in how many nanoseconds.
pub fn until_stopped(party: &Party, mut op: impl FnMut()) -> Vec<f64> {
    party.start();
    let start = now();
    let mut times = 0_u64;
    while !party.stopped() {
        op();
        times += 1;
    }
    vec![times as f64, (now() - start) as f64]
}

/// The sum of the parties' rates in Mops/s, and the fairness (most over fewest operations).
pub fn rates(answers: &[Vec<f64>]) -> (f64, f64) {
    let rate = answers.iter().map(|a| a[0] * 1e3 / a[1]).sum();
    let counts: Vec<f64> = answers.iter().map(|a| a[0].max(1.0)).collect();
    (rate, stats::max(&counts) / stats::min(&counts))
}

/// When the first party began and the last one ended, of answers `[start, end, ...]`.
pub fn span(answers: &[Vec<f64>]) -> f64 {
    let starts: Vec<f64> = answers.iter().map(|a| a[0]).collect();
    let ends: Vec<f64> = answers.iter().map(|a| a[1]).collect();
    stats::max(&ends) - stats::min(&starts)
}
