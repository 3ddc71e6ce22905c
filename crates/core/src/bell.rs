//! A bell that everybody hears who waits for words without sleeping on them, in whatever process.
//!
//! | bits | meaning |
//! |---|---|
//! | bit 0, `ARMED` | Somebody listens: the next wake rings. May be set though nobody does (one ring in vain); never clear while somebody sleeps on the bell who has not been rung for since it looked at its words. |
//! | the others | How often it was rung, modulo 2^31. |
//!
//! A listener arms the bell and *then* looks at its words; a waker changes a word and *then* looks at the bell. Between the two
//! steps of each stands a sequentially consistent fence, so one sees the other. A ring consumes no wake: sleepers of the word are woken as
//! ever, and a listener that dies takes nothing with it.

use crate::primitive::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::primitive::{AtomicU32, constructor, fence};
use crate::wait::Word;

const ARMED: u32 = 1;
const RING: u32 = 2;

/// The bell. Fresh memory is one that nobody listens to.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Bell(AtomicU32);

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bell>() == 4);

impl Bell {
    constructor! {
        /// A bell that nobody listens to.
        pub fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Listens: every change of a word that the caller does not see when it looks now will ring. Returns what the [`word`](Self::word) must
    /// hold when the sleep begins.
    pub fn arm(&self) -> u32 {
        let s = self.0.load(Relaxed);
        let armed = if s & ARMED != 0 { s } else { self.0.fetch_or(ARMED, AcqRel) | ARMED };
        // Pairs with the fence in `ring`.
        fence(SeqCst);
        armed
    }

    /// Rings if somebody listens: `wake` wakes all who sleep on the bell's word. To be called after the change.
    #[inline]
    pub fn ring(&self, wake: impl FnOnce(&Word)) {
        // Pairs with the fence in `arm`: the listener's look sees the change, or we see that it listens.
        fence(SeqCst);
        let s = self.0.load(Relaxed);
        if s & ARMED != 0 {
            self.ring_armed(s, wake);
        }
    }

    #[cold]
    fn ring_armed(&self, s: u32, wake: impl FnOnce(&Word)) {
        // On failure another ring has come since, and whoever wakes for that arms the bell anew before it looks.
        let next = (s & !ARMED).wrapping_add(RING);
        if self.0.compare_exchange(s, next, AcqRel, Relaxed).is_ok() {
            wake(&self.0);
        }
    }

    /// The word to sleep on.
    pub fn word(&self) -> &Word {
        &self.0
    }
}
