//! RwLock in threads: read alone, two readers at once, and readers beside a writer.

use crate::cpu;
use crate::plan::{Cell, Effort, Figures, figure};
use crate::scene::{Failure, Scene};
use crate::timing;
use crate::{ours, peers};

/// A readers-writer lock around a number.
pub trait RwLock: Send + Sync {
    const NAME: &'static str;
    fn new() -> Self;
    fn read(&self) -> u64;
    fn add(&self, n: u64);
}

pub fn cells() -> Vec<Cell> {
    use peers::rwlock::{ParkingLot, Std};
    [of::<ours::rwlock::RwLock>(), of::<Std>(), of::<ParkingLot>()].into_iter().flatten().collect()
}

fn of<L: RwLock + 'static>() -> Vec<Cell> {
    vec![
        Cell::new("rwlock.threads.read", L::NAME, |effort| {
            let read = |l: &L| {
                std::hint::black_box(l.read());
            };
            Ok(figure("ns", timing::alone(effort.times(400_000), L::new, read)?))
        }),
        Cell::new("rwlock.threads.write", L::NAME, |effort| {
            let write = |l: &L| l.add(1);
            Ok(figure("ns", timing::alone(effort.times(400_000), L::new, write)?))
        }),
        Cell::new("rwlock.threads.2.readers", L::NAME, |effort| contended::<L>(effort, 0)),
        Cell::new("rwlock.threads.mixed", L::NAME, |effort| contended::<L>(effort, 20)),
    ]
}

/// Two threads; with `write_every`, each writes so often and is paced.
fn contended<L: RwLock>(effort: Effort, write_every: u64) -> Result<Figures, Failure> {
    let answers = Scene::new(2).window(effort.window()).threads(L::new, |party, lock| {
        let mut turn = 0;
        timing::until_stopped(party, || {
            turn += 1;
            if write_every > 0 && turn % write_every == 0 {
                lock.add(1);
            } else {
                std::hint::black_box(lock.read());
            }
            if write_every > 0 {
                cpu::pace();
            }
        })
    })?;
    let (rate, fairness) = timing::rates(&answers);
    Ok(Figures::from([("Mops/s", rate), ("fairness", fairness)]))
}
