//! Kills at every instruction: one victim after the other is stopped after 0, 1, 2, ... instructions of an act and killed
//! there; each time the survivors must find the object usable and its promises kept.

mod acts;
pub(crate) mod seeded;
mod victim;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use antiphon::Space;
use antiphon_verify::child::{Child, End};
use antiphon_verify::scratch::Scratch;
use antiphon_verify::shared::Shared;
use antiphon_verify::watchdog;
use zerocopy::FromZeros;

use victim::{Stop, Victim, is_asleep};

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
    /// Does every victim take the same way? If so, the effect comes at one instruction and stays.
    pub(crate) steady: bool,
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
            steady: true,
            twice: false,
            prepare: Box::new(|| {}),
            before: Box::new(|| {}),
            meanwhile: Box::new(|| {}),
            act: Box::new(act),
            nudge: Box::new(|| false),
            check: Box::new(check),
        }
    }

    /// The way depends on the time, or on who died.
    pub(crate) fn varies(self) -> Self {
        Self { steady: false, ..self }
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
        Self { nudge: Box::new(nudge), steady: false, ..self }
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
    length: usize,
    kills: u64,
    /// Victims that took another way than the first and came to the end of the act.
    strayed: u64,
    /// After how many instructions it took effect, if it has one.
    effect: Option<usize>,
    violations: Vec<String>,
}

/// Kills at every instruction of every act whose name contains `only`, and prints a table. False if anything was wrong.
pub(crate) fn run(only: Option<&str>) -> bool {
    let scratch = Scratch::new();
    // SAFETY: this process has one thread.
    unsafe { scratch.enter() };
    stay_here();
    let ward = Ward::new();
    println!(
        "{:<50} {:>7} {:>7} {:>8} {:>9} {:>11} {:>8}",
        "act", "length", "kills", "strayed", "effect at", "violations", "seconds"
    );
    let (mut kills, mut violations, mut acts) = (0, 0, 0);
    for act in acts::all(&ward) {
        if only.is_some_and(|only| !act.name.contains(only)) {
            continue;
        }
        let variants = if act.twice { &[false, true][..] } else { &[false][..] };
        for second in variants {
            let began = Instant::now();
            let mut trial = Trial::new(&ward, &act, &scratch);
            let _ = if *second { trial.twice() } else { trial.once() };
            let outcome = trial.outcome;
            let name =
                if *second { format!("{}, then by another", act.name) } else { act.name.clone() };
            let effect = outcome.effect.map_or("-".to_owned(), |step| step.to_string());
            let Outcome { length, kills: killed, strayed, .. } = outcome;
            let (bad, took) = (outcome.violations.len(), began.elapsed().as_secs_f64());
            println!(
                "{name:<50} {length:>7} {killed:>7} {strayed:>8} {effect:>9} {bad:>11} {took:>8.1}"
            );
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

/// Keeps this process and its children on one processor: stepping goes to and fro, which is fastest there.
fn stay_here() {
    // SAFETY: the set is a plain bit set, written before it is read.
    unsafe {
        let mut here: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu().max(0) as usize, &mut here);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &here);
    }
}

/// The bytes of every object in the space, to begin from again.
struct Snapshot(Vec<(PathBuf, Vec<u8>)>);

impl Snapshot {
    fn take(scratch: &Scratch) -> Self {
        let files = fs::read_dir(scratch.path().join("steps")).expect("the space's directory");
        let paths = files.map(|file| file.expect("a name").path());
        let objects = paths.filter(|path| !path.ends_with(".control"));
        Self(objects.map(|path| (path.clone(), fs::read(path).expect("an object"))).collect())
    }

    /// Nobody uses any object now.
    fn restore(&self) {
        for (path, bytes) in &self.0 {
            // One that was removed is not made again.
            if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
                file.write_all(bytes).expect("room, since it was there");
            }
        }
    }
}

/// Kills at every instruction of one act.
struct Trial<'a> {
    ward: &'a Ward,
    act: &'a Act,
    snapshot: Snapshot,
    outcome: Outcome,
}

/// There is no point in going on.
struct Enough;

impl<'a> Trial<'a> {
    fn new(ward: &'a Ward, act: &'a Act, scratch: &Scratch) -> Self {
        (act.prepare)();
        let mut outcome = Outcome::default();
        // Once in full, so that caches are warm, and what is checked is where it shall begin.
        let victim = Victim::new(&ward.notes.mark, &*act.before, &|| (act.act)(0));
        (act.meanwhile)();
        let whole = victim.trace(&*act.nudge);
        victim.kill();
        ward.look();
        if let Err(what) = whole.and_then(|_| (act.check)(1)) {
            outcome.violations.push(format!("at first: {what}"));
        }
        Self { ward, act, snapshot: Snapshot::take(scratch), outcome }
    }

