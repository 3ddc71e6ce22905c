//! Every subscriber sees every message: one ring, a lock for publishers, one cursor that commits, and a seat per subscriber.
//!
//! Publishers hold the lock, write message `n` into cell `n % 2^k` and commit it with one store of `tail`. Subscribers read at
//! their own pace and change nothing but their seat.
//!
//! | a cell's stamp | meaning |
//! |---|---|
//! | `0` | Never written. |
//! | `2n + 1` | Message `n` is being written, or its writer died. |
//! | `2n + 2` | Message `n` is whole. It counts once `tail` says so. |
//!
//! | a seat's `who` | meaning |
//! |---|---|
//! | `0` | Free. |
//! | `owner` | A subscriber that may miss messages: the publishers do not look at its cursor. |
//! | `owner + BLOCKS` | A subscriber for which publishers wait: nothing from its cursor on is overwritten while it lives. |
//!
//! | `room` | meaning |
//! |---|---|
//! | `seq` | No publisher sleeps. |
//! | `seq + AWAITED` | Publishers may sleep: whoever moves the cursor of a blocking seat, or leaves it, must advance `seq` and wake them all. |
//!
//! `limit` is the first message for which publishers must look at the seats again; 0 sends them there at once. A reader copies
//! and then looks at the stamp again: whatever it copied is thrown away unless the stamp was the right one before and after.
//! `README.md` has the argument.

use core::fmt;

use super::lock::{EndLock, Sleepers};
use super::ring::{Patience, RingError};
use super::words;
use crate::owner::{OWNER_BITS, Owner};
use crate::pad::Padded;
use crate::primitive::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::primitive::{AtomicU32, AtomicU64, constructor, fence};
use crate::wait::{ALL, Deadline, Wait, Wake};

/// In a seat: publishers wait for this subscriber.
const BLOCKS: u32 = 1 << OWNER_BITS;
/// In `room`: publishers may be asleep.
const AWAITED: u32 = 1;
const ROOM_STEP: u32 = 2;
/// Words of a cell before the message: stamp and length.
const HEAD: u32 = 2;

/// The words of a topic, without seats and cells. All-zero memory is a topic without messages.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawTopic {
    desk: Padded<Desk>,
    tail: Padded<AtomicU64>,
    quiet: Padded<Quiet>,
}

/// What publishers share.
#[derive(Debug, Default)]
#[repr(C)]
struct Desk {
    lock: EndLock,
    _unused: u32,
    limit: AtomicU64,
}

/// The words that change only when somebody sleeps.
#[derive(Debug, Default)]
#[repr(C)]
struct Quiet {
    /// Subscribers sleep on this sequence number.
    messages: AtomicU32,
    /// Publishers sleep on this one.
    room: AtomicU32,
}

/// A subscriber's words. All-zero memory is a free seat.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Seat {
    who: AtomicU32,
    _unused: u32,
    /// The message that it reads next.
    cursor: AtomicU64,
    /// How many it has missed.
    missed: AtomicU64,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawTopic>() == 384);
    assert!(offset_of!(RawTopic, desk) == 0);
    assert!(offset_of!(Desk, lock) == 0);
    assert!(offset_of!(Desk, limit) == 8);
    assert!(offset_of!(RawTopic, tail) == 128);
    assert!(offset_of!(RawTopic, quiet) == 256);
    assert!(offset_of!(Quiet, messages) == 0);
    assert!(offset_of!(Quiet, room) == 4);
    assert!(size_of::<Seat>() == 64);
    assert!(offset_of!(Seat, who) == 0);
    assert!(offset_of!(Seat, cursor) == 8);
    assert!(offset_of!(Seat, missed) == 16);
};

/// The dimensions of a topic. A private copy: what a segment says is never read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    mask: u32,
    words: u32,
    longest: u32,
}

