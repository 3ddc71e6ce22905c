//! A sequence of runs of bytes, under one lock, that a death at any instruction leaves as it was or as it was to be.
//!
//! | what | is |
//! |---|---|
//! | slot | A link to the item at that place: a [block](super::store) whose second run it is. |
//! | slots | Two arrays of them, of which one counts. |
//! | `root` | How many items there are (low half), and which array counts (bit 32). |
//! | `mutex` | A [`RawMutex`]. `INCONSISTENT`: the map of the store and the count must be made anew before anything is put. |
//! | `used` | How many units the items take. Like the map of the store, it follows from root and slots. |
//! | `rover` | Where to look for room first. A hint. |
//!
//! The root and the slots that it counts say alone what is in the list. Each change is one store: to the root, to put something at
//! the end or take it away, with the slot behind the end written before; to a slot, to replace an item; to the root, for all else, once
//! the other array has been written.

use super::store::{Block, Corrupt, Full, Store};
use crate::primitive::Ordering::{Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::sync::mutex::{Claim, INCONSISTENT, RawMutex};
use crate::wait::Wait;

/// Which of the two arrays counts.
const OTHER: u64 = 1 << 32;

/// The words of a list beside its slots and its store.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawList {
    mutex: RawMutex,
    used: AtomicU32,
    root: AtomicU64,
    rover: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawList>() == 24);

impl RawList {
    constructor! {
        /// An empty list.
        pub fn new() -> Self {
            Self {
                mutex: RawMutex::new(),
                used: AtomicU32::new(0),
                root: AtomicU64::new(0),
                rover: AtomicU32::new(0),
            }
        }
    }

    /// Its lock, to be taken before anything is looked at.
    #[inline]
    pub fn mutex(&self) -> &RawMutex {
        &self.mutex
    }

    /// How many items there are. Stale as soon as it is returned unless the lock is held.
    pub fn len(&self) -> u32 {
        self.root.load(Relaxed) as u32
    }

    /// Whether there are none; as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many units of the store are taken; as [`len`](Self::len).
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }
}

/// A list whose lock the caller holds.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    raw: &'a RawList,
    slots: [&'a [AtomicU32]; 2],
    store: Store<'a>,
}

