//! Semaphore and RwLock between processes, alone: an acquire and a release, a read lock and its release. Beside them the
//! price of a compare-exchange and a swap on this machine, by which the marks are scaled.

use crate::plan::{Cell, Effort, Figures, figure};
use crate::scene::{Failure, Scene};
use crate::stage::Stage;
use crate::timing;
use crate::{ours, peers};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A pair of operations on an object that processes share.
pub trait HostPair: Sized {
    const NAME: &'static str;
    const ROW: &'static str;
    fn prepare(stage: &Stage) -> String;
    fn attach(stage: &Stage, name: &str) -> Self;
    fn pair(&self);
}

pub fn cells() -> Vec<Cell> {
    use peers::host_pairs::{PthreadRead, SemPair};
    vec![
        cell::<ours::host_pairs::Semaphore>(),
        cell::<SemPair>(),
        Cell::new("semaphore.host.pair", "CAS+swap", cas_swap),
        cell::<ours::host_pairs::Read>(),
        cell::<PthreadRead>(),
        Cell::new("rwlock.host.read", "CAS+swap", cas_swap),
    ]
}

fn cell<P: HostPair + 'static>() -> Cell {
    Cell::new(P::ROW, P::NAME, |effort| {
        let stage = Stage::new();
        let name = P::prepare(&stage);
        let answers = Scene::new(1).processes_on(&stage, |party| {
            let object = P::attach(party.stage, &name);
            party.start();
            vec![timing::per_op(effort.times(400_000), || object.pair())]
        })?;
        Ok(figure("ns", answers[0][0]))
    })
}

fn cas_swap(effort: Effort) -> Result<Figures, Failure> {
    let ns = timing::alone(
        effort.times(400_000),
        || AtomicU32::new(0),
        |word| {
            let _ = std::hint::black_box(word.compare_exchange(0, 1, Acquire, Relaxed));
            std::hint::black_box(word.swap(0, Release));
        },
    )?;
    Ok(figure("ns", ns))
}