impl Shape {
    /// A ring of `capacity` messages, rounded up to a power of two, of up to `longest` bytes each. `None`: none, or too large.
    #[must_use]
    pub const fn new(capacity: u32, longest: u32) -> Option<Self> {
        if capacity == 0 || capacity > 1 << 24 || longest > 1 << 30 {
            return None;
        }
        let mask = capacity.next_power_of_two() - 1;
        Some(Self { mask, words: HEAD + words::words_for(longest), longest })
    }

    /// How many messages it holds.
    #[must_use]
    pub const fn capacity(self) -> u32 {
        self.mask + 1
    }

    /// The length of the longest message.
    #[must_use]
    pub const fn longest(self) -> u32 {
        self.longest
    }

    /// How many words all cells have.
    #[must_use]
    pub const fn words(self) -> u64 {
        self.words as u64 * (self.mask as u64 + 1)
    }
}

/// What a subscriber gets that does not keep up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Everything: publishers wait for it.
    Block,
    /// What is left: the oldest messages are overwritten, and counted.
    DropOldest,
    /// The newest message only; all others are skipped, and counted.
    LatestOnly,
}

/// Where one subscriber is, for its eyes only.
#[derive(Debug)]
pub struct Reader {
    seat: usize,
    policy: Policy,
    /// The message that it reads next.
    at: u64,
    /// The tail when last looked.
    seen: u64,
    missed: u64,
}

impl Reader {
    /// Which seat it has.
    #[must_use]
    pub fn seat(&self) -> usize {
        self.seat
    }

    /// How many messages it has missed so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn miss(&mut self, n: u64) {
        self.at = self.at.saturating_add(n);
        self.missed = self.missed.saturating_add(n);
    }
}

/// A message where it lies. What is read from it may be torn until the read has returned.
pub struct Message<'a> {
    words: &'a [AtomicU64],
    len: usize,
}

impl Message<'_> {
    /// Its length.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies as much of it as there is room for.
    #[inline]
    pub fn copy_to(&self, to: &mut [u8]) {
        let len = self.len.min(to.len());
        words::load(self.words, &mut to[..len]);
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("len", &self.len).finish_non_exhaustive()
    }
}

impl RawTopic {
    constructor! {
        /// A topic without messages.
        pub fn new() -> Self {
            let desk = Desk { lock: EndLock::new(), _unused: 0, limit: AtomicU64::new(0) };
            let quiet = Quiet { messages: AtomicU32::new(0), room: AtomicU32::new(0) };
            Self { desk: Padded(desk), tail: Padded(AtomicU64::new(0)), quiet: Padded(quiet) }
        }
    }

    /// How many messages have been published.
    pub fn published(&self) -> u64 {
        self.tail.load(Acquire)
    }

    /// After a release of the publishers' lock: wakes whom the word told of.
    #[cold]
    #[inline(never)]
    fn answer<W: Wait>(&self, w: &W, sleepers: Sleepers) {
        self.desk.lock.wake(w, sleepers);
        if sleepers.at_far_end() {
            // Release: a sleeper that finds the number changed also finds what was changed for it.
            self.quiet.messages.fetch_add(1, Release);
            w.wake(&self.quiet.messages, ALL);
        }
    }

    /// Releases the publishers' lock without a commit.
    fn leave<W: Wait>(&self, w: &W) {
        let sleepers = self.desk.lock.leave();
        self.answer(w, sleepers);
    }

    /// A blocking seat has moved on. SeqCst pairs with the announcement in `make_room`: either that publisher's look at the
    /// seats sees the move, or this sees the announcement.
    #[inline]
    fn moved<W: Wait>(&self, w: &W) {
        if self.quiet.room.load(SeqCst) & AWAITED != 0 {
            self.wake_publishers(w);
        }
    }

    #[cold]
    fn wake_publishers<W: Wait>(&self, w: &W) {
        let mut s = self.quiet.room.load(Relaxed);
        while s & AWAITED != 0 {
            let next = (s & !AWAITED).wrapping_add(ROOM_STEP);
            match self.quiet.room.compare_exchange(s, next, Relaxed, Relaxed) {
                Ok(_) => return w.wake(&self.quiet.room, ALL),
                Err(seen) => s = seen,
            }
        }
    }
}

