//! A stock in shared memory: slots that say by one word each whether they hold an item, and an index over them.
//!
//! | `state` of a slot | meaning |
//! |---|---|
//! | `EMPTY` | Nothing is here. Fresh memory is an empty slot. |
//! | `FULL` | An item is here, whole, with its length, its key and its number. |
//!
//! A put is committed by the store of `FULL`, a get by the store of `EMPTY`. The slots are the truth; the [`order`](super::order)
//! is an index, which a death leaves to the next holder of the lock to make anew.

use core::fmt;
use core::ptr::NonNull;

use super::order::{Index, Order, Place};
use super::ring::{Patience, RingError};
use super::stock::{GET, PUT, RawStock, Turn};
use crate::primitive::Ordering::{Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::wait::Wait;

/// The largest bound of a shelf, in items.
pub const MAX_CAPACITY: u32 = 1 << 26;

const EMPTY: u32 = 0;
const FULL: u32 = 1;

/// The words of a slot. All-zero is an empty one.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Slot {
    state: AtomicU32,
    len: AtomicU32,
    key: AtomicU64,
    stamp: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Slot>() == 24);
    assert!(offset_of!(Slot, state) == 0);
    assert!(offset_of!(Slot, len) == 4);
    assert!(offset_of!(Slot, key) == 8);
    assert!(offset_of!(Slot, stamp) == 16);
};

impl Slot {
    constructor! {
        /// An empty slot.
        pub fn new() -> Self {
            Self {
                state: AtomicU32::new(EMPTY),
                len: AtomicU32::new(0),
                key: AtomicU64::new(0),
                stamp: AtomicU64::new(0),
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.state.load(Relaxed) == FULL
    }

    /// Key and number.
    pub(super) fn rank(&self) -> (u64, u64) {
        (self.key.load(Relaxed), self.stamp.load(Relaxed))
    }
}

/// The dimensions of a shelf. A private copy: what a segment says is never read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    bound: u32,
    units: u32,
    order: Order,
}

impl Shape {
    /// A shelf of up to `capacity` items of up to `units` cells each. `None`: either is zero, or the capacity is more
    /// than [`MAX_CAPACITY`].
    #[must_use]
    pub const fn new(order: Order, capacity: u32, units: u32) -> Option<Self> {
        if capacity == 0 || capacity > MAX_CAPACITY || units == 0 {
            return None;
        }
        Some(Self { bound: capacity, units, order })
    }

    /// The largest number of items; as many slots and places the shelf needs.
    #[inline]
    #[must_use]
    pub const fn capacity(self) -> u32 {
        self.bound
    }

    /// The cells of an item.
    #[inline]
    #[must_use]
    pub const fn units(self) -> u32 {
        self.units
    }

    /// The number of cells that this shelf needs.
    #[inline]
    #[must_use]
    pub const fn cells(self) -> u64 {
        self.bound as u64 * self.units as u64
    }
}

/// A stock with its slots, its index and its cells, borrowed.
pub struct Shelf<'a, T> {
    stock: &'a RawStock,
    slots: &'a [Slot],
    index: Index<'a>,
    cells: NonNull<T>,
    shape: Shape,
}

impl<T> Clone for Shelf<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shelf<'_, T> {}

impl<'a, T> Shelf<'a, T> {
    /// A view of a stock and what belongs to it.
    ///
    /// # Safety
    /// - `slots` and `places` are as many as the shape's capacity.
    /// - `cells` points to [`Shape::cells`] cells, readable and writable, aligned for `T`, for `'a`.
    /// - Everybody who uses `stock` passes the same of all of them, or else `T` is valid for any bytes and has no drop glue.
    /// - If it is shared between threads, `T` is `Send`.
    #[inline]
    #[must_use]
    pub const unsafe fn new(
        stock: &'a RawStock,
        slots: &'a [Slot],
        places: &'a [Place],
        cells: NonNull<T>,
        shape: Shape,
    ) -> Self {
        Self { stock, slots, index: Index { places, order: shape.order }, cells, shape }
    }

