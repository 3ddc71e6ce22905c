//! Takes random walks through scenes, and fails when suspiciously little happened on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

use antiphon_core::model::{Kernel, Model};
use antiphon_core::primitive;
use antiphon_core::wait::Wait;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, MaxSteps, Runner};

/// Executions of each scene, unless `WALKS` multiplies them.
const EXECUTIONS: usize = 6000;
/// Of so many executions, at least one has a sleeper, and one a death where there are victims.
const RARE: usize = 10;
/// More steps than any scene takes: who gets here runs in circles.
const STEPS: usize = 100_000;
/// The same walks every time.
const SEED: u64 = 0x5eed;

/// Runs `scene` on many random schedules. Nobody dies.
pub(crate) fn walk(name: &str, scene: impl Fn(&Kernel) + Send + Sync + 'static) {
    run(name, false, move |kernel| {
        scene(kernel);
        0
    });
}

/// The same on a kernel on which victims die. `scene` returns how many did.
pub(crate) fn walk_deaths(name: &str, scene: impl Fn(&Kernel) -> u32 + Send + Sync + 'static) {
    run(name, true, scene);
}

fn run(name: &str, mortal: bool, scene: impl Fn(&Kernel) -> u32 + Send + Sync + 'static) {
    let times = std::env::var("WALKS").map_or(1, |times| times.parse().expect("a number"));
    let mut config = Config::new();
    config.stack_size = 1 << 16;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    // That orderings are not modelled is said in `main.rs`.
    config.silence_warnings = true;
    let slept = Arc::new(AtomicU32::new(0));
    let died = Arc::new(AtomicU32::new(0));
    let (seen_asleep, seen_dead) = (slept.clone(), died.clone());
    let scheduler = RandomScheduler::new_from_seed(SEED, EXECUTIONS * times);
    let count = Runner::new(scheduler, config).run(move || {
        let kernel = if mortal { Kernel::mortal() } else { Kernel::new() };
        let deaths = scene(&kernel);
        seen_dead.fetch_add(u32::from(deaths > 0), Relaxed);
        seen_asleep.fetch_add(u32::from(kernel.sleeps() > 0), Relaxed);
    });
    let (slept, died) = (slept.load(Relaxed) as usize, died.load(Relaxed) as usize);
    println!("walk {name}: {count} executions, {slept} with a sleep, {died} with a death");
    assert!(count >= EXECUTIONS, "walk {name}: too few executions");
    assert!(slept >= count / RARE, "walk {name}: hardly anybody ever slept");
    assert!(!mortal || died >= count / RARE, "walk {name}: hardly anybody ever died");
}

/// Runs `life` in a thread of its own.
pub(crate) fn party<S: Send + Sync + 'static, const THREAD: bool, T: Send + 'static>(
    stage: &Arc<S>,
    w: Model<THREAD>,
    life: impl FnOnce(&S, &Model<THREAD>) -> T + Send + 'static,
) -> JoinHandle<T> {
    let stage = stage.clone();
    thread::spawn(move || life(&stage, &w))
}

/// The same for one who dies at some step before `steps`, if it lives that long. `None`: it died.
pub(crate) fn victim<S: Send + Sync + 'static, const THREAD: bool, T: Send + 'static>(
    stage: &Arc<S>,
    kernel: &Kernel,
    w: Model<THREAD>,
    steps: u32,
    life: impl FnOnce(&S, &Model<THREAD>) -> T + Send + 'static,
) -> JoinHandle<Option<T>> {
    let (stage, kernel) = (stage.clone(), kernel.clone());
    thread::spawn(move || {
        let step = thread_rng().gen_range(0..steps);
        kernel.victim(w.me(), step, || life(&stage, &w))
    })
}

pub(crate) fn join<T>(parties: Vec<JoinHandle<T>>) -> Vec<T> {
    parties.into_iter().map(|party| party.join().unwrap()).collect()
}

/// How many of these died.
pub(crate) fn deaths<T>(outcomes: &[Option<T>]) -> u32 {
    outcomes.iter().filter(|outcome| outcome.is_none()).count() as u32
}

/// A number that is changed in two steps, and knows who is at it.
#[derive(Default)]
pub(crate) struct Watched {
    halves: [primitive::AtomicU32; 2],
    /// Readers, or -1 for a writer.
    inside: AtomicI32,
}

/// Somebody at a value. Whoever dies there leaves it, too.
struct Inside<'a>(&'a Watched, i32);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(self.1, Relaxed);
    }
}

impl Watched {
    fn write(&self) -> Inside<'_> {
        assert_eq!(self.inside.swap(-1, Relaxed), 0, "a writer beside others");
        Inside(self, -1)
    }

    fn read(&self) -> Inside<'_> {
        assert!(self.inside.fetch_add(1, Relaxed) >= 0, "a reader beside a writer");
        Inside(self, 1)
    }

    pub(crate) fn set(&self, value: u32) {
        let _inside = self.write();
        for half in &self.halves {
            half.store(value, Relaxed);
        }
    }

    /// Adds one.
    pub(crate) fn bump(&self) {
        let _inside = self.write();
        let value = self.halves[0].load(Relaxed) + 1;
        for half in &self.halves {
            half.store(value, Relaxed);
        }
    }

    /// The number, if nobody left it in the middle of a change.
    pub(crate) fn look(&self) -> Option<u32> {
        let _inside = self.read();
        let [one, other] = self.halves.each_ref().map(|half| half.load(Relaxed));
        (one == other).then_some(one)
    }

    pub(crate) fn get(&self) -> u32 {
        self.look().expect("nobody left it in the middle of a change")
    }
}
