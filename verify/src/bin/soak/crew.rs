//! Those who work: residents, and mayflies that are killed and replaced.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use antiphon::Space;
use antiphon_verify::child::{Child, End};
use antiphon_verify::random::Random;
use antiphon_verify::watchdog;

use crate::record::{DESKS, Record};
use crate::trades;

const RESIDENTS: usize = 3;
const MAYFLIES: usize = 6;
const _: () = assert!(RESIDENTS + MAYFLIES <= DESKS);

/// The processes of a soak.
pub(crate) struct Crew<'a> {
    space: &'a Space,
    record: &'a Record,
    residents: Vec<Child>,
    mayflies: Vec<Child>,
    born: u64,
}

impl<'a> Crew<'a> {
    pub(crate) fn hire(space: &'a Space, record: &'a Record, seed: u64, watch: bool) -> Self {
        let mut crew =
            Self { space, record, residents: vec![], mayflies: vec![], born: seed << 32 };
        for desk in 0..RESIDENTS {
            let watcher = watch && desk == 0;
            let resident = crew.fork(desk, watcher);
            crew.residents.push(resident);
        }
        for desk in RESIDENTS..RESIDENTS + MAYFLIES {
            let mayfly = crew.fork(desk, false);
            crew.mayflies.push(mayfly);
        }
        crew
    }

    fn fork(&mut self, desk: usize, watcher: bool) -> Child {
        self.born += 1;
        let (space, record, seed) = (self.space, self.record, self.born);
        Child::fork(|| {
            if watcher {
                space.watch().expect("a watcher");
            }
            let body = AssertUnwindSafe(|| work(space, record, desk, seed));
            if panic::catch_unwind(body).is_err() {
                record.fault("a worker panics");
            }
            0
        })
    }

    pub(crate) fn residents(&self) -> Vec<i32> {
        self.residents.iter().map(Child::pid).collect()
    }

    /// Kills a mayfly, wherever it is, and hires another.
    pub(crate) fn kill_one(&mut self, random: &mut Random, record: &Record) {
        let victim = random.below(MAYFLIES as u64) as usize;
        match self.mayflies[victim].kill() {
            End::Killed(libc::SIGKILL) => record.killed(),
            end => record.fault(&format!("a worker ended by itself: {end:?}")),
        }
        self.mayflies[victim] = self.fork(RESIDENTS + victim, false);
    }

    /// Waits until every resident has done something more.
    pub(crate) fn all_go_on(&self, record: &Record) -> bool {
        let before: Vec<_> = (0..RESIDENTS).map(|desk| record.done_by(desk)).collect();
        let moved = |(desk, before): (usize, &u64)| record.done_by(desk) != *before;
        watchdog::until(|| before.iter().enumerate().all(moved))
    }

    /// Ends all in good order. False: somebody does not end.
    pub(crate) fn dismiss(mut self, record: &Record) -> bool {
        record.stop();
        let mut all: Vec<_> = self.residents.drain(..).chain(self.mayflies.drain(..)).collect();
        let mut ends = vec![None; all.len()];
        let ended = watchdog::until(|| {
            for (end, child) in ends.iter_mut().zip(&mut all) {
                *end = end.or_else(|| child.ended());
            }
            ends.iter().all(Option::is_some)
        });
        if !ended {
            record.fault("a worker does not end");
        }
        for end in ends.into_iter().flatten().filter(|end| *end != End::Exited(0)) {
            record.fault(&format!("a worker ended: {end:?}"));
        }
        ended
    }
}

/// Turns of one trade after the other, as chance will have it.
fn work(space: &Space, record: &Record, desk: usize, seed: u64) {
    let mut random = Random::new(seed);
    let mut trades = trades::all(space);
    while !record.stopping() {
        let trade = random.below(trades.len() as u64) as usize;
        let began = Instant::now();
        if let Err(what) = trades[trade].turn(space, &mut random) {
            record.fault(&format!("{}: {what}", trades::NAMES[trade]));
        }
        if desk < RESIDENTS {
            record.took(began.elapsed());
        }
        record.turn(desk, trade);
        if random.one_in(64) {
            std::thread::sleep(Duration::from_micros(random.below(300)));
        }
    }
}

/// Resident memory in bytes that is not shared, and open files, of a process.
pub(crate) fn cost_of(pid: i32) -> Option<(u64, u64)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let private = rollup.lines().filter(|line| line.starts_with("Private_"));
    let kib = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some((kib.sum::<u64>() * 1024, files))
}
