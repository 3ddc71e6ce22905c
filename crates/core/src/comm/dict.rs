//! A map from bytes to bytes, under one lock, that a death at any instruction leaves as it was or as it was to be.
//!
//! | what | is |
//! |---|---|
//! | bucket | A link to the first entry whose key's hash ends in the bucket's number, 0: there is none. |
//! | entry | A [block](super::store): in its word, the link to the next entry (low half) and the hash (high half); key; value. |
//! | `mutex` | A [`RawMutex`]. `INCONSISTENT`: the map of the store and the counts must be made anew before anything is put. |
//! | `len`, `used` | How many entries, how many units they take. Like the map of the store, they follow from the links. |
//! | `rover` | Where to look for room first. A hint. |
//!
//! The links alone say what is in the dict. Each change is one store to one link: to insert, an entry that is whole and leads to what
//! the link led to; to replace, an entry that leads to what the old one leads to; to remove, what the old one leads to. Whatever
//! follows from the links is changed before or after, and made anew by whoever takes over from the dead.

use super::store::{Block, Corrupt, Full, Store};
use crate::primitive::Ordering::{Relaxed, Release};
use crate::primitive::{AtomicU32, constructor};
use crate::sync::mutex::{Claim, INCONSISTENT, RawMutex};
use crate::wait::Wait;

/// The words of a dict beside its buckets and its store.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawDict {
    mutex: RawMutex,
    len: AtomicU32,
    used: AtomicU32,
    rover: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawDict>() == 16);

impl RawDict {
    constructor! {
        /// An empty dict.
        pub fn new() -> Self {
            Self {
                mutex: RawMutex::new(),
                len: AtomicU32::new(0),
                used: AtomicU32::new(0),
                rover: AtomicU32::new(0),
            }
        }
    }

    /// Its lock, to be taken before anything is looked at.
    #[inline]
    pub fn mutex(&self) -> &RawMutex {
        &self.mutex
    }

    /// How many entries there are. Stale as soon as it is returned unless the lock is held.
    pub fn len(&self) -> u32 {
        self.len.load(Relaxed)
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

/// A dict whose lock the caller holds.
#[derive(Clone, Copy, Debug)]
pub struct Dict<'a> {
    raw: &'a RawDict,
    buckets: &'a [AtomicU32],
    store: Store<'a>,
}

/// An entry, and the link that leads to it.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    from: From,
    entry: Block,
}

impl Found {
    /// The entry: its key is the first run of the block, its value the second.
    #[must_use]
    pub fn entry(&self) -> Block {
        self.entry
    }
}

#[derive(Clone, Copy, Debug)]
enum From {
    Bucket(usize),
    Entry(Block),
}

/// The hash of a key: FNV-1a, 64 bits, folded.
#[must_use]
pub fn hash(key: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (hash >> 32) as u32 ^ hash as u32
}

impl<'a> Dict<'a> {
    /// The dict in these words, of which the caller has just taken the lock by `claim`. What a death has left is put in order first.
    ///
    /// # Errors
    /// [`Corrupt`]: the links contradict each other. The lock is held all the same.
    ///
    /// # Panics
    /// If the number of buckets is not a power of two.
    pub fn enter(
        raw: &'a RawDict,
        buckets: &'a [AtomicU32],
        store: Store<'a>,
        claim: Claim,
    ) -> Result<Self, Corrupt> {
        assert!(buckets.len().is_power_of_two());
        let this = Self { raw, buckets, store };
        if claim != Claim::Clean {
            this.recover()?;
        }
        Ok(this)
    }

    /// Lets go of the lock.
    pub fn leave<W: Wait>(self, w: &W) {
        self.raw.mutex.unlock(w, 0);
    }

    /// Lets go of the lock of a dict that is [`Corrupt`].
    pub fn abandon<W: Wait>(raw: &RawDict, w: &W) {
        raw.mutex.unlock(w, INCONSISTENT);
    }

    /// Makes everything anew that follows from the links. Whoever dies here leaves it to the next.
    #[cold]
    fn recover(&self) -> Result<(), Corrupt> {
        self.store.forget();
        let (mut len, mut used) = (0, 0);
        for bucket in 0..self.buckets.len() {
            let mut link = self.buckets[bucket].load(Relaxed);
            while link != 0 {
                let entry = self.store.block(link)?;
                // Each turn takes units that no turn has taken, so there is an end.
                self.store.mark(entry)?;
                len += 1;
                used += self.store.footprint(entry);
                link = self.next(entry);
            }
        }
        self.raw.len.store(len, Relaxed);
        self.raw.used.store(used, Relaxed);
        Ok(())
    }