impl<'a> List<'a> {
    /// The list in these words, of which the caller has just taken the lock by `claim`. What a death has left is put in order first.
    ///
    /// # Errors
    /// [`Corrupt`]: root and slots contradict each other. The lock is held all the same.
    ///
    /// # Panics
    /// If the arrays are not of one length.
    pub fn enter(
        raw: &'a RawList,
        slots: [&'a [AtomicU32]; 2],
        store: Store<'a>,
        claim: Claim,
    ) -> Result<Self, Corrupt> {
        assert!(slots[0].len() == slots[1].len());
        let this = Self { raw, slots, store };
        if raw.len() as usize > slots[0].len() {
            return Err(Corrupt);
        }
        if claim != Claim::Clean {
            this.recover()?;
        }
        Ok(this)
    }

    /// Lets go of the lock.
    pub fn leave<W: Wait>(self, w: &W) {
        self.raw.mutex.unlock(w, 0);
    }

    /// Lets go of the lock of a list that is [`Corrupt`].
    pub fn abandon<W: Wait>(raw: &RawList, w: &W) {
        raw.mutex.unlock(w, INCONSISTENT);
    }

    /// Makes everything anew that follows from root and slots. Whoever dies here leaves it to the next.
    #[cold]
    fn recover(&self) -> Result<(), Corrupt> {
        self.store.forget();
        let mut used = 0;
        for slot in self.items() {
            let item = self.store.block(slot.load(Relaxed))?;
            self.store.mark(item)?;
            used += self.store.footprint(item);
        }
        self.raw.used.store(used, Relaxed);
        Ok(())
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`, which is the second run of the block. An error also if there is none.
    pub fn item(&self, index: usize) -> Result<Block, Corrupt> {
        let slot = self.items().get(index).ok_or(Corrupt)?;
        self.store.block(slot.load(Relaxed))
    }

    /// Where the items are.
    #[must_use]
    pub fn store(&self) -> Store<'a> {
        self.store
    }

    /// Puts an item at the end.
    pub fn push(&self, bytes: &[u8]) -> Result<(), Full> {
        let (which, len) = self.root();
        let slot = self.slots[which].get(len).ok_or(Full)?;
        slot.store(self.put(bytes)?.link(), Relaxed);
        self.set_root(which, len + 1);
        Ok(())
    }

    /// Puts an item in the place of the one at `index`, which is there.
    pub fn set(&self, index: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let slot = self.items().get(index).ok_or(Corrupt)?;
        let old = self.store.block(slot.load(Relaxed))?;
        let new = self.put(bytes)?;
        // The commit. Release: the item is whole before, also in the eyes of one who takes over from us at the next instruction.
        slot.store(new.link(), Release);
        self.forget(old);
        Ok(())
    }

    /// Puts an item before the one at `index`, or at the end.
    pub fn insert(&self, index: usize, bytes: &[u8]) -> Result<(), Full> {
        let (which, len) = self.root();
        if index >= len {
            return self.push(bytes);
        }
        let old = &self.slots[which][..len];
        let new = self.slots[1 - which].get(..=len).ok_or(Full)?;
        let link = self.put(bytes)?.link();
        copy(&old[..index], &new[..index]);
        new[index].store(link, Relaxed);
        copy(&old[index..], &new[index + 1..]);
        self.set_root(1 - which, len + 1);
        Ok(())
    }

    /// Takes the item at `index` away, which is there.
    pub fn remove(&self, index: usize) -> Result<(), Corrupt> {
        let (which, len) = self.root();
        let old = &self.slots[which][..len];
        let item = self.store.block(old.get(index).ok_or(Corrupt)?.load(Relaxed))?;
        if index + 1 == len {
            self.set_root(which, len - 1);
        } else {
            let new = &self.slots[1 - which][..len - 1];
            copy(&old[..index], &new[..index]);
            copy(&old[index + 1..], &new[index..]);
            self.set_root(1 - which, len - 1);
        }
        self.forget(item);
        Ok(())
    }

    /// Takes all items away.
    pub fn clear(&self) {
        let (which, _) = self.root();
        self.set_root(which, 0);
        self.store.forget();
        self.raw.used.store(0, Relaxed);
    }

    fn root(&self) -> (usize, usize) {
        let root = self.raw.root.load(Relaxed);
        // No more than there are slots: `enter` has looked, but a hostile peer may have written since.
        (usize::from(root & OTHER != 0), (root as u32 as usize).min(self.slots[0].len()))
    }

    /// The one store that changes which items there are.
    fn set_root(&self, which: usize, len: usize) {
        let which = if which == 0 { 0 } else { OTHER };
        // The commit. Release: slots and items are whole before, also in the eyes of one who takes over from us at the next instruction.
        // Those who come by the lock are served by its orderings.
        self.raw.root.store(which | len as u64, Release);
    }

    /// The slots that count.
    fn items(&self) -> &'a [AtomicU32] {
        let (which, len) = self.root();
        &self.slots[which][..len]
    }

    fn put(&self, bytes: &[u8]) -> Result<Block, Full> {
        let item = self.store.put(self.raw.rover.load(Relaxed), 0, &[], bytes)?;
        let footprint = self.store.footprint(item);
        self.raw.rover.store(item.link() - 1 + footprint, Relaxed);
        self.raw.used.store(self.raw.used().wrapping_add(footprint), Relaxed);
        Ok(item)
    }

    /// Takes an item out of all that follows from root and slots.
    fn forget(&self, item: Block) {
        self.store.free(item);
        let footprint = self.store.footprint(item);
        self.raw.used.store(self.raw.used().wrapping_sub(footprint), Relaxed);
    }
}

/// Why an item cannot be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreError {
    /// There is no room for it.
    Full,
    /// The words contradict each other.
    Corrupt,
}

impl From<Full> for StoreError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<Corrupt> for StoreError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

fn copy(from: &[AtomicU32], to: &[AtomicU32]) {
    for (from, to) in from.iter().zip(to) {
        to.store(from.load(Relaxed), Relaxed);
    }
}
