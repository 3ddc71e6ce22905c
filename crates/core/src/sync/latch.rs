//! A gate that opens, for ever, when it has been counted down to zero.
//!
//! | word | meaning |
//! |---|---|
//! | `0` | Open. Fresh memory is an open latch. |
//! | `n` | Closed until `n` more are counted down, and nobody has announced that they sleep. |
//! | `n + WAITERS` | Closed, and somebody may sleep: whoever counts the last must wake all. |
//!
//! `WAITERS` may stay set though nobody sleeps. All sleepers are woken together, so no wake can be swallowed by one of
//! them. What one who died had not counted down stays uncounted: a latch counts events, not participants.

use super::mutex::WAITERS;
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{ALL, Deadline, Wait, WaitError, Wake};

/// The largest count.
pub const MAX_COUNT: u32 = WAITERS - 1;

/// The latch.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawLatch {
    word: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawLatch>() == 4);

impl RawLatch {
    constructor! {
        /// A latch that opens after `count` have been counted down.
        ///
        /// # Panics
        /// If `count` is greater than [`MAX_COUNT`].
        pub fn new(count: u32) -> Self {
            assert!(count <= MAX_COUNT, "the count of a latch must be at most 2^31 - 1");
            Self { word: AtomicU32::new(count) }
        }
    }

    /// How many are still to be counted down. When that is none, everything before the counting happens before this returns.
    #[inline]
    pub fn count(&self) -> u32 {
        // Acquire pairs with the Release in `count_down`.
        self.word.load(Acquire) & !WAITERS
    }

    /// Counts down by `n`, or to zero if fewer are left, and returns what was left before. Zero opens the latch.
    pub fn count_down<W: Wait>(&self, n: u32, w: &W) -> u32 {
        let word: *const AtomicU32 = &self.word;
        let mut s = self.word.load(Relaxed);
        loop {
            let left = s & !WAITERS;
            let next = if left <= n { 0 } else { s - n };
            // Release publishes what was counted; read-modify-writes continue the earlier ones' release sequences.
            match self.word.compare_exchange(s, next, Release, Relaxed) {
                Ok(_) => {
                    if next == 0 && s & WAITERS != 0 {
                        w.wake(word, ALL);
                    }
                    return left;
                }
                Err(seen) => s = seen,
            }
        }
    }

    /// Waits until the latch is open, or `deadline`. Everything before the counting happens before this returns.
    #[inline]
    pub fn wait<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<(), WaitError> {
        if self.count() == 0 { Ok(()) } else { self.wait_closed(w, deadline) }
    }

    #[cold]
    fn wait_closed<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<(), WaitError> {
        let mut turn = 0;
        while w.linger(turn) {
            if self.count() == 0 {
                return Ok(());
            }
            turn += 1;
        }
        loop {
            let epoch = w.epoch();
            // Acquire pairs with the Release in `count_down`.
            let s = self.word.load(Acquire);
            if s & !WAITERS == 0 {
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
