//! The protocol of a stock: a bounded store with one lock, out of which items come in an order of its own.
//!
//! | `index` | meaning |
//! |---|---|
//! | `0` | The index must be made anew from the items before anybody uses it: fresh memory, or a holder of the lock died in the middle of a change. |
//! | `1` | The index and `len` are right. |
//!
//! Producers and consumers hold the same lock, so whoever finds no room, or no item, announces that it will sleep while it
//! holds the lock, and whoever changes that sees the announcement under the lock. `README.md` has the argument why no wake is lost.
//!
//! What the items are and in which order they come out is not known here: [`shelf`](super::shelf) keeps them in shared
//! memory, and scope `threads` has the standard library's collections.

use core::mem::forget;

use super::lock::EndLock;
use super::ring::{Patience, RingError, Shutdown};
use crate::pad::Padded;
use crate::primitive::Ordering::{Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor, fence};
use crate::wait::{ALL, Wait, Wake};

/// The side of those who put, as a parameter.
pub const PUT: bool = super::ring::PUT;
/// The side of those who get, as a parameter.
pub const GET: bool = super::ring::GET;

/// The index is right.
const RIGHT: u32 = 1;
/// The index is to be made anew.
const BROKEN: u32 = 0;

/// Items come and go.
const OPEN: u32 = 0;
/// Nothing more is put.
const DRAINING: u32 = 1;
/// Nothing more is put or taken.
const CLOSED: u32 = 2;

/// Somebody may sleep for an item.
const FOR_ITEMS: u32 = 1;
/// Somebody may sleep for room.
const FOR_ROOM: u32 = 2;

/// The words of a stock, without its items. All-zero memory is an empty, open stock.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawStock {
    words: Padded<Words>,
}

/// All but `lock` and the two sequence numbers are written only by who holds the lock.
#[derive(Debug, Default)]
#[repr(C)]
struct Words {
    lock: EndLock,
    index: AtomicU32,
    len: AtomicU32,
    /// Who may sleep. A bit may be set though nobody sleeps; it may not be clear while a sleeper that looked in vain has not
    /// been sent a wake.
    asleep: AtomicU32,
    closed: AtomicU32,
    /// Consumers sleep on this sequence number for items.
    items: AtomicU32,
    /// Producers sleep on this sequence number for room.
    room: AtomicU32,
    _reserved: u32,
    /// The number of the last item: it tells which of two came first.
    stamp: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawStock>() == 128);
    assert!(offset_of!(Words, lock) == 0);
    assert!(offset_of!(Words, index) == 4);
    assert!(offset_of!(Words, len) == 8);
    assert!(offset_of!(Words, asleep) == 12);
    assert!(offset_of!(Words, closed) == 16);
    assert!(offset_of!(Words, items) == 20);
    assert!(offset_of!(Words, room) == 24);
    assert!(offset_of!(Words, stamp) == 32);
};

/// The lock of a stock, held by one who can put (get) at least one item: until [`finish`](Self::finish) or
/// [`leave`](Self::leave), which must follow.
pub struct Turn<'a, W, const END: bool> {
    stock: &'a RawStock,
    w: &'a W,
    bound: u32,
    len: u32,
    woken: bool,
}

impl<W, const END: bool> Clone for Turn<'_, W, END> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, const END: bool> Copy for Turn<'_, W, END> {}

impl RawStock {
    constructor! {
        /// An empty stock.
        pub fn new() -> Self {
            Self { words: Padded(Words::new()) }
        }
    }

