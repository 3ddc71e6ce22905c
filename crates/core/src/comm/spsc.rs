//! A ring of cells for one producer and one consumer: two cursors, and no lock.
//!
//! | `tail - head` | meaning |
//! |---|---|
//! | `0` | Empty. Fresh memory is an empty ring. |
//! | up to the bound | That many items are committed and not yet taken. |
//!
//! | `items`, `room` | meaning |
//! |---|---|
//! | `0` | Nobody sleeps there who has not been sent a wake. |
//! | `1` | The consumer (the producer) may be asleep: whoever commits at the far end must set it to 0 and wake it. |
//!
//! Each end is one party's alone, which keeps in a [`Place`] of its own where it is and where it last saw the far end, and looks
//! again only when that is not enough. A commit is one store; what follows it, a look at whether somebody sleeps, must not be
//! done before it. That order is paid for by the one who is about to sleep ([`Wait::fence_heavily`]), not by every commit.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::ring::{Patience, RingError};
use super::slots::Shape;
use crate::pad::Padded;
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::{Wait, Wake};

const OPEN: u32 = 0;
const CLOSED: u32 = 1;

/// The words of the ring, without its items. All-zero memory is an empty, open ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawSpsc {
    tail: Padded<AtomicU32>,
    head: Padded<AtomicU32>,
    quiet: Padded<Quiet>,
}

/// The words that change only when somebody sleeps or the ring ends.
#[derive(Debug, Default)]
#[repr(C)]
struct Quiet {
    items: AtomicU32,
    room: AtomicU32,
    /// The producer has gone.
    put_closed: AtomicU32,
    /// The consumer has gone.
    get_closed: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawSpsc>() == 384);

/// Where one end is, for its party's eyes only.
#[derive(Debug, Default)]
pub struct Place {
    /// This end's cursor, which nobody else moves.
    at: u32,
    /// The far cursor when last looked.
    seen: u32,
}

/// The producer's end, as a parameter.
const PUT: bool = true;
/// The consumer's end, as a parameter.
const GET: bool = false;

/// The words of one end.
struct End<'a> {
    cursor: &'a AtomicU32,
    /// Where the party at this end sleeps.
    asleep: &'a AtomicU32,
    closed: &'a AtomicU32,
}

impl RawSpsc {
    constructor! {
        /// An empty ring.
        pub fn new() -> Self {
            let quiet = Quiet {
                items: AtomicU32::new(0),
                room: AtomicU32::new(0),
                put_closed: AtomicU32::new(OPEN),
                get_closed: AtomicU32::new(OPEN),
            };
            Self {
                tail: Padded(AtomicU32::new(0)),
                head: Padded(AtomicU32::new(0)),
                quiet: Padded(quiet),
            }
        }
    }

