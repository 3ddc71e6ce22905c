//! Kills at every instruction: one victim after the other is stopped after 0, 1, 2, ... instructions of an act and killed
//! there; each time the survivors must find the object usable and its promises kept.

mod acts;
mod victim;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use antiphon::Space;
use antiphon_verify::child::{Child, End};
use antiphon_verify::scratch::Scratch;
use antiphon_verify::shared::Shared;
use antiphon_verify::watchdog;
use zerocopy::FromZeros;

use victim::{Step, Victim, is_asleep};

/// What victims and helpers note, outside of what is tested.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(crate) struct Notes {
    mark: AtomicU32,
    /// A helper is about to do what it is there for.
    ready: AtomicU32,
    /// For the act.
    pub(crate) words: [AtomicU64; 4],
}

/// Something that is done in steps.
pub(crate) struct Act {
    pub(crate) name: String,
    /// Every how many instructions a victim is killed.
    pub(crate) stride: u64,
    /// May a second victim, killed in the same act, meet what the first left?
    pub(crate) twice: bool,
    /// Before each victim, by the one who kills.
    pub(crate) prepare: Box<dyn Fn()>,
    /// By the victim, at full speed.
    pub(crate) before: Box<dyn Fn()>,
    /// By the one who kills, when the victim stands at the first instruction.
    pub(crate) meanwhile: Box<dyn Fn()>,
    /// By the victim, in steps. It gets its number: 0, or 1 for a second one.
    pub(crate) act: Box<dyn Fn(u32)>,
    /// By the one who kills, when the victim sleeps: whether that will wake it.
    pub(crate) nudge: Box<dyn Fn() -> bool>,
    /// By the one who kills, when so many victims are dead: how often the act took effect, or what is wrong.
    pub(crate) check: Box<dyn Fn(u32) -> Result<u32, String>>,
}

impl Act {
    /// An act that needs nothing but itself.
    pub(crate) fn new(
        name: impl Into<String>,
        act: impl Fn(u32) + 'static,
        check: impl Fn(u32) -> Result<u32, String> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            stride: 1,
            twice: false,
            prepare: Box::new(|| {}),
            before: Box::new(|| {}),
            meanwhile: Box::new(|| {}),
            act: Box::new(act),
            nudge: Box::new(|| false),
            check: Box::new(check),
        }
    }

    pub(crate) fn stride(self, stride: u64) -> Self {
        Self { stride, ..self }
    }

    pub(crate) fn twice(self) -> Self {
        Self { twice: true, ..self }
    }

    pub(crate) fn prepare(self, prepare: impl Fn() + 'static) -> Self {
        Self { prepare: Box::new(prepare), ..self }
    }

    pub(crate) fn before(self, before: impl Fn() + 'static) -> Self {
        Self { before: Box::new(before), ..self }
    }

    pub(crate) fn meanwhile(self, meanwhile: impl Fn() + 'static) -> Self {
        Self { meanwhile: Box::new(meanwhile), ..self }
    }

    pub(crate) fn nudge(self, nudge: impl Fn() -> bool + 'static) -> Self {
        Self { nudge: Box::new(nudge), ..self }
    }
}

/// What acts share: the space, and helpers that sleep while a victim is at work.
#[derive(Clone)]
pub(crate) struct Ward {
    pub(crate) space: Space,
    pub(crate) notes: Rc<Shared<Notes>>,
    helper: Rc<RefCell<Option<Child>>>,
    pub(crate) patience: Rc<Cell<Duration>>,
}

impl Ward {
    pub(crate) fn new() -> Self {
        let space = Space::builder("host:steps").participants(16).open().expect("a space");
        Self {
            space,
            notes: Rc::default(),
            helper: Rc::default(),
            patience: Rc::new(Cell::new(watchdog::PATIENCE)),
        }
    }

