//! A mutex in one word that names its owner, so that it survives the owner's death.
//!
//! | word | meaning |
//! |---|---|
//! | `0` | Free, and the value is consistent. Fresh memory is a free mutex. |
//! | `INCONSISTENT` | Free, but a holder died or gave up in the middle of a change and nobody has repaired the value. |
//! | `owner` | Held, and nobody has announced that they sleep. |
//! | `owner + WAITERS` | Held, and somebody may sleep: the holder must wake one when it releases. |
//! | `owner + INCONSISTENT (+ WAITERS)` | Held by one who took over a value that still needs repair. |
//!
//! `WAITERS` may stay set though nobody sleeps (the next release makes one system call too many); it must never be clear
//! while a sleeper has not been sent a wake. A woken sleeper therefore assumes that there are others, and takes the mutex with the
//! bit set. This is the three-state futex mutex of Drepper, "Futexes Are Tricky" (2011), with the owner's id in place
//! of the "locked" state. `README.md` has the argument for deaths.

use crate::owner::{OWNER_BITS, Owner};
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, Ordering, constructor};
use crate::wait::{Deadline, Wait, WaitError, Wake};

/// Somebody may be asleep on the word.
pub const WAITERS: u32 = 1 << 31;
/// The protected value was left in the middle of a change.
pub const INCONSISTENT: u32 = 1 << OWNER_BITS;

/// How a mutex was obtained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Claim {
    /// From nobody; the value is consistent.
    Clean,
    /// From an owner that is gone, or after one who left the value inconsistent (then `None`).
    Inherited(Option<Owner>),
}

/// The mutex without its value.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawMutex {
    word: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawMutex>() == 4);

