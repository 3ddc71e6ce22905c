//! The lock of one end of a ring: a word that names its owner, and tells of sleepers at both ends.
//!
//! | word | meaning |
//! |---|---|
//! | `0` | Free. Fresh memory is a free gate. |
//! | `owner` | Held: the owner alone moves this end's cursor. |
//! | `+ WAITERS` | Somebody may sleep for this lock: the holder must wake one when it releases. |
//! | `+ PEER` | Somebody may sleep at the far end for what this end provides: whoever commits here next must wake it. |
//!
//! Either bit may be set though nobody sleeps (one system call too many); neither may be clear while a sleeper that
//! looked in vain has not been sent a wake. A woken sleeper assumes that there are others and sets the bit again.
//! `PEER` outlives a holder that commits nothing.
//!
//! A lock whose owner is gone is free for the taking, and there is nothing to repair: what the dead had not committed
//! no cursor covers.

use super::ring::RingError;
use crate::owner::{OWNER_BITS, Owner};
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{Deadline, Wait, Wake};

/// Somebody may be asleep on the word.
const WAITERS: u32 = 1 << 31;
/// Somebody may be asleep at the far end.
const PEER: u32 = 1 << OWNER_BITS;
/// The bits that a new holder takes over.
const SLEEPERS: u32 = WAITERS | PEER;

/// The lock of one end of a ring.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(super) struct EndLock {
    word: AtomicU32,
}

/// Whom a released lock told of.
#[derive(Clone, Copy)]
pub(super) struct Sleepers(u32);

impl Sleepers {
    #[inline]
    pub(super) fn any(self) -> bool {
        self.0 & SLEEPERS != 0
    }

    pub(super) fn at_far_end(self) -> bool {
        self.0 & PEER != 0
    }
}

impl EndLock {
    constructor! {
        pub(super) fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Takes the lock if it is free and tells of nobody: the whole uncontended path.
    #[inline]
    pub(super) fn take_free<W: Wait>(&self, w: &W) -> bool {
        // Acquire pairs with the Release in `open` and `leave`.
        self.word.compare_exchange(0, w.me().get(), Acquire, Relaxed).is_ok()
    }

    /// Takes the lock, from nobody or from an owner that is gone.
    ///
    /// Repeatedly: take the word if it may be taken; spin a little; announce a sleeper; sleep.
    #[cold]
    pub(super) fn take<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<(), RingError> {
        let mut turn = 0;
        // WAITERS once we have slept: whoever woke us cleared the bit for all.
        let mut others = 0;
        loop {
            // Before the word is read, or a death in between would go unseen.
            let epoch = w.epoch();
            let s = self.word.load(Relaxed);
            let owner = Owner::of_word(s);
            // Behind sleepers, spinning would only jump the queue.
            if owner.is_some() && s & WAITERS == 0 && w.spin(turn) {
                turn += 1;
                continue;
            }
            if owner.is_none_or(|owner| w.is_gone(owner)) {
                let next = w.me().get() | (s & SLEEPERS) | others;
                // Acquire as in `take_free`. The last stores of a dead owner are visible because the kernel ended it
                // before it said so.
                if self.word.compare_exchange(s, next, Acquire, Relaxed).is_ok() {
                    return Ok(());
                }
                continue;
            }
            if s & WAITERS == 0
                && self.word.compare_exchange(s, s | WAITERS, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            match w.wait(&self.word, s | WAITERS, epoch, deadline) {
                Wake::Woken => others = WAITERS,
                // WAITERS was set before this sleep, so leaving loses no wake.
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
        }
    }

    /// Releases the lock after a commit; the caller owes a wake to whoever this tells of.
    #[inline]
    #[must_use]
    pub(super) fn open(&self) -> Sleepers {
        // Release as in any unlock. Acquire pairs with the Release in `announce`: the far sleeper's ticket was taken
        // before the wake that answers it.
        Sleepers(self.word.swap(0, AcqRel))
    }

    /// Releases the lock without a commit: the far end's sleepers stay announced.
    #[must_use]
    pub(super) fn leave(&self) -> Sleepers {
        Sleepers(self.word.fetch_and(PEER, Release) & WAITERS)
    }

    /// Says that somebody is about to sleep at the far end of this lock. If a commit's `open` came before this, what
    /// was committed is visible from here on; if it comes after this, it tells of us.
    pub(super) fn announce(&self) {
        // Acquire pairs with the Release in `open`, Release with the Acquire there.
        self.word.fetch_or(PEER, AcqRel);
    }

    /// Whether somebody may sleep at the far end; if so, whoever asked owes all of them a wake. Needs no lock: for one who provides
    /// for the far end without a commit.
    #[must_use]
    pub(super) fn summon(&self) -> bool {
        // Acquire pairs with the Release in `announce`, Release with the Acquire there: as in `open`.
        self.word.fetch_and(!PEER, AcqRel) & PEER != 0
    }

    /// Wakes one who sleeps for the lock, if these sleepers include any.
    pub(super) fn wake<W: Wait>(&self, w: &W, sleepers: Sleepers) {
        if sleepers.0 & WAITERS != 0 {
            w.wake(&self.word, 1);
        }
    }
}