    /// The entry with this key.
    pub fn find(&self, key: &[u8]) -> Result<Option<Found>, Corrupt> {
        let hash = hash(key);
        let bucket = hash as usize & (self.buckets.len() - 1);
        let mut from = From::Bucket(bucket);
        // A chain has no more entries than there are units; longer ones run in a circle.
        for _ in 0..=self.store.units() {
            let link = self.link(from);
            if link == 0 {
                return Ok(None);
            }
            let entry = self.store.block(link)?;
            let is_it = (self.store.word(entry).load(Relaxed) >> 32) as u32 == hash;
            if is_it && self.store.first_is(entry, key) {
                return Ok(Some(Found { from, entry }));
            }
            from = From::Entry(entry);
        }
        Err(Corrupt)
    }

    /// Puts an entry with this key and value, in the place of `found`, which [`find`](Self::find) has returned for this key.
    pub fn put(&self, found: Option<Found>, key: &[u8], value: &[u8]) -> Result<(), Full> {
        let hash = hash(key);
        let (from, next) = match found {
            Some(found) => (found.from, self.next(found.entry)),
            None => {
                let from = From::Bucket(hash as usize & (self.buckets.len() - 1));
                (from, self.link(from))
            }
        };
        let word = u64::from(next) | u64::from(hash) << 32;
        let entry = self.store.put(self.raw.rover.load(Relaxed), word, key, value)?;
        // The commit.
        self.set_link(from, entry.link());
        let footprint = self.store.footprint(entry);
        self.raw.rover.store(entry.link() - 1 + footprint, Relaxed);
        self.count(1, footprint);
        if let Some(found) = found {
            self.forget(found.entry);
        }
        Ok(())
    }

    /// Removes an entry.
    pub fn remove(&self, found: Found) {
        // The commit.
        self.set_link(found.from, self.next(found.entry));
        self.forget(found.entry);
    }

    /// The first entry of a bucket, which [`after`](Self::after) goes on from. `Ok(None)`: it is empty.
    pub fn first(&self, bucket: usize) -> Result<Option<Block>, Corrupt> {
        self.optional(self.buckets[bucket].load(Relaxed))
    }

    /// The entry after this one in its bucket. The caller bounds its steps by [`Store::units`].
    pub fn after(&self, entry: Block) -> Result<Option<Block>, Corrupt> {
        self.optional(self.next(entry))
    }

    /// How many buckets there are.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Where the entries are.
    #[must_use]
    pub fn store(&self) -> Store<'a> {
        self.store
    }

    fn optional(&self, link: u32) -> Result<Option<Block>, Corrupt> {
        if link == 0 { Ok(None) } else { self.store.block(link).map(Some) }
    }

    fn next(&self, entry: Block) -> u32 {
        self.store.word(entry).load(Relaxed) as u32
    }

    fn link(&self, from: From) -> u32 {
        match from {
            From::Bucket(bucket) => self.buckets[bucket].load(Relaxed),
            From::Entry(entry) => self.next(entry),
        }
    }

    /// The one store that changes what is in the dict.
    fn set_link(&self, from: From, link: u32) {
        // Release: what it leads to is whole before, also in the eyes of one who takes over from us at the next instruction. Those who
        // come by the lock are served by its orderings.
        match from {
            From::Bucket(bucket) => self.buckets[bucket].store(link, Release),
            From::Entry(entry) => {
                let word = self.store.word(entry);
                let hash = word.load(Relaxed) & !u64::from(u32::MAX);
                word.store(hash | u64::from(link), Release);
            }
        }
    }

    /// Takes an entry out of all that follows from the links. Not before the commit: its units may be another's next.
    fn forget(&self, entry: Block) {
        self.store.free(entry);
        self.count(1_u32.wrapping_neg(), self.store.footprint(entry).wrapping_neg());
    }

    fn count(&self, entries: u32, units: u32) {
        // Under the lock, so nobody else writes. Wrapping, since a peer may have written anything there.
        self.raw.len.store(self.raw.len.load(Relaxed).wrapping_add(entries), Relaxed);
        self.raw.used.store(self.raw.used.load(Relaxed).wrapping_add(units), Relaxed);
    }
}
