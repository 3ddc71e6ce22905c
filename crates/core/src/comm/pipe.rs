//! A pipe: two ends, a ring of messages in each direction, and the knowledge of who has each end.
//!
//! Each participant has a *book* per end, one word:
//!
//! | book | meaning |
//! |---|---|
//! | `0` | That participant has nothing to do with this end. |
//! | `owner`, held `n > 0` | It has the end open, `n` times. |
//! | `owner`, away `m` | It has sent handles to the end, each bit one, that have not arrived: the end is open. |
//!
//! A book whose owner is gone counts for nothing, whatever it says: so no count is ever wrong because of a death, and
//! the next participant at that index writes over it. Only the owner raises its own book; others clear a bit of `away`.
//!
//! An end that somebody has had and nobody has any more is *abandoned*, for good: whoever notices first shuts down both rings,
//! so that the other end may take what is there, and is then told. Three may notice: the last one to close, one who is about to
//! sleep (and is woken by the epoch when a holder dies), and one who finds nothing and does not wait.
//!
//! The books are many words, so nobody sees them all at one instant. A handle that travels is entered in the receiver's
//! book first, then `joins` is counted up, then it leaves the sender's book: who saw neither entry sees that `joins` has
//! changed, and looks again.

use super::bytes::Bytes;
use super::ring::{GET, Patience, RawRing, RingError, Shutdown};
use super::turn::{Bound, Measure};
use crate::owner::{OWNER_BITS, Owner};
use crate::pad::Padded;
use crate::primitive::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::primitive::{AtomicU32, AtomicU64, constructor, fence};
use crate::sync::field::Field;
use crate::wait::{Deadline, Wait, Wake, Word};

const OWNER: Field = Field::new(0, OWNER_BITS);
/// How often it has the end open.
const HELD: Field = OWNER.then(14);
/// A bit per handle that is on its way.
const AWAY: Field = HELD.then(20);
const _: () = assert!(AWAY.end() == 64);
const ONE_HELD: u64 = 1 << OWNER.end();

/// How often a look at the books is repeated when handles arrive meanwhile.
const TRIES: u32 = 100;

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The one that a one-way pipe is received from.
    First = 0,
    /// The one that a one-way pipe is sent to.
    Second = 1,
}

impl End {
    /// The other one.
    #[must_use]
    pub const fn far(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// A participant has an end open, or handles to it on their way, more often than can be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crowded;

/// A handle on its way: whose book has it, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The sender, as a number.
    pub owner: u32,
    /// Its bit.
    pub bit: u32,
}

/// The words of a pipe, without books and messages. All-zero memory is a pipe that nobody has had yet.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawPipe {
    /// What is sent to each end.
    rings: [RawRing; 2],
    /// How often somebody has opened each end; zero: nobody ever has.
    joins: Padded<[AtomicU32; 2]>,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawPipe>() == 1408);
    assert!(offset_of!(RawPipe, rings) == 0);
    assert!(offset_of!(RawPipe, joins) == 1280);
};

impl RawPipe {
    constructor! {
        /// A pipe that nobody has had yet.
        pub fn new() -> Self {
            Self {
                rings: [RawRing::new(), RawRing::new()],
                joins: Padded([AtomicU32::new(0), AtomicU32::new(0)]),
            }
        }
    }

    /// The ring of what is sent to `end`.
    #[inline]
    #[must_use]
    pub const fn ring(&self, end: End) -> &RawRing {
        &self.rings[end as usize]
    }

    /// Whether an end was abandoned.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.rings[0].is_shut_down()
    }
}

/// The owner in `book`, if it has `end` in any way.
fn holder(book: u64) -> Option<Owner> {
    let has = HELD.get(book) != 0 || AWAY.get(book) != 0;
    Owner::new(OWNER.get(book) as u32).filter(|_| has)
}

/// How often the owner in `book` has the end open, for those who look from outside.
#[must_use]
pub fn held(book: u64) -> Option<(Owner, u64)> {
    holder(book).map(|owner| (owner, HELD.get(book) + u64::from(AWAY.get(book).count_ones())))
}

/// A pipe, borrowed: its words and its books.
///
/// There are two books per participant, of the first and of the second end, zero at first, at the index that is the low 10 bits of its
/// owner id; an index beyond them panics.
#[derive(Clone, Copy, Debug)]
pub struct Pipe<'a> {
    raw: &'a RawPipe,
    books: &'a [[AtomicU64; 2]],
}

impl<'a> Pipe<'a> {
    /// A view of a pipe.
    #[inline]
    #[must_use]
    pub const fn new(raw: &'a RawPipe, books: &'a [[AtomicU64; 2]]) -> Self {
        Self { raw, books }
    }

