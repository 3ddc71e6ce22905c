//! What one does while one holds the lock of an end: look, copy, and commit.

use core::mem::forget;

use super::ring::{GET, PUT, RawRing};
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64};
use crate::wait::Wait;

/// When fewer than this can pass, it may be better to wait for more.
const FEW: u32 = 16;
/// How long: about 60 pauses, or 2 us, with the spinning of scope `threads`.
const GATHER_TURNS: u32 = 4;
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

/// What bounds a ring, and who may still need what its head has passed.
pub(super) trait Store: Copy {
    type Measure: Measure;

    /// The most that may be in the ring.
    fn bound(self) -> Self::Measure;

    /// How far producers may go: from `seen`, which they know of, up to `head` at most.
    #[inline]
    fn reclaimed(self, _seen: Self::Measure, head: Self::Measure) -> Self::Measure {
        head
    }

    /// Whether that has become more since it was `seen`, with the head still at `head`.
    #[inline]
    fn is_more(self, _seen: Self::Measure, _head: Self::Measure) -> bool {
        false
    }

    /// A producer is about to sleep because of what lies at `seen`: has whoever finishes it wake the producers. `None`: only
    /// the head is in the way. False: look again.
    #[inline]
    fn want(self, _seen: Self::Measure, _head: Self::Measure) -> Option<bool> {
        None
    }
}

/// A ring whose head says all.
#[derive(Clone, Copy)]
pub(super) struct Bound<M>(pub(super) M);

impl<M: Measure> Store for Bound<M> {
    type Measure = M;

    #[inline]
    fn bound(self) -> M {
        self.0
    }
}

/// The lock of an end, held: until [`commit`](Self::commit) or [`leave`](Self::leave), which must follow.
///
/// Passed by value only, and to functions off the fast path not at all, so that it stays in registers.
pub(super) struct Turn<'a, W, S: Store, const END: bool> {
    ring: &'a RawRing,
    w: &'a W,
    store: S,
    /// This end's cursor.
    at: S::Measure,
    /// The far end's cursor, when last looked; at the put end, what it leaves to producers.
    seen: S::Measure,
    woken: bool,
}

impl<W, S: Store, const END: bool> Clone for Turn<'_, W, S, END> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, S: Store, const END: bool> Copy for Turn<'_, W, S, END> {}

impl<'a, W: Wait, S: Store, const END: bool> Turn<'a, W, S, END> {
    /// The caller has just taken the lock.
    #[inline]
    pub(super) fn new(ring: &'a RawRing, w: &'a W, store: S) -> Self {
        let near = ring.end::<END>();
        // Relaxed: only holders of the lock write either.
        let at = S::Measure::unpack(near.cursor.load(Relaxed));
        let seen = S::Measure::unpack(near.seen.load(Relaxed));
        Self { ring, w, store, at, seen, woken: false }
    }

    /// This end's cursor.
    #[inline]
    pub(super) fn at(self) -> S::Measure {
        self.at
    }

    /// The far end's cursor, when last looked; at the put end, what it leaves to producers.
    #[inline]
    pub(super) fn seen(self) -> S::Measure {
        self.seen
    }

    /// The same, of one who was woken on the way, perhaps on behalf of others.
    #[inline]
    pub(super) fn after(self, woken: bool) -> Self {
        Self { woken, ..self }
    }

    /// What has been put and not been taken, as far as is known.
    #[inline]
    pub(super) fn used(self) -> S::Measure {
        if END == PUT { self.at.minus(self.seen) } else { self.seen.minus(self.at) }
    }

    /// What can pass this end, as far as is known.
    #[inline]
    pub(super) fn allowance(self) -> S::Measure {
        if END == PUT { self.store.bound().minus(self.used()) } else { self.used() }
    }

    /// Whether `amount` can pass this end, as far as is known.
    #[inline]
    pub(super) fn allows(self, amount: S::Measure) -> bool {
        match END {
            // Not `amount <= allowance`: what is known may be older than what this end has passed since, and then
            // the allowance would be negative.
            PUT => self.used().plus(amount).fits(self.store.bound()),
            GET => self.used().items() >= amount.items() && self.used().fits(self.store.bound()),
        }
    }

    /// Looks at the far cursor.
    #[inline]
    pub(super) fn look(self) -> Self {
        self.look_at().0
    }

    /// The same, and says where it is.
    #[inline]
    pub(super) fn look_at(self) -> (Self, S::Measure) {
        // Acquire pairs with the Release in `commit`: the far end is done with what its cursor has passed.
        let far = S::Measure::unpack(self.ring.far::<END>().cursor.load(Acquire));
        let seen = if END == PUT { self.store.reclaimed(self.seen, far) } else { far };
        // Relaxed: holders of this lock read it, and holders of the far one who are content with what it was.
        self.ring.end::<END>().seen.store(seen.pack(), Relaxed);
        let turn = Self { seen, ..self };
        turn.note_most();
        (turn, far)
    }

    /// For people: how many there were at an instant at which somebody knew.
    #[inline]
    fn note_most(self) {
        let (most, used) = (self.ring.end::<END>().most, self.used());
        if !cfg!(loom) && used.items() > most.load(Relaxed) && used.fits(self.store.bound()) {
            most.store(used.items(), Relaxed);
        }
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
    pub(super) fn commit(self, amount: S::Measure, count: u32) {
        let near = self.ring.end::<END>();
        let after = self.at.plus(amount);
        if after.items() < amount.items() {
            note_lap(near.laps);
        }
        // Release publishes the bytes, or that they have been copied out, to `look` at the far end.
        near.cursor.store(after.pack(), Release);
        let sleepers = near.lock.open();
        if sleepers.any() || self.woken {
            self.ring.answer::<W, S, END>(self.w, sleepers, count, self.woken, self.store);
        }
    }

    /// Releases the lock and commits nothing.
    #[inline]
    pub(super) fn leave(self) {
        let sleepers = self.ring.end::<END>().lock.leave();
        self.ring.answer::<W, S, END>(self.w, sleepers, 0, self.woken, self.store);
    }

    /// Runs the caller's code while the lock is held. If it panics the lock is left, and nothing has happened.
    #[inline]
    pub(super) fn hold<R>(self, body: impl FnOnce() -> R) -> R {
        struct Leave<'a, W: Wait, S: Store, const END: bool>(Turn<'a, W, S, END>);
        impl<W: Wait, S: Store, const END: bool> Drop for Leave<'_, W, S, END> {
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

/// For people: the number of items came round to zero. A death between this and the commit counts it too often.
#[cold]
#[inline(never)]
fn note_lap(laps: &AtomicU32) {
    laps.store(laps.load(Relaxed).wrapping_add(1), Relaxed);
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
