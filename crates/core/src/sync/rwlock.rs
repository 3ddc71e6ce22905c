//! A readers-writer lock that can name all who hold it, so that it survives any of them.
//!
//! A reader adds 1 to its participant's word and then looks for a writer; a writer takes the writer word and then looks for
//! readers. Both steps are sequentially consistent, so at least one of the two sees the other (Dekker's handshake).
//! Whoever comes second yields: the reader backs out and waits for the writer, who lets no new reader in and waits until
//! all words of readers are zero. Writers therefore never starve.
//!
//! | `writer` | meaning |
//! |---|---|
//! | as [`mutex`](super::mutex) | Who writes, or waits for the last readers to leave. `WAITERS` also stands for readers asleep on `gate`. |
//!
//! | a participant's word | meaning |
//! |---|---|
//! | `owner << 32 + n` | This participant reads `n` times. In scope `threads` there is one word for all, without an owner. |
//! | `other << 32 + n` | What an earlier participant in the same place left. `n` counts until somebody sees that it is gone. |
//!
//! | `gate` | meaning |
//! |---|---|
//! | `seq + ASLEEP` | Readers may sleep: whoever releases a writer word with `WAITERS` must advance `seq` and wake them all. |
//! | `seq` | Nobody sleeps who has not been sent a wake. |
//!
//! | `drain` | meaning |
//! |---|---|
//! | `seq` | No writer waits for readers. |
//! | `seq + DRAINING` | A writer waits: whoever brings a word of readers to zero must advance `seq` and wake it. |
//! | `+ PRISTINE` | Who has the writer word has changed nothing yet, and the value was consistent. |
//!
//! `ASLEEP`, `DRAINING` and `PRISTINE` may stay set by one who died or gave up: the first two cost a wasted wake, and every
//! writer clears all but `ASLEEP` before its first change. A writer killed while it waits therefore leaves no suspicion behind.

use super::mutex::{Claim, INCONSISTENT, RawMutex, WAITERS};
use crate::owner::Owner;
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::primitive::{AtomicU32, AtomicU64, constructor, fence};
use crate::wait::{ALL, Deadline, Wait, WaitError, Wake};

/// In `gate`: readers may be asleep.
const ASLEEP: u32 = 1;
const GATE_STEP: u32 = 2;

/// In `drain`: a writer may be asleep until readers leave.
const DRAINING: u32 = 1;
/// In `drain`: the value is consistent, whatever the writer word says.
const PRISTINE: u32 = 2;
const DRAIN_STEP: u32 = 4;

/// A participant may read so many times at once, and a few more (one per thread that races past the check).
const MOST_READS: u64 = 1 << 31;
/// What stands for more: so far from both ends that no number of threads brings the count there, since every read that begins
/// sets it again.
const LOST_COUNT: u64 = 3 << 30;

/// The lock without its value and without the readers' words, which are borrowed: one per participant, found by
/// `owner & 1023`, or a single one in scope `threads`. The same slice must be given to every call.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawRwLock {
    writer: RawMutex,
    gate: AtomicU32,
    drain: AtomicU32,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawRwLock>() == 12);
    assert!(offset_of!(RawRwLock, writer) == 0);
    assert!(offset_of!(RawRwLock, gate) == 4);
    assert!(offset_of!(RawRwLock, drain) == 8);
};

impl RawRwLock {
    constructor! {
        /// A free lock.
        pub fn new() -> Self {
            Self { writer: RawMutex::new(), gate: AtomicU32::new(0), drain: AtomicU32::new(0) }
        }
    }

