//! How long after the SIGKILL of a mutex's holder a sleeper owns the mutex.

use super::host_mutex::HostMutex;
use crate::child::Child;
use crate::clock::{now, sleep_us};
use crate::plan::{Cell, Effort, Figures};
use crate::scene::{Failure, Scene};
use crate::stage::{Party, Stage};
use crate::stats;
use crate::{ours, peers};
use std::sync::atomic::Ordering::{Acquire, Release};

/// The holder has the mutex.
const HELD: usize = 0;
/// When it was killed.
const KILLED: usize = 1;

pub fn cells() -> Vec<Cell> {
    use ours::host_mutex::{HostMutex, HostMutexWatched};
    let mut cells = Vec::new();
    for (row, sleepers) in [("kill.holder.1", 1), ("kill.holder.4", 4)] {
        cells.push(cell::<HostMutex>(row, sleepers));
        cells.push(cell::<HostMutexWatched>(row, sleepers));
        cells.push(cell::<peers::host_mutex::PthreadRobust>(row, sleepers));
    }
    cells
}

fn cell<M: HostMutex + 'static>(row: &str, sleepers: usize) -> Cell {
    Cell::new(row, M::NAME, move |effort| kills::<M>(effort, sleepers)).rounds(1)
}

fn kills<M: HostMutex>(effort: Effort, sleepers: usize) -> Result<Figures, Failure> {
    let times = effort.times(200);
    let us = (0..times).map(|n| kill::<M>(n, sleepers)).collect::<Result<Vec<f64>, _>>()?;
    Ok(Figures::from([
        ("p50 us", stats::percentile(&us, 0.5)),
        ("p99 us", stats::percentile(&us, 0.99)),
        ("max us", stats::max(&us)),
        ("kills", us.len() as f64),
    ]))
}

/// One kill: party 0 holds, the others sleep; microseconds from before the kill until the first of them owns the mutex.
fn kill<M: HostMutex>(turn: u64, sleepers: usize) -> Result<f64, Failure> {
    let stage = Stage::new();
    let name = M::prepare(&stage);
    let answers = Scene::new(1 + sleepers).conducted(
        &stage,
        |party| {
            let mutex = M::attach(party.stage, &name);
            party.start();
            match party.index {
                0 => hold(party, &mutex),
                _ => inherit(party, &mutex),
            }
        },
        |stage, children| strike(stage, children, turn),
    )?;
    let killed = stage.mark(KILLED).load(Acquire) as f64;
    let owned: Vec<f64> = answers[1..].iter().flatten().map(|a| a[0]).collect();
    if owned.len() < sleepers {
        return Err("a sleeper gave no answer".into());
    }
    Ok((stats::min(&owned) - killed) / 1e3)
}

fn hold<M: HostMutex>(party: &Party, mutex: &M) -> Vec<f64> {
    mutex.with(|_| {
        party.stage.mark(HELD).store(1, Release);
        loop {
            sleep_us(1_000_000);
        }
    });
    Vec::new()
}

fn inherit<M: HostMutex>(party: &Party, mutex: &M) -> Vec<f64> {
    while party.stage.mark(HELD).load(Acquire) == 0 {
        sleep_us(50);
    }
    let mut owned = 0;
    mutex.with(|_| owned = now());
    vec![owned as f64]
}

/// Waits until the others sleep, and some time that differs from kill to kill, so that no phase of a periodic look is favoured.
fn strike(stage: &Stage, children: &mut [Child], turn: u64) {
    while stage.mark(HELD).load(Acquire) == 0 {
        sleep_us(50);
    }
    sleep_us(5_000 + turn * 7_919 % 50_000);
    stage.mark(KILLED).store(now(), Release);
    children[0].kill();
}
