//! Leases: items that were taken, and stay in the ring until they are done with.
//!
//! Between what producers have reclaimed and the head lie the items that were taken, in *runs*: what one take took. The word of the
//! first item of a run says how the run stands; the words of its other items, and of those from the head on, mean nothing.
//!
//! | word of a run | meaning |
//! |---|---|
//! | no owner, not `RETURNED` | Done with: producers may have the cells. Fresh memory is runs of one item each that are done with. |
//! | `owner` | Leased. Once the owner is gone, the next to take takes it. |
//! | `RETURNED` | Given back: the next to take takes it. |
//! | `+ WANTED` | Somebody may sleep until this run is done with: whoever finishes it wakes all. |
//!
//! Beside that a word has the length of the run, the number of attempts, and the lap: so a lease that was lost is not taken
//! for a later one in the same place. `WANTED` may be set though nobody sleeps; it is never lost before the run is done with.
//! `README.md` has the argument for wakes and deaths.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::ring::{GET, OPEN, PUT, Patience, RawRing, RingError, call};
use super::slip::{LAP_SHIFT, Slip, WANTED};
pub use super::slip::{LONGEST_RUN, Lease, MOST_ATTEMPTS};
use super::slots::{Cells, Shape, Slots};
use super::turn::{Measure, Store, Turn};
use crate::primitive::AtomicU64;
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::wait::{ALL, Wait, Wake};

/// The words of the runs.
#[derive(Clone, Copy)]
struct Book<'a> {
    words: NonNull<AtomicU64>,
    shape: Shape,
    life: PhantomData<&'a AtomicU64>,
}

impl<'a> Book<'a> {
    #[inline]
    fn word(self, at: u32) -> &'a AtomicU64 {
        // SAFETY: under the mask, and there is a word for every cell by the contract of `Jobs::new`.
        unsafe { self.words.add((at & (self.shape.cells() - 1)) as usize).as_ref() }
    }

    #[inline]
    fn lap(self, at: u32) -> u64 {
        const LAPS: u64 = u64::MAX >> LAP_SHIFT;
        u64::from(at >> self.shape.cells().trailing_zeros()) & LAPS
    }

    /// Turns the run of `from` into `to` if it still is what `from` says, and says whether it was wanted. If it is not `done` it
    /// still is.
    #[inline]
    fn replace(self, at: u32, from: Slip, to: Slip) -> Option<bool> {
        for mark in [0, WANTED] {
            let kept = if to.is_done() { 0 } else { mark };
            // Release hands the cells on: to producers, or to the next who takes. Acquire pairs with the Release in `want`.
            if self.word(at).compare_exchange(from.0 | mark, to.0 | kept, AcqRel, Relaxed).is_ok() {
                return Some(mark != 0);
            }
        }
        None
    }

    /// Somebody is about to sleep until the run at `at` is done with. False: it is.
    fn announce(self, at: u32) -> bool {
        // Acquire pairs with the Release in `replace`; Release with the Acquire there, so that the wake which answers this comes
        // after the ticket was taken.
        let slip = Slip(self.word(at).fetch_or(WANTED, AcqRel));
        // Another lap: the run is long done with, and this is not what we wait for.
        !slip.is_done() && slip.lap() == self.lap(at)
    }
}

impl Store for Book<'_> {
    type Measure = Cells;

    #[inline]
    fn bound(self) -> Cells {
        Cells(self.shape.capacity())
    }

    fn reclaimed(self, seen: Cells, head: Cells) -> Cells {
        let mut at = seen;
        if !head.minus(seen).fits(self.bound()) {
            // The caller finds that they contradict each other.
            return seen;
        }
        while at.0 != head.0 {
            // Acquire pairs with the Release in `replace`: the cells are done with.
            let slip = Slip(self.word(at.0).load(Acquire));
            if !slip.is_done() {
                break;
            }
            at = at.plus(Cells(slip.run().min(head.minus(at).0)));
        }
        at
    }

    fn is_more(self, seen: Cells, head: Cells) -> bool {
        seen.0 != head.0 && Slip(self.word(seen.0).load(Relaxed)).is_done()
    }

    fn want(self, seen: Cells, head: Cells) -> Option<bool> {
        (seen.0 != head.0).then(|| self.announce(seen.0))
    }
}

/// What a search among the leased items brought.
enum Search {
    /// This came back, and is ours now.
    Found(Lease),
    /// Nothing came back; the oldest that is not done with, if any.
    Nothing(Option<u32>),
    Corrupt,
}

/// A ring, its cells, and a word for each, borrowed: items are taken under leases.
pub struct Jobs<'a, T> {
    slots: Slots<'a, T>,
    book: Book<'a>,
}

impl<T> Clone for Jobs<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Jobs<'_, T> {}

