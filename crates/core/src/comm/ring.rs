//! The protocol of a bounded ring: two locks, two cursors, and the store that commits.
//!
//! Producers hold the *put* end's lock, write behind `tail` and commit with one store of `tail`; consumers hold the
//! *get* end's lock, read from `head` and commit with one store of `head`. The two ends are mirror images, so the code
//! is written once, for the end that one is at (`near`) and the other one (`far`).
//!
//! | `tail - head` | meaning |
//! |---|---|
//! | `0` | Empty. Fresh memory is an empty ring. |
//! | up to the bound | That many items are committed and not yet taken, in the order of their commits. |
//! | more | Somebody scribbled on the words: [`RingError::Corrupt`]. |
//!
//! Where the items live is not known here: [`slots`](super::slots) and [`bytes`](super::bytes) bring storage and say by
//! how much a cursor moves. `README.md` has the argument why no wake is lost and why a death needs no repair.

use super::lock::{EndLock, Sleepers};
use super::turn::{Measure, Store, Turn};
use crate::pad::Padded;
use crate::primitive::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::wait::{ALL, Deadline, Wait, Wake};

/// Items pass this end.
pub(super) const OPEN: u32 = 0;
/// Nothing more passes this end.
const CLOSED: u32 = 1;

/// How often [`RawRing::len`] looks for two equal readings of the head.
const TRIES: u32 = 1000;

/// Why an operation on a ring did not happen. In every case the ring is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingError {
    /// There is no room, and the caller does not wait.
    Full,
    /// There is no item, and the caller does not wait.
    Empty,
    /// The deadline passed.
    TimedOut,
    /// A signal asks the caller to come back.
    Interrupted,
    /// The ring takes no more items, or (for a get) will give no more.
    ShutDown,
    /// The item can never fit.
    TooLarge,
    /// The words of the ring contradict each other. Nothing out of bounds was touched.
    Corrupt,
}

/// What happens to the items that are in a ring when it is shut down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// They can still be taken; a get fails once there are none.
    Drain,
    /// They stay where they are; every later get fails.
    Immediate,
}

/// How long an operation waits for room or for an item. While another one holds the same end's lock, for the
/// few instructions that this takes, it waits in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Not at all.
    Try,
    /// Until then, or for ever.
    Until(Option<Deadline>),
}

impl Patience {
    pub(super) fn deadline(self) -> Option<Deadline> {
        match self {
            Self::Try => None,
            Self::Until(deadline) => deadline,
        }
    }
}

/// What those at one end share.
#[derive(Debug, Default)]
#[repr(C)]
struct Desk {
    lock: EndLock,
    /// See [`Turn::gather`]. A hint.
    thrift: AtomicU32,
    /// The far cursor when a holder of the lock last looked: spares the far end its line until the ring seems full
    /// (or empty).
    seen: AtomicU64,
    /// The most items that a holder of the lock has seen in the ring. For people.
    most: AtomicU32,
    /// How often the number of items that have passed this end came round to zero. For people.
    laps: AtomicU32,
}

/// The words of a ring, without its items. All-zero memory is an empty, open ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawRing {
    put: Padded<Desk>,
    tail: Padded<AtomicU64>,
    get: Padded<GetDesk>,
    head: Padded<AtomicU64>,
    quiet: Padded<Quiet>,
}

/// What consumers share.
#[derive(Debug, Default)]
#[repr(C)]
struct GetDesk {
    desk: Desk,
    back: Back,
}

/// What consumers know of items that were taken under a lease: see [`lease`](super::lease). Written while the get lock is held.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Back {
    /// What `returned` was when a holder last found that nothing had come back.
    pub(super) heard: AtomicU32,
    /// What the epoch was then.
    pub(super) epoch: AtomicU32,
    /// Everything before this item is done with.
    pub(super) oldest: AtomicU32,
}