    /// Starts a helper and waits until it sleeps in what it does. It says by its exit code how that went.
    pub(crate) fn help(&self, body: impl FnOnce() -> i32) {
        let ready = &self.notes.ready;
        ready.store(0, SeqCst);
        let helper = Child::fork(|| {
            ready.store(1, SeqCst);
            body()
        });
        let pid = helper.pid();
        let asleep = || ready.load(SeqCst) == 1 && is_asleep(pid);
        assert!(watchdog::until(|| asleep() && asleep()), "a helper does not fall asleep");
        *self.helper.borrow_mut() = Some(helper);
    }

    /// Starts a helper, unless there is one, and lets it run.
    pub(crate) fn start(&self, body: impl FnOnce() -> i32) {
        if !self.has_helper() {
            *self.helper.borrow_mut() = Some(Child::fork(body));
        }
    }

    /// Kills the helper.
    pub(crate) fn kill_helper(&self) {
        drop(self.helper.borrow_mut().take());
        self.look();
    }

    pub(crate) fn helper_pid(&self) -> Option<i32> {
        self.helper.borrow().as_ref().map(Child::pid)
    }

    pub(crate) fn has_helper(&self) -> bool {
        self.helper.borrow().is_some()
    }

    /// Waits for the end of the helper.
    pub(crate) fn helped(&self) -> Result<i32, String> {
        let mut helper = self.helper.borrow_mut().take().ok_or("there is no helper")?;
        let mut end = None;
        watchdog::within(self.patience.get(), || {
            end = helper.ended();
            end.is_some()
        });
        match end {
            Some(End::Exited(code)) if code < 100 => Ok(code),
            Some(end) => Err(format!("a helper ended: {end:?}")),
            None => Err("hang: a survivor sleeps on".to_owned()),
        }
    }

    /// Has the helper ended?
    pub(crate) fn helper_ended(&self) -> bool {
        // An end that is seen here is still there for `helped`.
        self.helper_pid().is_none_or(is_over)
    }

    /// Somebody dies while it does this.
    pub(crate) fn perish(&self, body: impl FnOnce()) {
        let mut child = Child::fork(|| {
            body();
            // SAFETY: it ends this process.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            0
        });
        assert_eq!(child.wait(), End::Killed(libc::SIGKILL), "one who shall perish");
    }

    /// Notices the dead, as a watcher would.
    pub(crate) fn look(&self) {
        self.space.participants();
    }
}

/// Is the child a zombie, so that its end can be taken?
fn is_over(pid: i32) -> bool {
    // SAFETY: all zero is a valid siginfo to be written to.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let what = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is writable, the child is ours.
    unsafe { libc::waitid(libc::P_PID, pid as u32, &mut info, what) == 0 && info.si_signo != 0 }
}

/// What came of an act.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// Instructions of the act.
    length: u64,
    kills: u64,
    /// After how many instructions it took effect, if it has one.
    effect: Option<u64>,
    violations: Vec<String>,
}

/// Kills at every instruction of every act whose name contains `only`, and prints a table. False if anything was wrong.
pub(crate) fn run(only: Option<&str>) -> bool {
    let scratch = Scratch::new();
    // SAFETY: this process has one thread.
    unsafe { scratch.enter() };
    let ward = Ward::new();
    println!(
        "{:<40} {:>7} {:>8} {:>9} {:>11} {:>8}",
        "act", "length", "kills", "effect at", "violations", "seconds"
    );
    let (mut kills, mut violations, mut acts) = (0, 0, 0);
    for act in acts::all(&ward) {
        if only.is_some_and(|only| !act.name.contains(only)) {
            continue;
        }
        let variants = if act.twice { &[false, true][..] } else { &[false][..] };
        for second in variants {
            let began = Instant::now();
            let outcome = if *second { run_twice(&ward, &act) } else { run_once(&ward, &act) };
            let name =
                if *second { format!("{}, then by another", act.name) } else { act.name.clone() };
            let effect = outcome.effect.map_or("-".to_owned(), |step| step.to_string());
            let Outcome { length, kills: killed, .. } = outcome;
            let (bad, took) = (outcome.violations.len(), began.elapsed().as_secs_f64());
            println!("{name:<40} {length:>7} {killed:>8} {effect:>9} {bad:>11} {took:>8.1}");
            for what in outcome.violations.iter().take(5) {
                println!("    violation: {what}");
            }
            kills += outcome.kills;
            violations += outcome.violations.len();
            acts += 1;
        }
    }
    drop(ward);
    println!();
    println!("{acts} acts, {kills} kills, each after another instruction: {violations} violations");
    acts > 0 && violations == 0
}

