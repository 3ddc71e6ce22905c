//! What is measured: rows of cells, each cell one subject (we or a peer) doing the row's work once.

use crate::scene::Failure;
use std::collections::BTreeMap;

/// The figures of one run, by metric (`ns`, `Mops/s`, `fairness`, ...).
pub type Figures = BTreeMap<&'static str, f64>;

/// How much time a run may take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// A smoke run: everything runs, no figure means anything.
    pub quick: bool,
    pub rounds: usize,
}

impl Effort {
    /// `full` repetitions in earnest, about a twentieth in a smoke run.
    pub fn times(self, full: u64) -> u64 {
        if self.quick { (full / 20).max(1) } else { full }
    }

    /// How long a timed window is open.
    pub fn window(self) -> std::time::Duration {
        std::time::Duration::from_millis(if self.quick { 20 } else { 400 })
    }
}

type Body = Box<dyn Fn(Effort) -> Result<Figures, Failure>>;

/// One subject in one row.
pub struct Cell {
    pub row: String,
    pub subject: &'static str,
    pub run: Body,
    /// Runs this many rounds at most: counts need one, slow experiments few.
    pub rounds: usize,
}

impl Cell {
    pub fn new(
        row: impl Into<String>,
        subject: &'static str,
        run: impl Fn(Effort) -> Result<Figures, Failure> + 'static,
    ) -> Self {
        Self { row: row.into(), subject, run: Box::new(run), rounds: usize::MAX }
    }

    /// Limits the rounds.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }
}

/// One figure.
pub fn figure(name: &'static str, value: f64) -> Figures {
    Figures::from([(name, value)])
}