    /// Takes the lock once one item can pass. `mend` makes the index anew and says how many items there are, or `None` if
    /// that makes no sense; it is called while the lock is held.
    ///
    /// # Errors
    /// [`RingError`], all but `TooLarge`.
    #[inline]
    pub fn enter<'a, W: Wait, const END: bool>(
        &'a self,
        w: &'a W,
        bound: u32,
        patience: Patience,
        mend: impl Fn() -> Option<u32>,
    ) -> Result<Turn<'a, W, END>, RingError> {
        let words = &*self.words;
        let held = words.lock.take_free(w);
        if held {
            let len = words.len.load(Relaxed);
            if words.index.load(Relaxed) == RIGHT
                && words.closed.load(Relaxed) == OPEN
                && passes::<END>(len, bound)
            {
                return Ok(Turn { stock: self, w, bound, len, woken: false });
            }
        }
        self.enter_slow(w, bound, patience, &mend, held)
    }

    /// The whole of [`enter`](Self::enter) but its first attempt; `held` is whether that took the lock.
    ///
    /// Repeatedly: take the lock; mend the index; look; in vain, leave the lock and linger, and if that is in vain too announce a
    /// sleeper before leaving it, and sleep.
    #[cold]
    fn enter_slow<'a, W: Wait, const END: bool>(
        &'a self,
        w: &'a W,
        bound: u32,
        patience: Patience,
        mend: &impl Fn() -> Option<u32>,
        mut held: bool,
    ) -> Result<Turn<'a, W, END>, RingError> {
        let words = &*self.words;
        let (near, event) = words.sleepers::<END>();
        let mut woken = false;
        let mut lingered = false;
        let mut spins = 0;
        loop {
            // Before any word is read, or a death in between would go unseen.
            let epoch = w.epoch();
            if !held && let Err(error) = words.lock.take(w, patience.deadline()) {
                if woken {
                    // On behalf of those whose announcement our waker erased.
                    w.wake(event, 1);
                }
                return Err(error);
            }
            held = false;
            let turn = Turn { stock: self, w, bound, len: 0, woken };
            let Some(len) = turn.settle(mend).filter(|len| *len <= bound) else {
                turn.leave();
                return Err(RingError::Corrupt);
            };
            let closed = words.closed.load(Relaxed);
            if closed >= (if END == PUT { DRAINING } else { CLOSED }) {
                turn.leave();
                return Err(RingError::ShutDown);
            }
            if passes::<END>(len, bound) {
                return Ok(Turn { len, ..turn });
            }
            if closed != OPEN || patience == Patience::Try {
                turn.leave();
                return Err(match (closed, END) {
                    (OPEN, PUT) => RingError::Full,
                    (OPEN, GET) => RingError::Empty,
                    _ => RingError::ShutDown,
                });
            }
            if !lingered {
                turn.unlock();
                while words.len.load(Relaxed) == len && w.linger(spins) {
                    spins += 1;
                }
                lingered = words.len.load(Relaxed) == len;
                continue;
            }
            // Under the lock, so whoever lets an item pass after this sees the announcement, and changes the number.
            let ticket = event.load(Relaxed);
            words.asleep.store(words.asleep.load(Relaxed) | near, Relaxed);
            turn.unlock();
            match w.wait(event, ticket, epoch, patience.deadline()) {
                Wake::Woken => (woken, lingered, spins) = (true, false, 0),
                // Announced before this sleep, so leaving loses no wake.
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
        }
    }

    /// The number of items, true at some instant of the call.
    #[inline]
    pub fn len(&self) -> u32 {
        self.words.len.load(Relaxed)
    }

    /// Whether there are no items, at some instant of the call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether puts are refused for good.
    pub fn is_shut_down(&self) -> bool {
        self.words.closed.load(Relaxed) != OPEN
    }

    /// Ends the stock: once this returns nothing more is put, and nothing taken either if `how` is
    /// [`Shutdown::Immediate`]. All sleepers are woken. Repeating it is harmless, and `Immediate` may follow `Drain`.
    ///
    /// # Errors
    /// [`RingError::Interrupted`], while waiting for the lock: repeat it.
    pub fn shut_down<W: Wait>(&self, w: &W, how: Shutdown) -> Result<(), RingError> {
        let words = &*self.words;
        words.lock.take(w, None)?;
        let closed = if how == Shutdown::Immediate { CLOSED } else { DRAINING };
        words.closed.store(closed.max(words.closed.load(Relaxed)), Relaxed);
        for event in [&words.items, &words.room] {
            event.fetch_add(1, Relaxed);
        }
        words.lock.wake(w, words.lock.open());
        // Their announcements stay: one who dies here has woken nobody, and whoever repeats this wakes all.
        w.wake(&words.items, ALL);
        w.wake(&words.room, ALL);
        Ok(())
    }
}

impl<'a, W: Wait, const END: bool> Turn<'a, W, END> {
    /// How many items there were when the lock was taken.
    #[inline]
    pub fn len(self) -> u32 {
        self.len
    }

    /// Whether there were none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// How many items can pass.
    #[inline]
    pub fn allowance(self) -> u32 {
        if END == PUT { self.bound - self.len } else { self.len }
    }

    /// To be called before the first change to an item or to the index: who dies from here on leaves it to the next holder to
    /// mend the index.
    #[inline]
    pub fn begin(self) {
        self.stock.words.index.store(BROKEN, Relaxed);
        // The stores of the change stay behind this one. Who reads them does so after an Acquire of the lock, or
        // after the kernel has ended us.
        fence(Release);
    }