/// The words that change only when somebody sleeps or the ring ends.
#[derive(Debug, Default)]
#[repr(C)]
struct Quiet {
    /// Consumers sleep on this sequence number for items.
    items: AtomicU32,
    /// Producers sleep on this sequence number for room.
    room: AtomicU32,
    /// Written while the put lock is held, so that no commit follows.
    put_closed: AtomicU32,
    /// The same of the get lock.
    get_closed: AtomicU32,
    /// How often somebody gave back what it had leased.
    returned: AtomicU32,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawRing>() == 640);
    assert!(offset_of!(RawRing, put) == 0);
    assert!(offset_of!(RawRing, tail) == 128);
    assert!(offset_of!(RawRing, get) == 256);
    assert!(offset_of!(RawRing, head) == 384);
    assert!(offset_of!(RawRing, quiet) == 512);
    assert!(offset_of!(Desk, lock) == 0);
    assert!(offset_of!(Desk, thrift) == 4);
    assert!(offset_of!(Desk, seen) == 8);
    assert!(offset_of!(Desk, most) == 16);
    assert!(offset_of!(Desk, laps) == 20);
    assert!(offset_of!(GetDesk, back) == 24);
    assert!(offset_of!(Back, heard) == 0);
    assert!(offset_of!(Back, epoch) == 4);
    assert!(offset_of!(Back, oldest) == 8);
    assert!(offset_of!(Quiet, items) == 0);
    assert!(offset_of!(Quiet, room) == 4);
    assert!(offset_of!(Quiet, put_closed) == 8);
    assert!(offset_of!(Quiet, get_closed) == 12);
    assert!(offset_of!(Quiet, returned) == 16);
};

/// The words of one end.
pub(super) struct End<'a> {
    pub(super) lock: &'a EndLock,
    pub(super) thrift: &'a AtomicU32,
    pub(super) seen: &'a AtomicU64,
    pub(super) most: &'a AtomicU32,
    pub(super) laps: &'a AtomicU32,
    pub(super) cursor: &'a AtomicU64,
    pub(super) closed: &'a AtomicU32,
    /// Where those at this end sleep for the far end.
    pub(super) event: &'a AtomicU32,
}

/// The end of the producers, as a parameter.
pub(super) const PUT: bool = true;
/// The end of the consumers, as a parameter.
pub(super) const GET: bool = false;

impl RawRing {
    constructor! {
        /// An empty ring.
        pub fn new() -> Self {
            Self {
                put: Padded(Desk::new()),
                tail: Padded(AtomicU64::new(0)),
                get: Padded(GetDesk { desk: Desk::new(), back: Back::new() }),
                head: Padded(AtomicU64::new(0)),
                quiet: Padded(Quiet::new()),
            }
        }
    }

