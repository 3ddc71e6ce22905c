//! A semaphore whose permits belong to those who took them, and come back when they die.
//!
//! One word says everything: how many permits are available, and *the last operation* (which participant took or gave
//! how many). A change of the word is the only commit point; the books, `held[index]` per participant, are written
//! afterwards by whoever performs the next operation. A death between the two loses nothing.
//!
//! | word | meaning |
//! |---|---|
//! | `available`, op `NONE` | Nothing has happened yet, the books are right. Zero is a semaphore without permits. |
//! | `… TAKE n by index, version` | The participant at `index` took `n`. Its book says so when it carries `version`; else the next to come writes it. |
//! | `… GIVE n by index, version` | It gave `n` back. |
//! | `… CLEAR index, version` | All that the participant at `index` had came back, since it is gone. |
//! | `SIGNAL`, `available` (62 bits) | Permits belong to nobody: no operation is recorded, no book is read. Final. |
//! | any `+ WAITERS` | Somebody may sleep: who adds permits clears the bit and wakes. |
//!
//! A semaphore becomes a *signal* when somebody releases more than it holds: then its permits are messages from one to
//! another, and giving them back at a death would be wrong. Between threads, where nobody dies alone, it is one from the start.
//!
//! `WAITERS` may be set though nobody sleeps; how it may be clear while somebody does, and why no wake is lost, is in
//! `README.md`, with the argument for deaths.

use crate::owner::Owner;
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::sync::field::Field;
use crate::sync::gate::Gate;
use crate::wait::{Deadline, Wait, WaitError, Wake};

const WAITERS: u64 = 1;
const SIGNAL: u64 = 1 << 1;
/// Permits available; once a signal, they have the rest of the word to themselves.
const AVAIL: Field = Field::new(2, 20);
const SIGNAL_AVAIL: Field = Field::new(2, 62);
/// The last operation: how many permits, of whom, what, and its version.
const COUNT: Field = AVAIL.then(8);
const INDEX: Field = COUNT.then(10);
const OP: Field = INDEX.then(2);
const VERSION: Field = OP.then(22);
const _: () = assert!(VERSION.end() == 64);

const NONE: u64 = 0;
const TAKE: u64 = 1;
const GIVE: u64 = 2;
const CLEAR: u64 = 3;

/// A participant's book: how many permits it holds, the version of its last operation, and its generation.
const HELD: Field = Field::new(0, 20);
const HELD_VERSION: Field = HELD.then(22);
const HELD_GENERATION: Field = HELD_VERSION.then(20);

/// A participant's owner id.
const OWNER_INDEX: Field = Field::new(0, 10);
const OWNER_GENERATION: Field = OWNER_INDEX.then(20);

/// The semaphore without its books.
///
/// Every method takes the books, `held`: one word per participant, zero at first, at the index that is the
/// low 10 bits of its owner id (above them is its generation), or it panics. A [`signal`](Self::signal) reads none of them.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawSemaphore {
    word: AtomicU64,
    /// Those who want one permit sleep here; its value is how often they were woken.
    gate: AtomicU32,
    /// Those who want several sleep apart, so that they never swallow a wake that is enough for another.
    crowd: Gate,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawSemaphore>() == 16);
    assert!(offset_of!(RawSemaphore, word) == 0);
    assert!(offset_of!(RawSemaphore, gate) == 8);
    assert!(offset_of!(RawSemaphore, crowd) == 12);
};

/// More permits than the bound, or than fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow;

impl RawSemaphore {
    /// The most permits while they belong to their takers.
    pub const MAX: u64 = AVAIL.max();
    /// The most permits taken or released at once while they belong to their takers.
    pub const MAX_AT_ONCE: u64 = COUNT.max();
    /// The most permits of a signal.
    pub const MAX_SIGNAL: u64 = SIGNAL_AVAIL.max();

