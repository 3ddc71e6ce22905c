//! A round: workers at their work, one after the other killed and replaced, and the accounts afterwards.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::Space;
use antiphon_verify::child::{Child, End};
use antiphon_verify::random::Random;
use antiphon_verify::watchdog;

use crate::ledger::{Fault, Ledger, Place};
use crate::scene::{Fallen, Post, Scene};

/// How a round shall go.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) scene: usize,
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    /// With a process that notices deaths at once?
    pub(crate) watched: bool,
    /// Does it end with the death of everybody, or in good order?
    pub(crate) massacre: bool,
}

/// Longest time between kills, in microseconds.
const LONGEST: u64 = 1500;

struct Stage<'a> {
    ledger: &'a Ledger,
    scene: &'a dyn Scene,
    space: &'a Space,
    workers: Vec<Child>,
    born: u32,
    random: Random,
}

/// Runs a round in a process of its own and returns what that shall exit with.
pub(crate) fn run(ledger: &Ledger, scene: &dyn Scene, order: &Order) -> i32 {
    let space = Space::builder("host:stage").participants(64).open().expect("a space");
    let mut watcher = order.watched.then(|| {
        Child::fork(|| {
            space.watch().expect("a watcher");
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        })
    });
    let mut stage = Stage {
        ledger,
        scene,
        space: &space,
        workers: Vec::new(),
        born: 0,
        random: Random::new(order.seed),
    };
    for index in 0..scene.workers() {
        let worker = stage.hire(index);
        stage.workers.push(worker);
    }
    let mut fallen = Vec::new();
    for kill in 0..order.kills {
        let victim = if stage.random.one_in(2) {
            stage.aim(order.scene)
        } else {
            let delay = stage.random.below(LONGEST);
            thread::sleep(Duration::from_micros(delay));
            stage.random.below(scene.workers() as u64) as usize
        };
        match stage.workers[victim].kill() {
            End::Killed(libc::SIGKILL) => {}
            end => {
                ledger.fault(Fault::Other, &format!("{}: a worker ended: {end:?}", scene.name()))
            }
        }
        let place = ledger.desks[victim].place();
        ledger.hit(order.scene, place);
        fallen.push(Fallen { place });
        ledger.desks[victim].go(Place::OUTSIDE);
        stage.workers[victim] = stage.hire(victim);
        // Half of the time the next dies while the others have not yet dealt with this one.
        if (kill % 2 == 0 || kill + 1 == order.kills) && !stage.all_go_on() {
            ledger.fault(
                Fault::Hang,
                &format!("{}: after a kill at {place:?} ({order:?})", scene.name()),
            );
            // Whatever comes now would count again.
            return finish(order, space);
        }
    }
    if order.massacre && order.seed & 1 == 0 {
        // In the midst of it.
        return finish(order, space);
    }
    ledger.stop.store(1, SeqCst);
    if stage.all_end() {
        drop(watcher.take());
        scene.check(&space, ledger, &fallen);
    } else {
        let places: Vec<_> = (0..scene.workers()).map(|i| ledger.desks[i].place()).collect();
        let what = format!("{}: workers do not end: {places:?} ({order:?})", scene.name());
        ledger.fault(Fault::Hang, &what);
    }
    drop(stage);
    finish(order, space)
}

/// Leaves in good order, or dies with everybody.
fn finish(order: &Order, space: Space) -> i32 {
    if order.massacre {
        // SAFETY: it ends this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
    drop(space);
    0
}

impl Stage<'_> {
    fn hire(&mut self, index: usize) -> Child {
        self.born += 1;
        let (born, seed) = (self.born, self.random.draw());
        Child::fork(|| {
            let mut post = Post::new(self.ledger, index, born, seed);
            self.scene.work(self.space, &mut post);
            0
        })
    }

    /// Looks for somebody who is where the fewest have died, and says who.
    fn aim(&mut self, scene: usize) -> usize {
        let operations = self.scene.operations();
        let mut targets = vec![(Place::OUTSIDE, None)];
        for (operation, what) in operations.iter().enumerate() {
            for state in what.states {
                targets.push((Place { operation, state: *state }, Some(what.workers)));
            }
        }
        let hits = |place: Place| self.ledger.hits(scene, place);
        let (target, workers) =
            targets.into_iter().min_by_key(|(place, _)| hits(*place)).expect("outside at least");
        let candidates = match workers {
            Some(workers) => workers.to_vec(),
            None => (0..self.scene.workers()).collect(),
        };
        let mut victim = candidates[0];
        let began = Instant::now();
        // What is rarely seen is worth a longer look.
        let patience = LONGEST * if hits(target) < 3 { 40 } else { 4 };
        while began.elapsed() < Duration::from_micros(patience) {
            for _ in 0..self.random.below(400) {
                std::hint::spin_loop();
            }
            victim = candidates[self.random.below(candidates.len() as u64) as usize];
            // Stopped where chance will have it, so that it dies exactly there or goes on.
            let stopped = self.workers[victim].stop();
            if !stopped || self.ledger.desks[victim].place() == target {
                break;
            }
            self.workers[victim].resume();
        }
        victim
    }

    /// Waits until every worker has completed something more.
    fn all_go_on(&self) -> bool {
        let progress = |i: usize| self.ledger.desks[i].progress.load(Relaxed);
        let before: Vec<_> = (0..self.workers.len()).map(progress).collect();
        let exhausted = || self.ledger.exhausted.load(SeqCst) != 0;
        watchdog::until(|| {
            before.iter().enumerate().all(|(i, before)| progress(i) != *before) || exhausted()
        })
    }

    /// Waits until every worker has ended in good order.
    fn all_end(&mut self) -> bool {
        let (scene, space, ledger) = (self.scene, self.space, self.ledger);
        let workers = &mut self.workers;
        let mut ends = vec![None; workers.len()];
        let ended = watchdog::until(|| {
            scene.release(space);
            for (end, worker) in ends.iter_mut().zip(workers.iter_mut()) {
                *end = end.or_else(|| worker.ended());
            }
            ends.iter().all(Option::is_some)
        });
        for end in ends.into_iter().flatten().filter(|end| *end != End::Exited(0)) {
            ledger.fault(Fault::Other, &format!("{}: a worker ended: {end:?}", scene.name()));
        }
        ended
    }
}
