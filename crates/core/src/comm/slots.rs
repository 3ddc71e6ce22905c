//! A ring of cells of one type: the queue of thread-only values, and of plain data between processes.
//!
//! Cell `i` of the ring's life is `cells[i % 2^k]`; units and items of the protocol are the same thing here. The number
//! of cells is a power of two, the bound any number up to it.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::ahead;
use super::ring::{GET, PUT, Patience, RawRing, RingError};
use super::turn::{Bound, Measure, Store};
use crate::wait::Wait;

/// The largest bound of a ring, in cells.
pub const MAX_CAPACITY: u32 = 1 << 30;

/// The dimensions of a ring of cells. A private copy: what a segment says is never read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    bound: u32,
    mask: u32,
}

impl Shape {
    /// A ring of up to `capacity` items. `None`: that is zero or more than [`MAX_CAPACITY`].
    #[inline]
    #[must_use]
    pub const fn new(capacity: u32) -> Option<Self> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            return None;
        }
        Some(Self { bound: capacity, mask: capacity.next_power_of_two() - 1 })
    }

    /// The largest number of items.
    #[inline]
    #[must_use]
    pub const fn capacity(self) -> u32 {
        self.bound
    }

    /// The number of cells that this ring needs.
    #[inline]
    #[must_use]
    pub const fn cells(self) -> u32 {
        self.mask + 1
    }
}

/// A ring and its cells, borrowed.
///
/// `T` is moved by copying its bytes. Whether a cell holds a `T` follows from the cursors alone: those between head and tail do.
pub struct Slots<'a, T> {
    ring: &'a RawRing,
    cells: NonNull<T>,
    shape: Shape,
    life: PhantomData<&'a T>,
}

/// A number of cells; one item is one cell.
#[derive(Clone, Copy)]
pub(super) struct Cells(pub(super) u32);

impl Measure for Cells {
    #[inline]
    fn unpack(word: u64) -> Self {
        Self(word as u32)
    }
    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.0)
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
    #[inline]
    fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
    #[inline]
    fn fits(self, bound: Self) -> bool {
        self.0 <= bound.0
    }
    #[inline]
    fn items(self) -> u32 {
        self.0
    }
}

impl<T> Clone for Slots<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<'_, T> {}

impl<'a, T> Slots<'a, T> {
    /// A view of a ring and its cells.
    ///
    /// # Safety
    /// - `cells` points to [`Shape::cells`] cells, readable and writable, aligned for `T`, for `'a`.
    /// - Everybody who uses `ring` passes the same cells, shape and `T`, or else `T` is valid for any bytes and
    ///   has no drop glue (a segment, which others may scribble on).
    /// - If the ring is shared between threads, `T` is `Send`.
    #[inline]
    #[must_use]
    pub const unsafe fn new(ring: &'a RawRing, cells: NonNull<T>, shape: Shape) -> Self {
        Self { ring, cells, shape, life: PhantomData }
    }