    constructor! {
        /// A semaphore whose permits, at most [`MAX`](Self::MAX), belong to their takers.
        pub fn new(permits: u64) -> Self {
            assert!(permits <= Self::MAX, "more permits than a semaphore holds");
            Self { word: AtomicU64::new(AVAIL.of(permits)), gate: AtomicU32::new(0), crowd: Gate::new() }
        }
    }

    constructor! {
        /// A semaphore whose permits, at most [`MAX_SIGNAL`](Self::MAX_SIGNAL), belong to nobody.
        pub fn signal(permits: u64) -> Self {
            assert!(permits <= Self::MAX_SIGNAL, "more permits than a semaphore holds");
            Self {
                word: AtomicU64::new(SIGNAL | SIGNAL_AVAIL.of(permits)),
                gate: AtomicU32::new(0),
                crowd: Gate::new(),
            }
        }
    }

    /// The permits available now, without those that the dead still hold. Stale as soon as it is returned.
    #[inline]
    pub fn available(&self) -> u64 {
        available(self.word.load(Relaxed))
    }

    /// Whether permits belong to nobody. Once true, true for ever.
    pub fn is_signal(&self) -> bool {
        is_signal(self.word.load(Relaxed))
    }

    /// How many permits `owner` holds. Stale as soon as it is returned, unless it is the caller.
    pub fn held_by(&self, owner: Owner, held: &[AtomicU64]) -> u64 {
        let (index, generation) = place_of(owner);
        loop {
            let s = self.word.load(Acquire);
            if is_signal(s) {
                return 0;
            }
            self.settle(s, held);
            let h = held.get(index).map_or(0, |book| book.load(Acquire));
            if self.word.load(Relaxed) == s {
                return if HELD_GENERATION.get(h) == generation { HELD.get(h) } else { 0 };
            }
        }
    }

    /// The same without writing anything, for those who look from outside. A change at this instant may be missed.
    pub fn peek_held_by(&self, owner: Owner, held: &[AtomicU64]) -> u64 {
        let (index, generation) = place_of(owner);
        let s = self.word.load(Acquire);
        let h = held.get(index).map_or(0, |book| book.load(Acquire));
        if is_signal(s) || HELD_GENERATION.get(h) != generation {
            return 0;
        }
        let unsettled = OP.get(s) != NONE
            && INDEX.get(s) as usize == index
            && VERSION.get(s) != HELD_VERSION.get(h);
        if unsettled { settled(s, h) } else { HELD.get(h) }
    }

    /// Waits until `n` permits are there and takes them all at once, or takes none by `deadline`.
    /// Everything before the releases that made them available happens before this returns.
    ///
    /// # Panics
    /// When `n` is over [`MAX_AT_ONCE`](Self::MAX_AT_ONCE), unless this is a signal.
    #[inline]
    pub fn acquire<W: Wait>(
        &self,
        n: u64,
        held: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), WaitError> {
        if self.take(n, 0, held, w) {
            return Ok(());
        }
        self.acquire_contended(n, held, w, deadline)
    }

    /// Takes `n` permits if they are there, or are once the dead have given back theirs.
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    #[inline]
    pub fn try_acquire<W: Wait>(&self, n: u64, held: &[AtomicU64], w: &W) -> bool {
        self.take(n, 0, held, w) || (self.recover(held, w) > 0 && self.take(n, 0, held, w))
    }

    /// Gives `n` permits back, or sends them when the caller holds fewer, and wakes at most `n` of those who want one and all
    /// who want several. On error, when more than `bound` would be available, nothing has changed.
    ///
    /// More than [`MAX_AT_ONCE`](Self::MAX_AT_ONCE) that the caller holds are given in several operations: others may come in
    /// between, and a death leaves what was not yet given to be recovered.
    #[inline]
    pub fn release<W: Wait>(
        &self,
        n: u64,
        bound: u64,
        held: &[AtomicU64],
        w: &W,
    ) -> Result<(), Overflow> {
        let mut left = n;
        while left > 0 {
            left -= self.release_some(left, bound, held, w)?;
        }
        Ok(())
    }

