//! A queue without copies: blocks of shared memory that a producer borrows and fills, that lie in the queue, and that a
//! consumer views and gives back.
//!
//! | owner word of a block | meaning |
//! |---|---|
//! | `0` | Free. Fresh memory is a free block. |
//! | `owner` | Lent to that participant or viewed by it, if no descriptor in the queue names the block. |
//! | `owner` | In the queue, whoever that is, if one does. |
//!
//! The queue is a ring of descriptors, each of which names a run of blocks and a length. So what is in the queue is decided
//! by the ring's cursors alone, and what is not belongs to the one whom its word names: alive, or gone, and then it is free for the taking.
//! There is no count, no list and no state between these, so there is nothing that a death could leave half done.
//! `README.md` has the argument.

use core::fmt;
use core::ptr::NonNull;

use super::lock::EndLock;
use super::ring::{GET, PUT, Patience, RawRing, RingError, Shutdown};
use super::slots::{self, Slots};
use crate::owner::Owner;
use crate::pad::Padded;
use crate::primitive::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::primitive::{AtomicU32, constructor, fence};
use crate::wait::{ALL, Deadline, Wait, Wake};

/// The most blocks of a queue.
pub const MAX_BLOCKS: u32 = 1 << 24;
/// Owners whose verdicts a sweep remembers.
const VERDICTS: usize = 8;

/// The words of the blocks' allocation. All-zero is the state of free blocks.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawBlocks {
    desk: Padded<Desk>,
    quiet: Padded<Quiet>,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Desk {
    /// Who holds it turns free blocks into owned ones. Owned ones become free without it.
    lock: EndLock,
    /// Where to look for a free block first. A hint.
    start: AtomicU32,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Quiet {
    /// Producers sleep on this sequence number for free blocks.
    room: AtomicU32,
    /// Somebody may sleep for free blocks. It may be 1 though nobody does; it may not be 0 while a sleeper that looked in vain
    /// has not been sent a wake.
    asleep: AtomicU32,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawBlocks>() == 256);
    assert!(offset_of!(RawBlocks, desk) == 0);
    assert!(offset_of!(RawBlocks, quiet) == 128);
    assert!(offset_of!(Desk, lock) == 0);
    assert!(offset_of!(Desk, start) == 4);
    assert!(offset_of!(Quiet, room) == 0);
    assert!(offset_of!(Quiet, asleep) == 4);
    assert!(size_of::<Descriptor>() == 16);
    assert!(offset_of!(Descriptor, first) == 0);
    assert!(offset_of!(Descriptor, count) == 4);
    assert!(offset_of!(Descriptor, len) == 8);
};

/// What lies in the ring. Any bytes are one, and are checked when they are read.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Descriptor {
    first: u32,
    count: u32,
    len: u64,
}

/// Some neighbouring blocks that the caller's participant owns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The first one.
    pub first: u32,
    /// How many: at least one.
    pub count: u32,
}

/// The dimensions of the queue. A private copy: what a segment says is never read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    ring: slots::Shape,
    blocks: u32,
    /// Bytes of a block.
    block: u64,
}

impl Shape {
    /// So many blocks of so many bytes. `None`: either is zero, there are more than [`MAX_BLOCKS`], or more bytes than an
    /// `i64` can count.
    #[must_use]
    pub const fn new(blocks: u32, block: u64) -> Option<Self> {
        if blocks > MAX_BLOCKS || block == 0 || block > i64::MAX as u64 / MAX_BLOCKS as u64 {
            return None;
        }
        // Each item has at least one block, so there is always room for its descriptor.
        match slots::Shape::new(blocks) {
            Some(ring) => Some(Self { ring, blocks, block }),
            None => None,
        }
    }

    /// How many blocks.
    #[inline]
    #[must_use]
    pub const fn blocks(self) -> u32 {
        self.blocks
    }

    /// Bytes of a block.
    #[inline]
    #[must_use]
    pub const fn block(self) -> u64 {
        self.block
    }

    /// How many descriptors the ring needs room for.
    #[inline]
    #[must_use]
    pub const fn descriptors(self) -> u32 {
        self.ring.cells()
    }

    /// How many blocks an item of that length takes. `None`: more than there are.
    #[inline]
    #[must_use]
    pub const fn blocks_for(self, len: u64) -> Option<u32> {
        let count = len.div_ceil(self.block);
        match count {
            0 => Some(1),
            count if count <= self.blocks as u64 => Some(count as u32),
            _ => None,
        }
    }
}