/// Lets a victim execute `steps` instructions of the act and kills it. Returns how many it did execute, and
/// whether the act was over.
fn sacrifice(ward: &Ward, act: &Act, number: u32, steps: u64) -> Result<(u64, bool), String> {
    let mut victim = Victim::new(&ward.notes.mark, &*act.before, &|| (act.act)(number));
    if number == 0 {
        (act.meanwhile)();
    }
    let (mut done, mut over) = (0, false);
    while done < steps {
        match victim.step() {
            Step::Stopped => done += 1,
            Step::Over => {
                over = true;
                break;
            }
            Step::Asleep => {
                // The sleep is a step of its own, and the waking another.
                done += 1;
                if done == steps {
                    break;
                }
                if !(act.nudge)() {
                    over = true;
                    break;
                }
                if !victim.wakes() {
                    victim.kill();
                    return Err(format!("hang: step {done}: the victim is not woken"));
                }
            }
        }
    }
    victim.kill();
    Ok((done, over))
}

fn run_once(ward: &Ward, act: &Act) -> Outcome {
    let mut outcome = Outcome::default();
    let mut before = 0;
    for steps in (0..).step_by(act.stride as usize) {
        (act.prepare)();
        let (done, over) = match sacrifice(ward, act, 0, steps) {
            Ok(done) => done,
            Err(what) => {
                outcome.violations.push(what);
                return outcome;
            }
        };
        outcome.kills += 1;
        outcome.length = done;
        ward.look();
        match (act.check)(1) {
            Ok(effect) if effect < before => {
                outcome.violations.push(format!("after {steps} steps the effect is gone again"));
            }
            Ok(effect) => {
                if effect > before && outcome.effect.is_none() {
                    outcome.effect = Some(steps);
                }
                before = effect;
            }
            Err(what) => {
                outcome.violations.push(format!("after {steps} steps: {what}"));
                if what.starts_with("hang") || outcome.violations.len() > 20 {
                    return outcome;
                }
            }
        }
        if over {
            return outcome;
        }
    }
    unreachable!("an act ends")
}

/// Kills of the first, and of the second per kill of the first.
const FIRSTS: u64 = 16;
const SECONDS: u64 = 40;

/// A first victim dies here and there in the act, and for each of them a second one here and there in the same act.
fn run_twice(ward: &Ward, act: &Act) -> Outcome {
    let mut outcome = Outcome::default();
    (act.prepare)();
    let Ok((length, _)) = sacrifice(ward, act, 0, u64::MAX) else { return outcome };
    ward.look();
    if let Err(what) = (act.check)(1) {
        outcome.violations.push(what);
    }
    for first in 0..FIRSTS {
        let first = first * length / FIRSTS;
        // How long the second is depends on what it meets: step by step until it is over.
        let mut over = false;
        for second in 0.. {
            let second = second * length.div_ceil(SECONDS).max(1) + first % 3;
            (act.prepare)();
            let result =
                sacrifice(ward, act, 0, first).and_then(|_| sacrifice(ward, act, 1, second));
            match result {
                Ok((done, ended)) => {
                    over |= ended;
                    outcome.length = outcome.length.max(done);
                }
                Err(what) => {
                    outcome.violations.push(what);
                    return outcome;
                }
            }
            outcome.kills += 2;
            ward.look();
            if let Err(what) = (act.check)(2) {
                outcome.violations.push(format!("after {first} and {second} steps: {what}"));
                if what.starts_with("hang") || outcome.violations.len() > 20 {
                    return outcome;
                }
            }
            if over {
                break;
            }
        }
    }
    outcome
}
