//! The least outside that an algorithm of `core` can have between processes: an identity and a futex; nobody ever dies.

use crate::peers::futex;
use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};

/// A participant without a space.
pub struct Bare {
    me: Owner,
}

/// This process as a participant.
pub fn participant() -> Bare {
    Bare { me: Owner::new(std::process::id()).expect("process ids are small") }
}

impl Wait for Bare {
    const OWNER_IS_THREAD: bool = false;

    #[inline]
    fn me(&self) -> Owner {
        self.me
    }

    fn is_gone(&self, _: Owner) -> bool {
        false
    }

    fn epoch(&self) -> u32 {
        0
    }

    fn wait(&self, word: &Word, expected: u32, _: u32, _: Option<Deadline>) -> Wake {
        futex::wait(word, expected);
        Wake::Woken
    }

    fn wake(&self, word: *const Word, count: u32) {
        // SAFETY: the scene keeps the word mapped until all parties have ended.
        futex::wake(unsafe { &*word }, count as i32);
    }

    fn spin(&self, turn: u32) -> bool {
        std::hint::spin_loop();
        turn < 100
    }
}
