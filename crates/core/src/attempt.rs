//! An operation that waits, made into one that is attempted again and again.
//!
//! Every algorithm promises that a wait which ends with [`Wake::Interrupted`] has taken nothing and left its announcement standing.
//! So nothing is written twice: [`Attempt`] lets an algorithm run up to its sleep, has the word watched instead, and
//! interrupts it. When the watcher has been told, the algorithm runs again from the start.

use crate::owner::Owner;
use crate::wait::{Deadline, Wait, Wake, Word};

/// Turns of the spin for a lock: its holder may be waiting for this thread.
const TURNS: u32 = 5;

/// `W` without its sleep. `watch(word, expected, epoch)` returns whether the word is watched, or false when it has changed.
#[derive(Debug)]
pub struct Attempt<'a, W, F> {
    w: &'a W,
    watch: F,
}

impl<'a, W: Wait, F: Fn(&Word, u32, u32) -> bool> Attempt<'a, W, F> {
    /// An attempt on behalf of `w`.
    #[inline]
    pub const fn new(w: &'a W, watch: F) -> Self {
        Self { w, watch }
    }
}

impl<W: Wait, F: Fn(&Word, u32, u32) -> bool> Wait for Attempt<'_, W, F> {
    const OWNER_IS_THREAD: bool = W::OWNER_IS_THREAD;

    #[inline]
    fn me(&self) -> Owner {
        self.w.me()
    }

    #[inline]
    fn is_self(&self, owner: Owner) -> bool {
        self.w.is_self(owner)
    }

    #[inline]
    fn is_gone(&self, owner: Owner) -> bool {
        self.w.is_gone(owner)
    }

    #[inline]
    fn epoch(&self) -> u32 {
        self.w.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, _: Option<Deadline>) -> Wake {
        if (self.watch)(word, expected, epoch) { Wake::Interrupted } else { Wake::Woken }
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.w.wake(word, count);
    }

    fn spin(&self, turn: u32) -> bool {
        turn < TURNS && self.w.spin(turn)
    }

    fn linger(&self, _: u32) -> bool {
        false
    }

    #[inline]
    fn fence_lightly(&self) {
        self.w.fence_lightly();
    }

    fn fence_heavily(&self) {
        self.w.fence_heavily();
    }
}
