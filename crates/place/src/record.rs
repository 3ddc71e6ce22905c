//! What an object says about itself while it works: its holder, its counters, its last death.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use antiphon_core::owner::{OWNER_BITS, Owner};

use crate::site::{SITES, SiteId};

/// What stands beside an ownership word: hints that say more about the holder. The word alone decides who owns.
///
/// Written by the holder only, except `seen_*`, which the first who has to wait writes for all.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Record {
    /// The holder, see [`who`]; zero while free.
    who: AtomicU64,
    /// How often it was acquired: the fencing token of the current holder.
    acquired: AtomicU64,
    /// The token that `since` belongs to.
    since_token: AtomicU64,
    /// Monotonic nanoseconds: when the holder of `since_token` acquired, or was first seen to hold.
    since: AtomicU64,
}

const _: () = {
    assert!(size_of::<Record>() == 32);
    assert!(offset_of!(Record, who) == 0);
    assert!(offset_of!(Record, acquired) == 8);
    assert!(offset_of!(Record, since_token) == 16);
    assert!(offset_of!(Record, since) == 24);
};

/// Bits of a thread's number: the kernel's are below 2^22.
const THREAD_BITS: u32 = 22;
/// Where the call site begins, behind thread and owner.
const SITE_SHIFT: u32 = THREAD_BITS + OWNER_BITS;
const THREAD_MASK: u64 = (1 << THREAD_BITS) - 1;
const _: () = assert!(SITES < 1 << (u64::BITS - SITE_SHIFT));

/// Thread, owner and call site in one word, so that they are those of one holder.
#[inline]
fn who(owner: Owner, thread: u32, site: SiteId) -> u64 {
    let thread = u64::from(thread) & THREAD_MASK;
    thread | u64::from(owner.get()) << THREAD_BITS | u64::from(site.0) << SITE_SHIFT
}

impl Record {
    /// The caller has just acquired. Returns its fencing token.
    #[inline]
    pub fn begin(&self, owner: Owner, thread: u32, site: SiteId) -> u64 {
        // Plain stores suffice: only the holder writes these, and the lock orders holders.
        // Wrapping, since a peer may have written anything there.
        let token = self.acquired.load(Relaxed).wrapping_add(1);
        self.acquired.store(token, Relaxed);
        self.who.store(who(owner, thread, site), Relaxed);
        token
    }

    /// The caller, who has begun, is a task: it holds on behalf of its process and of no thread.
    pub fn begun_by_task(&self, owner: Owner, site: SiteId) {
        self.who.store(who(owner, 0, site), Relaxed);
    }

    /// The caller is about to release.
    #[inline]
    pub fn end(&self) {
        self.who.store(0, Relaxed);
    }

    /// Whether this thread of this owner has begun and not ended. Exact for the asker itself: what another holder, of whatever
    /// pid namespace, has left there names another owner.
    #[inline]
    pub fn is_held_by(&self, owner: Owner, thread: u32) -> bool {
        let asked = who(owner, thread, SiteId(0));
        self.who.load(Relaxed) & ((1 << SITE_SHIFT) - 1) == asked
    }

    /// The owner said to hold it. It stays there when that one dies, until the next one begins. Hint.
    pub fn owner(&self) -> Option<Owner> {
        Owner::of_word((self.who.load(Relaxed) >> THREAD_BITS) as u32)
    }

    /// The thread said to hold it, zero if none. Hint.
    #[inline]
    pub fn thread(&self) -> u32 {
        (self.who.load(Relaxed) & THREAD_MASK) as u32
    }

    /// Where the holder acquired. Hint.
    pub fn site(&self) -> SiteId {
        SiteId((self.who.load(Relaxed) >> SITE_SHIFT) as u32)
    }

    /// The number of acquisitions, which is the fencing token of the last of them.
    pub fn token(&self) -> u64 {
        self.acquired.load(Relaxed)
    }

    /// Notes that the current holder acquired, or was seen to hold, at `now`; the first note for a token stays.
    pub fn note_since(&self, now: u64) {
        let token = self.token();
        if self.since_token.load(Relaxed) != token {
            self.since.store(now, Relaxed);
            self.since_token.store(token, Relaxed);
        }
    }

    /// Since when the current holder holds it at least, in monotonic nanoseconds; `None` when nobody had to wait for it.
    pub fn since(&self) -> Option<u64> {
        self.since_of(self.token())
    }

    /// The same of the holder with this token, for as long as nobody waits for a later one. No holder has the token 0.
    pub fn since_of(&self, token: u64) -> Option<u64> {
        let known = token != 0 && self.since_token.load(Relaxed) == token;
        known.then(|| self.since.load(Relaxed))
    }
}

/// Things that are counted, per object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Counter {
    /// Operations that had to wait.
    Contended,
    /// Waits that ended at their deadline.
    Timeouts,
    /// Owners that died or left while they held it.
    Deaths,
    /// Values marked good again.
    Repairs,
}

/// Number of [`Counter`]s; the format has room for 12.
const COUNTERS: usize = 12;
/// Buckets of a histogram: bucket `i` counts durations below `2^(i+8)` nanoseconds, the last all longer ones.
const BUCKETS: usize = 32;