    /// Puts one item: calls `write` with its cells, of which it says how many it used, and commits. An error comes before
    /// `write`. If `write` panics nothing was put. It must not use the same shelf.
    ///
    /// # Errors
    /// [`RingError`]: `Full`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`.
    #[inline]
    pub fn push<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        key: u64,
        write: impl FnOnce(*mut T) -> u32,
    ) -> Result<(), RingError> {
        let turn = self.enter::<W, PUT>(w, patience)?;
        if !self.put(turn, turn.len(), key, write) {
            return Err(turn.give_up());
        }
        turn.finish(turn.len() + 1, 1);
        Ok(())
    }

    /// Takes the item whose turn it is: calls `read` with its cells, how many are used, and its key, and commits. An
    /// error comes before `read`. If `read` panics nothing was taken. It must not use the same shelf.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`.
    #[inline]
    pub fn pop<W: Wait, R>(
        &self,
        w: &W,
        patience: Patience,
        read: impl FnOnce(*const T, u32, u64) -> R,
    ) -> Result<R, RingError> {
        let turn = self.enter::<W, GET>(w, patience)?;
        let Some(value) = self.take(turn, turn.len(), read) else {
            return Err(turn.give_up());
        };
        turn.finish(turn.len() - 1, 1);
        Ok(value)
    }

    /// Puts as many of `count` items as there is room for, at least one, under one lock; each is a commit of its own.
    /// `write` is called with the number of each item and its cells, and says its key and how many it used.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_many<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        count: u32,
        key: impl Fn(u32) -> u64,
        mut write: impl FnMut(u32, *mut T) -> u32,
    ) -> Result<u32, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let turn = self.enter::<W, PUT>(w, patience)?;
        let n = turn.allowance().min(count);
        for i in 0..n {
            if !self.put(turn, turn.len() + i, key(i), |cells| write(i, cells)) {
                return Err(turn.give_up());
            }
        }
        turn.finish(turn.len() + n, n);
        Ok(n)
    }

    /// Takes as many items as there are, at least one and at most `count`, under one lock; each is a commit of its own.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    pub fn pop_many<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        count: u32,
        mut read: impl FnMut(*const T, u32, u64),
    ) -> Result<u32, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let turn = self.enter::<W, GET>(w, patience)?;
        let n = turn.allowance().min(count);
        for i in 0..n {
            if self.take(turn, turn.len() - i, &mut read).is_none() {
                return Err(turn.give_up());
            }
        }
        turn.finish(turn.len() - n, n);
        Ok(n)
    }

    #[inline]
    fn enter<W: Wait, const END: bool>(
        &self,
        w: &'a W,
        patience: Patience,
    ) -> Result<Turn<'a, W, END>, RingError> {
        self.stock
            .enter::<W, END>(w, self.shape.bound, patience, || Some(self.index.rebuild(self.slots)))
    }

    /// Puts an item beside `len` others. False: the index names no empty slot.
    #[inline]
    fn put<W: Wait>(
        &self,
        turn: Turn<'_, W, PUT>,
        len: u32,
        key: u64,
        write: impl FnOnce(*mut T) -> u32,
    ) -> bool {
        let number = self.index.free(len) as usize;
        let Some(slot) = self.slots.get(number) else { return false };
        if slot.state.load(Relaxed) != EMPTY {
            return false;
        }
        turn.begin();
        let used = turn.hold(|| write(self.cells(number)));
        let stamp = turn.stamp();
        slot.len.store(used, Relaxed);
        slot.key.store(key, Relaxed);
        slot.stamp.store(stamp, Relaxed);
        // The commit. Release: what has come before is there when this is; that is what counts at a death.
        slot.state.store(FULL, Release);
        self.index.push(len, key, stamp);
        true
    }

    /// Takes the next of `len` items. `None`: the index names no full slot.
    #[inline]
    fn take<W: Wait, R>(
        &self,
        turn: Turn<'_, W, GET>,
        len: u32,
        read: impl FnOnce(*const T, u32, u64) -> R,
    ) -> Option<R> {
        let number = self.index.next(len) as usize;
        let slot = self.slots.get(number)?;
        if slot.state.load(Relaxed) != FULL {
            return None;
        }
        let (used, key) = (slot.len.load(Relaxed).min(self.shape.units), slot.key.load(Relaxed));
        turn.begin();
        let value = turn.hold(|| read(self.cells(number), used, key));
        // The commit. Release: the cells have been read.
        slot.state.store(EMPTY, Release);
        self.index.pop(len);
        Some(value)
    }

    /// The cells of a slot, whose number is below the bound.
    #[inline]
    fn cells(&self, number: usize) -> *mut T {
        // SAFETY: within the cells, by the contract of `new`.
        unsafe { self.cells.as_ptr().add(number * self.shape.units as usize) }
    }
}

impl<T> fmt::Debug for Shelf<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("len", &self.stock.len()).field("shape", &self.shape).finish()
    }
}
