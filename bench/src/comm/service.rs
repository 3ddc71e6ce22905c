//! Calls between processes, one caller and one worker, both awake: 8 bytes there and back.

use super::channel::trips;
use crate::clock::sleep_us;
use crate::plan::{Cell, Effort, Figures};
use crate::scene::{Failure, Scene};
use crate::{ours, peers};
use std::sync::atomic::Ordering::{Acquire, Release};

/// The row.
pub const AWAKE: &str = "service.host.awake";

/// Calls and answers between two processes.
pub trait Server: 'static {
    const NAME: &'static str;
    type Wires;
    type Caller;
    type Worker;
    fn wires() -> Self::Wires;
    fn caller(wires: &Self::Wires) -> Self::Caller;
    fn worker(wires: &Self::Wires) -> Self::Worker;
    /// Calls and waits for the answer.
    fn call(caller: &mut Self::Caller, n: u64) -> u64;
    /// Answers one call with what was asked, plus one.
    fn serve(worker: &mut Self::Worker);
}

pub fn cells() -> Vec<Cell> {
    vec![awake::<ours::service::Service>(), awake::<peers::iceoryx_service::RequestResponse>()]
}

fn awake<S: Server>() -> Cell {
    Cell::new(AWAKE, S::NAME, |effort| calls::<S>(effort))
}

/// Party 0 calls, party 1 answers.
fn calls<S: Server>(effort: Effort) -> Result<Figures, Failure> {
    let times = effort.times(20_000);
    let wires = S::wires();
    let answers = Scene::new(2).processes(|party| {
        let end = party.stage.mark(0);
        if party.index == 1 {
            let mut worker = S::worker(&wires);
            end.store(1, Release);
            party.start();
            (0..times).for_each(|_| S::serve(&mut worker));
            // What is in flight may end with its sender.
            while end.load(Acquire) != 2 {
                sleep_us(100);
            }
            return Vec::new();
        }
        // A caller finds the workers that are there.
        while end.load(Acquire) == 0 {
            sleep_us(100);
        }
        let mut caller = S::caller(&wires);
        party.start();
        let us = trips(times, |n| assert_eq!(S::call(&mut caller, n), n + 1, "another's answer"));
        end.store(2, Release);
        us
    })?;
    Ok(Figures::from([("p50 us", answers[0][0]), ("p99 us", answers[0][1])]))
}
