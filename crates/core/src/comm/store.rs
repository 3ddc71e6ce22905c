//! Blocks of bytes in a memory of fixed size, and which parts of it are taken.
//!
//! | what | is |
//! |---|---|
//! | unit | 32 bytes, four words. A link is the number of a unit plus one; 0 leads nowhere. |
//! | block | Whole units: a word for its user, a word with two lengths, then two runs of bytes, each filled up to a word. |
//! | map | A bit per unit: set if it is taken. |
//!
//! The map says nothing that its user's links do not: a unit is taken if and only if a block lies there that a link leads to. So a death
//! at any instruction may leave it wrong, and whoever comes next makes it anew from the links ([`Store::forget`],
//! [`Store::mark`]). In that way memory is neither lost to the dead nor given away twice.
//!
//! Everything happens under one lock. All words are atomics, and lengths and links are checked before they are used: whatever is
//! in the memory, and even while it changes, nothing else is touched and every loop ends.

use crate::primitive::AtomicU64;
use crate::primitive::Ordering::Relaxed;

/// Words of a unit.
pub const UNIT_WORDS: usize = 4;
/// Bytes of a unit.
pub const UNIT: usize = UNIT_WORDS * 8;
/// Words of a block before its bytes.
const HEAD: usize = 2;
/// The most units of a store.
pub const MAX_UNITS: u32 = 1 << 31;

/// The words contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

/// Why a block cannot be put anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Memory for blocks, and its map.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    map: &'a [AtomicU64],
    words: &'a [AtomicU64],
    units: u32,
}

/// A block that lies inside its store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// The unit it begins with.
    start: u32,
    first: u32,
    second: u32,
}

impl Block {
    /// The link that leads to it.
    #[must_use]
    pub fn link(self) -> u32 {
        self.start + 1
    }

    /// Bytes of its first run.
    #[must_use]
    pub fn first_len(self) -> usize {
        self.first as usize
    }

    /// Bytes of its second run.
    #[must_use]
    pub fn second_len(self) -> usize {
        self.second as usize
    }

    fn units(self) -> u32 {
        // Fits: a block is never made but by `Store`, which has compared its size with the store's.
        units(self.first.into(), self.second.into()) as u32
    }
}

/// Units of a block with runs of these lengths.
#[must_use]
pub const fn units(first: u64, second: u64) -> u64 {
    (HEAD as u64 + first.div_ceil(8) + second.div_ceil(8)).div_ceil(UNIT_WORDS as u64)
}

/// Words of the map of so many units.
#[must_use]
pub const fn map_words(units: u32) -> usize {
    units.div_ceil(64) as usize
}

impl<'a> Store<'a> {
    /// A store in `words`, with a `map` of at least [`map_words`].
    ///
    /// # Panics
    /// If the map is too short, or there are more than [`MAX_UNITS`].
    #[must_use]
    pub fn new(map: &'a [AtomicU64], words: &'a [AtomicU64]) -> Self {
        let units = words.len() / UNIT_WORDS;
        assert!(units <= MAX_UNITS as usize && map.len() >= map_words(units as u32));
        Self { map, words, units: units as u32 }
    }

