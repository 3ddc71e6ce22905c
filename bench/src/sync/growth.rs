//! What grows with the number of sleepers: the operation that wakes one of them, and the idle machine.

use crate::child::Child;
use crate::clock::{now, sleep_us};
use crate::plan::{Cell, Effort, Figures};
use crate::scene::{Failure, Scene};
use crate::stage::{Party, Stage};
use crate::stats;
use crate::{ours, peers};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Something on which one sleeps until another gives.
pub trait Gate: Sync {
    const NAME: &'static str;
    /// Lets one sleeper go, or the next that comes.
    fn give(&self);
    /// Waits for one `give`.
    fn take(&self);
}

/// A gate between threads.
pub trait ThreadGate: Gate {
    fn new() -> Self;
}

/// A gate between processes.
pub trait HostGate: Gate + Sized {
    fn prepare(stage: &Stage) -> String;
    fn attach(stage: &Stage, name: &str) -> Self;
}

/// The numbers of sleepers.
pub const SLEEPERS: [usize; 4] = [1, 4, 16, 64];

pub fn cells() -> Vec<Cell> {
    use peers::gate::{FutexGate, SemGate};
    let mut cells = Vec::new();
    for sleepers in SLEEPERS {
        cells.push(in_threads::<ours::gate::Gate>(sleepers));
        cells.push(in_threads::<FutexGate>(sleepers));
    }
    for sleepers in SLEEPERS {
        cells.push(in_processes::<ours::gate::HostGate>(sleepers));
        cells.push(in_processes::<SemGate>(sleepers));
    }
    cells.push(idle::<ours::gate::HostGate>());
    cells.push(idle::<SemGate>());
    cells
}

fn in_threads<G: ThreadGate + 'static>(sleepers: usize) -> Cell {
    Cell::new(format!("growth.wake.threads.{sleepers}"), G::NAME, move |effort| {
        let answers = Scene::new(1 + sleepers).threads(
            || (G::new(), AtomicU64::new(0)),
            |party, (gate, woken)| wakes(party, gate, woken, effort),
        )?;
        Ok(Figures::from([("us", answers[0][0])]))
    })
    .rounds(5)
}

fn in_processes<G: HostGate + 'static>(sleepers: usize) -> Cell {
    Cell::new(format!("growth.wake.host.{sleepers}"), G::NAME, move |effort| {
        let stage = Stage::new();
        let name = G::prepare(&stage);
        let answers = Scene::new(1 + sleepers).processes_on(&stage, |party| {
            let gate = G::attach(party.stage, &name);
            wakes(party, &gate, party.stage.mark(0), effort)
        })?;
        Ok(Figures::from([("us", answers[0][0])]))
    })
    .rounds(5)
}

/// Party 0 gives, one at a time, and times the giving; the others take and report. Answers the median in microseconds.
fn wakes<G: Gate>(party: &Party, gate: &G, woken: &AtomicU64, effort: Effort) -> Vec<f64> {
    party.start();
    let sleepers = (party.of - 1) as u64;
    let times = effort.times(400);
    if party.index > 0 {
        // The last round of gives lets everybody go.
        while woken.load(Acquire) < times {
            gate.take();
            woken.fetch_add(1, Release);
        }
        return vec![0.0];
    }
    sleep_us(50_000);
    let mut us = Vec::new();
    for turn in 1..=times {
        let start = now();
        gate.give();
        us.push((now() - start) as f64 / 1e3);
        while woken.load(Acquire) < turn {
            sleep_us(20);
        }
        // Until the woken one is asleep again.
        sleep_us(150);
    }
    for _ in 0..sleepers {
        gate.give();
    }
    vec![stats::median(&us)]
}

/// The processor time that 64 sleeping processes use, in microseconds per second.
fn idle<G: HostGate + 'static>() -> Cell {
    Cell::new("growth.idle.64", G::NAME, |effort| {
        const SLEEPING: usize = 64;
        let stage = Stage::new();
        let name = G::prepare(&stage);
        let mut used = 0.0;
        Scene::new(SLEEPING + 1).conducted(
            &stage,
            |party| {
                let gate = G::attach(party.stage, &name);
                party.start();
                if party.index > 0 {
                    gate.take();
                    return vec![0.0];
                }
                while !party.stopped() {
                    sleep_us(10_000);
                }
                for _ in 0..SLEEPING {
                    gate.give();
                }
                vec![0.0]
            },
            |_, children| {
                sleep_us(300_000);
                let (start, before) = (now(), cpu_time_ns(&children[1..]));
                sleep_us(effort.times(4_000_000));
                let seconds = (now() - start) as f64 / 1e9;
                used = (cpu_time_ns(&children[1..]) - before) / 1e3 / seconds;
            },
        )?;
        Ok::<Figures, Failure>(Figures::from([("us/s", used)]))
    })
    .rounds(3)
}

/// Nanoseconds that all threads of these processes have run.
fn cpu_time_ns(children: &[Child]) -> f64 {
    let of_task = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    };
    let of_process = |child: &Child| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.pid())).ok()?;
        Some(tasks.flatten().filter_map(of_task).sum::<f64>())
    };
    children.iter().filter_map(of_process).sum()
}