/// Counters, histograms and the last death of an object. Touched on contended paths only.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Statistics {
    counters: [AtomicU64; COUNTERS],
    waits: [AtomicU32; BUCKETS],
    holds: [AtomicU32; BUCKETS],
    death_owner: AtomicU32,
    death_thread: AtomicU32,
    death_site: AtomicU32,
    death_cause: AtomicU32,
    death_since: AtomicU64,
    death_at: AtomicU64,
}

const _: () = {
    assert!(size_of::<Statistics>() == 12 * 8 + 2 * 32 * 4 + 32);
    assert!(offset_of!(Statistics, counters) == 0);
    assert!(offset_of!(Statistics, waits) == 96);
    assert!(offset_of!(Statistics, holds) == 224);
    assert!(offset_of!(Statistics, death_owner) == 352);
    assert!(offset_of!(Statistics, death_thread) == 356);
    assert!(offset_of!(Statistics, death_site) == 360);
    assert!(offset_of!(Statistics, death_cause) == 364);
    assert!(offset_of!(Statistics, death_since) == 368);
    assert!(offset_of!(Statistics, death_at) == 376);
};

impl Statistics {
    /// Adds one.
    pub fn count(&self, counter: Counter) {
        self.counters[counter as usize].fetch_add(1, Relaxed);
    }

    /// Reads one.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Relaxed)
    }

    /// Notes that somebody waited that many nanoseconds.
    pub fn waited(&self, nanoseconds: u64) {
        self.waits[bucket(nanoseconds)].fetch_add(1, Relaxed);
    }

    /// Notes that somebody held it that many nanoseconds.
    pub fn held(&self, nanoseconds: u64) {
        self.holds[bucket(nanoseconds)].fetch_add(1, Relaxed);
    }

    /// The histograms of waiting and holding.
    pub fn histograms(&self) -> ([u32; BUCKETS], [u32; BUCKETS]) {
        let read = |h: &[AtomicU32; BUCKETS]| std::array::from_fn(|i| h[i].load(Relaxed));
        (read(&self.waits), read(&self.holds))
    }

    /// Notes an owner that died or left while it held the object.
    pub fn record_death(&self, death: &Death) {
        let owner = death.owner.map_or(0, Owner::get);
        // Two who come upon the same death may both note it.
        if self.death_owner.swap(owner, Relaxed) != owner && death.cause != Cause::Panicked {
            self.count(Counter::Deaths);
        }
        self.death_thread.store(death.thread, Relaxed);
        self.death_site.store(death.site.0, Relaxed);
        self.death_cause.store(death.cause as u32, Relaxed);
        self.death_since.store(death.since.unwrap_or(0), Relaxed);
        self.death_at.store(death.noticed, Relaxed);
    }

    /// The last death, if there was one.
    pub fn last_death(&self) -> Option<Death> {
        let noticed = self.death_at.load(Relaxed);
        (noticed != 0).then(|| Death {
            owner: Owner::of_word(self.death_owner.load(Relaxed)),
            thread: self.death_thread.load(Relaxed),
            site: SiteId(self.death_site.load(Relaxed)),
            since: Some(self.death_since.load(Relaxed)).filter(|s| *s != 0),
            cause: Cause::from_number(self.death_cause.load(Relaxed)),
            noticed,
        })
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let bits = (u64::BITS - nanoseconds.leading_zeros()) as usize;
    bits.saturating_sub(8).min(BUCKETS - 1)
}

/// How an owner ended while it held something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Cause {
    /// Its process ended without leaving the space.
    Died = 0,
    /// It left the space in good order, but with this held.
    LeftHolding = 1,
    /// It panicked while it changed the value, and then released it.
    Panicked = 2,
}

impl Cause {
    fn from_number(number: u32) -> Self {
        match number {
            1 => Self::LeftHolding,
            2 => Self::Panicked,
            _ => Self::Died,
        }
    }
}

/// An owner's end while it held something, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Death {
    /// Which participant it was; `None` when it is known only that the value was left unrepaired.
    pub owner: Option<Owner>,
    /// Its thread.
    pub thread: u32,
    /// Where it acquired.
    pub site: SiteId,
    /// Since when it held at least, in monotonic nanoseconds.
    pub since: Option<u64>,
    /// How it ended.
    pub cause: Cause,
    /// When that was noticed, in monotonic nanoseconds.
    pub noticed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_left_by_another_owner_is_not_mistaken() {
        let [mine, other] = [7, 1031].map(|id| Owner::new(id).unwrap());
        let record = Record::default();
        // A thread of another process, perhaps of another pid namespace, has our thread's number; it dies holding.
        record.begin(other, 4711, SiteId(9));
        assert!(!record.is_held_by(mine, 4711));
        assert_eq!((record.thread(), record.site()), (4711, SiteId(9)));
        record.begin(mine, 4711, SiteId(1024));
        assert!(record.is_held_by(mine, 4711) && !record.is_held_by(mine, 4712));
        assert_eq!(record.site(), SiteId(1024));
        record.end();
        assert!(!record.is_held_by(mine, 4711));
    }
}