    /// Waits until the caller may read, or `deadline`. Everything before the releasing
    /// [`unlock_write`](Self::unlock_write) happens before this returns.
    ///
    /// A participant that reads more than 2^31 times at once, which takes forgotten guards or a damaged word, reads until it
    /// is gone: what its word counts is not known any more.
    #[inline]
    pub fn read<W: Wait>(
        &self,
        readers: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Claim, WaitError> {
        if self.read_free(readers, w) {
            Ok(Claim::Clean)
        } else {
            self.read_contended(readers, w, deadline)
        }
    }

    /// Starts reading, if nobody writes and the value is consistent: the whole uncontended path. False: the caller is counted as a
    /// reader all the same, and must go on with [`read_contended`](Self::read_contended) or
    /// [`unlock_read`](Self::unlock_read).
    #[inline]
    #[must_use]
    pub fn read_free<W: Wait>(&self, readers: &[AtomicU64], w: &W) -> bool {
        enter(word_of(readers, w), w);
        self.writer.load(SeqCst) == 0
    }

    /// Starts reading without waiting. `None`: somebody writes, or waits to.
    #[inline]
    pub fn try_read<W: Wait>(&self, readers: &[AtomicU64], w: &W) -> Option<Claim> {
        if self.read_free(readers, w) {
            Some(Claim::Clean)
        } else {
            self.try_read_contended(word_of(readers, w), w)
        }
    }

    #[cold]
    fn try_read_contended<W: Wait>(&self, mine: &AtomicU64, w: &W) -> Option<Claim> {
        let mut claim = None;
        loop {
            match self.look(w, claim) {
                Look::Free(claim) => return Some(claim),
                Look::Buried(dead) => claim = Some(dead),
                Look::Held(_) => {
                    self.leave(mine, w);
                    return None;
                }
            }
        }
    }

    /// The rest of [`read`](Self::read), after a [`read_free`](Self::read_free) that was false.
    ///
    /// Repeatedly: read if nobody writes; bury a writer that is gone; else back out, announce a sleeper, sleep, enter.
    #[cold]
    pub fn read_contended<W: Wait>(
        &self,
        readers: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Claim, WaitError> {
        let mine = word_of(readers, w);
        let mut claim = None;
        let mut spun = false;
        loop {
            // Before the verdict on the writer, or a death in between would go unseen.
            let epoch = w.epoch();
            let s = match self.look(w, claim) {
                Look::Free(claim) => return Ok(claim),
                Look::Buried(dead) => {
                    claim = Some(dead);
                    continue;
                }
                Look::Held(s) => s,
            };
            self.leave(mine, w);
            if Owner::of_word(s).is_some_and(|owner| w.is_self(owner)) {
                return Err(WaitError::WouldDeadlock);
            }
            if spun {
                self.sleep(s, epoch, w, deadline)?;
            } else {
                self.spin(w);
                spun = true;
            }
            enter(mine, w);
        }
    }

    /// Spins while somebody writes and nobody sleeps.
    fn spin<W: Wait>(&self, w: &W) {
        let mut turn = 0;
        loop {
            let s = self.writer.load(Relaxed);
            if Owner::of_word(s).is_none() || s & WAITERS != 0 || !w.spin(turn) {
                return;
            }
            turn += 1;
        }
    }

    /// Sleeps until the writer in state `s` has gone on, unless it already has.
    fn sleep<W: Wait>(
        &self,
        s: u32,
        epoch: u32,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), WaitError> {
        let gate = self.gate.fetch_or(ASLEEP, Relaxed) | ASLEEP;
        // Release pairs with the fence in `wake_sleepers`: who sees WAITERS sees ASLEEP, or a later gate.
        if !self.writer.replace(s, s | WAITERS, Release) {
            return Ok(());
        }
        match w.wait(&self.gate, gate, epoch, deadline) {
            Wake::Woken => Ok(()),
            // All readers are woken together, so leaving loses no wake.
            Wake::TimedOut => Err(WaitError::TimedOut),
            Wake::Interrupted => Err(WaitError::Interrupted),
        }
    }

    /// Who writes? A writer that is gone is taken off the word; `claim` says what became known that way.
    fn look<W: Wait>(&self, w: &W, claim: Option<Claim>) -> Look {
        let s = self.writer.load(SeqCst);
        let Some(owner) = Owner::of_word(s) else {
            return Look::Free(match claim {
                _ if s & INCONSISTENT == 0 => Claim::Clean,
                Some(claim) => claim,
                None => Claim::Inherited(None),
            });
        };
        if !w.is_gone(owner) {
            return Look::Held(s);
        }
        // As long as the word names the dead nobody else sets PRISTINE, and its last stores are visible.
        let residue = if self.drain.load(Relaxed) & PRISTINE != 0 { 0 } else { INCONSISTENT };
        // Release hands on what the dead left in `drain`; the sleepers are woken by its death.
        if self.writer.replace(s, residue, AcqRel) {
            Look::Buried(Claim::Inherited(Some(owner)))
        } else {
            // Somebody was faster; what they made of it is seen in the next round.
            Look::Buried(claim.unwrap_or(Claim::Inherited(None)))
        }
    }

    /// Stops reading. The caller must have started on the same words.
    #[inline]
    pub fn unlock_read<W: Wait>(&self, readers: &[AtomicU64], w: &W) {
        self.leave(word_of(readers, w), w);
    }

    #[inline]
    fn leave<W: Wait>(&self, mine: &AtomicU64, w: &W) {
        // Release (in SeqCst) orders the reading before the writer's scan. SeqCst with the load below: either the writer's
        // scan sees this, or we see that it is draining.
        let last = count::<W>(mine.fetch_sub(1, SeqCst)) == 1;
        if last && self.drain.load(SeqCst) & DRAINING != 0 {
            self.wake_drainer(w);
        }
    }

    #[cold]
    fn wake_drainer<W: Wait>(&self, w: &W) {
        let mut d = self.drain.load(Relaxed);
        while d & DRAINING != 0 {
            let next = (d & !DRAINING).wrapping_add(DRAIN_STEP);
            match self.drain.compare_exchange(d, next, Relaxed, Relaxed) {
                Ok(_) => return w.wake(&self.drain, 1),
                Err(seen) => d = seen,
            }
        }
    }

    /// Waits until the caller alone holds the lock, or `deadline`. Everything before the releasing
    /// [`unlock_read`](Self::unlock_read) and [`unlock_write`](Self::unlock_write) happens before this returns.
    #[inline]
    pub fn write<W: Wait>(
        &self,
        readers: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Claim, WaitError> {
        // SeqCst pairs with `enter`, as the module says.
        if self.writer.lock_free_in(w, SeqCst) {
            if self.is_drained::<W>(readers) {
                return Ok(Claim::Clean);
            }
            self.drain(readers, Claim::Clean, w, deadline, Retreat::Leave)
        } else {
            let claim = self.writer.lock_contended(w, deadline)?;
            self.write_claimed(readers, claim, w, deadline, Retreat::Leave)
        }
    }

    /// Starts writing without waiting. `None`: somebody holds the lock or waits to write.
    pub fn try_write<W: Wait>(&self, readers: &[AtomicU64], w: &W) -> Option<Claim> {
        let claim = self.writer.try_lock(w)?;
        self.try_drain(readers, claim, w, Retreat::Leave)
    }

    /// From reading to writing, with nobody writing in between: waits until the other readers have left, or `deadline`.
    /// The caller must read, on the same words; after an error it still does.
    ///
    /// [`WaitError::WouldDeadlock`]: somebody waits to write, or to upgrade, and so for the caller to stop reading.
    pub fn upgrade<W: Wait>(
        &self,
        readers: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Claim, WaitError> {
        // Whoever has the word waits for us, so we must not wait for it.
        let claim = self.writer.try_lock(w).ok_or(WaitError::WouldDeadlock)?;
        // The word is ours: nobody else begins to write from here on, though we are no reader any more.
        self.leave(word_of(readers, w), w);
        self.write_claimed(readers, claim, w, deadline, Retreat::Read)
    }

    /// [`upgrade`](Self::upgrade) without waiting: [`WaitError::TimedOut`] if others read.
    pub fn try_upgrade<W: Wait>(&self, readers: &[AtomicU64], w: &W) -> Result<Claim, WaitError> {
        let claim = self.writer.try_lock(w).ok_or(WaitError::WouldDeadlock)?;
        self.leave(word_of(readers, w), w);
        self.try_drain(readers, claim, w, Retreat::Read).ok_or(WaitError::TimedOut)
    }

    /// The rest of [`write`](Self::write), with the word obtained the slow way. Writing begins when the readers have left, whose words are looked at after the fence.
    #[cold]
    fn write_claimed<W: Wait>(
        &self,
        readers: &[AtomicU64],
        claim: Claim,
        w: &W,
        deadline: Option<Deadline>,
        retreat: Retreat,
    ) -> Result<Claim, WaitError> {
        // The mutex took the word with Acquire only.
        fence(SeqCst);
        let claim = self.clear_suspicion(claim);
        if self.is_drained::<W>(readers) {
            Ok(claim)
        } else {
            self.drain(readers, claim, w, deadline, retreat)
        }
    }

    #[cold]
    fn try_drain<W: Wait>(
        &self,
        readers: &[AtomicU64],
        claim: Claim,
        w: &W,
        retreat: Retreat,
    ) -> Option<Claim> {
        fence(SeqCst);
        let claim = self.clear_suspicion(claim);
        if readers.iter().all(|reader| has_left(reader, w)) {
            self.settle();
            return Some(claim);
        }
        self.retreat(readers, claim, w, retreat);
        None
    }

    /// Gives the writer word up before the first change.
    fn retreat<W: Wait>(&self, readers: &[AtomicU64], claim: Claim, w: &W, retreat: Retreat) {
        if retreat == Retreat::Read {
            // While the word is ours, so that nobody writes in between.
            enter(word_of(readers, w), w);
        }
        self.unlock_write(w, residue(claim));
    }

    /// A predecessor that died before its first change leaves a consistent value.
    fn clear_suspicion(&self, claim: Claim) -> Claim {
        if claim != Claim::Clean && self.drain.load(Relaxed) & PRISTINE != 0 {
            self.writer.mark_consistent();
            return Claim::Clean;
        }
        claim
    }

    /// No reader, and nothing to clear in `drain`: the uncontended case.
    #[inline]
    fn is_drained<W: Wait>(&self, readers: &[AtomicU64]) -> bool {
        self.drain.load(Relaxed) & (DRAINING | PRISTINE) == 0
            && readers.iter().all(|reader| count::<W>(reader.load(SeqCst)) == 0)
    }

    /// Waits, with the writer word taken, until every word of readers is zero or its participant is gone; or gives the writer word up.
    #[cold]
    fn drain<W: Wait>(
        &self,
        readers: &[AtomicU64],
        claim: Claim,
        w: &W,
        deadline: Option<Deadline>,
        retreat: Retreat,
    ) -> Result<Claim, WaitError> {
        let drained = self.await_readers(readers, claim, w, deadline);
        if drained.is_err() {
            // The flags stay for the next writer to clear: dying from here on raises no suspicion either.
            self.retreat(readers, claim, w, retreat);
        }
        drained.map(|()| claim)
    }

    /// The first half of [`write`](Self::write), for one that may be interrupted in the second and go on: takes the writer word.
    /// [`await_readers`](Self::await_readers) or [`abandon_write`](Self::abandon_write) must follow.
    pub fn claim_write<W: Wait>(
        &self,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Claim, WaitError> {
        if self.writer.lock_free_in(w, SeqCst) {
            return Ok(Claim::Clean);
        }
        let claim = self.writer.lock_contended(w, deadline)?;
        // As in `write_claimed`.
        fence(SeqCst);
        Ok(self.clear_suspicion(claim))
    }

    /// The second half: waits until the readers have left. On error the caller still has the writer word, and no new reader comes in.
    pub fn await_readers<W: Wait>(
        &self,
        readers: &[AtomicU64],
        claim: Claim,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), WaitError> {
        // Relaxed: who inherits the word sees it through our death.
        let pristine = if claim == Claim::Clean { PRISTINE } else { 0 };
        self.drain.fetch_or(pristine, Relaxed);
        let mut turn = 0;
        while readers.iter().any(|reader| count::<W>(reader.load(Relaxed)) != 0) && w.spin(turn) {
            turn += 1;
        }
        loop {
            let epoch = w.epoch();
            // SeqCst pairs with `leave`: a reader that this scan still sees will see DRAINING.
            let d = self.drain.fetch_or(DRAINING, SeqCst) | DRAINING;
            if readers.iter().all(|reader| has_left(reader, w)) {
                self.settle();
                return Ok(());
            }
            match w.wait(&self.drain, d, epoch, deadline) {
                Wake::Woken => {}
                Wake::TimedOut => return Err(WaitError::TimedOut),
                Wake::Interrupted => return Err(WaitError::Interrupted),
            }
        }
    }

    /// Gives up a claim to write, nothing being changed.
    pub fn abandon_write<W: Wait>(&self, readers: &[AtomicU64], claim: Claim, w: &W) {
        self.retreat(readers, claim, w, Retreat::Leave);
    }

    /// Before the first change. Relaxed: the next holder of the word sees it through the
    /// word, or through our death.
    fn settle(&self) {
        self.drain.fetch_and(!(DRAINING | PRISTINE), Relaxed);
    }

    /// Stops writing and leaves `residue` in the writer word: `0`, or [`INCONSISTENT`] if the value needs repair. The caller must hold it.
    #[inline]
    pub fn unlock_write<W: Wait>(&self, w: &W, residue: u32) {
        if self.writer.release(residue) {
            self.wake_sleepers(w);
        }
    }

    /// From writing to reading, with nobody writing in between. The caller must hold the lock for writing.
    pub fn downgrade<W: Wait>(&self, readers: &[AtomicU64], w: &W, residue: u32) {
        enter(word_of(readers, w), w);
        self.unlock_write(w, residue);
    }

    /// Wakes all readers that sleep, and one writer: the others, if any, are its business (it assumes that there are).
    #[cold]
    fn wake_sleepers<W: Wait>(&self, w: &W) {
        // Pairs with the Release in `sleep`.
        fence(Acquire);
        let mut gate = self.gate.load(Relaxed);
        while gate & ASLEEP != 0 {
            let next = (gate & !ASLEEP).wrapping_add(GATE_STEP);
            match self.gate.compare_exchange(gate, next, Relaxed, Relaxed) {
                Ok(_) => {
                    w.wake(&self.gate, ALL);
                    break;
                }
                Err(seen) => gate = seen,
            }
        }
        w.wake(self.writer.word(), 1);
    }

    /// Says that the value is good again. The caller must hold the lock for writing.
    pub fn mark_consistent(&self) {
        self.writer.mark_consistent();
    }

    /// Whether the value awaits repair. Stale as soon as it is returned unless the caller holds the lock.
    pub fn is_inconsistent(&self) -> bool {
        self.writer.is_inconsistent()
    }

    /// Whether somebody may sleep for the writer to go. Stale as soon as it is returned, but once true, true until it goes.
    #[inline]
    pub fn is_contended(&self) -> bool {
        self.writer.is_contended()
    }

    /// Who writes, or waits for readers to leave. Stale as soon as it is returned.
    pub fn writer(&self) -> Option<Owner> {
        self.writer.owner()
    }

    /// How many read, those on their way in or out included. Stale as soon as it is returned.
    pub fn readers(&self, readers: &[AtomicU64]) -> u64 {
        readers.iter().map(|reader| u64::from(reader.load(Relaxed) as u32)).sum()
    }
}

/// What becomes of a writer that gives up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retreat {
    /// It leaves.
    Leave,
    /// It was a reader and is one again.
    Read,
}

/// What a reader finds in the writer word.
enum Look {
    /// Nobody writes; how the lock is obtained.
    Free(Claim),
    /// A dead writer's name was taken off.
    Buried(Claim),
    /// This state.
    Held(u32),
}

/// What a writer that gives up leaves in the word.
fn residue(claim: Claim) -> u32 {
    if claim == Claim::Clean { 0 } else { INCONSISTENT }
}

/// The caller's word.
#[inline]
fn word_of<'a, W: Wait>(readers: &'a [AtomicU64], w: &W) -> &'a AtomicU64 {
    if W::OWNER_IS_THREAD { &readers[0] } else { &readers[(w.me().get() & 1023) as usize] }
}

/// How many reads a word counts. In scope `threads` all of it is the count, which no number of forgotten guards can
/// bring to overflow; elsewhere [`enter`] keeps the count from running into the owner.
#[inline]
fn count<W: Wait>(word: u64) -> u64 {
    if W::OWNER_IS_THREAD { word } else { word & u64::from(u32::MAX) }
}

/// Counts the caller in.
#[inline]
fn enter<W: Wait>(mine: &AtomicU64, w: &W) {
    // One comparison tells that the word is this participant's and far from overflowing. Nobody else changes it then.
    if !W::OWNER_IS_THREAD && mine.load(Relaxed) / MOST_READS != u64::from(w.me().get()) * 2 {
        return enter_first(mine, w);
    }
    // SeqCst pairs with the writer's, as the module says.
    mine.fetch_add(1, SeqCst);
}

/// Takes the word over from an earlier participant, which is gone, and counts the caller in.
#[cold]
fn enter_first<W: Wait>(mine: &AtomicU64, w: &W) {
    let me = u64::from(w.me().get());
    let mut s = mine.load(Relaxed);
    loop {
        let next = match s as u32 {
            _ if s >> 32 != me => me << 32 | 1,
            reads if u64::from(reads) < MOST_READS => s + 1,
            _ => me << 32 | LOST_COUNT,
        };
        match mine.compare_exchange(s, next, SeqCst, Relaxed) {
            Ok(_) => return,
            Err(seen) => s = seen,
        }
    }
}

/// No reads are counted in this word, or none any more since its participant is gone.
fn has_left<W: Wait>(reader: &AtomicU64, w: &W) -> bool {
    // SeqCst pairs with `enter`, and Acquire (in it) with the Release in `leave`.
    let s = reader.load(SeqCst);
    if count::<W>(s) == 0 {
        return true;
    }
    match Owner::new((s >> 32) as u32) {
        // Failure: a new participant has moved in.
        Some(owner) if w.is_gone(owner) => reader.compare_exchange(s, 0, SeqCst, Relaxed).is_ok(),
        _ => false,
    }
}
