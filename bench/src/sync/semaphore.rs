//! Semaphore in threads: an acquire and a release, alone, and two threads that take turns at one permit.

use crate::clock::now;
use crate::plan::{Cell, figure};
use crate::scene::Scene;
use crate::timing;
use crate::{ours, peers};

/// A counting semaphore.
pub trait Semaphore: Send + Sync {
    const NAME: &'static str;
    fn new(permits: usize) -> Self;
    /// Takes one permit and gives it back, so many times.
    fn pairs(&self, times: u64);
}

pub fn cells() -> Vec<Cell> {
    use peers::semaphore::{AsyncLock, Tokio};
    [of::<ours::semaphore::Semaphore>(), of::<Tokio>(), of::<AsyncLock>()]
        .into_iter()
        .flatten()
        .collect()
}

fn of<S: Semaphore + 'static>() -> Vec<Cell> {
    vec![
        Cell::new("semaphore.threads.pair", S::NAME, |effort| {
            const BATCH: u64 = 1_000;
            let times = effort.times(400_000) / BATCH;
            let ns = timing::alone(times, || S::new(4), |s| s.pairs(BATCH))?;
            Ok(figure("ns", ns / BATCH as f64))
        }),
        Cell::new("semaphore.threads.2", S::NAME, |effort| {
            let times = effort.times(200_000);
            let answers = Scene::new(2).threads(
                || S::new(1),
                |party, s| {
                    party.start();
                    let start = now();
                    s.pairs(times);
                    vec![start as f64, now() as f64]
                },
            )?;
            Ok(figure("Mops/s", 2.0 * times as f64 * 1e3 / timing::span(&answers)))
        }),
    ]
}
