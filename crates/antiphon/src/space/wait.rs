//! How one waits in a space: for the word, or for a death, whichever comes first.

use std::sync::atomic::Ordering::Relaxed;

use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};
use antiphon_place::Registration;
use antiphon_sys::futex::{self, Visibility};
use antiphon_sys::{clock, threads};

/// The longest sleep between two looks at who has died, in nanoseconds. Half of what a sleeper may take to notice.
const SLICE: u64 = 50_000_000;
/// A look is left out when somebody has looked that short a time ago.
const FRESH: u64 = SLICE - SLICE / 5;

/// The outside of the algorithms for objects in a space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpaceWait<'a>(pub(crate) &'a Registration);

impl SpaceWait<'_> {
    /// Whether this process is `owner`. A forked child is not its parent.
    #[inline]
    pub(crate) fn is(&self, owner: Owner) -> bool {
        self.0.me() == owner
    }
}

/// Others would take what such a process locks for free: better it ends.
#[cold]
fn takes_no_part() -> ! {
    panic!(
        "this forked child could not become a participant of the space: create the space with room for more, \
         or raise the limit of open files"
    );
}

impl Wait for SpaceWait<'_> {
    const OWNER_IS_THREAD: bool = false;

    #[inline]
    fn me(&self) -> Owner {
        let me = self.0.me();
        if !self.0.takes_part() {
            takes_no_part();
        }
        me
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.0.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.0.epoch()
    }

    /// Sleeps in slices; at the end of each, one of all sleepers of the space looks for the dead on behalf of the others.
    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        if !self.0.is_shared() {
            return patient(futex::wait(word, expected, deadline, Visibility::Private));
        }
        loop {
            let now = clock::now();
            let slice = Deadline(now.saturating_add(SLICE));
            let until = deadline.map_or(slice, |d| d.min(slice));
            match futex::wait_either(word, expected, self.0.epoch_word(), epoch, Some(until)) {
                Wake::TimedOut => {}
                other => return patient(other),
            }
            let now = clock::now();
            self.0.look(now, FRESH);
            if self.0.epoch() != epoch || word.load(Relaxed) != expected {
                return Wake::Woken;
            }
            if deadline.is_some_and(|d| d.0 <= now) {
                return Wake::TimedOut;
            }
        }
    }

    fn wake(&self, word: *const Word, count: u32) {
        let visibility = if self.0.is_shared() { Visibility::Shared } else { Visibility::Private };
        futex::wake(word, count, visibility);
    }

    fn spin(&self, turn: u32) -> bool {
        threads::spin(turn)
    }

    fn linger(&self, turn: u32) -> bool {
        threads::linger(turn)
    }
}

/// In Rust a signal does not end a wait: its handler has run, and we look again.
fn patient(wake: Wake) -> Wake {
    match wake {
        Wake::Interrupted => Wake::Woken,
        other => other,
    }
}
