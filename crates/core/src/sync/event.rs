//! An event: a flag that threads wait for until somebody sets it.
//!
//! | bits | meaning |
//! |---|---|
//! | bit 0, `SET` | Nobody waits: every `wait` returns at once. |
//! | bit 1, `WAITERS` | Somebody may be asleep on the word, so the next `set` wakes all. May be set though nobody sleeps; never clear while somebody does who has not been sent a wake. |
//! | the others | How often the event went from clear to set, modulo 2^30. |
//!
//! Fresh memory is an event that is not set. A waiter is released by a *change of the number*, not only by the flag, so one
//! who sets and clears at once still releases everybody who waited. Only `set` changes the word under a sleeper, and it
//! takes `WAITERS` away as it wakes. A waiter that sleeps through exactly 2^30 settings, of which the last was
//! cleared, sleeps on.

use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{ALL, Deadline, Wait, WaitError, Wake, Word};

const SET: u32 = 1;
const WAITERS: u32 = 1 << 1;
/// One more setting.
const TIMES: u32 = 1 << 2;

/// The event.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawEvent {
    word: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawEvent>() == 4);

/// What the event was when a wait began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start(u32);

impl RawEvent {
    constructor! {
        /// An event that is not set.
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Whether it is set. Everything before the `set` happens before this returns true.
    #[inline]
    pub fn is_set(&self) -> bool {
        // Acquire pairs with the Release in `set`.
        is_set(self.word.load(Acquire))
    }

    /// Sets it and releases all who wait. Everything before this happens before a wait returns that it released, or
    /// that finds the event set after it.
    #[inline]
    pub fn set<W: Wait>(&self, w: &W) {
        let word: *const Word = &self.word;
        let mut s = self.word.load(Relaxed);
        loop {
            let next = if is_set(s) { s } else { (s & !WAITERS).wrapping_add(TIMES) | SET };
            // Written even when nothing changes: who looks next shall see what came before this call, too.
            match self.word.compare_exchange_weak(s, next, Release, Relaxed) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        if s & WAITERS != 0 {
            wake_all(w, word);
        }
    }

    /// Makes it not set. Who waits goes on waiting; who was released stays released.
    #[inline]
    pub fn clear(&self) {
        // Relaxed: it publishes nothing, and as a read-modify-write it passes on what the settings before it published.
        self.word.fetch_and(!SET, Relaxed);
    }

    /// Waits until it is set, or until it has been set since the call, even if it is clear again.
    #[inline]
    pub fn wait<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<(), WaitError> {
        match self.begin() {
            None => Ok(()),
            Some(start) => self.wait_since(start, w, deadline),
        }
    }

    /// Where a [`wait_since`](Self::wait_since) begins, or `None` if it is set.
    #[inline]
    pub fn begin(&self) -> Option<Start> {
        // Acquire pairs with the Release in `set`.
        let s = self.word.load(Acquire);
        (!is_set(s)).then_some(Start(s))
    }

    /// Whether a [`wait_since`](Self::wait_since) would return at once. Stale as soon as it is returned.
    #[inline]
    pub fn is_set_since(&self, start: Start) -> bool {
        is_released(self.word.load(Relaxed), start.0)
    }

    /// The rest of a [`wait`](Self::wait) that began there: until it is set, or has been set since, even if it is clear again. One that
    /// was interrupted may go on with this.
    ///
    /// Repeatedly: look for the setting; announce a sleeper; sleep.
    #[cold]
    pub fn wait_since<W: Wait>(
        &self,
        Start(start): Start,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), WaitError> {
        let mut turn = 0;
        while !is_released(self.word.load(Relaxed), start) && w.linger(turn) {
            turn += 1;
        }
        loop {
            // Before the word is read: one who set it may have died before it woke us.
            let epoch = w.epoch();
            let s = self.word.load(Acquire);
            if is_released(s, start) {
                return Ok(());
            }
            if s & WAITERS == 0
                && self.word.compare_exchange(s, s | WAITERS, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            match w.wait(&self.word, s | WAITERS, epoch, deadline) {
                Wake::Woken => {}
                Wake::TimedOut => return Err(WaitError::TimedOut),
                Wake::Interrupted => return Err(WaitError::Interrupted),
            }
        }
    }
}

#[cold]
fn wake_all<W: Wait>(w: &W, word: *const Word) {
    w.wake(word, ALL);
}

fn is_set(s: u32) -> bool {
    s & SET != 0
}

/// Set now, or set since `start` was read.
fn is_released(s: u32, start: u32) -> bool {
    is_set(s) || s / TIMES != start / TIMES
}
