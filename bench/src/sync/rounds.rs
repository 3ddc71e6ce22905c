//! Parties that wait for one another: Condvar ping-pong, Event ping-pong, Barrier rounds.

use crate::clock::now;
use crate::plan::{Cell, Effort, Figures, figure};
use crate::scene::{Failure, Scene};
use crate::timing;
use crate::{ours, peers};

/// A number under a mutex with a condition variable: whose turn it is.
pub trait Turn: Send + Sync {
    const NAME: &'static str;
    fn new() -> Self;
    /// Waits until it is `me`'s turn and gives it to `next`.
    fn pass(&self, me: u64, next: u64);
}

/// An event that is set and cleared.
pub trait Event: Send + Sync {
    const NAME: &'static str;
    fn new() -> Self;
    fn set(&self);
    fn clear(&self);
    fn wait(&self);
}

/// A barrier for a number of parties.
pub trait Barrier: Send + Sync {
    const NAME: &'static str;
    fn new(parties: usize) -> Self;
    fn wait(&self);
}

pub fn cells() -> Vec<Cell> {
    use peers::rounds as p;
    let mut cells = vec![
        turns::<ours::rounds::Turn>(),
        turns::<p::StdTurn>(),
        turns::<p::ParkingLotTurn>(),
        turns::<p::UsyncTurn>(),
        event_alone::<ours::rounds::Event>(),
        event_alone::<p::StdEvent>(),
        event_alone::<p::ParkingLotEvent>(),
        event_alone::<p::TokioNotify>(),
        event_rounds::<ours::rounds::Event>(),
        event_rounds::<p::StdEvent>(),
        event_rounds::<p::ParkingLotEvent>(),
        event_rounds::<p::TokioNotify>(),
    ];
    for parties in [2, 4] {
        cells.push(barrier::<ours::rounds::Barrier>(parties));
        cells.push(barrier::<p::StdBarrier>(parties));
        cells.push(barrier::<p::UsyncBarrier>(parties));
    }
    cells
}

fn turns<T: Turn + 'static>() -> Cell {
    Cell::new("condvar.threads.ping-pong", T::NAME, |effort| {
        two_threads(effort, T::new, |index, turn| turn.pass(index, 1 - index))
    })
}

fn event_alone<E: Event + 'static>() -> Cell {
    Cell::new("event.threads.set-wait-clear", E::NAME, |effort| {
        let ns = timing::alone(effort.times(100_000), E::new, |event| {
            event.set();
            event.wait();
            event.clear();
        })?;
        Ok(figure("ns", ns))
    })
}

fn event_rounds<E: Event + 'static>() -> Cell {
    Cell::new("event.threads.ping-pong", E::NAME, |effort| {
        let make = || {
            let pair = [E::new(), E::new()];
            pair[0].set();
            pair
        };
        two_threads(effort, make, |index, pair| {
            pair[index as usize].wait();
            pair[index as usize].clear();
            pair[1 - index as usize].set();
        })
    })
}

fn barrier<B: Barrier + 'static>(parties: usize) -> Cell {
    Cell::new(format!("barrier.threads.{parties}"), B::NAME, move |effort| {
        rounds(effort, parties, || B::new(parties), |_, barrier| barrier.wait())
    })
}

fn two_threads<S: Sync>(
    effort: Effort,
    make: impl FnOnce() -> S,
    round: impl Fn(u64, &S) + Sync,
) -> Result<Figures, Failure> {
    rounds(effort, 2, make, round)
}

/// Microseconds per round in which every party waits for another one.
fn rounds<S: Sync>(
    effort: Effort,
    parties: usize,
    make: impl FnOnce() -> S,
    round: impl Fn(u64, &S) + Sync,
) -> Result<Figures, Failure> {
    let times = effort.times(4_000);
    let answers = Scene::new(parties).threads(make, |party, shared| {
        party.start();
        let start = now();
        for _ in 0..times {
            round(party.index as u64, shared);
        }
        vec![start as f64, now() as f64]
    })?;
    Ok(figure("us", timing::span(&answers) / 1e3 / times as f64))
}