    /// How many units it has.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.units
    }

    /// The block that `link` leads to.
    pub fn block(&self, link: u32) -> Result<Block, Corrupt> {
        let start = link.checked_sub(1).filter(|start| *start < self.units).ok_or(Corrupt)?;
        let lengths = self.words[start as usize * UNIT_WORDS + 1].load(Relaxed);
        let (first, second) = (lengths as u32, (lengths >> 32) as u32);
        if units(first.into(), second.into()) > u64::from(self.units - start) {
            return Err(Corrupt);
        }
        Ok(Block { start, first, second })
    }

    /// The word that a block has for its user.
    pub(crate) fn word(&self, block: Block) -> &'a AtomicU64 {
        &self.words[block.start as usize * UNIT_WORDS]
    }

    /// Puts a block where there is room, looking from unit `rover` on. Nothing leads to it yet.
    pub fn put(&self, rover: u32, word: u64, first: &[u8], second: &[u8]) -> Result<Block, Full> {
        let (a, b) = (first.len() as u64, second.len() as u64);
        let wanted = units(a, b);
        if wanted > self.units.into() || a > u32::MAX.into() || b > u32::MAX.into() {
            return Err(Full);
        }
        let start = self.find(wanted as u32, rover).ok_or(Full)?;
        let block = Block { start, first: a as u32, second: b as u32 };
        self.set(start, wanted as u32, true);
        self.word(block).store(word, Relaxed);
        self.words[start as usize * UNIT_WORDS + 1].store(a | b << 32, Relaxed);
        self.write(self.first_word(block), first);
        self.write(self.second_word(block), second);
        Ok(block)
    }

    /// Gives the units of a block back, to which nothing leads any more.
    pub fn free(&self, block: Block) {
        self.set(block.start, block.units(), false);
    }

    /// How many units a block takes.
    #[must_use]
    pub fn footprint(&self, block: Block) -> u32 {
        block.units()
    }

    /// Copies the first run to `out`, as far as both go.
    pub fn read_first(&self, block: Block, out: &mut [u8]) {
        self.read(self.first_word(block), block.first_len(), out);
    }

    /// Copies the second run to `out`, as far as both go.
    pub fn read_second(&self, block: Block, out: &mut [u8]) {
        self.read(self.second_word(block), block.second_len(), out);
    }

    /// Is the first run `bytes`?
    #[must_use]
    pub fn first_is(&self, block: Block, bytes: &[u8]) -> bool {
        let begin = self.first_word(block);
        block.first_len() == bytes.len()
            && bytes
                .chunks(8)
                .enumerate()
                .all(|(i, chunk)| self.words[begin + i].load(Relaxed) == packed(chunk))
    }

    /// Says that nothing is taken: the first step of a recovery.
    pub fn forget(&self) {
        for word in &self.map[..map_words(self.units)] {
            word.store(0, Relaxed);
        }
    }

    /// Says that a block is taken to which a link leads: the second step. An error if some of it is another's, so that walking links
    /// in a circle ends.
    pub fn mark(&self, block: Block) -> Result<(), Corrupt> {
        let end = block.start + block.units();
        if self.last_taken(block.start, end).is_some() {
            return Err(Corrupt);
        }
        self.set(block.start, block.units(), true);
        Ok(())
    }

    fn first_word(&self, block: Block) -> usize {
        block.start as usize * UNIT_WORDS + HEAD
    }

    fn second_word(&self, block: Block) -> usize {
        self.first_word(block) + block.first_len().div_ceil(8)
    }

    fn write(&self, begin: usize, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            self.words[begin + i].store(packed(chunk), Relaxed);
        }
    }

    fn read(&self, begin: usize, len: usize, out: &mut [u8]) {
        let len = len.min(out.len());
        for (i, chunk) in out[..len].chunks_mut(8).enumerate() {
            let word = self.words[begin + i].load(Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// Where `wanted` free units lie beside each other: first behind `rover`, then from the beginning.
    fn find(&self, wanted: u32, rover: u32) -> Option<u32> {
        let rover = if rover < self.units { rover } else { 0 };
        self.find_from(wanted, rover).or_else(|| self.find_from(wanted, 0))
    }

    fn find_from(&self, wanted: u32, mut start: u32) -> Option<u32> {
        while wanted <= self.units.checked_sub(start)? {
            match self.last_taken(start, start + wanted) {
                None => return Some(start),
                // No run that begins before this one is long enough.
                Some(taken) => start = self.next_free(taken + 1),
            }
        }
        None
    }

    /// The last unit of `start..end` that is taken.
    fn last_taken(&self, start: u32, end: u32) -> Option<u32> {
        let (first, last) = (start / 64, (end - 1) / 64);
        (first..=last).rev().find_map(|i| {
            let word = self.map[i as usize].load(Relaxed) & within(i, start, end);
            (word != 0).then(|| i * 64 + 63 - word.leading_zeros())
        })
    }

    /// The first unit from `start` on that is free; the number of units if none is.
    fn next_free(&self, start: u32) -> u32 {
        if start >= self.units {
            return self.units;
        }
        (start / 64..=(self.units - 1) / 64)
            .find_map(|i| {
                let word = !self.map[i as usize].load(Relaxed) & within(i, start, self.units);
                (word != 0).then(|| i * 64 + word.trailing_zeros())
            })
            .unwrap_or(self.units)
    }

    fn set(&self, start: u32, units: u32, taken: bool) {
        let end = start + units;
        for i in start / 64..=(end - 1) / 64 {
            let (word, bits) = (&self.map[i as usize], within(i, start, end));
            // Under the lock, so nobody else writes.
            let old = word.load(Relaxed);
            word.store(if taken { old | bits } else { old & !bits }, Relaxed);
        }
    }
}

/// The bits of word `i` of the map that stand for units of `start..end`.
fn within(i: u32, start: u32, end: u32) -> u64 {
    let (low, high) = (i * 64, i * 64 + 63);
    if end <= low || start > high {
        return 0;
    }
    let from = start.max(low) - low;
    let to = (end - 1).min(high) - low;
    (u64::MAX << from) & (u64::MAX >> (63 - to))
}

/// Up to eight bytes as a word.
fn packed(chunk: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..chunk.len()].copy_from_slice(chunk);
    u64::from_le_bytes(bytes)
}