    /// One step of a release: all `n`, or as many as one operation can say. Returns how many.
    #[inline]
    fn release_some<W: Wait>(
        &self,
        n: u64,
        bound: u64,
        held: &[AtomicU64],
        w: &W,
    ) -> Result<u64, Overflow> {
        let mut s = self.word.load(Acquire);
        let given = loop {
            let avail = available(s);
            if n > bound.min(Self::MAX_SIGNAL).saturating_sub(avail) {
                return Err(Overflow);
            }
            let (given, next) = if is_signal(s) {
                (n, s + SIGNAL_AVAIL.of(n))
            } else {
                self.give_tracked(s, n, held, w)?
            };
            // Release publishes what came before to those who take the permits. Acquire, here and in all that follows: who
            // records an operation knows the books that it depends on.
            match self.word.compare_exchange(s, next & !WAITERS, AcqRel, Acquire) {
                Ok(_) => break given,
                Err(now) => s = now,
            }
        };
        if s & WAITERS != 0 {
            self.open(given, w);
        }
        Ok(given)
    }

    /// How many of `n` the caller gives back in one operation, and the word after it, or the signal that it becomes.
    #[inline]
    fn give_tracked<W: Wait>(
        &self,
        s: u64,
        n: u64,
        held: &[AtomicU64],
        w: &W,
    ) -> Result<(u64, u64), Overflow> {
        self.settle(s, held);
        let (index, generation) = place_of(w.me());
        let h = held[index].load(Acquire);
        if HELD_GENERATION.get(h) != generation || HELD.get(h) < n {
            return Ok((n, SIGNAL | SIGNAL_AVAIL.of(available(s) + n)));
        }
        let n = n.min(Self::MAX_AT_ONCE);
        // Cannot happen unless a peer wrote nonsense: what is held was available once.
        if n > Self::MAX.saturating_sub(available(s)) {
            return Err(Overflow);
        }
        Ok((n, record(s, h, GIVE, index, n, available(s) + n)))
    }