    #[inline]
    pub(super) fn end<const END: bool>(&self) -> End<'_> {
        let Quiet { items, room, put_closed, get_closed, .. } = &*self.quiet;
        let (desk, cursor, closed, event) = match END {
            PUT => (&*self.put, &*self.tail, put_closed, room),
            GET => (&self.get.desk, &*self.head, get_closed, items),
        };
        let Desk { lock, thrift, seen, most, laps } = desk;
        End { lock, thrift, seen, most, laps, cursor, closed, event }
    }

    #[inline]
    pub(super) fn far<const END: bool>(&self) -> End<'_> {
        match END {
            PUT => self.end::<GET>(),
            GET => self.end::<PUT>(),
        }
    }

    /// What consumers know of leased items.
    #[inline]
    pub(super) fn back(&self) -> &Back {
        &self.get.back
    }

    /// How often something was given back.
    #[inline]
    pub(super) fn returned(&self) -> &AtomicU32 {
        &self.quiet.returned
    }

    /// Takes the lock of an end once at least `least` can pass it. `most`, what the caller would like to pass, decides
    /// whether an old view of the far end is good enough.
    #[inline]
    pub(super) fn enter<'a, W: Wait, S: Store, const END: bool>(
        &'a self,
        w: &'a W,
        store: S,
        least: S::Measure,
        most: S::Measure,
        patience: Patience,
    ) -> Result<Turn<'a, W, S, END>, RingError> {
        let near = self.end::<END>();
        let mut woken = false;
        if !near.lock.take_free(w) {
            woken = self.enter_slow::<W, S, END>(w, store, least, patience, false)?;
        }
        let mut turn = Turn::new(self, w, store);
        let open = near.closed.load(Relaxed) == OPEN;
        if !(open && turn.allows(most)) {
            turn = turn.look();
            if !(open && turn.allows(least)) {
                woken |= self.enter_slow::<W, S, END>(w, store, least, patience, true)?;
                turn = Turn::new(self, w, store);
            }
            if turn.gather() {
                turn = turn.look();
            }
        }
        Ok(turn.after(woken))
    }

    /// The whole of [`enter`](Self::enter) but its first attempt; `held` is whether that took the lock. The
    /// caller gets it with the far cursor looked at, and learns whether it was woken on the way, perhaps on behalf of
    /// others.
    ///
    /// Repeatedly: take the lock; look; if in vain leave it, linger, announce a sleeper, look again, sleep.
    #[cold]
    fn enter_slow<W: Wait, S: Store, const END: bool>(
        &self,
        w: &W,
        store: S,
        least: S::Measure,
        patience: Patience,
        mut held: bool,
    ) -> Result<bool, RingError> {
        let (near, far) = (self.end::<END>(), self.far::<END>());
        let mut woken = false;
        let mut spins = 0;
        loop {
            // Before any word is read, or a death in between would go unseen.
            let epoch = w.epoch();
            if !held && let Err(error) = near.lock.take(w, patience.deadline()) {
                if woken {
                    self.pass_on::<W, S, END>(w, store);
                }
                return Err(error);
            }
            held = false;
            let turn = Turn::<W, S, END>::new(self, w, store);
            if near.closed.load(Relaxed) != OPEN {
                turn.leave();
                return Err(RingError::ShutDown);
            }
            // If only the lock was in the way, the far end can keep its lines.
            if turn.allows(least) {
                return Ok(woken);
            }
            // Acquire pairs with the Release in `close`. Read before the cursor, so that the cursor is final. For a put it says
            // no more than the near end's word, except in a ring that somebody scribbled on.
            let ended = far.closed.load(Acquire) != OPEN;
            let (turn, head) = turn.look_at();
            if turn.allows(least) {
                return Ok(woken);
            }
            if !turn.used().fits(store.bound()) {
                turn.leave();
                return Err(RingError::Corrupt);
            }
            let (looked, seen) = (head.pack(), turn.seen());
            turn.leave();
            if ended {
                return Err(RingError::ShutDown);
            }
            if patience == Patience::Try {
                return Err(if END == PUT { RingError::Full } else { RingError::Empty });
            }
            // As it is understood: bits that mean nothing, which somebody may have scribbled there, are no change.
            let has_moved = || S::Measure::unpack(far.cursor.load(Relaxed)).pack() != looked;
            // The far end may be about to commit.
            let has_room = || END == PUT && store.is_more(seen, head);
            while w.linger(spins) && !has_moved() && !has_room() {
                spins += 1;
            }
            if has_moved() || has_room() {
                continue;
            }
            // The ticket is taken before the announcement, so the wake that answers it changes the number. Acquire pairs
            // with the Release in `call`: after the call that ends the ring, its end is seen below.
            let ticket = near.event.load(Acquire);
            match if END == PUT { store.want(seen, head) } else { None } {
                None => far.lock.announce(),
                Some(true) => {}
                Some(false) => continue,
            }
            if has_moved() || far.closed.load(Relaxed) != OPEN || near.closed.load(Relaxed) != OPEN
            {
                continue;
            }
            match w.wait(near.event, ticket, epoch, patience.deadline()) {
                Wake::Woken => {
                    woken = true;
                    spins = 0;
                }
                // Announced before this sleep, so leaving loses no wake.
                Wake::TimedOut => return Err(RingError::TimedOut),
                Wake::Interrupted => return Err(RingError::Interrupted),
            }
        }
    }

    /// A woken sleeper that is done looks after the others: the bit that told of them is gone.
    #[cold]
    fn pass_on<W: Wait, S: Store, const END: bool>(&self, w: &W, store: S) {
        // From here on the far end knows of sleepers again; what it committed before is seen by the loads below.
        self.far::<END>().lock.announce();
        let tail = S::Measure::unpack(self.tail.load(Relaxed));
        let items = tail.minus(S::Measure::unpack(self.head.load(Relaxed))).items();
        if if END == PUT { items < store.bound().items() } else { items > 0 } {
            call(w, self.end::<END>().event, 1);
        }
    }

    /// After a release: wakes whom the word told of, and hands on the wake that we got.
    #[cold]
    #[inline(never)]
    pub(super) fn answer<W: Wait, S: Store, const END: bool>(
        &self,
        w: &W,
        sleepers: Sleepers,
        count: u32,
        woken: bool,
        store: S,
    ) {
        self.end::<END>().lock.wake(w, sleepers);
        if sleepers.at_far_end() {
            call(w, self.far::<END>().event, count);
        }
        if woken {
            self.pass_on::<W, S, END>(w, store);
        }
    }

    /// The number of items, true at some instant of the call.
    pub fn len(&self) -> u32 {
        let mut before = self.head.load(Acquire);
        // Who moves the cursor for ever is hostile; any answer will do for it.
        for _ in 0..TRIES {
            let tail = self.tail.load(Acquire);
            let after = self.head.load(Acquire);
            if before == after {
                return (tail as u32).wrapping_sub(before as u32);
            }
            before = after;
        }
        0
    }

    /// How many items have been put, and how many taken, since the ring was empty memory.
    pub fn passed(&self) -> (u64, u64) {
        (self.count::<PUT>(), self.count::<GET>())
    }

    fn count<const END: bool>(&self) -> u64 {
        let near = self.end::<END>();
        u64::from(near.laps.load(Relaxed)) << 32 | u64::from(near.cursor.load(Relaxed) as u32)
    }

    /// The most items that were seen in the ring by those who had reason to look at both cursors: producers that found it full, and consumers
    /// that had taken what they knew of. At least half of the most that there ever were.
    pub fn high_water(&self) -> u32 {
        let most = |end: End<'_>| end.most.load(Relaxed);
        most(self.end::<PUT>()).max(most(self.end::<GET>())).max(self.len())
    }

    /// Whether there are no items, at some instant of the call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether puts are refused for good.
    pub fn is_shut_down(&self) -> bool {
        self.quiet.put_closed.load(Relaxed) == CLOSED
    }

    /// Ends the ring: once this returns, no put commits any more, and no get either if `how` is
    /// [`Shutdown::Immediate`]. All sleepers are woken. Repeating it is harmless, and `Immediate` may follow `Drain`.
    ///
    /// # Errors
    /// [`RingError::Interrupted`], while waiting for a lock: repeat it.
    pub fn shut_down<W: Wait>(&self, w: &W, how: Shutdown) -> Result<(), RingError> {
        self.close::<W, PUT>(w)?;
        if how == Shutdown::Immediate {
            self.close::<W, GET>(w)?;
        }
        call(w, &self.quiet.items, ALL);
        call(w, &self.quiet.room, ALL);
        Ok(())
    }

    /// Empties the ring, and says between which cursors its items were. Only for one who has the ring for himself.
    pub(super) fn abandon(&self) -> (u64, u64) {
        let tail = self.tail.load(Relaxed);
        let head = self.head.load(Relaxed);
        self.head.store(tail, Relaxed);
        (head, tail)
    }

    fn close<W: Wait, const END: bool>(&self, w: &W) -> Result<(), RingError> {
        let near = self.end::<END>();
        near.lock.take(w, None)?;
        // Release pairs with the Acquire in `enter_slow`: who sees the close sees every commit before it.
        near.closed.store(CLOSED, Release);
        near.lock.wake(w, near.lock.leave());
        Ok(())
    }
}

impl Desk {
    constructor! {
        fn new() -> Self {
            Self {
                lock: EndLock::new(),
                thrift: AtomicU32::new(0),
                seen: AtomicU64::new(0),
                most: AtomicU32::new(0),
                laps: AtomicU32::new(0),
            }
        }
    }
}

impl Back {
    constructor! {
        fn new() -> Self {
            Self { heard: AtomicU32::new(0), epoch: AtomicU32::new(0), oldest: AtomicU32::new(0) }
        }
    }
}

impl Quiet {
    constructor! {
        fn new() -> Self {
            Self {
                items: AtomicU32::new(0),
                room: AtomicU32::new(0),
                put_closed: AtomicU32::new(OPEN),
                get_closed: AtomicU32::new(OPEN),
                returned: AtomicU32::new(0),
            }
        }
    }
}

/// Tells up to `count` sleepers of `event` to look again.
#[cold]
pub(super) fn call<W: Wait>(w: &W, event: &AtomicU32, count: u32) {
    // Release: a sleeper that finds the number changed also finds what was changed for it.
    event.fetch_add(1, Release);
    w.wake(event, count);
}
