//! A condition variable: a number that every notification changes.
//!
//! | word | meaning |
//! |---|---|
//! | `seq` | Nobody waits. Fresh memory is such a condition variable. |
//! | `seq + WAITERS` | Somebody may wait: a notification must advance `seq` and wake. |
//!
//! A waiter takes a [`Ticket`] *before* it unlocks its mutex, and sleeps only while the number is still the ticket's: what is
//! notified in between is not missed. `WAITERS` may stay set though nobody waits (the next notification makes one system
//! call too many); it is set by every ticket and cleared only by those who wake everybody. There are no counts, so a death
//! leaks nothing: the dead can at most have swallowed a wake, and the epoch wakes all for that. Waits may thus end for no
//! reason, and every waiter must look at its condition again.
//!
//! All accesses are Relaxed, because the mutex orders them: the waiter's ticket comes before its unlock, and the
//! notification after the notifier's lock. One that is sent without ever locking the mutex may be missed, as with any condition variable.

use crate::primitive::Ordering::Relaxed;
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{ALL, Deadline, Wait, Wake};

/// Somebody may be waiting.
const WAITERS: u32 = 1;
const STEP: u32 = 2;

/// The condition variable. It knows nothing of the mutex.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawCondvar {
    word: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawCondvar>() == 4);

/// What a waiter saw before it unlocked the mutex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Ticket {
    word: u32,
    epoch: u32,
}

impl RawCondvar {
    constructor! {
        /// A condition variable that nobody waits on.
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Announces a waiter. To be called with the mutex locked.
    #[inline]
    pub fn prepare<W: Wait>(&self, w: &W) -> Ticket {
        let epoch = w.epoch();
        Ticket { word: self.word.fetch_or(WAITERS, Relaxed) | WAITERS, epoch }
    }

    /// Sleeps, with the mutex unlocked, until something was notified or somebody died since the ticket was taken, until the
    /// deadline, or for no reason.
    #[inline]
    pub fn wait<W: Wait>(&self, ticket: Ticket, w: &W, deadline: Option<Deadline>) -> Wake {
        let mut turn = 0;
        while w.linger(turn) {
            if self.word.load(Relaxed) != ticket.word {
                return Wake::Woken;
            }
            turn += 1;
        }
        w.wait(&self.word, ticket.word, ticket.epoch, deadline)
    }

    /// Ends the waits of at least `n` waiters, or of all if there are fewer.
    #[inline]
    pub fn notify<W: Wait>(&self, n: u32, w: &W) {
        if self.word.load(Relaxed) & WAITERS != 0 {
            self.notify_waiters(n, w);
        }
    }

    /// Ends the wait of all.
    #[inline]
    pub fn notify_all<W: Wait>(&self, w: &W) {
        self.notify(ALL, w);
    }

    #[cold]
    fn notify_waiters<W: Wait>(&self, n: u32, w: &W) {
        if n == 0 {
            return;
        }
        let word: *const AtomicU32 = &self.word;
        if n < ALL {
            // WAITERS stays: others may sleep on.
            self.word.fetch_add(STEP, Relaxed);
        } else {
            let mut s = self.word.load(Relaxed);
            while let Err(seen) =
                self.word.compare_exchange(s, (s & !WAITERS).wrapping_add(STEP), Relaxed, Relaxed)
            {
                s = seen;
            }
        }
        w.wake(word, n);
    }
}
