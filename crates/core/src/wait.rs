//! What an algorithm needs from outside: an identity, a verdict on others, sleep and wake.

use crate::owner::Owner;
use crate::primitive::{AtomicU32, Ordering, fence};

/// The word that threads sleep on.
pub type Word = AtomicU32;

/// An instant on the clock of the [`Wait`] that is given it, in nanoseconds. The algorithms never read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline(pub u64);

/// Why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Look again: a wake, a changed word, a death, or nothing at all.
    Woken,
    /// The deadline has passed, and no wake was consumed.
    TimedOut,
    /// A signal asks the caller to come back, and no wake was consumed.
    Interrupted,
}

/// Why a blocking operation gave up. In every case nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitError {
    /// The deadline passed.
    TimedOut,
    /// A signal asks the caller to come back.
    Interrupted,
    /// The caller already holds what it asks for, so it would wait for itself.
    WouldDeadlock,
}

/// The outside of an algorithm. One implementation per scope, and one for the model checker.
///
/// # The rule of the epoch
/// A death can swallow a wake: the victim consumed it, or died between changing a word and waking. So whoever confirms
/// a death advances the *epoch* and wakes every sleeper. A waiter takes [`epoch`](Wait::epoch) *before* it reads the words
/// it decides by, and passes it to [`wait`](Wait::wait), which returns at once if the epoch has moved since.
pub trait Wait {
    /// True when [`me`](Wait::me) names a thread, so that meeting oneself as owner is a deadlock (but see
    /// [`is_self`](Wait::is_self)); false when it names a participant, whose other threads may be the owner.
    const OWNER_IS_THREAD: bool;

    /// The identity to put into ownership words.
    fn me(&self) -> Owner;

    /// Would waiting for this owner be waiting for oneself?
    #[inline]
    fn is_self(&self, owner: Owner) -> bool {
        Self::OWNER_IS_THREAD && owner == self.me()
    }

    /// Has this owner died, or left without releasing? Once true, true for ever. May cost a system call.
    fn is_gone(&self, owner: Owner) -> bool;

    /// The number of deaths confirmed so far. See the rule of the epoch above.
    fn epoch(&self) -> u32;

    /// Sleeps while `word` holds `expected` and the epoch is `epoch`, until woken or the deadline. May return
    /// [`Wake::Woken`] for no reason.
    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake;

    /// Wakes up to `count` sleepers of `word`. A pointer, since the word may be gone: the store that let others
    /// proceed came before, and they may have freed the memory. Waking a foreign or unmapped word is harmless.
    fn wake(&self, word: *const Word, count: u32);

    /// One turn of a short spin before sleeping for a lock; `turn` counts from 0. False: stop spinning.
    fn spin(&self, turn: u32) -> bool;

    /// The same before sleeping for a counterpart (an item, a permit, the other party), which is worth a longer spin
    /// when that counterpart runs on another processor.
    fn linger(&self, turn: u32) -> bool {
        self.spin(turn)
    }

    /// The same before sleeping until so many parties have come. When there are more of them than processors, one that lingers
    /// must make room for the others.
    fn gather(&self, parties: u32, turn: u32) -> bool {
        let _ = parties;
        self.linger(turn)
    }

    /// One half of a pair of fences between two parties that each write and then look for what the other has written: of a
    /// light one and a heavy one, or two heavy ones, at least one party sees the other's write. This is the half of those who
    /// do so all the time.
    #[inline]
    fn fence_lightly(&self) {
        fence(Ordering::SeqCst);
    }

    /// The other half, of those who are about to sleep: where a scope can, it makes the fence of everybody else, too.
    fn fence_heavily(&self) {
        fence(Ordering::SeqCst);
    }
}

/// Wake everybody, as the `count` of [`Wait::wake`].
pub const ALL: u32 = i32::MAX as u32;
