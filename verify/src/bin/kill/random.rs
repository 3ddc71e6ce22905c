//! Kills at random instants: rounds of every scene, each in a process of its own that may be killed as a whole.

use std::fs;
use std::sync::atomic::Ordering::Relaxed;

use antiphon_verify::child::{Child, End};
use antiphon_verify::random::Random;
use antiphon_verify::scratch::Scratch;
use antiphon_verify::shared::Shared;

use crate::ledger::{Fault, Ledger};
use crate::report;
use crate::scene::Scene;
use crate::scenes;
use crate::stage::{self, Order};

/// Kills of a round.
const ROUND: u64 = 50;

/// Kills `count` processes and prints what came of it. False if anything was wrong.
pub(crate) fn run(count: u64, seed: u64, only: Option<&str>) -> bool {
    let scenes: Vec<_> =
        scenes::all().into_iter().filter(|s| only.is_none_or(|o| s.name().contains(o))).collect();
    if scenes.is_empty() {
        eprintln!("no scene has that name");
        return false;
    }
    // SAFETY: it only makes the children of our children ours when those die.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let ledger = Shared::<Ledger>::new();
    let scratch = Scratch::new();
    // SAFETY: this process has one thread.
    unsafe { scratch.enter() };
    let mut random = Random::new(seed);
    let each = count.div_ceil(scenes.len() as u64);
    let mut left = vec![each; scenes.len()];
    let mut round = 0_u64;
    while left.iter().any(|left| *left > 0) {
        for (number, scene) in scenes.iter().enumerate() {
            let kills = left[number].min(ROUND);
            left[number] -= kills;
            if kills > 0 {
                let order = Order {
                    scene: number,
                    kills,
                    seed: random.draw(),
                    // Most rounds have somebody who notices deaths at once, as it is faster; the others find out by themselves.
                    watched: round % 4 != 3,
                    massacre: round % 2 == 1,
                };
                play(&ledger, scene.as_ref(), &scratch, &order);
            }
        }
        round += 1;
        eprint!("\r{} kills ", ledger.kills.load(Relaxed));
    }
    eprintln!();
    report::print(&scenes, &ledger, count, seed)
}

/// One round, and a look at what it left behind.
fn play(ledger: &Ledger, scene: &dyn Scene, scratch: &Scratch, order: &Order) {
    ledger.clear();
    let end = Child::fork(|| stage::run(ledger, scene, order)).wait();
    reap_orphans();
    match end {
        End::Exited(0) if !order.massacre => {}
        End::Killed(libc::SIGKILL) if order.massacre => {}
        end => ledger.fault(Fault::Other, &format!("{}: the stage ended by {end:?}", scene.name())),
    }
    if order.massacre {
        ledger.massacres.fetch_add(1, Relaxed);
        // What the dead left is removed by the next who opens any space.
        let end = Child::fork(|| i32::from(antiphon::Space::open("host:broom").is_err())).wait();
        if end != End::Exited(0) {
            ledger.fault(Fault::Other, &format!("{}: the next open: {end:?}", scene.name()));
        }
    }
    let left = scratch.names();
    if !left.is_empty() {
        let what = format!("{} left {left:?} behind ({order:?})", scene.name());
        ledger.fault(Fault::Leftover, &what);
        for name in left {
            let _ = fs::remove_dir_all(scratch.path().join(name));
        }
    }
}

/// Waits for the workers whose stage was killed: the kernel kills them, and they are ours then.
fn reap_orphans() {
    // SAFETY: it waits for any child and asks for no status.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
}