    fn victim(&self, number: u32) -> Victim<'a> {
        let act = self.act;
        let victim = Victim::new(&self.ward.notes.mark, &*act.before, &|| (act.act)(number));
        if number == 0 {
            (act.meanwhile)();
        }
        victim
    }

    fn begin(&self) {
        self.snapshot.restore();
        (self.act.prepare)();
    }

    /// Lets a victim go through the whole act.
    fn trace(&mut self, number: u32) -> Result<Vec<Stop>, Enough> {
        let victim = self.victim(number);
        let trace = victim.trace(&*self.act.nudge);
        victim.kill();
        trace.map_err(|what| self.give_up(what))
    }

    /// Kills a victim at a stop of the trace. False: it took another way, and was killed at the end.
    fn kill(&mut self, number: u32, trace: &[Stop], at: usize) -> Result<bool, Enough> {
        let victim = self.victim(number);
        let reached = victim.run_to(trace, at, &*self.act.nudge);
        victim.kill();
        self.outcome.kills += 1;
        match reached {
            Ok(reached) => {
                self.outcome.strayed += u64::from(!reached);
                Ok(reached)
            }
            Err(what) => Err(self.give_up(what)),
        }
    }

    fn give_up(&mut self, what: String) -> Enough {
        self.outcome.violations.push(what);
        Enough
    }

    /// What do the survivors find?
    fn check(&mut self, deaths: u32, when: &str) -> Result<u32, Enough> {
        self.ward.look();
        match (self.act.check)(deaths) {
            Ok(effect) => Ok(effect),
            Err(what) => {
                let hangs = what.starts_with("hang");
                let enough = self.give_up(format!("{when}: {what}"));
                if hangs || self.outcome.violations.len() > 20 { Err(enough) } else { Ok(0) }
            }
        }
    }

    /// One victim after the other, each an instruction later.
    fn once(&mut self) -> Result<(), Enough> {
        self.begin();
        let trace = self.trace(0)?;
        self.outcome.length = trace.len();
        let last = self.check(1, "after all of it")?;
        let mut before = 0;
        let mut turns = HashMap::new();
        for (at, stop) in trace.iter().enumerate() {
            // Of a loop's turns, the first few and then some.
            let turn = turns.entry(*stop).and_modify(|turn| *turn += 1).or_insert(0_usize);
            if *turn > TURNS && !turn.is_multiple_of(LATER_TURNS) {
                continue;
            }
            self.begin();
            let reached = self.kill(0, &trace, at)?;
            let effect = self.check(1, &format!("at instruction {at}"))?;
            if !reached || !self.act.steady {
                continue;
            }
            if effect < before {
                self.give_up(format!("at instruction {at} the effect is gone again"));
            } else if effect > before && self.outcome.effect.is_none() {
                self.outcome.effect = Some(at);
            }
            before = effect;
        }
        if before > last {
            self.give_up("the effect is gone at the end".to_owned());
        }
        Ok(())
    }

    /// A first victim here and there in the act, and for each of them a second one here and there in the same act.
    fn twice(&mut self) -> Result<(), Enough> {
        self.begin();
        let first = self.trace(0)?;
        self.check(1, "after all of it")?;
        for i in (0..first.len()).step_by(first.len().div_ceil(FIRSTS)) {
            self.begin();
            self.kill(0, &first, i)?;
            self.ward.look();
            // What the second does depends on what it meets.
            let second = self.trace(1)?;
            self.check(2, &format!("at instruction {i}, and all of it"))?;
            self.outcome.length = self.outcome.length.max(second.len());
            for j in (i % 3..second.len()).step_by(second.len().div_ceil(SECONDS)) {
                self.begin();
                self.kill(0, &first, i)?;
                self.ward.look();
                self.kill(1, &second, j)?;
                self.check(2, &format!("at instructions {i} and {j}"))?;
            }
        }
        Ok(())
    }
}

/// After so many turns of a loop it is left at every instruction of only one in so many turns.
const TURNS: usize = 4;
const LATER_TURNS: usize = 50;
/// Kills of the first, and of the second per kill of the first.
const FIRSTS: usize = 16;
const SECONDS: usize = 30;
