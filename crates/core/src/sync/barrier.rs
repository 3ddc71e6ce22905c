//! A barrier: a place where a number of parties wait for each other, again and again.
//!
//! One word holds the *phase* (how often the barrier has let a crowd pass), how many have arrived in it, and the *era* (how
//! often it was reset):
//!
//! | word | meaning |
//! |---|---|
//! | `arrived < size` | Filling. Zero is a barrier at which nobody has arrived. |
//! | `arrived = size` | All are here. The last to arrive runs the action; the others sleep on, new ones wait for the next phase. |
//! | `BROKEN` | A party died, gave up, or called `abort`: who was waiting in this phase, and whoever comes before a `reset`, is told so. |
//!
//! A waiter remembers the era and the phase in which it arrived, and reads its fate off the word: in the same era, another phase
//! means passed, and `BROKEN` means broken. A reset begins an era and a phase and notes the phase that it cut short (`cut`): that
//! one was broken, earlier ones passed. Only a waiter that sleeps through two resets, or through more than 127 phases, cannot
//! tell, and is told broken.
//!
//! Between processes, `parties` has a word per participant: who has used this barrier, in which era (its two low bits). A
//! participant writes it *before* its arrival is counted, so an arrival that counts always has a name. A party that is
//! gone without having said [`leave`](RawBarrier::leave) breaks the barrier for the others: it may be missed for ever.
//! `README.md` has the argument.

use crate::owner::{OWNER_BITS, OWNER_MASK, Owner};
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::sync::field::Field;
use crate::sync::gate::Gate;
use crate::wait::{Deadline, Wait, Wake};

const ARRIVED: Field = Field::new(0, 16);
const PHASE: Field = ARRIVED.then(20);
/// The phase in which the last era ended.
const CUT: Field = PHASE.then(20);
const ERA: Field = CUT.then(7);
const BROKEN: u64 = 1 << ERA.end();
const _: () = assert!(ERA.end() == 63);

/// The barrier without its parties.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawBarrier {
    word: AtomicU64,
    gate: Gate,
    _reserved: u32,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawBarrier>() == 16);
    assert!(offset_of!(RawBarrier, word) == 0);
    assert!(offset_of!(RawBarrier, gate) == 8);
};

/// Why nobody passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarrierError {
    /// Broken: by a death, by a party that gave up, by `abort` or by `reset`.
    Broken,
    /// The deadline passed. The caller has broken the barrier, unless it had not arrived yet because the phase
    /// before was still ending.
    TimedOut,
    /// A signal asks the caller to come back. It has not arrived.
    Interrupted,
}

/// How an arrival ended.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub enum Arrival {
    /// All have come, and the phase is over. So many had come before the caller.
    Passed(u32),
    /// The caller is the last. The others wait until it calls [`finish`](RawBarrier::finish) or
    /// [`fail`](RawBarrier::fail).
    Last(Token),
}

/// The duty of the last to arrive.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub struct Token {
    word: u64,
}

impl Token {
    /// How many had come before the last.
    #[must_use]
    pub fn index(&self) -> u32 {
        ARRIVED.get(self.word) as u32 - 1
    }
}

impl RawBarrier {
    /// The most parties.
    pub const MAX: u32 = ARRIVED.max() as u32;

    constructor! {
        /// A barrier at which nobody has arrived.
        pub fn new() -> Self {
            Self { word: AtomicU64::new(0), gate: Gate::new(), _reserved: 0 }
        }
    }

