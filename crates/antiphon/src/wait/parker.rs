//! A thread that sleeps until one of its watches tells.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::Wake;

use antiphon_core::wait::{self, Deadline, Wait, Word};
use antiphon_sys::threads::Threads;

const QUIET: u32 = 0;
const TOLD: u32 = 1;

/// One that is told by its waker and then does not sleep, until it is reset.
#[derive(Debug)]
pub(super) struct Parker {
    word: Word,
}

impl Parker {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { word: Word::new(QUIET) })
    }

    /// Forgets what it was told. To be called before looking at what is watched.
    pub(super) fn reset(&self) {
        // Acquire pairs with the Release in `wake`: the look that follows sees what was told.
        self.word.swap(QUIET, Acquire);
    }

    /// The word that tells, and what it holds while nobody has.
    pub(super) fn word(&self) -> (&Word, u32) {
        (&self.word, QUIET)
    }

    pub(super) fn is_told(&self) -> bool {
        self.word.load(Acquire) == TOLD
    }

    /// Sleeps until told since the last reset. False: the deadline has passed.
    pub(super) fn park(&self, deadline: Option<Deadline>) -> bool {
        while self.word.load(Acquire) == QUIET {
            if Threads.wait(&self.word, QUIET, 0, deadline) == wait::Wake::TimedOut {
                return false;
            }
        }
        true
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the Acquire in `reset`.
        if self.word.swap(TOLD, Release) == QUIET {
            Threads.wake(&self.word, 1);
        }
    }
}
