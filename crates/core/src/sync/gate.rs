//! A word for a crowd to sleep on, until whoever changed the state opens it for all.
//!
//! | bits | meaning |
//! |---|---|
//! | bit 0, `SLEEPERS` | Somebody may be asleep: the next [`open`](Gate::open) makes the system call. May be set though nobody sleeps; never clear while somebody does who has not been sent a wake. |
//! | the others | How often the gate was opened, modulo 2^31. |
//!
//! One who waits announces itself, *then* looks at the state, and sleeps only while the gate is as it was announced. One who
//! changes the state changes it first and opens the gate afterwards. Both touch the gate with a read-modify-write, so one
//! comes first: if the opener, the other sees the new state; if the sleeper, the opener sees `SLEEPERS`.

use crate::primitive::Ordering::{AcqRel, Relaxed};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{ALL, Wait, Word};

const SLEEPERS: u32 = 1;
const OPENED: u32 = 2;

#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Gate(AtomicU32);

impl Gate {
    constructor! {
        /// A gate at which nobody sleeps.
        pub(crate) fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Announces a sleeper. Returns the word, and what it must hold when the sleep begins.
    pub(crate) fn announce(&self) -> (&Word, u32) {
        // Acquire pairs with the Release in `open`: when that came first, the state read next is the new one.
        (&self.0, self.0.fetch_or(SLEEPERS, AcqRel) | SLEEPERS)
    }

    /// Wakes all who announced themselves before. To be called after the change they wait for.
    pub(crate) fn open<W: Wait>(&self, w: &W) {
        // Release publishes that change; Acquire is for the caller's next look at what the sleeper did before.
        if self.0.fetch_add(OPENED, AcqRel) & SLEEPERS != 0 {
            self.wake(w);
        }
    }

    #[cold]
    fn wake<W: Wait>(&self, w: &W) {
        // Who announces itself between the two is woken for nothing, and announces itself again. Relaxed: the state
        // travelled with `open`'s addition, and a read-modify-write carries that on.
        self.0.fetch_and(!SLEEPERS, Relaxed);
        w.wake(&self.0, ALL);
    }
}
