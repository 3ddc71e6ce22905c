//! Mutex in threads: alone, and 2 and 4 threads, paced (about 100 ns of work outside the lock) and tight.

use crate::cpu;
use crate::plan::{Cell, Effort, Figures, figure};
use crate::scene::{Failure, Scene};
use crate::timing;
use crate::{ours, peers};

/// A mutex around a counter.
pub trait Mutex: Send + Sync {
    const NAME: &'static str;
    fn new() -> Self;
    fn with(&self, change: impl FnOnce(&mut u64));
}

pub fn cells() -> Vec<Cell> {
    use peers::mutex::{ParkingLot, Std, Usync};
    [of::<ours::mutex::Mutex>(), of::<Std>(), of::<ParkingLot>(), of::<Usync>()]
        .into_iter()
        .flatten()
        .collect()
}

fn of<M: Mutex + 'static>() -> Vec<Cell> {
    let mut cells = vec![Cell::new("mutex.threads.uncontended", M::NAME, alone::<M>)];
    for threads in [2, 4] {
        for (word, paced) in [("paced", true), ("tight", false)] {
            let row = format!("mutex.threads.{threads}.{word}");
            cells.push(Cell::new(row, M::NAME, move |effort| {
                contended::<M>(effort, threads, paced)
            }));
        }
    }
    cells
}

fn alone<M: Mutex>(effort: Effort) -> Result<Figures, Failure> {
    let ns = timing::alone(effort.times(400_000), M::new, |m| m.with(|n| *n += 1))?;
    Ok(figure("ns", ns))
}

fn contended<M: Mutex>(effort: Effort, threads: usize, paced: bool) -> Result<Figures, Failure> {
    let answers = Scene::new(threads).window(effort.window()).threads(M::new, |party, m| {
        timing::until_stopped(party, || {
            m.with(|n| *n += 1);
            if paced {
                cpu::pace();
            }
        })
    })?;
    let (rate, fairness) = timing::rates(&answers);
    Ok(Figures::from([("Mops/s", rate), ("fairness", fairness)]))
}