/// The queue, borrowed. The blocks themselves are the caller's to reach.
#[derive(Clone, Copy)]
pub struct Loans<'a> {
    ring: Slots<'a, Descriptor>,
    raw: &'a RawBlocks,
    owners: &'a [AtomicU32],
    shape: Shape,
}

impl RawBlocks {
    constructor! {
        /// Free blocks.
        pub fn new() -> Self {
            Self { desk: Padded(Desk::new()), quiet: Padded(Quiet::new()) }
        }
    }
}

impl Desk {
    constructor! {
        fn new() -> Self {
            Self { lock: EndLock::new(), start: AtomicU32::new(0) }
        }
    }
}

impl Quiet {
    constructor! {
        fn new() -> Self {
            Self { room: AtomicU32::new(0), asleep: AtomicU32::new(0) }
        }
    }
}

impl<'a> Loans<'a> {
    /// A view of the queue.
    ///
    /// # Safety
    /// - `descriptors` points to [`Shape::descriptors`] of them, readable and writable for `'a`, which everybody who uses `ring` passes.
    /// - `owners` are [`Shape::blocks`].
    #[inline]
    #[must_use]
    pub const unsafe fn new(
        ring: &'a RawRing,
        descriptors: NonNull<Descriptor>,
        raw: &'a RawBlocks,
        owners: &'a [AtomicU32],
        shape: Shape,
    ) -> Self {
        // SAFETY: as many as the shape of the ring says; any bytes are a descriptor, and one may be sent to a thread.
        let ring = unsafe { Slots::new(ring, descriptors, shape.ring) };
        Self { ring, raw, owners, shape }
    }

