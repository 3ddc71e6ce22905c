//! Mutex between processes: alone, and 2 processes paced and tight.

use crate::cpu;
use crate::plan::{Cell, Effort, Figures, figure};
use crate::scene::{Failure, Scene};
use crate::stage::Stage;
use crate::timing;
use crate::{ours, peers};

/// A mutex around a counter that several processes share.
pub trait HostMutex: Sized {
    const NAME: &'static str;
    /// Makes it, before the processes are forked. Must leave no thread behind and open no space.
    fn prepare(stage: &Stage) -> String;
    /// Joins it, in a process of its own. `name` is what `prepare` returned.
    fn attach(stage: &Stage, name: &str) -> Self;
    fn with(&self, change: impl FnOnce(&mut u64));
}

/// The subject that repeats our mutex in threads beside the host ones.
pub const IN_THREADS: &str = "antiphon in threads";

pub fn cells() -> Vec<Cell> {
    use peers::host_mutex::{Futex, Pthread, PthreadRobust, Sem};
    [
        of::<ours::host_mutex::HostMutex>(),
        of::<ours::host_mutex::HostMutexBare>(),
        of::<Futex>(),
        of::<Pthread>(),
        of::<PthreadRobust>(),
        of::<Sem>(),
    ]
    .into_iter()
    .flatten()
    // Ours in threads again, so that the two are measured in the same rounds.
    .chain([Cell::new("mutex.host.uncontended", IN_THREADS, in_threads)])
    .collect()
}

fn of<M: HostMutex + 'static>() -> Vec<Cell> {
    let mut cells = vec![Cell::new("mutex.host.uncontended", M::NAME, alone::<M>)];
    for (row, paced) in [("mutex.host.2.paced", true), ("mutex.host.2.tight", false)] {
        cells.push(Cell::new(row, M::NAME, move |effort| contended::<M>(effort, paced)));
    }
    cells
}

fn in_threads(effort: Effort) -> Result<Figures, Failure> {
    use crate::sync::mutex::Mutex;
    let make = <ours::mutex::Mutex as Mutex>::new;
    Ok(figure("ns", timing::alone(effort.times(400_000), make, |m| m.with(|n| *n += 1))?))
}

fn alone<M: HostMutex>(effort: Effort) -> Result<Figures, Failure> {
    let stage = Stage::new();
    let name = M::prepare(&stage);
    let answers = Scene::new(1).processes_on(&stage, |party| {
        let mutex = M::attach(party.stage, &name);
        party.start();
        vec![timing::per_op(effort.times(400_000), || mutex.with(|n| *n += 1))]
    })?;
    Ok(figure("ns", answers[0][0]))
}

fn contended<M: HostMutex>(effort: Effort, paced: bool) -> Result<Figures, Failure> {
    let stage = Stage::new();
    let name = M::prepare(&stage);
    let answers = Scene::new(2).window(effort.window()).processes_on(&stage, |party| {
        let mutex = M::attach(party.stage, &name);
        timing::until_stopped(party, || {
            mutex.with(|n| *n += 1);
            if paced {
                cpu::pace();
            }
        })
    })?;
    let (rate, fairness) = timing::rates(&answers);
    Ok(Figures::from([("Mops/s", rate), ("fairness", fairness)]))
}