impl RawMutex {
    constructor! {
        /// A free mutex.
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Waits until the mutex is the caller's, or `deadline`. Everything before the releasing
    /// [`unlock`](Self::unlock) happens before this returns.
    #[inline]
    pub fn lock<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<Claim, WaitError> {
        if self.lock_free(w) { Ok(Claim::Clean) } else { self.lock_contended(w, deadline) }
    }

    /// Takes the mutex if it is free and consistent: the whole uncontended path.
    #[inline]
    pub fn lock_free<W: Wait>(&self, w: &W) -> bool {
        self.lock_free_as(w.me())
    }

    /// [`lock_free`](Self::lock_free) for a caller that has its identity at hand.
    #[inline]
    pub fn lock_free_as(&self, me: Owner) -> bool {
        // Acquire pairs with the Release in `release`.
        self.word.compare_exchange(0, me.get(), Acquire, Relaxed).is_ok()
    }

    /// [`lock_free`](Self::lock_free) with the ordering that the caller's protocol needs, at least `Acquire`.
    #[inline]
    pub(crate) fn lock_free_in<W: Wait>(&self, w: &W, order: Ordering) -> bool {
        self.word.compare_exchange(0, w.me().get(), order, Relaxed).is_ok()
    }

    /// Takes the mutex without waiting: free, left inconsistent, or held by one who is gone. `None`: it is held.
    #[inline]
    pub fn try_lock<W: Wait>(&self, w: &W) -> Option<Claim> {
        if self.lock_free(w) { Some(Claim::Clean) } else { self.try_lock_contended(w) }
    }

    #[cold]
    fn try_lock_contended<W: Wait>(&self, w: &W) -> Option<Claim> {
        loop {
            let s = self.word.load(Relaxed);
            if !is_available(s, w) {
                return None;
            }
            if let Some(claim) = self.claim(s, 0, w) {
                return Some(claim);
            }
        }
    }

    /// The whole of [`lock`](Self::lock) but its first attempt.
    ///
    /// Repeatedly: take the word if it is free or its owner is gone; announce a sleeper; sleep.
    #[cold]
    pub fn lock_contended<W: Wait>(
        &self,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Claim, WaitError> {
        self.spin(w);
        // WAITERS once we have slept: whoever woke us cleared the bit for all.
        let mut others = 0;
        loop {
            // Before the verdict on the owner, or a death in between would go unseen.
            let epoch = w.epoch();
            let s = self.word.load(Relaxed);
            if Owner::of_word(s).is_some_and(|owner| w.is_self(owner)) {
                return Err(WaitError::WouldDeadlock);
            }
            if is_available(s, w) {
                match self.claim(s, others, w) {
                    Some(claim) => return Ok(claim),
                    None => continue,
                }
            }
            if s & WAITERS == 0
                && self.word.compare_exchange(s, s | WAITERS, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            match w.wait(&self.word, s | WAITERS, epoch, deadline) {
                Wake::Woken => others = WAITERS,
                // WAITERS was set before this sleep, so leaving loses no wake.
                Wake::TimedOut => return Err(WaitError::TimedOut),
                Wake::Interrupted => return Err(WaitError::Interrupted),
            }
        }
    }

    /// Spins while the mutex is held and nobody sleeps; behind sleepers, spinning would only jump the queue.
    fn spin<W: Wait>(&self, w: &W) {
        let mut turn = 0;
        loop {
            let s = self.word.load(Relaxed);
            if Owner::of_word(s).is_none() || s & WAITERS != 0 || !w.spin(turn) {
                return;
            }
            turn += 1;
        }
    }

    /// Turns the available state `s` into ours. `None`: the word changed meanwhile.
    fn claim<W: Wait>(&self, s: u32, others: u32, w: &W) -> Option<Claim> {
        let gone = Owner::of_word(s);
        let inherited = gone.is_some() || s & INCONSISTENT != 0;
        let mark = if inherited { INCONSISTENT } else { 0 };
        let next = w.me().get() | (s & WAITERS) | others | mark;
        // Acquire pairs with the Release in `release`. From a dead owner there is no release to pair with: its last
        // stores are visible because the kernel ended it before it said so.
        self.word.compare_exchange(s, next, Acquire, Relaxed).ok()?;
        Some(if inherited { Claim::Inherited(gone) } else { Claim::Clean })
    }

    /// Releases the mutex and leaves `residue` in the word: `0`, or [`INCONSISTENT`] if the value needs repair. The caller must hold it.
    ///
    /// Takes a pointer's worth of care: once the word is free another may take the mutex and free its memory.
    #[inline]
    pub fn unlock<W: Wait>(&self, w: &W, residue: u32) {
        let word = self.word();
        if self.release(residue) {
            wake_one(w, word);
        }
    }

    /// [`unlock`](Self::unlock) without its wake. True: somebody may sleep, and the caller owes
    /// [`wake_one`](Self::wake_one).
    #[inline]
    #[must_use]
    pub fn release(&self, residue: u32) -> bool {
        // Release publishes the critical section to the next `lock`.
        self.word.swap(residue, Release) & WAITERS != 0
    }

    /// Wakes a sleeper after a [`release`](Self::release) that said so, for a caller whose object outlives the release.
    pub fn wake_one<W: Wait>(&self, w: &W) {
        wake_one(w, self.word());
    }

    /// The word, for a wake.
    #[inline]
    pub(crate) fn word(&self) -> *const AtomicU32 {
        &self.word
    }

    /// The state, for a primitive that is built on this one.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.word.load(order)
    }

    /// Turns state `from` into `to`, for a primitive that is built on this one.
    pub(crate) fn replace(&self, from: u32, to: u32, order: Ordering) -> bool {
        self.word.compare_exchange(from, to, order, Relaxed).is_ok()
    }

    /// A free mutex again, whoever holds it or sleeps: they are of another process. For a forked child.
    pub(crate) fn forget(&self) {
        self.word.store(0, Relaxed);
    }

    /// Says that the value is good again. The caller must hold the mutex.
    pub fn mark_consistent(&self) {
        self.word.fetch_and(!INCONSISTENT, Relaxed);
    }

    /// Who holds it now. Stale as soon as it is returned.
    #[inline]
    pub fn owner(&self) -> Option<Owner> {
        Owner::of_word(self.word.load(Relaxed))
    }

    /// Whether somebody may sleep for it. Stale as soon as it is returned, but once true, true until the next release.
    #[inline]
    pub fn is_contended(&self) -> bool {
        self.word.load(Relaxed) & WAITERS != 0
    }

    /// Whether the value awaits repair. Stale as soon as it is returned unless the caller holds the mutex.
    pub fn is_inconsistent(&self) -> bool {
        self.word.load(Relaxed) & INCONSISTENT != 0
    }
}

#[cold]
fn wake_one<W: Wait>(w: &W, word: *const AtomicU32) {
    w.wake(word, 1);
}

/// Free, or held by an owner that is gone.
fn is_available<W: Wait>(s: u32, w: &W) -> bool {
    Owner::of_word(s).is_none_or(|owner| w.is_gone(owner))
}
