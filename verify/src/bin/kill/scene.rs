//! A scene: workers that use one primitive, and what must hold afterwards.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use antiphon::Space;
use antiphon_verify::random::Random;

use crate::ledger::{Desk, Fault, Ledger, Place, State};

/// An operation that victims are killed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// How far one can be in it.
    pub(crate) states: &'static [State],
    /// The workers that do it.
    pub(crate) workers: &'static [usize],
}

/// A victim, and where it died.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fallen {
    pub(crate) place: Place,
}

/// Workers that use one primitive.
pub(crate) trait Scene {
    fn name(&self) -> &'static str;
    fn operations(&self) -> &'static [Operation];
    fn workers(&self) -> usize;

    /// Uses the primitive until told to stop.
    fn work(&self, space: &Space, post: &mut Post<'_>);

    /// Lets workers see that they shall stop; called again and again until they have.
    fn release(&self, _space: &Space) {}

    /// All workers have ended, `fallen` of them killed: what must hold now?
    fn check(&self, space: &Space, ledger: &Ledger, fallen: &[Fallen]);
}

/// Where a worker notes what it does.
pub(crate) struct Post<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) index: usize,
    /// Different for every worker that ever was in this round; not zero.
    pub(crate) incarnation: u32,
    pub(crate) random: Random,
    operation: usize,
}

impl<'a> Post<'a> {
    pub(crate) fn new(ledger: &'a Ledger, index: usize, incarnation: u32, seed: u64) -> Self {
        Self { ledger, index, incarnation, random: Random::new(seed), operation: 0 }
    }

    pub(crate) fn desk(&self) -> &'a Desk {
        &self.ledger.desks[self.index]
    }

    pub(crate) fn stopping(&self) -> bool {
        self.ledger.stop.load(SeqCst) != 0
    }

    pub(crate) fn enter(&mut self, operation: usize) {
        self.operation = operation;
        self.desk().go(Place { operation, state: State::Entering });
    }

    pub(crate) fn hold(&self) {
        self.desk().go(Place { operation: self.operation, state: State::Holding });
    }

    pub(crate) fn leave(&self) {
        self.desk().go(Place { operation: self.operation, state: State::Leaving });
    }

    /// The operation is over.
    pub(crate) fn outside(&self) {
        self.desk().go(Place::OUTSIDE);
        self.desk().progress.fetch_add(1, Relaxed);
        self.ledger.operations.fetch_add(1, Relaxed);
    }

    /// Some turns of nothing, so that others come and go meanwhile.
    pub(crate) fn dawdle(&mut self) {
        for _ in 0..self.random.below(40) {
            std::hint::spin_loop();
        }
    }

    /// As [`dawdle`](Self::dawdle), where the rest of the work takes long.
    pub(crate) fn linger(&mut self) {
        for _ in 0..self.random.below(1000) {
            std::hint::spin_loop();
        }
    }

    pub(crate) fn fault(&self, fault: Fault, what: &str) {
        self.ledger.fault(fault, what);
    }

    /// Comes into a critical section that must be empty; `inherited`: one who died may have been in it.
    pub(crate) fn come_in(&self, inherited: bool, what: &str) {
        let before = self.ledger.inside.swap(self.incarnation, SeqCst);
        if before != 0 && !inherited {
            self.fault(Fault::Other, &format!("{what}: two inside at once"));
        }
    }

    /// Leaves it again, empty.
    pub(crate) fn go_out(&self, what: &str) {
        if self.ledger.inside.swap(0, SeqCst) != self.incarnation {
            self.fault(Fault::Other, &format!("{what}: another came in"));
        }
    }
}
