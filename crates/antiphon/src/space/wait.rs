//! How one waits in a space: for the word, or for a death, whichever comes first.

use std::sync::atomic::Ordering::Relaxed;

use antiphon_core::owner::Owner;
use antiphon_core::wait::{ALL, Deadline, Wait, Wake, Word};
use antiphon_place::Registration;
use antiphon_sys::clock;
use antiphon_sys::futex::{self, Visibility};
use antiphon_sys::threads::{self, Threads};

use super::turn::Turn;

/// The longest sleep on a kernel where one cannot sleep on several words, in nanoseconds. Half of what a sleeper may take to
/// notice a death.
pub(crate) const SLICE: u64 = 50_000_000;
/// A look is left out when somebody has looked that short a time ago.
pub(crate) const FRESH: u64 = SLICE - SLICE / 5;

/// The outside of the algorithms for objects in a space, for the duration of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpaceWait<'a> {
    space: &'a Registration,
    /// Read once a call: a forked child makes calls of its own.
    me: Owner,
}

impl<'a> SpaceWait<'a> {
    /// [`Wait::wait`] where the kernel cannot watch the epoch besides: everybody looks at it after each slice.
    #[cold]
    fn wait_in_slices(
        &self,
        word: &Word,
        expected: u32,
        epoch: u32,
        deadline: Option<Deadline>,
    ) -> Wake {
        loop {
            let now = clock::now();
            let slice = Deadline(now.saturating_add(SLICE));
            let until = deadline.map_or(slice, |d| d.min(slice));
            match futex::wait(word, expected, Some(until), Visibility::Shared) {
                Wake::TimedOut => {}
                other => return patient(other),
            }
            let now = clock::now();
            self.space.look(now, FRESH);
            if self.space.epoch() != epoch || word.load(Relaxed) != expected {
                return Wake::Woken;
            }
            if deadline.is_some_and(|d| d.0 <= now) {
                return Wake::TimedOut;
            }
        }
    }

    #[inline]
    pub(crate) fn new(space: &'a Registration) -> Self {
        Self { space, me: space.me() }
    }

    /// Whether this process is `owner`. A forked child is not its parent.
    #[inline]
    pub(crate) fn is(&self, owner: Owner) -> bool {
        self.me == owner
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
        if self.me == Registration::NOBODY {
            takes_no_part();
        }
        self.me
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.space.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.space.epoch()
    }

    /// Sleeps on the word, on the epoch, and on the bench of those who may be called to look for the dead. One of the few who do
    /// look sleeps from look to look.
    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        if !self.space.is_shared() {
            return Threads.wait(word, expected, epoch, deadline);
        }
        if !futex::has_waitv() {
            return self.wait_in_slices(word, expected, epoch, deadline);
        }
        let now = clock::now();
        let mut turn = Turn::begin(self.space, self.me, now);
        let mut due = turn.due(now);
        loop {
            let until = deadline.map_or(Deadline(due), |d| d.min(Deadline(due)));
            // The kernel tells of the last that was woken: a wake of the word must not be taken for one of the bench.
            let epoch_word = (self.space.epoch_word(), epoch);
            let woken = match turn.bench() {
                Some(bench) => {
                    let sleeps = [bench, epoch_word, (word, expected)];
                    futex::wait_any(&sleeps, Some(until))
                }
                None => {
                    futex::wait_any(&[epoch_word, (word, expected)], Some(until)).map(|i| i + 1)
                }
            };
            let now = clock::now();
            match woken {
                // Called from the bench, or something has changed: perhaps only that.
                Ok(0) | Err(Wake::Woken) => {}
                Ok(_) => return Wake::Woken,
                Err(Wake::Interrupted) => return patient(Wake::Interrupted),
                Err(Wake::TimedOut) if due <= now => turn.look(now),
                Err(Wake::TimedOut) => {}
            }
            if self.space.epoch() != epoch || word.load(Relaxed) != expected {
                return Wake::Woken;
            }
            if deadline.is_some_and(|d| d.0 <= now) {
                return Wake::TimedOut;
            }
            turn.sit(now);
            due = turn.due(now);
        }
    }

    fn wake(&self, word: *const Word, count: u32) {
        if !self.space.is_shared() {
            return Threads.wake(word, count);
        }
        futex::wake(word, count, Visibility::Shared);
        // And those who wait for this word and sleep elsewhere.
        self.space.bell().ring(|bell| {
            futex::wake(bell, ALL, Visibility::Shared);
        });
    }

    fn spin(&self, turn: u32) -> bool {
        threads::spin(turn)
    }

    fn linger(&self, turn: u32) -> bool {
        threads::linger(turn)
    }

    fn gather(&self, parties: u32, turn: u32) -> bool {
        threads::gather(parties, turn)
    }
}

/// In Rust a signal does not end a wait: its handler has run, and we look again.
fn patient(wake: Wake) -> Wake {
    match wake {
        Wake::Interrupted => Wake::Woken,
        other => other,
    }
}