    /// The ring.
    #[inline]
    #[must_use]
    pub const fn ring(&self) -> &'a RawRing {
        self.ring
    }

    /// The cells from the `at`th on, `n` of them at most, that lie in one piece.
    #[inline]
    fn run(&self, at: u32, n: u32) -> (*mut T, u32) {
        let index = at & self.shape.mask;
        let n = n.min(self.shape.mask + 1 - index);
        // SAFETY: index <= mask, and there are mask + 1 cells by the contract of `new`.
        (unsafe { self.cells.as_ptr().add(index as usize) }, n)
    }

    /// The cell of the `at`th item.
    #[inline]
    pub(super) fn cell(&self, at: u32) -> *mut T {
        self.run(at, 1).0
    }

    /// How many items, and where they are.
    #[inline]
    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    #[inline]
    fn bound(&self) -> Bound<Cells> {
        Bound(Cells(self.shape.bound))
    }

    /// Puts one item: calls `write` with the cell, which must then hold a `T`, and commits. An error comes before
    /// `write`. If `write` panics nothing was put. It must not use the same ring.
    ///
    /// # Errors
    /// [`RingError`]: `Full`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`.
    #[inline]
    pub fn push<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        write: impl FnOnce(*mut T),
    ) -> Result<(), RingError> {
        self.push_in(self.bound(), w, patience, write)
    }

    #[inline]
    pub(super) fn push_in<W: Wait>(
        &self,
        store: impl Store<Measure = Cells>,
        w: &W,
        patience: Patience,
        write: impl FnOnce(*mut T),
    ) -> Result<(), RingError> {
        let one = Cells(1);
        let turn = self.ring.enter::<W, _, PUT>(w, store, one, one, patience)?;
        let (cell, _) = self.run(turn.at().0, 1);
        turn.hold(|| write(cell));
        turn.commit(one, 1);
        Ok(())
    }

    /// Takes one item: calls `read` with the cell, which it must move or copy the `T` out of, and commits. An
    /// error comes before `read`. If `read` panics nothing was taken. It must not use the same ring.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`.
    #[inline]
    pub fn pop<W: Wait, R>(
        &self,
        w: &W,
        patience: Patience,
        read: impl FnOnce(*const T) -> R,
    ) -> Result<R, RingError> {
        let one = Cells(1);
        let turn = self.ring.enter::<W, _, GET>(w, self.bound(), one, one, patience)?;
        let (cell, _) = self.run(turn.at().0, 1);
        let value = turn.hold(|| read(cell));
        turn.commit(one, 1);
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
        w: &W,
        patience: Patience,
        count: u32,
        write: impl FnMut(*mut T, usize, usize),
    ) -> Result<u32, RingError> {
        self.push_many_in(self.bound(), w, patience, count, write)
    }

    #[inline]
    pub(super) fn push_many_in<W: Wait>(
        &self,
        store: impl Store<Measure = Cells>,
        w: &W,
        patience: Patience,
        count: u32,
        mut write: impl FnMut(*mut T, usize, usize),
    ) -> Result<u32, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let (one, most) = (Cells(1), Cells(count.min(self.shape.bound)));
        let turn = self.ring.enter::<W, _, PUT>(w, store, one, most, patience)?;
        let n = turn.allowance().0.min(most.0);
        turn.hold(|| self.runs(turn.at().0, n, &mut write));
        let (next, free) = self.run(turn.at().0.wrapping_add(n), n.min(turn.allowance().0 - n));
        ahead::to_write(next, free as usize * size_of::<T>());
        turn.commit(Cells(n), n);
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
        w: &W,
        patience: Patience,
        count: u32,
        mut read: impl FnMut(*const T, usize, usize),
    ) -> Result<u32, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let (one, most) = (Cells(1), Cells(count.min(self.shape.bound)));
        let turn = self.ring.enter::<W, _, GET>(w, self.bound(), one, most, patience)?;
        let n = turn.allowance().0.min(most.0);
        turn.hold(|| self.runs(turn.at().0, n, &mut |cells, from, n| read(cells, from, n)));
        let (next, there) = self.run(turn.at().0.wrapping_add(n), n.min(turn.allowance().0 - n));
        ahead::to_read(next, there as usize * size_of::<T>());
        turn.commit(Cells(n), n);
        Ok(n)
    }

    /// Empties the ring, also one that is shut down: calls `take` with each cell that held an item. If `take` panics, those that it
    /// was not called for are gone too.
    ///
    /// # Safety
    /// Nobody else uses the ring meanwhile.
    pub unsafe fn abandon(&self, mut take: impl FnMut(*mut T)) {
        let (head, tail) = self.ring.abandon();
        let (head, tail) = (Cells::unpack(head), Cells::unpack(tail));
        for i in 0..tail.minus(head).0.min(self.shape.bound) {
            take(self.run(head.plus(Cells(i)).0, 1).0);
        }
    }

    #[inline]
    pub(super) fn runs(&self, at: u32, n: u32, touch: &mut impl FnMut(*mut T, usize, usize)) {
        let (cells, first) = self.run(at, n);
        touch(cells, 0, first as usize);
        if first < n {
            touch(self.cells.as_ptr(), first as usize, (n - first) as usize);
        }
    }
}

impl<T> fmt::Debug for Slots<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("len", &self.ring.len()).field("shape", &self.shape).finish()
    }
}
