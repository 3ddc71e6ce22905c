//! The index of a stock in shared memory: which slot comes out next, and which is free.
//!
//! The first `len` places name the slots that are full, as a stack or as a heap; the others name those that are free. It can be
//! made anew from the slots at any time, and is trusted no further than that a number below the bound is one.

use super::shelf::Slot;
use crate::primitive::Ordering::Relaxed;
use crate::primitive::{AtomicU32, AtomicU64, constructor};

/// Children of a place in the heap: four make it half as deep as two, and lie together.
const CHILDREN: usize = 4;

/// In which order items come out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The last that was put comes first.
    Lifo,
    /// The smallest key comes first; of equal ones that which was put first.
    Priority,
}

/// One place of the index. All-zero is a place.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Place {
    slot: AtomicU32,
    _reserved: u32,
    key: AtomicU64,
    stamp: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Place>() == 24);
    assert!(offset_of!(Place, slot) == 0);
    assert!(offset_of!(Place, key) == 8);
    assert!(offset_of!(Place, stamp) == 16);
};

/// What a place says. Relaxed throughout: places are touched only under the lock.
#[derive(Clone, Copy)]
struct Entry {
    slot: u32,
    key: u64,
    stamp: u64,
}

impl Place {
    constructor! {
        /// A place.
        pub fn new() -> Self {
            Self { slot: AtomicU32::new(0), _reserved: 0, key: AtomicU64::new(0), stamp: AtomicU64::new(0) }
        }
    }

    #[inline]
    fn get(&self) -> Entry {
        Entry {
            slot: self.slot.load(Relaxed),
            key: self.key.load(Relaxed),
            stamp: self.stamp.load(Relaxed),
        }
    }

    #[inline]
    fn set(&self, entry: Entry) {
        self.slot.store(entry.slot, Relaxed);
        self.key.store(entry.key, Relaxed);
        self.stamp.store(entry.stamp, Relaxed);
    }
}

/// The places of a stock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index<'a> {
    pub(super) places: &'a [Place],
    pub(super) order: Order,
}

impl Index<'_> {
    /// The slot that the next item goes to, when there are `len`, fewer than places.
    #[inline]
    pub(super) fn free(self, len: u32) -> u32 {
        self.places[len as usize].slot.load(Relaxed)
    }

    /// The slot of the item that comes out next, when there are `len`, at least one.
    #[inline]
    pub(super) fn next(self, len: u32) -> u32 {
        let at = if self.order == Order::Lifo { len as usize - 1 } else { 0 };
        self.places[at].slot.load(Relaxed)
    }

    /// The `len + 1`st item is in slot [`free`](Self::free).
    #[inline]
    pub(super) fn push(self, len: u32, key: u64, stamp: u64) {
        let at = len as usize;
        let entry = Entry { slot: self.places[at].slot.load(Relaxed), key, stamp };
        match self.order {
            Order::Lifo => self.places[at].set(entry),
            Order::Priority => self.rise(at, entry),
        }
    }

    /// The item of slot [`next`](Self::next) is gone, and the slot is free.
    #[inline]
    pub(super) fn pop(self, len: u32) {
        if self.order == Order::Priority {
            let last = len as usize - 1;
            let (next, moved) = (self.places[0].slot.load(Relaxed), self.places[last].get());
            self.sink(moved, last);
            self.places[last].slot.store(next, Relaxed);
        }
    }

    /// Makes the index anew from the slots, and says how many are full. The slots are as many as the places.
    pub(super) fn rebuild(self, slots: &[Slot]) -> u32 {
        let (mut full, mut free) = (0, self.places.len());
        for (number, slot) in slots.iter().enumerate().take(free) {
            let (key, stamp) = slot.rank();
            let entry = Entry { slot: number as u32, key, stamp };
            if slot.is_full() {
                self.places[full].set(entry);
                full += 1;
            } else {
                free -= 1;
                self.places[free].set(entry);
            }
        }
        for at in (0..full / CHILDREN + 1).rev() {
            if at < full {
                self.sink_from(at, self.places[at].get(), full);
            }
        }
        if self.order == Order::Lifo {
            // What sinks least is what comes out first, so taking one after the other from the front leaves the front in
            // the order of a stack.
            for last in (1..full).rev() {
                let (next, moved) = (self.places[0].get(), self.places[last].get());
                self.sink(moved, last);
                self.places[last].set(next);
            }
        }
        full as u32
    }

    /// What comes out before what: the smaller rank.
    #[inline]
    fn rank(self, key: u64, stamp: u64) -> u128 {
        match self.order {
            Order::Lifo => u128::from(!stamp),
            Order::Priority => u128::from(key) << 64 | u128::from(stamp),
        }
    }

    #[inline]
    fn rank_at(self, at: usize) -> u128 {
        let place = &self.places[at];
        self.rank(place.key.load(Relaxed), place.stamp.load(Relaxed))
    }

    /// Puts the entry in place `at`, or nearer to the front.
    #[inline]
    fn rise(self, mut at: usize, entry: Entry) {
        let rank = self.rank(entry.key, entry.stamp);
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if self.rank_at(parent) <= rank {
                break;
            }
            self.places[at].set(self.places[parent].get());
            at = parent;
        }
        self.places[at].set(entry);
    }

    /// Takes the first of the heap out, and puts in the entry; the heap has `len` places.
    #[inline]
    fn sink(self, entry: Entry, len: usize) {
        if len > 0 {
            self.sink_from(0, entry, len);
        }
    }

    #[inline]
    fn sink_from(self, mut at: usize, entry: Entry, len: usize) {
        let rank = self.rank(entry.key, entry.stamp);
        loop {
            let first = at * CHILDREN + 1;
            if first >= len {
                break;
            }
            let (mut best, mut least) = (first, self.rank_at(first));
            for child in first + 1..len.min(first + CHILDREN) {
                let other = self.rank_at(child);
                if other < least {
                    (best, least) = (child, other);
                }
            }
            if rank <= least {
                break;
            }
            self.places[at].set(self.places[best].get());
            at = best;
        }
        self.places[at].set(entry);
    }
}
