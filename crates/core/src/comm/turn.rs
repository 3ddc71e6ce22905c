//! What one does while one holds the lock of an end: look, copy, and commit.

use core::mem::forget;

use super::ring::{GET, PUT, RawRing};
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64};
use crate::wait::Wait;

/// When fewer than this can pass, it may be better to wait for more.
const FEW: u32 = 16;
/// How long: about 60 pauses, or 2 us, with the spinning of scope `threads`.
const GATHER_TURNS: u32 = 7;
/// How many more make it worth the while.
const WORTH: u32 = 16;
/// The largest number of times that the pause is left out after one in vain: what it costs then is not seen.
const MAX_PERIOD: u32 = 511;
/// How many of them are left: the low half of the hint.
const LEFT: u32 = 0xffff;

/// How far along a ring, or how much of it. Cursors count for ever and wrap; differences are right all the same.
pub(super) trait Measure: Copy {
    fn unpack(word: u64) -> Self;
    fn pack(self) -> u64;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// No larger than `bound`, in any respect.
    fn fits(self, bound: Self) -> bool;
    /// How many items. They are the low half of the packed form.
    fn items(self) -> u32;
}

/// The lock of an end, held: until [`commit`](Self::commit) or [`leave`](Self::leave), which must follow.
///
/// Passed by value only, and to functions off the fast path not at all, so that it stays in registers.
pub(super) struct Turn<'a, W, M, const END: bool> {
    ring: &'a RawRing,
    w: &'a W,
    bound: M,
    /// This end's cursor.
    at: M,
    /// The far end's cursor, when last looked.
    seen: M,
    woken: bool,
}

impl<W, M: Copy, const END: bool> Clone for Turn<'_, W, M, END> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, M: Copy, const END: bool> Copy for Turn<'_, W, M, END> {}

impl<'a, W: Wait, M: Measure, const END: bool> Turn<'a, W, M, END> {
    /// The caller has just taken the lock.
    #[inline]
    pub(super) fn new(ring: &'a RawRing, w: &'a W, bound: M) -> Self {
        let near = ring.end::<END>();
        // Relaxed: only holders of the lock write either.
        let at = M::unpack(near.cursor.load(Relaxed));
        let seen = M::unpack(near.seen.load(Relaxed));
        Self { ring, w, bound, at, seen, woken: false }
    }

    /// This end's cursor.
    #[inline]
    pub(super) fn at(self) -> M {
        self.at
    }

    /// The far end's cursor, when last looked.
    #[inline]
    pub(super) fn seen(self) -> M {
        self.seen
    }

    /// The same, of one who was woken on the way, perhaps on behalf of others.
    #[inline]
    pub(super) fn after(self, woken: bool) -> Self {
        Self { woken, ..self }
    }

    /// What has been put and not been taken, as far as is known.
    #[inline]
    pub(super) fn used(self) -> M {
        if END == PUT { self.at.minus(self.seen) } else { self.seen.minus(self.at) }
    }

    /// What can pass this end, as far as is known.
    #[inline]
    pub(super) fn allowance(self) -> M {
        if END == PUT { self.bound.minus(self.used()) } else { self.used() }
    }

    /// Whether `amount` can pass this end, as far as is known.
    #[inline]
    pub(super) fn allows(self, amount: M) -> bool {
        match END {
            // Not `amount <= allowance`: what is known may be older than what this end has passed since, and then
            // the allowance would be negative.
            PUT => self.used().plus(amount).fits(self.bound),
            GET => self.used().items() >= amount.items() && self.used().fits(self.bound),
        }
    }

    /// Looks at the far cursor.
    #[inline]
    pub(super) fn look(self) -> Self {
        // Acquire pairs with the Release in `commit`: the far end is done with what its cursor has passed.
        let seen = self.ring.far::<END>().cursor.load(Acquire);
        // Relaxed: only holders of this lock read it.
        self.ring.end::<END>().seen.store(seen, Relaxed);
        Self { seen: M::unpack(seen), ..self }
    }

    /// Lets more gather when little can pass, if that has lately been worth it. True: look again.
    ///
    /// A party as fast as its counterpart would otherwise fetch the line of the far cursor for each item, make the other one
    /// wait for it in turn, and both would go on in lockstep, at a tenth of their speed. After a pause there is a run
    /// of items to take, and enough for the next run by the time it has been taken. In a ping-pong nothing ever gathers,
    /// so each pause in vain makes the next ones rarer.
    #[inline]
    pub(super) fn gather(self) -> bool {
        if self.allowance().items() >= FEW || cfg!(loom) {
            return false;
        }
        let thrift = self.ring.end::<END>().thrift;
        // The number of times to go without, twice: as it was, and counting down.
        let s = thrift.load(Relaxed);
        if s & LEFT != 0 {
            thrift.store(s - 1, Relaxed);
            return false;
        }
        pause(self.w, thrift, self.ring.far::<END>().cursor, self.seen.pack());
        true
    }

    /// Moves the cursor: the one store by which all of `amount` has passed. Then releases the lock and wakes up to
    /// `count` sleepers of the far end.
    #[inline]
    pub(super) fn commit(self, amount: M, count: u32) {
        let near = self.ring.end::<END>();
        // Release publishes the bytes, or that they have been copied out, to `look` at the far end.
        near.cursor.store(self.at.plus(amount).pack(), Release);
        let sleepers = near.lock.open();
        if sleepers.any() || self.woken {
            self.ring.answer::<W, M, END>(self.w, sleepers, count, self.woken, self.bound);
        }
    }

    /// Releases the lock and commits nothing.
    #[inline]
    pub(super) fn leave(self) {
        let sleepers = self.ring.end::<END>().lock.leave();
        self.ring.answer::<W, M, END>(self.w, sleepers, 0, self.woken, self.bound);
    }

    /// Runs the caller's code while the lock is held. If it panics the lock is left, and nothing has happened.
    #[inline]
    pub(super) fn hold<R>(self, body: impl FnOnce() -> R) -> R {
        struct Leave<'a, W: Wait, M: Measure, const END: bool>(Turn<'a, W, M, END>);
        impl<W: Wait, M: Measure, const END: bool> Drop for Leave<'_, W, M, END> {
            fn drop(&mut self) {
                self.0.leave();
            }
        }
        let leave = Leave(self);
        let value = body();
        forget(leave);
        value
    }
}

/// Spins for a while, and notes whether it was worth it.
#[cold]
#[inline(never)]
fn pause<W: Wait>(w: &W, thrift: &AtomicU32, far: &AtomicU64, seen: u64) {
    let mut turn = 0;
    while turn < GATHER_TURNS && w.spin(turn) {
        turn += 1;
    }
    // The low halves count items.
    let gained = (far.load(Relaxed) as u32).wrapping_sub(seen as u32) >= WORTH;
    let period = if gained { 0 } else { (thrift.load(Relaxed) >> 15 | 1).min(MAX_PERIOD) };
    thrift.store(period << 16 | period, Relaxed);
}