impl Seat {
    constructor! {
        /// A free seat.
        pub fn new() -> Self {
            Self {
                who: AtomicU32::new(0),
                _unused: 0,
                cursor: AtomicU64::new(0),
                missed: AtomicU64::new(0),
            }
        }
    }

    /// Who sits there, whether publishers wait for it, what it reads next and how many it has missed. For those who look.
    pub fn look(&self) -> Option<(Owner, bool, u64, u64)> {
        let who = self.who.load(Relaxed);
        let owner = Owner::of_word(who)?;
        let (cursor, missed) = (self.cursor.load(Relaxed), self.missed.load(Relaxed));
        Some((owner, who & BLOCKS != 0, cursor, missed))
    }
}

/// A topic, borrowed: its words, its seats and its cells.
#[derive(Clone, Copy, Debug)]
pub struct Topic<'a> {
    raw: &'a RawTopic,
    seats: &'a [Seat],
    cells: &'a [AtomicU64],
    shape: Shape,
}

impl<'a> Topic<'a> {
    /// A view of a topic. Everybody must give the same seats, cells and shape.
    ///
    /// # Panics
    /// If there are not as many words of cells as the shape says.
    #[inline]
    #[must_use]
    pub fn new(raw: &'a RawTopic, seats: &'a [Seat], cells: &'a [AtomicU64], shape: Shape) -> Self {
        assert!(
            cells.len() as u64 >= shape.words(),
            "a topic's cells are as many as its shape says"
        );
        Self { raw, seats, cells, shape }
    }

