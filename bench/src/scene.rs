//! One measurement: parties, as threads of one child process or as child processes, started together, stopped together,
//! each on its processor, with a watchdog over all of them.

use crate::child::{Child, wait_all};
use crate::clock::{now, sleep_us};
use crate::cpu;
use crate::stage::{Party, Stage};
use std::time::Duration;

/// What every party answered, by index; `None` for one that was meant to die.
pub type Answers = Vec<Option<Vec<f64>>>;

/// Why there are no answers.
pub type Failure = String;

/// The plan of one measurement.
#[derive(Clone)]
pub struct Scene {
    parties: usize,
    cpus: Cpus,
    window: Duration,
    timeout: Duration,
}

#[derive(Clone, Copy)]
enum Cpus {
    Alternate,
    One,
}

impl Scene {
    /// Parties on alternating processors, that end by themselves, within 20 s.
    pub fn new(parties: usize) -> Self {
        Self {
            parties,
            cpus: Cpus::Alternate,
            window: Duration::ZERO,
            timeout: Duration::from_secs(20),
        }
    }

    /// The conductor says stop after this time.
    pub fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// All parties on one processor.
    pub fn same_cpu(self) -> Self {
        Self { cpus: Cpus::One, ..self }
    }

    fn cpu_of(&self, index: usize) -> usize {
        match self.cpus {
            Cpus::Alternate => index % cpu::count(),
            Cpus::One => 0,
        }
    }

    /// The parties are threads of one child, around the object that `make` builds there.
    pub fn threads<S: Sync>(
        &self,
        make: impl FnOnce() -> S,
        party: impl Fn(&Party, &S) -> Vec<f64> + Sync,
    ) -> Result<Vec<Vec<f64>>, Failure> {
        let stage = Stage::new();
        let mut children = [Child::fork(|| {
            let shared = make();
            std::thread::scope(|scope| {
                for index in 0..self.parties {
                    let (stage, shared, party) = (&stage, &shared, &party);
                    scope.spawn(move || {
                        cpu::pin(self.cpu_of(index));
                        let me = Party { stage, index, of: self.parties };
                        me.finish(&party(&me, shared));
                    });
                }
            });
        })];
        self.conduct(&stage, &mut children, |_, _| {})?;
        collect(&stage, self.parties)
    }

    /// The parties are child processes.
    pub fn processes(&self, party: impl Fn(&Party) -> Vec<f64>) -> Result<Vec<Vec<f64>>, Failure> {
        self.processes_on(&Stage::new(), party)
    }

    /// The same, on a stage whose area the caller has prepared.
    pub fn processes_on(
        &self,
        stage: &Stage,
        party: impl Fn(&Party) -> Vec<f64>,
    ) -> Result<Vec<Vec<f64>>, Failure> {
        self.conducted(stage, party, |_, _| {})?;
        collect(stage, self.parties)
    }

    /// The same, with a conductor that may act (and kill) after the start.
    pub fn conducted(
        &self,
        stage: &Stage,
        party: impl Fn(&Party) -> Vec<f64>,
        act: impl FnOnce(&Stage, &mut [Child]),
    ) -> Result<Answers, Failure> {
        let mut children: Vec<Child> = (0..self.parties)
            .map(|index| {
                Child::fork(|| {
                    cpu::pin(self.cpu_of(index));
                    let me = Party { stage, index, of: self.parties };
                    me.finish(&party(&me));
                })
            })
            .collect();
        self.conduct(stage, &mut children, act)?;
        Ok((0..self.parties).map(|index| stage.answer(index)).collect())
    }

    fn conduct(
        &self,
        stage: &Stage,
        children: &mut [Child],
        act: impl FnOnce(&Stage, &mut [Child]),
    ) -> Result<(), Failure> {
        let deadline = now() + self.timeout.as_nanos() as u64;
        while stage.arrived() < self.parties {
            if let Some(child) = children.iter_mut().find_map(|c| c.has_ended().then_some(c)) {
                return Err(format!("a party ended before the start: {}", child.verdict()));
            }
            if now() > deadline {
                return Err(format!("no start within {} s", self.timeout.as_secs()));
            }
            sleep_us(100);
        }
        stage.go();
        if !self.window.is_zero() {
            std::thread::sleep(self.window);
        }
        act(stage, children);
        stage.stop();
        if wait_all(children, deadline) {
            return Ok(());
        }
        match children.iter().find(|child| child.has_failed()) {
            Some(child) => Err(format!("a party failed: {}", child.verdict())),
            None => Err(format!("hung for {} s, killed", self.timeout.as_secs())),
        }
    }
}

fn collect(stage: &Stage, parties: usize) -> Result<Vec<Vec<f64>>, Failure> {
    (0..parties)
        .map(|index| stage.answer(index).ok_or_else(|| format!("party {index} gave no answer")))
        .collect()
}