    /// Takes `n` permits if they are there, and leaves `others` in the word.
    #[inline]
    fn take<W: Wait>(&self, n: u64, others: u64, held: &[AtomicU64], w: &W) -> bool {
        // Acquire pairs with the Release of the operation before: its bookkeeping may be ours to do.
        let mut s = self.word.load(Acquire);
        loop {
            let avail = available(s);
            let next = if is_signal(s) {
                if n > avail {
                    return false;
                }
                s - SIGNAL_AVAIL.of(n)
            } else {
                self.settle(s, held);
                let (index, generation) = place_of(w.me());
                let h = held[index].load(Acquire);
                if HELD_GENERATION.get(h) != generation {
                    self.adopt(s, h, held, w);
                    s = self.word.load(Acquire);
                    continue;
                }
                assert!(n <= Self::MAX_AT_ONCE, "at most 255 permits at once");
                if n > avail {
                    return false;
                }
                record(s, h, TAKE, index, n, avail - n)
            };
            match self.word.compare_exchange(s, next | others, AcqRel, Acquire) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        // We turned the bit on though permits remain: see `announce`.
        if others != 0 && s & WAITERS == 0 && available(s) > n {
            self.wake(available(s) - n, w);
        }
        true
    }

    /// The whole of [`acquire`](Self::acquire) but its first attempt.
    ///
    /// Repeatedly: take the permits if they are there; collect those of the dead, once per epoch; announce a
    /// sleeper; sleep.
    #[cold]
    fn acquire_contended<W: Wait>(
        &self,
        n: u64,
        held: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), WaitError> {
        self.linger(n, w);
        // WAITERS once we have slept: whoever woke us cleared the bit for all.
        let mut others = 0;
        let mut collected = None;
        loop {
            // Before anything is read, or a death in between would go unseen.
            let epoch = w.epoch();
            // Before the permits are counted: a release in between changes it. Acquire pairs with the Release in `wake`.
            let (gate, expected) = match n {
                1 => (&self.gate, self.gate.load(Acquire)),
                _ => self.crowd.announce(),
            };
            if self.take(n, others, held, w) {
                return Ok(());
            }
            if collected != Some(epoch) {
                collected = Some(epoch);
                if self.recover(held, w) > 0 {
                    continue;
                }
            }
            if !self.announce(n, w) {
                continue;
            }
            match w.wait(gate, expected, epoch, deadline) {
                Wake::Woken => others = WAITERS,
                // WAITERS was set before this sleep, so leaving loses no wake.
                Wake::TimedOut => return Err(WaitError::TimedOut),
                Wake::Interrupted => return Err(WaitError::Interrupted),
            }
        }
    }

    /// Spins while permits are missing and nobody sleeps; behind sleepers, spinning would only jump the queue.
    fn linger<W: Wait>(&self, n: u64, w: &W) {
        let mut turn = 0;
        loop {
            let s = self.word.load(Relaxed);
            if available(s) >= n || s & WAITERS != 0 || !w.linger(turn) {
                return;
            }
            turn += 1;
        }
    }

    /// Says in the word that somebody sleeps for `n` permits. False: they are there, or the word changed.
    ///
    /// While the bit is set, as many of those who want one permit are on their way, woken, as there are permits, or all of
    /// them are; while it is clear it may be one only. So whoever turns it on while permits remain wakes as many.
    fn announce<W: Wait>(&self, n: u64, w: &W) -> bool {
        let s = self.word.load(Relaxed);
        let avail = available(s);
        if avail >= n {
            return false;
        }
        if s & WAITERS != 0 {
            return true;
        }
        // Relaxed: it publishes nothing, and as a read-modify-write it passes on what earlier operations published.
        let announced = self.word.compare_exchange(s, s | WAITERS, Relaxed, Relaxed).is_ok();
        if announced && avail > 0 {
            self.wake(avail, w);
        }
        announced
    }

    /// Wakes whom `n` more permits concern. To be called after they are there, by the one who cleared `WAITERS`.
    #[cold]
    fn open<W: Wait>(&self, n: u64, w: &W) {
        self.wake(n, w);
        self.crowd.open(w);
    }

    /// Wakes up to `n` of those who want one permit.
    #[cold]
    fn wake<W: Wait>(&self, n: u64, w: &W) {
        // Release pairs with the Acquire in `acquire_contended`: who sees the new value sees the permits.
        self.gate.fetch_add(1, Release);
        w.wake(&self.gate, n.min(i32::MAX as u64) as u32);
    }

    /// Collects the permits of all who are gone. Returns how many; zero also when others were faster.
    #[cold]
    pub fn recover<W: Wait>(&self, held: &[AtomicU64], w: &W) -> u64 {
        let s = self.word.load(Acquire);
        if is_signal(s) {
            return 0;
        }
        self.settle(s, held);
        let mut collected = 0;
        for (index, book) in held.iter().enumerate() {
            let h = book.load(Relaxed);
            if HELD.get(h) == 0 {
                continue;
            }
            if let Some(owner) = owner_at(index, h)
                && w.is_gone(owner)
            {
                collected += self.reclaim(owner, held, w);
            }
        }
        collected
    }

    /// Collects the permits of `gone`, who must be. Returns how many; zero also when others were faster.
    pub fn reclaim<W: Wait>(&self, gone: Owner, held: &[AtomicU64], w: &W) -> u64 {
        let (index, generation) = place_of(gone);
        let Some(book) = held.get(index) else { return 0 };
        loop {
            let s = self.word.load(Acquire);
            if is_signal(s) {
                return 0;
            }
            self.settle(s, held);
            // Its last operation is in there: it came before `s`, or was `s`.
            let h = book.load(Acquire);
            if HELD_GENERATION.get(h) != generation || HELD.get(h) == 0 {
                return 0;
            }
            if self.clear(s, h, index, w) {
                return HELD.get(h);
            }
        }
    }

    /// Makes room for the caller in a book whose last user is gone.
    #[cold]
    fn adopt<W: Wait>(&self, s: u64, h: u64, held: &[AtomicU64], w: &W) {
        let (index, generation) = place_of(w.me());
        if HELD.get(h) > 0 {
            // The caller comes back here when the book says 0.
            self.clear(s, h, index, w);
        } else if self.word.load(Relaxed) == s {
            // Nothing is recorded that the book lacks, and nobody will record anything for this index but us.
            let mine = HELD_VERSION.of(HELD_VERSION.get(h)) | HELD_GENERATION.of(generation);
            let _ = held[index].compare_exchange(h, mine, AcqRel, Relaxed);
        }
    }

    /// Returns all that the book `h` at `index` says. False: the word changed.
    fn clear<W: Wait>(&self, s: u64, h: u64, index: usize, w: &W) -> bool {
        let n = HELD.get(h);
        // More than fits is a peer's nonsense.
        let avail = Self::MAX.min(available(s) + n);
        let next = record(s, h, CLEAR, index, 0, avail) & !WAITERS;
        let cleared = self.word.compare_exchange(s, next, AcqRel, Relaxed).is_ok();
        if cleared && s & WAITERS != 0 {
            self.open(n, w);
        }
        cleared
    }

    /// Writes the operation that `s` records into its book, unless that was done or the word is no longer `s`.
    ///
    /// While the word is `s`, its book is either as the operation found it or carries its version. So a book read
    /// *between two looks* at the same word is one of the two, and the exchange succeeds once among all who try.
    #[inline]
    fn settle(&self, s: u64, held: &[AtomicU64]) {
        let op = OP.get(s);
        if op == NONE {
            return;
        }
        let Some(book) = held.get(INDEX.get(s) as usize) else { return };
        // Acquire pairs with the Release below: with a later book comes a later word in the second look.
        let h = book.load(Acquire);
        if HELD_VERSION.get(h) == VERSION.get(s) || self.word.load(Relaxed) != s {
            return;
        }
        let next = HELD.of(settled(s, h))
            | HELD_VERSION.of(VERSION.get(s))
            | HELD_GENERATION.of(HELD_GENERATION.get(h));
        // Release, and Acquire when another was faster: what we record next must not be seen without this.
        let _ = book.compare_exchange(h, next, AcqRel, Acquire);
    }
}

/// How many permits the book `h` says once the operation that `s` records is in it.
#[inline]
fn settled(s: u64, h: u64) -> u64 {
    match OP.get(s) {
        TAKE => HELD.get(h) + COUNT.get(s),
        GIVE => HELD.get(h).saturating_sub(COUNT.get(s)),
        _ => 0,
    }
}

/// The word after `s` in which an operation on the book `h` is recorded. `WAITERS` stays.
///
/// The version differs from the book's, or the operation would look as if it was in there already.
#[inline]
fn record(s: u64, h: u64, op: u64, index: usize, n: u64, avail: u64) -> u64 {
    let next = VERSION.of(VERSION.get(s) + 1);
    let next = if VERSION.get(next) == HELD_VERSION.get(h) {
        VERSION.of(VERSION.get(s) + 2)
    } else {
        next
    };
    next | OP.of(op) | INDEX.of(index as u64) | COUNT.of(n) | AVAIL.of(avail) | (s & WAITERS)
}

#[inline]
fn is_signal(s: u64) -> bool {
    s & SIGNAL != 0
}

#[inline]
fn available(s: u64) -> u64 {
    if is_signal(s) { SIGNAL_AVAIL.get(s) } else { AVAIL.get(s) }
}

/// A participant's index and generation.
#[inline]
fn place_of(owner: Owner) -> (usize, u64) {
    let id = u64::from(owner.get());
    (OWNER_INDEX.get(id) as usize, OWNER_GENERATION.get(id))
}

/// Whose book `h` at `index` is.
fn owner_at(index: usize, h: u64) -> Option<Owner> {
    let id = OWNER_INDEX.of(index as u64) | OWNER_GENERATION.of(HELD_GENERATION.get(h));
    Owner::new(id as u32)
}