    #[inline]
    fn end<const END: bool>(&self) -> End<'_> {
        let Quiet { items, room, put_closed, get_closed } = &*self.quiet;
        match END {
            PUT => End { cursor: &self.tail, asleep: room, closed: put_closed },
            GET => End { cursor: &self.head, asleep: items, closed: get_closed },
        }
    }

    #[inline]
    fn far<const END: bool>(&self) -> End<'_> {
        match END {
            PUT => self.end::<GET>(),
            GET => self.end::<PUT>(),
        }
    }

    /// Waits until something can pass this end, and says how much; at least `most`, if a look at the far end brings that.
    #[inline]
    fn enter<W: Wait, const END: bool>(
        &self,
        place: &mut Place,
        w: &W,
        bound: u32,
        most: u32,
        patience: Patience,
    ) -> Result<u32, RingError> {
        // For nobody there is nothing to put: that is looked at every time, on a line that is hardly ever written.
        if END == PUT && self.far::<END>().closed.load(Relaxed) == CLOSED {
            return Err(RingError::ShutDown);
        }
        if place.allowance::<END>(bound) < most {
            // Acquire pairs with the Release in `commit`: the far end is done with what its cursor has passed.
            place.seen = self.far::<END>().cursor.load(Acquire);
            if place.allowance::<END>(bound) == 0 {
                return self.enter_slow::<W, END>(place, w, bound, patience);
            }
        }
        Ok(place.allowance::<END>(bound))
    }

    /// Repeatedly: look; linger; announce the sleep; look again; sleep.
    #[cold]
    #[inline(never)]
    fn enter_slow<W: Wait, const END: bool>(
        &self,
        place: &mut Place,
        w: &W,
        bound: u32,
        patience: Patience,
    ) -> Result<u32, RingError> {
        let (near, far) = (self.end::<END>(), self.far::<END>());
        let deadline = match patience {
            Patience::Try => None,
            Patience::Until(deadline) => deadline,
        };
        let mut turn = 0;
        loop {
            let epoch = w.epoch();
            // Acquire pairs with the Release in `close`. Read before the cursor, so that the cursor is final.
            let ended = far.closed.load(Acquire) == CLOSED;
            // Acquire as in `enter`.
            place.seen = far.cursor.load(Acquire);
            if END == PUT && ended {
                return Err(RingError::ShutDown);
            }
            let allowance = place.allowance::<END>(bound);
            if allowance > 0 {
                return Ok(allowance);
            }
            if ended {
                return Err(RingError::ShutDown);
            }
            if patience == Patience::Try {
                return Err(if END == PUT { RingError::Full } else { RingError::Empty });
            }
            if w.linger(turn) {
                turn += 1;
                continue;
            }
            // All changes of this word are swaps, so that they are in one order with the waker's, for the model checker too.
            near.asleep.swap(1, Relaxed);
            // Pairs with the fence in `wake_far`: that one sees the announcement, or we see what it has done.
            w.fence_heavily();
            if far.cursor.load(Relaxed) != place.seen || far.closed.load(Relaxed) == CLOSED {
                near.asleep.swap(0, Relaxed);
                continue;
            }
            let wake = w.wait(near.asleep, 1, epoch, deadline);
            near.asleep.swap(0, Relaxed);
            match wake {
                Wake::Woken => turn = 0,
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
        }
    }

    /// Moves this end's cursor: the one store by which `n` items have passed.
    #[inline]
    fn commit<W: Wait, const END: bool>(&self, place: &mut Place, w: &W, n: u32) {
        place.at = place.at.wrapping_add(n);
        // Release publishes the items, or that they have been copied out.
        self.end::<END>().cursor.store(place.at, Release);
        self.wake_far::<W, END>(w);
    }

    /// After a change that the far end may sleep for.
    #[inline]
    fn wake_far<W: Wait, const END: bool>(&self, w: &W) {
        w.fence_lightly();
        if self.far::<END>().asleep.load(Relaxed) != 0 {
            wake(self.far::<END>().asleep, w);
        }
    }

    /// The party at this end has gone.
    fn close<W: Wait, const END: bool>(&self, w: &W) {
        // Release pairs with the Acquire in `enter_slow`: who sees the close sees every commit before it.
        self.end::<END>().closed.store(CLOSED, Release);
        self.wake_far::<W, END>(w);
    }

    /// The producer has gone: the consumer gets what is there, and then [`RingError::ShutDown`].
    pub fn close_put<W: Wait>(&self, w: &W) {
        self.close::<W, PUT>(w);
    }

    /// The consumer has gone: the producer gets [`RingError::ShutDown`].
    pub fn close_get<W: Wait>(&self, w: &W) {
        self.close::<W, GET>(w);
    }

    /// Whether the producer has gone.
    pub fn put_is_closed(&self) -> bool {
        self.quiet.put_closed.load(Relaxed) == CLOSED
    }

    /// Whether the consumer has gone.
    pub fn get_is_closed(&self) -> bool {
        self.quiet.get_closed.load(Relaxed) == CLOSED
    }

    /// The number of items, true at some instant of the call if that is one of the two parties'.
    pub fn len(&self) -> u32 {
        // In this order the difference is not negative for either party: its own cursor stands still meanwhile.
        let head = self.head.load(Acquire);
        self.tail.load(Acquire).wrapping_sub(head)
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Place {
    /// How much can pass this end, as far as is known.
    #[inline]
    fn allowance<const END: bool>(&self, bound: u32) -> u32 {
        match END {
            PUT => bound.wrapping_sub(self.at.wrapping_sub(self.seen)),
            GET => self.seen.wrapping_sub(self.at),
        }
    }
}

#[cold]
#[inline(never)]
fn wake<W: Wait>(asleep: &AtomicU32, w: &W) {
    // Relaxed: what it is woken for it looks at itself. If it has not gone to sleep by now, it will not.
    if asleep.swap(0, Relaxed) != 0 {
        w.wake(asleep, 1);
    }
}

/// A ring for two and its cells, borrowed. `T` is moved by copying its bytes.
pub struct Spsc<'a, T> {
    ring: &'a RawSpsc,
    cells: NonNull<T>,
    shape: Shape,
    life: PhantomData<&'a T>,
}

impl<'a, T> Spsc<'a, T> {
    /// A view of a ring and its cells.
    ///
    /// # Safety
    /// - `cells` points to [`Shape::cells`] cells, readable and writable, aligned for `T`, for `'a`.
    /// - Everybody who uses `ring` passes the same cells, shape and `T`.
    /// - One thread at a time puts, with one [`Place`] that is used for nothing else; one thread at a time gets, likewise.
    /// - If these are different threads, `T` is `Send`.
    #[inline]
    #[must_use]
    pub const unsafe fn new(ring: &'a RawSpsc, cells: NonNull<T>, shape: Shape) -> Self {
        Self { ring, cells, shape, life: PhantomData }
    }

    /// The `at`th cell, and how many there are from it on in one piece.
    #[inline]
    fn run(&self, at: u32) -> (*mut T, u32) {
        let last = self.shape.cells() - 1;
        let index = at & last;
        // SAFETY: index <= last, and there are last + 1 cells by the contract of `new`.
        (unsafe { self.cells.as_ptr().add(index as usize) }, last + 1 - index)
    }

    /// Puts one item: calls `write` with the cell, which must then hold a `T`, and commits. An error comes before
    /// `write`. If `write` panics nothing was put.
    ///
    /// # Errors
    /// [`RingError`]: `Full`, `TimedOut`, `Interrupted`, `ShutDown` (the consumer has gone).
    #[inline]
    pub fn push<W: Wait>(
        &self,
        place: &mut Place,
        w: &W,
        patience: Patience,
        write: impl FnOnce(*mut T),
    ) -> Result<(), RingError> {
        self.ring.enter::<W, PUT>(place, w, self.shape.capacity(), 1, patience)?;
        write(self.run(place.at).0);
        self.ring.commit::<W, PUT>(place, w, 1);
        Ok(())
    }

    /// Takes one item: calls `read` with the cell, which it must move the `T` out of, and commits. An error comes
    /// before `read`. If `read` panics nothing was taken.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown` (the producer has gone, and there is nothing left).
    #[inline]
    pub fn pop<W: Wait, R>(
        &self,
        place: &mut Place,
        w: &W,
        patience: Patience,
        read: impl FnOnce(*const T) -> R,
    ) -> Result<R, RingError> {
        self.ring.enter::<W, GET>(place, w, self.shape.capacity(), 1, patience)?;
        let value = read(self.run(place.at).0);
        self.ring.commit::<W, GET>(place, w, 1);
        Ok(value)
    }

    /// Puts as many of `count` items as there is room for, at least one, in one commit. `write` is called once or
    /// twice with cells in one piece, the number of the first item that goes there, and how many do.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_many<W: Wait>(
        &self,
        place: &mut Place,
        w: &W,
        patience: Patience,
        count: u32,
        mut write: impl FnMut(*mut T, usize, usize),
    ) -> Result<u32, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let bound = self.shape.capacity();
        let room = self.ring.enter::<W, PUT>(place, w, bound, count.min(bound), patience)?;
        let n = room.min(count);
        self.runs(place.at, n, &mut write);
        self.ring.commit::<W, PUT>(place, w, n);
        Ok(n)
    }

    /// Takes as many items as there are, at least one and at most `count`, in one commit. `read` is called as
    /// `write` in [`push_many`](Self::push_many).
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    #[inline]
    pub fn pop_many<W: Wait>(
        &self,
        place: &mut Place,
        w: &W,
        patience: Patience,
        count: u32,
        mut read: impl FnMut(*const T, usize, usize),
    ) -> Result<u32, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let bound = self.shape.capacity();
        let there = self.ring.enter::<W, GET>(place, w, bound, count.min(bound), patience)?;
        let n = there.min(count);
        self.runs(place.at, n, &mut |cells, from, n| read(cells, from, n));
        self.ring.commit::<W, GET>(place, w, n);
        Ok(n)
    }

    /// Calls `take` with each cell that holds an item. If `take` panics, those that it was not called for are lost.
    ///
    /// # Safety
    /// Nobody else uses the ring meanwhile, nor ever again.
    pub unsafe fn abandon(&self, mut take: impl FnMut(*mut T)) {
        let head = self.ring.head.load(Relaxed);
        for i in 0..self.ring.len() {
            take(self.run(head.wrapping_add(i)).0);
        }
    }

    #[inline]
    fn runs(&self, at: u32, n: u32, touch: &mut impl FnMut(*mut T, usize, usize)) {
        let (cells, whole) = self.run(at);
        let first = whole.min(n);
        touch(cells, 0, first as usize);
        if first < n {
            touch(self.cells.as_ptr(), first as usize, (n - first) as usize);
        }
    }
}

impl<T> fmt::Debug for Spsc<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spsc").field("len", &self.ring.len()).field("shape", &self.shape).finish()
    }
}
