//! What everybody notes outside of what is tested: where each worker is, what it has done, what went wrong.

use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Relaxed, Ordering::SeqCst,
};

use zerocopy::FromZeros;

/// Most workers of a scene.
pub(crate) const DESKS: usize = 8;
/// Most scenes.
pub(crate) const SCENES: usize = 32;
/// Most operations of a scene.
pub(crate) const OPERATIONS: usize = 4;
/// Producers' incarnations that a round can tell apart, and items of each.
pub(crate) const MAKERS: usize = 4096;
pub(crate) const ITEMS: usize = 8192;

/// How far a worker is in an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum State {
    /// Between operations.
    Outside = 0,
    /// Called, and not returned.
    Entering = 1,
    /// The call has returned and what it gave is in hand.
    Holding = 2,
    /// Giving it back.
    Leaving = 3,
}

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Outside, Self::Entering, Self::Holding, Self::Leaving];
    /// Those of something that is held.
    pub(crate) const INSIDE: &'static [Self] = &[Self::Entering, Self::Holding, Self::Leaving];
    pub(crate) const COUNT: usize = 4;

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Entering => "entering",
            Self::Holding => "holding",
            Self::Leaving => "leaving",
        }
    }
}

/// What may go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Fault {
    Hang,
    Lost,
    Twice,
    Torn,
    Disorder,
    Leftover,
    Other,
}

impl Fault {
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Self::Hang, "hangs"),
        (Self::Lost, "lost"),
        (Self::Twice, "returned twice"),
        (Self::Torn, "torn"),
        (Self::Disorder, "out of order"),
        (Self::Leftover, "leftovers"),
        (Self::Other, "other"),
    ];
}

/// A worker's place: it writes, the one who kills reads.
#[derive(Debug, FromZeros)]
#[repr(C, align(128))]
pub(crate) struct Desk {
    /// `operation * State::COUNT + state`.
    place: AtomicU32,
    _pad: AtomicU32,
    /// Operations completed since the round began.
    pub(crate) progress: AtomicU64,
    /// For the scene.
    pub(crate) note: AtomicU64,
    _line: [AtomicU64; 13],
}

/// A producer's incarnation: which of its items it began and finished to put, and how often each was got.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(crate) struct Maker {
    pub(crate) begun: AtomicU32,
    pub(crate) done: AtomicU32,
    pub(crate) got: [AtomicU8; ITEMS],
}

/// Everything that is noted. Zero at first.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) desks: [Desk; DESKS],
    /// Nonzero: workers shall end.
    pub(crate) stop: AtomicU32,
    /// The incarnation that is inside a critical section.
    pub(crate) inside: AtomicU32,
    /// Things done that must not get lost.
    pub(crate) done: AtomicU64,
    /// For the scene.
    pub(crate) words: [AtomicU64; 8],
    /// Nonzero: there is nothing more to do in this round, so who waits for work waits in vain.
    pub(crate) exhausted: AtomicU32,
    _pad: AtomicU32,
    /// Next free entry of `makers`.
    pub(crate) makers_used: AtomicU64,
    pub(crate) makers: [Maker; MAKERS],

    /// From here on for the whole run: kills by scene, operation and state.
    hits: [[AtomicU64; OPERATIONS * State::COUNT]; SCENES],
    faults: [AtomicU64; Fault::ALL.len()],
    pub(crate) kills: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) items: AtomicU64,
    /// Kills of a whole space at once.
    pub(crate) massacres: AtomicU64,
}

impl Ledger {
    /// Forgets a round.
    pub(crate) fn clear(&self) {
        for desk in &self.desks {
            desk.place.store(0, Relaxed);
            desk.progress.store(0, Relaxed);
            desk.note.store(0, Relaxed);
        }
        self.stop.store(0, Relaxed);
        self.inside.store(0, Relaxed);
        self.exhausted.store(0, Relaxed);
        self.done.store(0, Relaxed);
        self.words.iter().for_each(|word| word.store(0, Relaxed));
        let used = self.makers_used.swap(0, Relaxed) as usize;
        for maker in self.makers.iter().take(used) {
            maker.begun.store(0, Relaxed);
            maker.done.store(0, Relaxed);
            maker.got.iter().for_each(|got| got.store(0, Relaxed));
        }
    }

    /// Counts a fault, and says what it was.
    pub(crate) fn fault(&self, fault: Fault, what: &str) {
        let before = self.faults[fault as usize].fetch_add(1, AcqRel);
        if before < 10 {
            eprintln!("violation ({}): {what}", Fault::ALL[fault as usize].1);
        }
    }

    pub(crate) fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize].load(Relaxed)
    }

    pub(crate) fn all_faults(&self) -> u64 {
        Fault::ALL.iter().map(|(fault, _)| self.faults(*fault)).sum()
    }

    pub(crate) fn hit(&self, scene: usize, place: Place) {
        self.hits[scene][place.index()].fetch_add(1, Relaxed);
        self.kills.fetch_add(1, Relaxed);
    }

    pub(crate) fn hits(&self, scene: usize, place: Place) -> u64 {
        self.hits[scene][place.index()].load(Relaxed)
    }
}

impl Desk {
    pub(crate) fn go(&self, place: Place) {
        self.place.store(place.index() as u32, SeqCst);
    }

    pub(crate) fn place(&self) -> Place {
        Place::of(self.place.load(SeqCst) as usize)
    }
}

/// An operation of a scene, and how far one is in it. Outside is the same for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) operation: usize,
    pub(crate) state: State,
}

impl Place {
    pub(crate) const OUTSIDE: Self = Self { operation: 0, state: State::Outside };

    fn index(self) -> usize {
        if self.state == State::Outside {
            return 0;
        }
        self.operation * State::COUNT + self.state as usize
    }

    fn of(index: usize) -> Self {
        Self { operation: index / State::COUNT, state: State::ALL[index % State::COUNT] }
    }
}