impl<'a, T> Jobs<'a, T> {
    /// A view of a ring, its cells, and the words of their leases.
    ///
    /// # Safety
    /// - As for [`Slots::new`]; everybody who uses `ring` uses it with the same words, and never through `Slots`.
    /// - `words` points to [`Shape::cells`] words, valid for `'a`, zero at first.
    #[inline]
    #[must_use]
    pub const unsafe fn new(
        ring: &'a RawRing,
        cells: NonNull<T>,
        words: NonNull<AtomicU64>,
        shape: Shape,
    ) -> Self {
        // SAFETY: the caller's promise.
        let slots = unsafe { Slots::new(ring, cells, shape) };
        Self { slots, book: Book { words, shape, life: PhantomData } }
    }

    /// The ring.
    #[must_use]
    pub const fn ring(&self) -> &'a RawRing {
        self.slots.ring()
    }

    /// As [`Slots::push`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn push<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        write: impl FnOnce(*mut T),
    ) -> Result<(), RingError> {
        self.slots.push_in(self.book, w, patience, write)
    }

    /// As [`Slots::push_many`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn push_many<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        count: u32,
        write: impl FnMut(*mut T, usize, usize),
    ) -> Result<u32, RingError> {
        self.slots.push_many_in(self.book, w, patience, count, write)
    }

    /// The cell of the `i`th item of a lease. It holds a `T` until the lease is finished.
    #[inline]
    pub fn cell(&self, lease: &Lease, i: u32) -> *mut T {
        self.slots.cell(lease.first.wrapping_add(i))
    }

    /// Calls `touch` with the cells of a lease in one or two pieces, and how many they are. They hold `T`s until the lease is finished.
    #[inline]
    pub fn runs(&self, lease: &Lease, mut touch: impl FnMut(*mut T, usize)) {
        self.slots.runs(lease.first, lease.len(), &mut |cells, _, n| touch(cells, n));
    }

    /// Takes up to `most` items (at least one, at most [`LONGEST_RUN`]) under one lease: what came back before what is new, and the
    /// oldest first.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown` (and everything that was taken is done with), `Corrupt`.
    #[inline]
    pub fn take<W: Wait>(&self, w: &W, patience: Patience, most: u32) -> Result<Lease, RingError> {
        let near = self.ring().end::<GET>();
        let most = Cells(most.clamp(1, LONGEST_RUN).min(self.slots.shape().capacity()));
        if !near.lock.take_free(w) {
            return self.take_slow(w, patience, most, false);
        }
        if near.closed.load(Relaxed) != OPEN || self.has_news(w) {
            return self.take_slow(w, patience, most, true);
        }
        let mut turn = Turn::<_, _, GET>::new(self.ring(), w, self.book);
        if !turn.allows(most) {
            turn = turn.look();
            if !turn.allows(Cells(1)) {
                return self.take_slow(w, patience, most, true);
            }
            if turn.gather() {
                turn = turn.look();
            }
        }
        Ok(self.lease_next(turn, w, most))
    }

    /// Whether something may have come back since a holder of the get lock found that nothing had.
    #[inline]
    fn has_news<W: Wait>(&self, w: &W) -> bool {
        let back = self.ring().back();
        self.ring().returned().load(Relaxed) != back.heard.load(Relaxed)
            || w.epoch() != back.epoch.load(Relaxed)
    }

    /// Leases the next items and commits; `turn` allows at least one.
    #[inline]
    fn lease_next<W: Wait>(&self, turn: Turn<'_, W, Book<'_>, GET>, w: &W, most: Cells) -> Lease {
        let (first, n) = (turn.at().0, turn.allowance().0.min(most.0));
        let slip = Slip::leased(w.me(), n, 1, self.book.lap(first));
        // Relaxed: the head, which is stored next, publishes it.
        self.book.word(first).store(slip.0, Relaxed);
        turn.commit(Cells(n), ALL);
        Lease { first, slip }
    }

    /// The whole of [`take`](Self::take) but its first attempt; `held` is whether that took the lock.
    ///
    /// Repeatedly: take the lock; look for what came back, then for what is new; if in vain leave it, linger, announce a sleeper,
    /// look again, sleep.
    #[cold]
    fn take_slow<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        most: Cells,
        mut held: bool,
    ) -> Result<Lease, RingError> {
        let ring = self.ring();
        let (near, far, back) = (ring.end::<GET>(), ring.end::<PUT>(), ring.back());
        let mut woken = false;
        let mut spins = 0;
        loop {
            // Before any word is read, or what comes back in between would go unseen. Acquire pairs with the Release in `give_back`.
            let epoch = w.epoch();
            let news = ring.returned().load(Acquire);
            if !held && let Err(error) = near.lock.take(w, patience.deadline()) {
                self.pass_on(w, woken);
                return Err(error);
            }
            held = false;
            let turn = Turn::<_, _, GET>::new(ring, w, self.book);
            if near.closed.load(Relaxed) != OPEN {
                turn.leave();
                return Err(RingError::ShutDown);
            }
            // Acquire pairs with the Release in `close`. Read before the cursor, so that the cursor is final.
            let ended = far.closed.load(Acquire) != OPEN;
            let turn = if turn.allows(Cells(1)) { turn } else { turn.look() };
            if !turn.used().fits(self.book.bound()) {
                turn.leave();
                return Err(RingError::Corrupt);
            }
            let is_new = turn.allows(Cells(1));
            let has_heard = back.heard.load(Relaxed) == news && back.epoch.load(Relaxed) == epoch;
            let mut open = None;
            // Before one goes to sleep, or says that there is nothing, one asks after the owners: who died may not yet be mourned.
            if !is_new || !has_heard {
                match self.search(w, turn.at().0, most.0) {
                    Search::Found(lease) => {
                        turn.leave();
                        self.pass_on(w, woken);
                        return Ok(lease);
                    }
                    Search::Nothing(oldest) => open = oldest,
                    Search::Corrupt => {
                        turn.leave();
                        return Err(RingError::Corrupt);
                    }
                }
                back.heard.store(news, Relaxed);
                back.epoch.store(epoch, Relaxed);
            }
            if is_new {
                let lease = self.lease_next(turn, w, most);
                self.pass_on(w, woken);
                return Ok(lease);
            }
            let looked = turn.seen().pack();
            turn.leave();
            if ended && open.is_none() {
                return Err(RingError::ShutDown);
            }
            if patience == Patience::Try {
                return Err(RingError::Empty);
            }
            let is_stale = || {
                // As it is understood: bits that mean nothing are no change.
                Cells::unpack(far.cursor.load(Relaxed)).pack() != looked
                    || ring.returned().load(Relaxed) != news
            };
            while w.linger(spins) && !is_stale() {
                spins += 1;
            }
            // The ticket is taken before the announcements, so the wake that answers one changes the number. Acquire pairs with
            // the Release in `call`: after the call that ends the ring, its end is seen below.
            let ticket = near.event.load(Acquire);
            far.lock.announce();
            // Nothing more will be put, but what others have leased may come back.
            let is_over = ended && !open.is_some_and(|at| self.book.announce(at));
            if is_over
                || is_stale()
                || near.closed.load(Relaxed) != OPEN
                || (far.closed.load(Relaxed) != OPEN) != ended
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

    /// Where the oldest run begins that may not be done with. The get lock is held, with the head at `head`.
    fn oldest(&self, head: u32) -> Option<u32> {
        // Two views, either may be older: consumers' own, and what producers have reclaimed. Relaxed: a producer that used a cell
        // behind this stored it before the tail that was read under this lock.
        let ours = self.ring().back().oldest.load(Relaxed);
        let theirs = Cells::unpack(self.ring().end::<PUT>().seen.load(Relaxed)).0;
        let [ours, theirs] = [ours, theirs].map(|at| head.wrapping_sub(at));
        let behind = ours.min(theirs);
        (behind <= self.slots.shape().capacity()).then(|| head.wrapping_sub(behind))
    }

    /// Looks among the items that were taken for the oldest that came back, and leases up to `most` of it. The get lock is held, so
    /// runs are finished and given back meanwhile, but nobody takes.
    fn search<W: Wait>(&self, w: &W, head: u32, most: u32) -> Search {
        let Some(mut at) = self.oldest(head) else { return Search::Corrupt };
        let mut open = None;
        let mut alive = None;
        while at != head {
            // Acquire pairs with the Release in `replace`.
            let slip = Slip(self.book.word(at).load(Acquire) & !WANTED);
            let run = slip.run().min(head.wrapping_sub(at));
            if !slip.is_done() {
                if open.is_none() {
                    self.ring().back().oldest.store(at, Relaxed);
                    open = Some(at);
                }
                let owner = slip.owner().filter(|owner| Some(*owner) != alive && *owner != w.me());
                if slip.is_returned() || owner.is_some_and(|owner| w.is_gone(owner)) {
                    if let Some(lease) = self.retake(w, at, slip, run, most) {
                        return Search::Found(lease);
                    }
                } else if owner.is_some() {
                    alive = owner;
                }
            }
            at = at.wrapping_add(run);
        }
        if open.is_none() {
            self.ring().back().oldest.store(head, Relaxed);
        }
        Search::Nothing(open)
    }

    /// Takes over the first items of a run that came back.
    fn retake<W: Wait>(&self, w: &W, at: u32, slip: Slip, run: u32, most: u32) -> Option<Lease> {
        let n = run.min(most);
        if n < run {
            // The rest stays as it is. Until the first part is ours this word means nothing.
            let rest = at.wrapping_add(n);
            let slip = slip.of(run - n, self.book.lap(rest));
            self.book.word(rest).store(slip.0, Relaxed);
        }
        let ours = Slip::leased(w.me(), n, slip.attempts() + 1, self.book.lap(at));
        self.book.replace(at, slip, ours)?;
        Some(Lease { first: at, slip: ours })
    }

    /// Finishes a lease: the items leave the ring, and their cells are producers'. False: it was no longer ours.
    #[inline]
    pub fn finish<W: Wait>(&self, w: &W, lease: Lease) -> bool {
        let done = Slip::done(lease.len());
        match self.book.replace(lease.first, lease.slip, done) {
            Some(wanted) => {
                if wanted {
                    self.tell(w);
                }
                true
            }
            None => false,
        }
    }

    /// Finishes the first `n` items of a lease, and says what is left of it. `None`: it was no longer ours. `n` is at least 1 and less
    /// than its length.
    pub fn finish_first<W: Wait>(&self, w: &W, lease: Lease, n: u32) -> Option<Lease> {
        debug_assert!((1..lease.len()).contains(&n));
        let first = lease.first.wrapping_add(n);
        let rest = Lease { first, slip: lease.slip.of(lease.len() - n, self.book.lap(first)) };
        // Until the first part is done with this word means nothing.
        self.book.word(first).store(rest.slip.0, Relaxed);
        if self.book.replace(lease.first, lease.slip, Slip::done(n))? {
            self.tell(w);
        }
        Some(rest)
    }

    /// Gives the items back: they are taken again, before what is new. False: they were no longer ours.
    #[cold]
    pub fn give_back<W: Wait>(&self, w: &W, lease: Lease) -> bool {
        if self.book.replace(lease.first, lease.slip, lease.slip.returned()).is_none() {
            return false;
        }
        // Release pairs with the Acquire in `take_slow`: who sees the number sees the item.
        self.ring().returned().fetch_add(1, Release);
        let end = self.ring().end::<PUT>();
        if end.lock.summon() {
            call(w, self.ring().end::<GET>().event, ALL);
        }
        true
    }

    /// Wakes all who sleep until something is done with: producers, and after the end consumers.
    #[cold]
    fn tell<W: Wait>(&self, w: &W) {
        let (put, get) = (self.ring().end::<PUT>(), self.ring().end::<GET>());
        call(w, put.event, ALL);
        // Relaxed: a consumer announced itself after it had seen the end, and we have seen the announcement.
        if put.closed.load(Relaxed) != OPEN {
            call(w, get.event, ALL);
        }
    }

    /// A woken sleeper that is done looks after the others: the bit that told of them is gone.
    fn pass_on<W: Wait>(&self, w: &W, woken: bool) {
        if !woken {
            return;
        }
        let ring = self.ring();
        let (near, far) = (ring.end::<GET>(), ring.end::<PUT>());
        // From here on the far end knows of sleepers again; what it committed, or was given back, before is seen below.
        far.lock.announce();
        let items =
            (far.cursor.load(Relaxed) as u32).wrapping_sub(near.cursor.load(Relaxed) as u32);
        if items > 0 || ring.returned().load(Relaxed) != ring.back().heard.load(Relaxed) {
            call(w, near.event, 1);
        }
    }

    /// How many items are leased, and how many were given back and not taken again; as of no particular instant.
    #[must_use]
    pub fn standing(&self) -> (u32, u32) {
        let (mut leased, mut returned) = (0, 0);
        self.each_run(|_, run, slip| {
            *if slip.is_returned() { &mut returned } else { &mut leased } += run
        });
        (leased, returned)
    }

    /// Calls `body` with each run that is not done with.
    fn each_run(&self, mut body: impl FnMut(u32, u32, Slip)) {
        let head = self.ring().end::<GET>().cursor.load(Acquire) as u32;
        let Some(mut at) = self.oldest(head) else { return };
        while at != head {
            let slip = Slip(self.book.word(at).load(Acquire));
            let run = slip.run().min(head.wrapping_sub(at));
            if !slip.is_done() {
                body(at, run, slip);
            }
            at = at.wrapping_add(run);
        }
    }

    /// Empties the ring, also one that is shut down: calls `take` with each cell that holds an item, leased or not. If `take` panics,
    /// those that it was not called for are gone too.
    ///
    /// # Safety
    /// Nobody else uses the ring meanwhile or later.
    pub unsafe fn abandon(&self, mut take: impl FnMut(*mut T)) {
        self.each_run(|at, run, _| {
            (0..run).for_each(|i| take(self.slots.cell(at.wrapping_add(i))))
        });
        // SAFETY: the caller's promise.
        unsafe { self.slots.abandon(take) };
    }
}

impl<T> fmt::Debug for Jobs<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("slots", &self.slots).finish_non_exhaustive()
    }
}
