//! What grows with the number of objects in a space: creating one, opening one, using one.

use crate::clock::sleep_us;
use crate::ours::space::{Crowd, unique_name};
use crate::plan::{Cell, Effort, Figures};
use crate::scene::{Failure, Scene};
use crate::{marks, stats, timing};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

/// The numbers of objects.
pub const OBJECTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

pub fn cells() -> Vec<Cell> {
    OBJECTS
        .into_iter()
        .map(|objects| {
            let row = format!("growth.objects.{objects}");
            Cell::new(row, marks::OURS, move |effort| crowded(effort, objects)).rounds(5)
        })
        .collect()
}

/// One process fills a space and times the last creations; another one opens objects all over it, each for the first time.
fn crowded(effort: Effort, objects: usize) -> Result<Figures, Failure> {
    let name = unique_name();
    let answers = Scene::new(2).processes(|party| {
        let mut crowd = Crowd::enter(&name);
        if party.index == 0 {
            let create: Vec<f64> = (0..objects).map(|n| micros(|| crowd.open(n))).collect();
            party.start();
            while party.stage.mark(0).load(Acquire) == 0 {
                sleep_us(1_000);
            }
            return vec![stats::median(&create[objects - objects.min(100)..])];
        }
        party.start();
        let opened = objects.min(effort.times(2_000) as usize);
        let stride = objects / opened;
        let open: Vec<f64> = (0..opened).map(|n| micros(|| crowd.open(n * stride))).collect();
        let lock = timing::per_op(effort.times(20_000), || crowd.lock_one());
        party.stage.mark(0).store(1, Release);
        vec![stats::median(&open), stats::percentile(&open, 0.99), lock]
    })?;
    Ok(Figures::from([
        ("create us", answers[0][0]),
        ("open us", answers[1][0]),
        ("open p99 us", answers[1][1]),
        ("lock ns", answers[1][2]),
    ]))
}

fn micros(op: impl FnOnce()) -> f64 {
    let start = Instant::now();
    op();
    start.elapsed().as_nanos() as f64 / 1e3
}