    fn book(&self, end: End, owner: u32) -> Option<&'a AtomicU64> {
        self.books.get((owner & 1023) as usize).map(|books| &books[end as usize])
    }

    /// The caller's own book.
    fn mine<W: Wait>(&self, w: &W, end: End) -> &'a AtomicU64 {
        self.book(end, w.me().get()).expect("a book per participant")
    }

    /// Opens `end` for the caller, once more.
    ///
    /// # Errors
    /// [`Crowded`] after 16,383 times.
    pub fn open<W: Wait>(&self, w: &W, end: End) -> Result<(), Crowded> {
        let (book, me) = (self.mine(w, end), OWNER.of(w.me().get().into()));
        let mut s = book.load(Relaxed);
        loop {
            // What another has left there is void: that one is gone, or this index would not be ours.
            let own = if OWNER.get(s) == OWNER.get(me) { s } else { me };
            if HELD.get(own) == HELD.max() {
                return Err(Crowded);
            }
            match book.compare_exchange(s, own + ONE_HELD, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        // Release pairs with the Acquire in `is_abandoned`: who sees the count sees the book.
        self.raw.joins[end as usize].fetch_add(1, Release);
        Ok(())
    }

    /// Notes that a handle to `end`, which the caller has open, goes on its way.
    ///
    /// # Errors
    /// [`Crowded`] while 20 of the caller's are.
    pub fn send_away<W: Wait>(&self, w: &W, end: End) -> Result<Ticket, Crowded> {
        let (book, owner) = (self.mine(w, end), w.me().get());
        let mut s = book.load(Relaxed);
        loop {
            let bit = AWAY.get(s).trailing_ones();
            if OWNER.get(s) != u64::from(owner) || AWAY.get(s) == AWAY.max() {
                return Err(Crowded);
            }
            match book.compare_exchange(s, s | AWAY.of(1 << bit), Relaxed, Relaxed) {
                Ok(_) => return Ok(Ticket { owner, bit }),
                Err(now) => s = now,
            }
        }
    }

    /// Opens `end` for the caller, who got a handle with `ticket`. That it is used twice does no harm.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn arrive<W: Wait>(&self, w: &W, end: End, ticket: Ticket) -> Result<(), Crowded> {
        // Before the sender's book lets go of it, or there would be an instant at which nobody has the end.
        self.open(w, end)?;
        self.strike(end, ticket);
        Ok(())
    }

    /// Takes back what [`send_away`](Self::send_away) noted: the handle was not sent after all.
    pub fn recall<W: Wait>(&self, w: &W, end: End, ticket: Ticket) {
        self.strike(end, ticket);
        self.after_leaving(w, end);
    }

    fn strike(&self, end: End, ticket: Ticket) {
        let Some(book) = self.book(end, ticket.owner) else { return };
        let bit = AWAY.of(1_u64.checked_shl(ticket.bit).unwrap_or(0));
        let mut s = book.load(Relaxed);
        while OWNER.get(s) == u64::from(ticket.owner) && s & bit != 0 {
            // Release pairs with the Acquire in `is_abandoned`: who does not find it here any more finds `joins` changed.
            match book.compare_exchange(s, s & !bit, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => s = now,
            }
        }
    }

    /// Closes `end`, which the caller has opened; the last one ends the pipe. Of one who has not opened it, as a forked child,
    /// nothing is closed.
    pub fn close<W: Wait>(&self, w: &W, end: End) {
        let (book, me) = (self.mine(w, end), u64::from(w.me().get()));
        let mut s = book.load(Relaxed);
        loop {
            if OWNER.get(s) != me || HELD.get(s) == 0 {
                return;
            }
            // Release as in `strike`.
            match book.compare_exchange(s, s - ONE_HELD, Release, Relaxed) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        self.after_leaving(w, end);
    }

    /// The last one to leave ends the pipe.
    fn after_leaving<W: Wait>(&self, w: &W, end: End) {
        // Of two who leave at the same time, at least one must find both gone: each has written its book before this, and
        // reads the other's after it.
        fence(SeqCst);
        self.end_if_abandoned(w, end);
    }

    /// Whether somebody has had `end`, and nobody has it any more.
    pub fn is_abandoned<W: Wait>(&self, w: &W, end: End) -> bool {
        let joins = &self.raw.joins[end as usize];
        for _ in 0..TRIES {
            let before = joins.load(Acquire);
            if before == 0 {
                return false;
            }
            let has = |books: &[AtomicU64; 2]| {
                // Acquire pairs with the Release in `strike` and `close`.
                holder(books[end as usize].load(Acquire)).is_some_and(|owner| !w.is_gone(owner))
            };
            if self.books.iter().any(has) {
                return false;
            }
            // Relaxed: the books were read with Acquire, so this is not older than they are.
            if joins.load(Relaxed) == before {
                return true;
            }
        }
        // Somebody has just opened it.
        false
    }

    /// Ends the pipe if `end` is abandoned and it has not ended. Whether it did.
    fn end_if_abandoned<W: Wait>(&self, w: &W, end: End) -> bool {
        if self.has_ended() || !self.is_abandoned(w, end) {
            return false;
        }
        self.shut_down(w);
        true
    }

    /// The second ring first: who finds the first one shut down need not look at the other.
    fn shut_down<W: Wait>(&self, w: &W) {
        for ring in [End::Second, End::First] {
            while self.raw.ring(ring).shut_down(w, Shutdown::Drain).is_err() {
                // A signal came in between.
            }
        }
    }

    /// Whether the pipe has ended.
    #[inline]
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.raw.has_ended()
    }

    /// Looks whether the far end of `end` is abandoned; for one who has reason to think so.
    pub fn look<W: Wait>(&self, w: &W, end: End) {
        self.end_if_abandoned(w, end.far());
    }

    /// Sends `message` from `end` by `ring`, the ring of what is sent to the far end.
    ///
    /// # Errors
    /// As [`Bytes::push`]; `ShutDown`: the pipe has ended.
    #[inline]
    pub fn send<W: Wait>(
        &self,
        w: &W,
        end: End,
        ring: Bytes<'_>,
        patience: Patience,
        message: &[u8],
    ) -> Result<(), RingError> {
        let watch = Watch { w, pipe: *self, far: end.far() };
        match ring.push_slice(&watch, patience, message) {
            Err(RingError::Full) if self.end_if_abandoned(w, end.far()) => Err(RingError::ShutDown),
            result => result,
        }
    }

    /// Receives a message at `end` from `ring`, the ring of what is sent to it, as [`Bytes::pop`] does.
    ///
    /// # Errors
    /// As [`Bytes::pop`]; `ShutDown`: the pipe has ended, and all that was sent is received.
    #[inline]
    pub fn receive<W: Wait, R>(
        &self,
        w: &W,
        end: End,
        ring: Bytes<'_>,
        patience: Patience,
        mut read: impl FnMut(*const u8, usize) -> R,
    ) -> Result<R, RingError> {
        let watch = Watch { w, pipe: *self, far: end.far() };
        match ring.pop(&watch, patience, &mut read) {
            // The last message may have come in between.
            Err(RingError::Empty) if self.end_if_abandoned(w, end.far()) => {
                ring.pop(&watch, patience, read)
            }
            result => result,
        }
    }

    /// Waits until there is a message for `end`, or the pipe has ended: until a receive would not wait.
    ///
    /// # Errors
    /// `Empty` and `TimedOut`, as [`Bytes::pop`].
    pub fn poll<W: Wait>(&self, w: &W, end: End, patience: Patience) -> Result<(), RingError> {
        let watch = Watch { w, pipe: *self, far: end.far() };
        let (one, any) = (Cursor { units: 0, items: 1 }, Cursor { units: !0, items: !0 });
        match self.raw.ring(end).enter::<_, _, GET>(&watch, Bound(any), one, one, patience) {
            Ok(turn) => {
                turn.leave();
                Ok(())
            }
            Err(RingError::Empty) if self.end_if_abandoned(w, end.far()) => Ok(()),
            // What there was is taken: a receive does not wait, but fail.
            Err(RingError::ShutDown) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A cursor of a ring of records, for one who looks and moves none: any number of either passes.
#[derive(Clone, Copy)]
struct Cursor {
    units: u32,
    items: u32,
}

impl Measure for Cursor {
    fn unpack(word: u64) -> Self {
        Self { units: (word >> 32) as u32, items: word as u32 }
    }
    fn pack(self) -> u64 {
        u64::from(self.units) << 32 | u64::from(self.items)
    }
    fn plus(self, other: Self) -> Self {
        let Self { units, items } = other;
        Self { units: self.units.wrapping_add(units), items: self.items.wrapping_add(items) }
    }
    fn minus(self, other: Self) -> Self {
        let Self { units, items } = other;
        Self { units: self.units.wrapping_sub(units), items: self.items.wrapping_sub(items) }
    }
    fn fits(self, _: Self) -> bool {
        true
    }
    fn items(self) -> u32 {
        self.items
    }
}

/// The outside of the rings: before a sleep, one looks whether the far end is still there.
///
/// A sleep is asked for with the epoch of before the last look at the ring. So a holder that dies after the look here ends the
/// sleep at once, and one that closes wakes it by shutting the ring down.
struct Watch<'a, W> {
    w: &'a W,
    pipe: Pipe<'a>,
    far: End,
}

impl<W: Wait> Wait for Watch<'_, W> {
    const OWNER_IS_THREAD: bool = W::OWNER_IS_THREAD;

    #[inline]
    fn me(&self) -> Owner {
        self.w.me()
    }

    #[inline]
    fn is_self(&self, owner: Owner) -> bool {
        self.w.is_self(owner)
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.w.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.w.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        if self.pipe.end_if_abandoned(self.w, self.far) {
            return Wake::Woken;
        }
        self.w.wait(word, expected, epoch, deadline)
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.w.wake(word, count);
    }

    #[inline]
    fn spin(&self, turn: u32) -> bool {
        self.w.spin(turn)
    }

    #[inline]
    fn linger(&self, turn: u32) -> bool {
        self.w.linger(turn)
    }

    #[inline]
    fn fence_lightly(&self) {
        self.w.fence_lightly();
    }

    fn fence_heavily(&self) {
        self.w.fence_heavily();
    }
}