    /// The words of the cell of message `n`.
    #[inline]
    fn cell(&self, n: u64) -> &'a [AtomicU64] {
        let words = self.shape.words as usize;
        let first = (n as u32 & self.shape.mask) as usize * words;
        &self.cells[first..first + words]
    }

    #[inline]
    fn capacity(&self) -> u64 {
        self.shape.capacity().into()
    }

    /// Publishes a copy of `message`, once every subscriber that blocks has room for it.
    ///
    /// # Errors
    /// [`RingError`]: `TooLarge`, `Full`, `TimedOut`, `Interrupted`.
    #[inline]
    pub fn publish<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        message: &[u8],
    ) -> Result<(), RingError> {
        if message.len() > self.shape.longest as usize {
            return Err(RingError::TooLarge);
        }
        let Desk { lock, limit, .. } = &*self.raw.desk;
        if !lock.take_free(w) {
            lock.take(w, deadline_of(patience))?;
        }
        // Relaxed: only holders of the lock write either.
        let mut n = self.raw.tail.load(Relaxed);
        if n >= limit.load(Relaxed) {
            n = self.make_room(w, patience)?;
        }
        self.write(n, message);
        // Release publishes the message to those who look at the tail.
        self.raw.tail.store(n + 1, Release);
        let sleepers = lock.open();
        if sleepers.any() {
            self.raw.answer(w, sleepers);
        }
        Ok(())
    }

    /// With the lock held: waits until no blocking subscriber is a whole ring behind, and says which message is next. On an error
    /// the lock is released.
    ///
    /// Repeatedly: look at the seats; announce a sleeper; look again; release the lock, sleep, take the lock.
    #[cold]
    fn make_room<W: Wait>(&self, w: &W, patience: Patience) -> Result<u64, RingError> {
        let room = &self.raw.quiet.room;
        loop {
            // Before the verdicts on the subscribers, or a death in between would go unseen.
            let epoch = w.epoch();
            let n = self.raw.tail.load(Relaxed);
            if self.has_room(n, w) {
                return Ok(n);
            }
            if patience == Patience::Try {
                self.raw.leave(w);
                return Err(RingError::Full);
            }
            // SeqCst pairs with `moved`.
            let ticket = room.fetch_or(AWAITED, SeqCst) | AWAITED;
            if self.has_room(n, w) {
                return Ok(n);
            }
            self.raw.leave(w);
            match w.wait(room, ticket, epoch, deadline_of(patience)) {
                Wake::Woken => {}
                // All publishers are woken together, so leaving loses no wake.
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
            self.raw.desk.lock.take(w, deadline_of(patience))?;
        }
    }

    /// Looks at the seats: may message `n` be written? Seats of the dead are free from then on.
    fn has_room<W: Wait>(&self, n: u64, w: &W) -> bool {
        let mut limit = u64::MAX;
        for seat in self.seats {
            // SeqCst pairs with `moved`.
            let who = seat.who.load(SeqCst);
            if who & BLOCKS == 0 {
                continue;
            }
            if Owner::of_word(who).is_none_or(|owner| w.is_gone(owner)) {
                let _ = seat.who.compare_exchange(who, 0, Relaxed, Relaxed);
                continue;
            }
            // SeqCst again; Acquire (in it) pairs with the Release before `moved`: it is done with what its cursor has passed.
            limit = limit.min(seat.cursor.load(SeqCst).saturating_add(self.capacity()));
        }
        self.raw.desk.limit.store(limit, Relaxed);
        n < limit
    }

    #[inline]
    fn write(&self, n: u64, message: &[u8]) {
        let cell = self.cell(n);
        cell[0].store(2 * n + 1, Relaxed);
        // Pairs with the Acquire fence in `read`: who has seen any of what follows sees that the cell is being written.
        fence(Release);
        cell[1].store(message.len() as u64, Relaxed);
        words::store(&cell[HEAD as usize..], message);
        // Release pairs with the Acquire in `read`.
        cell[0].store(2 * n + 2, Release);
    }

    /// Takes a seat, from which the last `history` messages and all later ones are read. `None`: there is no free one.
    ///
    /// # Errors
    /// [`RingError::Interrupted`], while waiting for the lock: repeat it.
    pub fn subscribe<W: Wait>(
        &self,
        w: &W,
        policy: Policy,
        history: u64,
    ) -> Result<Option<Reader>, RingError> {
        self.raw.desk.lock.take(w, None)?;
        // Under the lock, so that no publisher overlooks the seat.
        let reader = self.sit_down(w, policy, history);
        self.raw.leave(w);
        Ok(reader)
    }

    fn sit_down<W: Wait>(&self, w: &W, policy: Policy, history: u64) -> Option<Reader> {
        let is_free = |seat: &&Seat| {
            let who = seat.who.load(Relaxed);
            Owner::of_word(who).is_none_or(|owner| w.is_gone(owner))
        };
        let free = self.seats.iter().enumerate().map(|(i, seat)| (seat, i));
        let (seat, index) = free.into_iter().find(|(seat, _)| is_free(seat))?;
        let seen = self.raw.tail.load(Relaxed);
        let at = seen - history.min(self.capacity()).min(seen);
        seat.cursor.store(at, Relaxed);
        seat.missed.store(0, Relaxed);
        // Before the seat counts: publishers look at the seats before the next message.
        self.raw.desk.limit.store(0, Relaxed);
        let mark = if policy == Policy::Block { BLOCKS } else { 0 };
        seat.who.store(w.me().get() | mark, Relaxed);
        Some(Reader { seat: index, policy, at, seen, missed: 0 })
    }

    /// Leaves the seat. The caller's participant must have taken it.
    pub fn unsubscribe<W: Wait>(&self, w: &W, reader: &Reader) {
        if let Some(seat) = self.seats.get(reader.seat) {
            // Release (in SeqCst): it is done with all messages. SeqCst as in `moved`.
            seat.who.swap(0, SeqCst);
            self.raw.moved(w);
        }
    }

    /// Reads the next message: calls `read` with it, perhaps several times, of which the last one counts.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `Corrupt`.
    #[inline]
    pub fn receive<W: Wait, R>(
        &self,
        reader: &mut Reader,
        w: &W,
        patience: Patience,
        mut read: impl FnMut(Message<'_>) -> R,
    ) -> Result<R, RingError> {
        let before = reader.missed;
        let value = loop {
            if reader.seen <= reader.at || reader.policy == Policy::LatestOnly {
                // Acquire pairs with the Release in `publish`.
                reader.seen = self.raw.tail.load(Acquire);
                if reader.seen <= reader.at {
                    self.wait_for_message(reader, w, patience)?;
                }
            }
            if reader.policy == Policy::LatestOnly {
                reader.miss(reader.seen - 1 - reader.at);
            }
            match self.read(reader.at, &mut read) {
                Ok(value) => break value,
                Err(stamp) if stamp > 2 * reader.at + 2 => self.skip(reader),
                Err(_) => return Err(RingError::Corrupt),
            }
        };
        reader.at += 1;
        let Some(seat) = self.seats.get(reader.seat) else { return Err(RingError::Corrupt) };
        if reader.missed != before {
            seat.missed.store(reader.missed, Relaxed);
        }
        if reader.policy == Policy::Block {
            // Release (in SeqCst) orders the reading before the overwriting. SeqCst as in `moved`.
            seat.cursor.swap(reader.at, SeqCst);
            self.raw.moved(w);
        } else {
            // For those who look.
            seat.cursor.store(reader.at, Relaxed);
        }
        Ok(value)
    }

    /// The message was overwritten: on to one that is a little ahead of the oldest, or it would be overwritten, too.
    #[cold]
    fn skip(&self, reader: &mut Reader) {
        // Publishers wait for one that blocks, so only what a dead one began to overwrite is lost to it.
        if reader.policy == Policy::Block {
            return reader.miss(1);
        }
        reader.seen = self.raw.tail.load(Acquire);
        let ahead = self.capacity() - self.capacity() / 4;
        let next = reader.seen.saturating_sub(ahead).max(reader.at + 1);
        reader.miss(next - reader.at);
    }

    /// Message `n`, if its cell holds it before and after; else the stamp.
    #[inline]
    fn read<R>(&self, n: u64, read: &mut impl FnMut(Message<'_>) -> R) -> Result<R, u64> {
        let cell = self.cell(n);
        // Acquire pairs with the Release at the end of `write`.
        let stamp = cell[0].load(Acquire);
        if stamp != 2 * n + 2 {
            return Err(stamp);
        }
        let len = cell[1].load(Relaxed).min(self.shape.longest.into()) as usize;
        let value = read(Message { words: &cell[HEAD as usize..], len });
        // Pairs with the Release fence in `write`.
        fence(Acquire);
        let stamp = cell[0].load(Relaxed);
        if stamp == 2 * n + 2 { Ok(value) } else { Err(stamp) }
    }

    /// Repeatedly: look; linger; announce a sleeper; look again; sleep.
    #[cold]
    fn wait_for_message<W: Wait>(
        &self,
        reader: &mut Reader,
        w: &W,
        patience: Patience,
    ) -> Result<(), RingError> {
        let messages = &self.raw.quiet.messages;
        let mut turn = 0;
        loop {
            // Before the tail is read: one who has moved it may have died before it woke us.
            let epoch = w.epoch();
            reader.seen = self.raw.tail.load(Acquire);
            if reader.seen > reader.at {
                return Ok(());
            }
            if patience == Patience::Try {
                return Err(RingError::Empty);
            }
            if w.linger(turn) {
                turn += 1;
                continue;
            }
            // The ticket is taken before the announcement, so the wake that answers it changes the number.
            let ticket = messages.load(Acquire);
            self.raw.desk.lock.announce();
            if self.raw.tail.load(Relaxed) > reader.at {
                continue;
            }
            match w.wait(messages, ticket, epoch, deadline_of(patience)) {
                Wake::Woken => turn = 0,
                // All subscribers are woken together, so leaving loses no wake.
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
        }
    }
}

fn deadline_of(patience: Patience) -> Option<Deadline> {
    match patience {
        Patience::Try => None,
        Patience::Until(deadline) => deadline,
    }
}