    /// Borrows `count` blocks in a row, waiting for them as `patience` says. Their bytes are whatever they were.
    ///
    /// # Errors
    /// [`RingError`]: `Full`, `TimedOut`, `Interrupted`, `ShutDown`, `TooLarge`, `Corrupt`.
    #[inline]
    pub fn reserve<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        count: u32,
    ) -> Result<Run, RingError> {
        if count == 0 || count > self.shape.blocks {
            return Err(RingError::TooLarge);
        }
        if self.ring.ring().is_shut_down() {
            return Err(RingError::ShutDown);
        }
        let lock = &self.raw.desk.lock;
        if lock.take_free(w) {
            let run = self.claim(w.me(), count);
            lock.wake(w, lock.open());
            if let Some(run) = run {
                return Ok(run);
            }
        }
        self.reserve_slow(w, patience, count)
    }

    /// Repeatedly: look for room; let go what the dead had; announce a sleeper; look again; sleep.
    #[cold]
    fn reserve_slow<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        count: u32,
    ) -> Result<Run, RingError> {
        let Quiet { room, asleep } = &*self.raw.quiet;
        let deadline = patience.deadline();
        loop {
            // Before any word is read, or a death in between would go unseen.
            let epoch = w.epoch();
            if let Some(run) = self.claim_locked(w, deadline, count)? {
                return Ok(run);
            }
            if self.sweep(w, deadline)? {
                continue;
            }
            if self.ring.ring().is_shut_down() {
                return Err(RingError::ShutDown);
            }
            if patience == Patience::Try {
                return Err(RingError::Full);
            }
            let mut turn = 0;
            while self.find(0, self.owners.len(), count as usize).is_none() && w.linger(turn) {
                turn += 1;
            }
            // The ticket is taken before the announcement, so the wake that answers it changes the number. Acquire pairs with the
            // Release in `call`: after the call that ends the queue, its end is seen below.
            let ticket = room.load(Acquire);
            asleep.store(1, Relaxed);
            // Pairs with the fence in `release`: either that sees us, or we see what it has freed.
            fence(SeqCst);
            if let Some(run) = self.claim_locked(w, deadline, count)? {
                return Ok(run);
            }
            if self.ring.ring().is_shut_down() {
                return Err(RingError::ShutDown);
            }
            match w.wait(room, ticket, epoch, deadline) {
                // All are woken, since they want different amounts: nobody has to answer for others.
                Wake::Woken => {}
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
        }
    }

    fn claim_locked<W: Wait>(
        &self,
        w: &W,
        deadline: Option<Deadline>,
        count: u32,
    ) -> Result<Option<Run>, RingError> {
        let lock = &self.raw.desk.lock;
        lock.take(w, deadline)?;
        let run = self.claim(w.me(), count);
        lock.wake(w, lock.open());
        Ok(run)
    }

    /// Makes free blocks ours. The caller holds the lock.
    #[inline]
    fn claim(&self, me: Owner, count: u32) -> Option<Run> {
        let (all, count) = (self.owners.len(), count as usize);
        let start = self.raw.desk.start.load(Relaxed) as usize % all;
        let first = self
            .find(start, all, count)
            .or_else(|| self.find(0, all.min(start + count - 1), count))?;
        for owner in &self.owners[first..first + count] {
            owner.store(me.get(), Relaxed);
        }
        self.raw.desk.start.store((first + count) as u32, Relaxed);
        Some(Run { first: first as u32, count: count as u32 })
    }

    /// So many free blocks in a row, from `from` on and before `end`.
    #[inline]
    fn find(&self, from: usize, end: usize, count: usize) -> Option<usize> {
        let mut free = 0;
        for (at, owner) in self.owners.iter().enumerate().take(end).skip(from) {
            // Acquire pairs with the Release in `release`: who had it is done with its bytes.
            free = if owner.load(Acquire) == 0 { free + 1 } else { 0 };
            if free == count {
                return Some(at + 1 - count);
            }
        }
        None
    }

    /// Puts a run that the caller owns, of which `len` bytes are the item: from here on it is the queue's.
    ///
    /// # Errors
    /// [`RingError`]: `ShutDown`, `Interrupted`, `Corrupt`. The run is still the caller's.
    #[inline]
    pub fn commit<W: Wait>(&self, w: &W, run: Run, len: u64) -> Result<(), RingError> {
        let descriptor = Descriptor { first: run.first, count: run.count, len };
        // SAFETY: the cell is ours to write until this returns.
        let put = self.ring.push(w, Patience::Try, |cell| unsafe { cell.write(descriptor) });
        // There are as many places as blocks.
        put.map_err(|error| if error == RingError::Full { RingError::Corrupt } else { error })
    }

    /// Takes the oldest item, waiting for one as `patience` says: the run is the caller's from here on.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`.
    #[inline]
    pub fn take<W: Wait>(&self, w: &W, patience: Patience) -> Result<(Run, u64), RingError> {
        let me = w.me();
        let taken = self.ring.pop(w, patience, |cell| {
            // SAFETY: a committed cell; any bytes are a descriptor.
            let descriptor = unsafe { cell.read() };
            let blocks = self.blocks_of(descriptor)?;
            // Before the head is stored: a death in between leaves the item in the queue, whatever the words say.
            for owner in blocks {
                owner.store(me.get(), Relaxed);
            }
            Some((Run { first: descriptor.first, count: descriptor.count }, descriptor.len))
        })?;
        taken.ok_or(RingError::Corrupt)
    }

    /// The words of what a descriptor names. `None`: that makes no sense.
    #[inline]
    fn blocks_of(&self, descriptor: Descriptor) -> Option<&'a [AtomicU32]> {
        let Descriptor { first, count, len } = descriptor;
        let fits = count > 0 && len <= u64::from(count) * self.shape.block;
        let end = first.checked_add(count).filter(|_| fits)?;
        self.owners.get(first as usize..end as usize)
    }

    /// Gives back a run that the caller owns, and of which nobody uses the bytes any more.
    #[inline]
    pub fn release<W: Wait>(&self, w: &W, run: Run) {
        for owner in &self.owners[run.first as usize..][..run.count as usize] {
            // Release publishes that we are done with the bytes, to `find`.
            owner.store(0, Release);
        }
        let start = &self.raw.desk.start;
        if run.first < start.load(Relaxed) {
            // A memory that has just been used is the best to use next.
            start.store(run.first, Relaxed);
        }
        // Pairs with the fence in `reserve_slow`.
        fence(SeqCst);
        if self.raw.quiet.asleep.load(Relaxed) != 0 {
            self.call(w);
        }
    }

    /// Tells all who sleep for free blocks to look again.
    #[cold]
    fn call<W: Wait>(&self, w: &W) {
        let Quiet { room, asleep } = &*self.raw.quiet;
        asleep.store(0, Relaxed);
        // Release: a sleeper that finds the number changed also finds what was changed for it.
        room.fetch_add(1, Release);
        w.wake(room, ALL);
    }

    /// Frees the blocks of those who are gone. False: there were none.
    fn sweep<W: Wait>(&self, w: &W, deadline: Option<Deadline>) -> Result<bool, RingError> {
        let mut verdicts = Verdicts::new(w.me());
        // Locks are taken only if there is something to do.
        if !self.owners.iter().any(|owner| verdicts.is_gone(w, owner.load(Relaxed))) {
            return Ok(false);
        }
        let (put, get) = (self.ring.ring().end::<PUT>(), self.ring.ring().end::<GET>());
        put.lock.take(w, deadline)?;
        let freed = match get.lock.take(w, deadline) {
            Err(error) => Err(error),
            Ok(()) => {
                let (head, tail) = (get.cursor.load(Relaxed), put.cursor.load(Relaxed));
                let freed = self.sweep_between(w, &mut verdicts, head as u32, tail as u32);
                get.lock.wake(w, get.lock.leave());
                freed
            }
        };
        put.lock.wake(w, put.lock.leave());
        if freed == Ok(true) {
            self.call(w);
        }
        freed
    }

    /// The caller holds both ends of the ring: no item comes or goes.
    ///
    /// What is in the queue is made ours first, so that after it whatever belongs to one who is gone is not in the queue. One who dies here
    /// leaves words that name it, of blocks that are in the queue: they are made somebody else's by the next.
    fn sweep_between<W: Wait>(
        &self,
        w: &W,
        verdicts: &mut Verdicts,
        head: u32,
        tail: u32,
    ) -> Result<bool, RingError> {
        let items = tail.wrapping_sub(head);
        if items > self.shape.blocks {
            return Err(RingError::Corrupt);
        }
        for i in 0..items {
            // SAFETY: a committed cell, which nobody takes while we hold the lock; any bytes are a descriptor.
            let descriptor = unsafe { self.ring.cell(head.wrapping_add(i)).read() };
            for owner in self.blocks_of(descriptor).ok_or(RingError::Corrupt)? {
                owner.store(w.me().get(), Relaxed);
            }
        }
        let mut freed = false;
        for owner in self.owners {
            let word = owner.load(Relaxed);
            // Exchanged only for what it was: a block whose owner is gone does not change, unless somebody else swept it.
            if verdicts.is_gone(w, word)
                && owner.compare_exchange(word, 0, Release, Relaxed).is_ok()
            {
                freed = true;
            }
        }
        Ok(freed)
    }

    /// Ends the queue, as [`RawRing::shut_down`] does, and wakes those who wait for blocks.
    ///
    /// # Errors
    /// [`RingError::Interrupted`], while waiting for a lock: repeat it.
    pub fn shut_down<W: Wait>(&self, w: &W, how: Shutdown) -> Result<(), RingError> {
        self.ring.ring().shut_down(w, how)?;
        self.call(w);
        Ok(())
    }

    /// How many blocks nobody has, those of the dead among them. Stale as soon as it is returned.
    ///
    /// # Errors
    /// [`RingError`]: `Interrupted`, `Corrupt`.
    pub fn free<W: Wait>(&self, w: &W) -> Result<usize, RingError> {
        self.sweep(w, None)?;
        Ok(self.count())
    }

    /// How many blocks' words say that they are free.
    fn count(&self) -> usize {
        self.owners.iter().filter(|owner| owner.load(Relaxed) == 0).count()
    }
}

impl fmt::Debug for Loans<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loans")
            .field("free", &self.count())
            .field("ring", &self.ring)
            .field("shape", &self.shape)
            .finish()
    }
}

/// What has been found out about owners: asking may cost a system call.
struct Verdicts {
    me: Owner,
    known: [(u32, bool); VERDICTS],
    next: usize,
}

impl Verdicts {
    fn new(me: Owner) -> Self {
        Self { me, known: [(0, false); VERDICTS], next: 0 }
    }

    /// Whether a block's word names one who is gone.
    fn is_gone<W: Wait>(&mut self, w: &W, word: u32) -> bool {
        let Some(owner) = Owner::of_word(word).filter(|owner| *owner != self.me) else {
            return false;
        };
        if let Some((_, gone)) = self.known.iter().find(|(known, _)| *known == word) {
            return *gone;
        }
        let gone = w.is_gone(owner);
        self.known[self.next] = (word, gone);
        self.next = (self.next + 1) % VERDICTS;
        gone
    }
}