    /// A number that is larger than those of all earlier items.
    #[inline]
    pub fn stamp(self) -> u64 {
        let stamp = &self.stock.words.stamp;
        let next = stamp.load(Relaxed).wrapping_add(1);
        stamp.store(next, Relaxed);
        next
    }

    /// After `count` items have passed, of which the stock now holds `len`, and the index is right: releases the
    /// lock, and wakes up to `count` sleepers of the other side.
    #[inline]
    pub fn finish(self, len: u32, count: u32) {
        let words = &*self.stock.words;
        words.len.store(len, Relaxed);
        // Release: who finds the index right finds all of the change.
        words.index.store(RIGHT, Release);
        if words.asleep.load(Relaxed) == 0 && !self.woken {
            self.unlock();
        } else {
            self.finish_slow(len, count);
        }
    }

    #[cold]
    fn finish_slow(self, len: u32, count: u32) {
        let (stock, w) = (self.stock, self.w);
        let words = &*stock.words;
        let ((near, event), (far, far_event)) = match END {
            PUT => (words.sleepers::<PUT>(), words.sleepers::<GET>()),
            GET => (words.sleepers::<GET>(), words.sleepers::<PUT>()),
        };
        let mut asleep = words.asleep.load(Relaxed);
        let call = asleep & far != 0;
        if call {
            // Relaxed: those who sleep took their ticket under the lock that we hold.
            far_event.fetch_add(1, Relaxed);
            asleep &= !far;
        }
        // We may have been woken on behalf of others, whose announcement is gone: one of them is woken in turn, or they are
        // announced again.
        let pass_on = self.woken && passes::<END>(len, self.bound);
        if self.woken && !pass_on {
            asleep |= near;
        }
        words.asleep.store(asleep, Relaxed);
        self.unlock();
        if call {
            w.wake(far_event, count);
        }
        if pass_on {
            w.wake(event, 1);
        }
    }

    /// Releases the lock, and nothing has passed.
    #[cold]
    pub fn leave(self) {
        if self.woken {
            let words = &*self.stock.words;
            let near = words.sleepers::<END>().0;
            words.asleep.store(words.asleep.load(Relaxed) | near, Relaxed);
        }
        self.unlock();
    }

    /// Says that the index makes no sense, and releases the lock: the next holder makes it anew.
    #[cold]
    pub fn give_up(self) -> RingError {
        self.begin();
        self.leave();
        RingError::Corrupt
    }

    #[inline]
    fn unlock(self) {
        let lock = &self.stock.words.lock;
        let sleepers = lock.open();
        if sleepers.any() {
            lock.wake(self.w, sleepers);
        }
    }

    /// Makes the index right, if it is not, and says how many items there are.
    fn settle(self, mend: &impl Fn() -> Option<u32>) -> Option<u32> {
        let words = &*self.stock.words;
        if words.index.load(Relaxed) != RIGHT {
            let len = mend()?;
            words.len.store(len, Relaxed);
            // Release as in `finish`.
            words.index.store(RIGHT, Release);
        }
        Some(words.len.load(Relaxed))
    }

    /// Runs the caller's code while the lock is held. If it panics the lock is left, and the index is for the next holder to
    /// make anew.
    #[inline]
    pub fn hold<R>(self, body: impl FnOnce() -> R) -> R {
        struct Leave<'a, W: Wait, const END: bool>(Turn<'a, W, END>);
        impl<W: Wait, const END: bool> Drop for Leave<'_, W, END> {
            fn drop(&mut self) {
                self.0.give_up();
            }
        }
        let leave = Leave(self);
        let value = body();
        forget(leave);
        value
    }
}

/// Whether one item can pass.
#[inline]
fn passes<const END: bool>(len: u32, bound: u32) -> bool {
    if END == PUT { len < bound } else { len > 0 && len <= bound }
}

impl Words {
    constructor! {
        fn new() -> Self {
            Self {
                lock: EndLock::new(),
                index: AtomicU32::new(BROKEN),
                len: AtomicU32::new(0),
                asleep: AtomicU32::new(0),
                closed: AtomicU32::new(OPEN),
                items: AtomicU32::new(0),
                room: AtomicU32::new(0),
                _reserved: 0,
                stamp: AtomicU64::new(0),
            }
        }
    }

    /// How a side announces its sleepers, and what they sleep on.
    fn sleepers<const END: bool>(&self) -> (u32, &AtomicU32) {
        match END {
            PUT => (FOR_ROOM, &self.room),
            GET => (FOR_ITEMS, &self.items),
        }
    }
}

impl<W, const END: bool> core::fmt::Debug for Turn<'_, W, END> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Turn").field("len", &self.len).finish_non_exhaustive()
    }
}
