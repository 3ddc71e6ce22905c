//! Something that is done once, by whoever comes first, and is done again by the next if that one dies.
//!
//! | word | meaning |
//! |---|---|
//! | `0` | Not done. Fresh memory is a once that nobody has begun. |
//! | `WAITERS` | Not done, and somebody may sleep until another has done it: who begins takes the bit over. |
//! | `owner` | Being done, and nobody has announced that they sleep. |
//! | `owner + WAITERS` | Being done, and somebody may sleep: who ends it must wake all. |
//! | `DONE` | Done, for ever. |
//!
//! `WAITERS` may stay set though nobody sleeps; whoever takes the word from the dead keeps it. All sleepers are woken
//! together, so no wake can be swallowed by one of them.

use super::mutex::WAITERS;
use crate::owner::{OWNER_BITS, Owner};
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{ALL, Deadline, Wait, WaitError, Wake};

/// It has been done.
const DONE: u32 = 1 << OWNER_BITS;

/// What is there to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Turn {
    /// Nothing: it has been done.
    Done,
    /// The caller must do it, and then say [`finish`](RawOnce::finish) or [`give_up`](RawOnce::give_up). The one who
    /// began before it and is gone, if so.
    Yours(Option<Owner>),
}

/// The state of something done once.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawOnce {
    word: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawOnce>() == 4);

impl RawOnce {
    constructor! {
        /// Not done.
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Whether it has been done. Then everything before [`finish`](Self::finish) happens before this returns.
    #[inline]
    pub fn is_done(&self) -> bool {
        // Acquire pairs with the Release in `end`.
        self.word.load(Acquire) == DONE
    }

    /// Waits until it has been done or it is the caller's turn, or `deadline`.
    #[inline]
    pub fn begin<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<Turn, WaitError> {
        if self.is_done() { Ok(Turn::Done) } else { self.begin_contended(w, deadline) }
    }

    /// [`begin`](Self::begin) without waiting. `None`: somebody is at it, perhaps the caller.
    #[inline]
    pub fn try_begin<W: Wait>(&self, w: &W) -> Option<Turn> {
        if self.is_done() { Some(Turn::Done) } else { self.look(w).ok() }
    }

    /// Repeatedly: look; announce a sleeper; sleep.
    #[cold]
    fn begin_contended<W: Wait>(
        &self,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Turn, WaitError> {
        loop {
            // Before the verdict on the owner, or a death in between would go unseen.
            let epoch = w.epoch();
            let s = match self.look(w) {
                Ok(turn) => return Ok(turn),
                Err(s) => s,
            };
            if Owner::of_word(s).is_some_and(|owner| w.is_self(owner)) {
                return Err(WaitError::WouldDeadlock);
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

    /// Waits until somebody else has done it, or `deadline`: the caller takes no turn, whoever may die.
    pub fn wait<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<(), WaitError> {
        let mut turn = 0;
        while !self.is_done() && w.linger(turn) {
            turn += 1;
        }
        loop {
            let epoch = w.epoch();
            // Acquire pairs with the Release in `end`.
            let s = self.word.load(Acquire);
            if s == DONE {
                return Ok(());
            }
            if W::OWNER_IS_THREAD && Owner::of_word(s) == Some(w.me()) {
                return Err(WaitError::WouldDeadlock);
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

    /// Done, or nobody at it, or somebody who is gone: then takes over. An error: this state, somebody is at it.
    #[cold]
    fn look<W: Wait>(&self, w: &W) -> Result<Turn, u32> {
        loop {
            // Acquire pairs with the Release in `end`.
            let s = self.word.load(Acquire);
            if s == DONE {
                return Ok(Turn::Done);
            }
            let owner = Owner::of_word(s);
            if !owner.is_none_or(|owner| w.is_gone(owner)) {
                return Err(s);
            }
            let next = w.me().get() | (s & WAITERS);
            if self.word.compare_exchange(s, next, Acquire, Relaxed).is_ok() {
                return Ok(Turn::Yours(owner));
            }
        }
    }

    /// It is done. The caller must have got its turn from [`begin`](Self::begin).
    pub fn finish<W: Wait>(&self, w: &W) {
        self.end(DONE, w);
    }

    /// It is not done, and somebody else's turn. The caller must have got its turn from [`begin`](Self::begin).
    pub fn give_up<W: Wait>(&self, w: &W) {
        self.end(0, w);
    }

    fn end<W: Wait>(&self, state: u32, w: &W) {
        let word: *const AtomicU32 = &self.word;
        // Release publishes what was done.
        if self.word.swap(state, Release) & WAITERS != 0 {
            w.wake(word, ALL);
        }
    }

    /// Whether somebody may sleep until it is done. Stale as soon as it is returned, but once true, true until then.
    pub fn is_contended(&self) -> bool {
        let s = self.word.load(Relaxed);
        s != DONE && s & WAITERS != 0
    }

    /// Who is at it. Stale as soon as it is returned.
    pub fn owner(&self) -> Option<Owner> {
        Owner::of_word(self.word.load(Relaxed))
    }
}