    /// Arrives, and waits until `size` have. Everything before an arrival happens before the last one's action, and that before
    /// this returns.
    ///
    /// `size` is 1 to [`MAX`](Self::MAX), and the same in every call. `parties` is empty where nobody dies alone, else
    /// has one word per participant, zero at first, at the index that is the low 10 bits of its owner id.
    pub fn arrive<W: Wait>(
        &self,
        size: u32,
        parties: &[AtomicU32],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Arrival, BarrierError> {
        let mut s = self.word.load(Acquire);
        let arrived = loop {
            if is_broken(s) {
                return Err(BarrierError::Broken);
            }
            if ARRIVED.get(s) >= u64::from(size) {
                self.wait_for_room(s, parties, w, deadline)?;
                s = self.word.load(Acquire);
                continue;
            }
            // After the look at the era, and before the arrival counts.
            if !self.enrol(s, parties, w) {
                s = self.word.load(Acquire);
                continue;
            }
            // Release publishes what came before to the last; Acquire is for the last. All arrivals are one chain.
            match self.word.compare_exchange(s, s + ARRIVED.of(1), AcqRel, Acquire) {
                Ok(_) => break s + ARRIVED.of(1),
                Err(now) => s = now,
            }
        };
        if ARRIVED.get(arrived) == u64::from(size) {
            return Ok(Arrival::Last(Token { word: arrived }));
        }
        self.wait_for_end(arrived, size, parties, w, deadline)?;
        Ok(Arrival::Passed(ARRIVED.get(arrived) as u32 - 1))
    }

    /// Lets all pass. Broken: somebody broke or reset the barrier meanwhile.
    pub fn finish<W: Wait>(&self, token: Token, w: &W) -> Result<(), BarrierError> {
        let s = token.word;
        let phase = PHASE.get(s) + 1;
        let next = s & (CUT.of(CUT.max()) | ERA.of(ERA.max())) | PHASE.of(phase);
        // While all are here, only a break or a reset changes the word. Release publishes all arrivals and the action.
        match self.word.compare_exchange(s, next, AcqRel, Relaxed) {
            Ok(_) => {
                self.gate.open(w);
                Ok(())
            }
            Err(_) => Err(BarrierError::Broken),
        }
    }

    /// Breaks the barrier, since the action failed.
    pub fn fail<W: Wait>(&self, token: Token, w: &W) {
        self.break_phase(token.word, w);
    }

    /// Breaks the barrier: who waits, and whoever comes before a [`reset`](Self::reset), gets an error.
    pub fn abort<W: Wait>(&self, w: &W) {
        let mut s = self.word.load(Relaxed);
        while !is_broken(s) && !self.break_phase(s, w) {
            s = self.word.load(Relaxed);
        }
    }

    /// Mends a broken barrier and forgets its parties. Who waits gets an error. Does nothing but forget when nobody waits and
    /// nothing is broken.
    pub fn reset<W: Wait>(&self, parties: &[AtomicU32], w: &W) {
        let mut s = self.word.load(Acquire);
        let next = loop {
            if parties.is_empty() && ARRIVED.get(s) == 0 && !is_broken(s) {
                return;
            }
            // A new era forgets all parties at once: their words carry the old one.
            let era = ERA.of(ERA.get(s) + 1);
            // And a new phase, or whoever sleeps through all numbers of the era would find its own again.
            let next = era | PHASE.of(PHASE.get(s) + 1) | CUT.of(PHASE.get(s));
            match self.word.compare_exchange(s, next, AcqRel, Acquire) {
                Ok(_) => break next,
                Err(now) => s = now,
            }
        };
        self.gate.open(w);
        // Only so that a word never looks current again after four resets; a death in between leaves that to the next.
        for party in parties {
            let p = party.load(Relaxed);
            if p != 0 && p & !OWNER_MASK != era_mark(next) {
                let _ = party.compare_exchange(p, 0, Relaxed, Relaxed);
            }
        }
    }

    /// Says that the caller, which is not waiting, will not come any more: its end breaks nothing. It may come again
    /// all the same.
    pub fn leave<W: Wait>(&self, parties: &[AtomicU32], w: &W) {
        if let Some(party) = parties.get(index_of(w.me())) {
            let p = party.load(Relaxed);
            if Owner::of_word(p) == Some(w.me()) {
                let _ = party.compare_exchange(p, 0, Relaxed, Relaxed);
            }
        }
    }

    /// Whether nobody can pass before a [`reset`](Self::reset). Stale as soon as it is returned.
    pub fn is_broken(&self) -> bool {
        is_broken(self.word.load(Acquire))
    }

    /// How many have arrived in this phase and wait. Stale as soon as it is returned.
    pub fn waiting(&self) -> u32 {
        ARRIVED.get(self.word.load(Relaxed)) as u32
    }

    /// Makes the caller known in the era of `s`. False: look again.
    #[inline]
    fn enrol<W: Wait>(&self, s: u64, parties: &[AtomicU32], w: &W) -> bool {
        if parties.is_empty() {
            return true;
        }
        let party = &parties[index_of(w.me())];
        party.load(Relaxed) == w.me().get() | era_mark(s) || self.enrol_first(s, party, w)
    }

    #[cold]
    fn enrol_first<W: Wait>(&self, s: u64, party: &AtomicU32, w: &W) -> bool {
        // Acquire pairs with the Release below: if another thread of ours wrote this in a later era, the next look sees that.
        let p = party.load(Acquire);
        if ERA.get(self.word.load(Acquire)) != ERA.get(s) {
            return false;
        }
        match known(p, s) {
            Some(owner) if owner == w.me() => true,
            Some(_) => {
                // The party that had our place is gone. The caller comes back to find the barrier broken.
                self.break_phase(s, w);
                false
            }
            None => party.compare_exchange(p, w.me().get() | era_mark(s), Release, Relaxed).is_ok(),
        }
    }

    /// Waits until the phase ends in which the caller has arrived, `arrived` being the word since then.
    ///
    /// Repeatedly: announce a sleeper; look whether the phase has ended; look, once per epoch, whether a party is gone;
    /// sleep.
    fn wait_for_end<W: Wait>(
        &self,
        arrived: u64,
        size: u32,
        parties: &[AtomicU32],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), BarrierError> {
        self.linger(arrived, size, w);
        let mut checked = None;
        loop {
            // Before anything is read, or a death in between would go unseen.
            let epoch = w.epoch();
            // Before the word is read: who ends the phase changes the word first.
            let (gate, expected) = self.gate.announce();
            // Acquire pairs with the Release in `finish`.
            let s = self.word.load(Acquire);
            match fate(arrived, s) {
                Fate::Passed => return Ok(()),
                Fate::Broken => return Err(BarrierError::Broken),
                Fate::Waiting => {}
            }
            if checked != Some(epoch) {
                checked = Some(epoch);
                if party_gone(s, parties, w) {
                    self.break_phase(s, w);
                    continue;
                }
            }
            match w.wait(gate, expected, epoch, deadline) {
                Wake::Woken => {}
                Wake::TimedOut => {
                    if self.break_waiting(arrived, w) {
                        return Err(BarrierError::TimedOut);
                    }
                    // The phase ended first. We loop to see how.
                }
                Wake::Interrupted => {
                    if self.withdraw(arrived, size) {
                        return Err(BarrierError::Interrupted);
                    }
                    // It ended, or all are here and it ends soon: an arrival that the last counts on stays.
                }
            }
        }
    }

    /// Waits until a phase ends that is full, `full` being its word, and in which the caller has not arrived.
    #[cold]
    fn wait_for_room<W: Wait>(
        &self,
        full: u64,
        parties: &[AtomicU32],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), BarrierError> {
        let mut checked = None;
        loop {
            let epoch = w.epoch();
            let (gate, expected) = self.gate.announce();
            if self.word.load(Acquire) != full {
                return Ok(());
            }
            if checked != Some(epoch) {
                checked = Some(epoch);
                if party_gone(full, parties, w) {
                    self.break_phase(full, w);
                    continue;
                }
            }
            match w.wait(gate, expected, epoch, deadline) {
                Wake::Woken => {}
                Wake::TimedOut => return Err(BarrierError::TimedOut),
                Wake::Interrupted => return Err(BarrierError::Interrupted),
            }
        }
    }

    /// Spins while others may still come; whether it pays is the scope's business.
    fn linger<W: Wait>(&self, arrived: u64, size: u32, w: &W) {
        let mut turn = 0;
        while matches!(fate(arrived, self.word.load(Relaxed)), Fate::Waiting)
            && w.gather(size, turn)
        {
            turn += 1;
        }
    }

    /// Breaks the phase if the word is still `s`.
    fn break_phase<W: Wait>(&self, s: u64, w: &W) -> bool {
        let next = s & !ARRIVED.of(ARRIVED.max()) | BROKEN;
        let broken = self.word.compare_exchange(s, next, AcqRel, Relaxed).is_ok();
        if broken {
            self.gate.open(w);
        }
        broken
    }

    /// Breaks the phase in which the caller arrived, if it has not ended.
    #[cold]
    fn break_waiting<W: Wait>(&self, arrived: u64, w: &W) -> bool {
        loop {
            let s = self.word.load(Acquire);
            if !matches!(fate(arrived, s), Fate::Waiting) {
                return false;
            }
            if self.break_phase(s, w) {
                return true;
            }
        }
    }

    /// Takes the caller's arrival back, unless the phase has ended or all are here.
    #[cold]
    fn withdraw(&self, arrived: u64, size: u32) -> bool {
        loop {
            let s = self.word.load(Acquire);
            if !matches!(fate(arrived, s), Fate::Waiting) || ARRIVED.get(s) >= u64::from(size) {
                return false;
            }
            if self.word.compare_exchange(s, s - ARRIVED.of(1), AcqRel, Relaxed).is_ok() {
                return true;
            }
        }
    }
}

/// What became of an arrival.
enum Fate {
    Waiting,
    Passed,
    Broken,
}

/// The most phases that may end before a waiter looks again and can still tell that it passed. After as many resets as the
/// era has numbers it looks like the same one, but then more phases than these have begun.
const TELLABLE: u64 = ERA.max();

/// What became, when the word is `s`, of an arrival after which it was `arrived`.
fn fate(arrived: u64, s: u64) -> Fate {
    let since = |phase: u64| PHASE.get(PHASE.of(phase.wrapping_sub(PHASE.get(arrived))));
    let resets = ERA.get(ERA.of(ERA.get(s).wrapping_sub(ERA.get(arrived))));
    match (resets, since(PHASE.get(s)), since(CUT.get(s))) {
        (0, 0, _) if is_broken(s) => Fate::Broken,
        (0, 0, _) => Fate::Waiting,
        (0, 1..=TELLABLE, _) | (1, _, 1..=TELLABLE) => Fate::Passed,
        _ => Fate::Broken,
    }
}

/// The era of `s` as the words of its parties carry it.
fn era_mark(s: u64) -> u32 {
    (ERA.get(s) as u32) << OWNER_BITS
}

/// The party that the word `p` names, if it was known in the era of `s`.
fn known(p: u32, s: u64) -> Option<Owner> {
    if p & !OWNER_MASK == era_mark(s) { Owner::of_word(p) } else { None }
}

fn index_of(owner: Owner) -> usize {
    owner.get() as usize & 1023
}

/// Whether a party known in the era of `s` is gone.
#[cold]
fn party_gone<W: Wait>(s: u64, parties: &[AtomicU32], w: &W) -> bool {
    parties.iter().any(|party| {
        known(party.load(Relaxed), s).is_some_and(|owner| owner != w.me() && w.is_gone(owner))
    })
}

fn is_broken(s: u64) -> bool {
    s & BROKEN != 0
}
