//! A crowd that is waited for until nobody is in it any more, and that loses its dead.
//!
//! | a participant's word | meaning |
//! |---|---|
//! | `owner << 32 + n` | This participant has `n` shares. In scope `threads` there is one word for all, without an owner. |
//! | `other << 32 + n` | What an earlier participant in the same place left. `n` counts until somebody sees that it is gone. |
//!
//! | `entries` | meaning |
//! |---|---|
//! | `0` | Nobody has ever come. Fresh memory is an empty group. |
//! | `n` | How often somebody came, modulo 2^32, 0 left out. |
//!
//! | `gate` | meaning |
//! |---|---|
//! | as `gate.rs` | Who waits sleeps here; whoever brings a word to zero opens it. |
//!
//! Shares are handed over by letting the next one come before the last one goes. A scan of the words must not
//! overlook one who came behind its back while another, whom it was to find, went: the one who comes adds to
//! its word *first* and to `entries` *second*, and a scan counts only if `entries` is the same before and after.

use super::gate::Gate;
use crate::owner::Owner;
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::wait::{Deadline, Wait, WaitError, Wake};

/// The most shares that one participant (in scope `threads`, all together) may have.
pub const MAX_SHARES: u32 = 1 << 31;

/// The group without the words per participant, which are borrowed: found by `owner & 1023`, or a single one in
/// scope `threads`. The same slice must be given to every call.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawWaitGroup {
    entries: AtomicU32,
    gate: Gate,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawWaitGroup>() == 8);
    assert!(offset_of!(RawWaitGroup, entries) == 0);
    assert!(offset_of!(RawWaitGroup, gate) == 4);
};

impl RawWaitGroup {
    constructor! {
        /// A group with nobody in it.
        pub fn new() -> Self {
            Self { entries: AtomicU32::new(0), gate: Gate::new() }
        }
    }

    /// Takes `n` shares for the caller's participant. False: it would have more than [`MAX_SHARES`], and nothing happened.
    #[must_use]
    pub fn enter<W: Wait>(&self, shares: &[AtomicU64], n: u32, w: &W) -> bool {
        let (mine, me) = (word_of(shares, w), owner_bits(w));
        let mut s = mine.load(Relaxed);
        loop {
            let had = if s >> 32 == me { s & u64::from(u32::MAX) } else { 0 };
            let has = had + u64::from(n);
            if has > u64::from(MAX_SHARES) {
                return false;
            }
            match mine.compare_exchange(s, me << 32 | has, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(seen) => s = seen,
            }
        }
        // Release pairs with the Acquire in `is_empty`: who finds this entry counted finds the share.
        if self.entries.fetch_add(1, Release) == u32::MAX {
            self.entries.fetch_add(1, Release);
        }
        true
    }

    /// Gives `n` shares back. The caller's participant must have that many. Everything before this happens before a
    /// [`wait`](Self::wait) returns that ends because of it.
    pub fn leave<W: Wait>(&self, shares: &[AtomicU64], n: u32, w: &W) {
        // Release pairs with the Acquire in `is_over`; the other read-modify-writes continue its release sequence.
        let before = word_of(shares, w).fetch_sub(u64::from(n), AcqRel);
        if before as u32 == n {
            self.gate.open(w);
        }
    }

    /// Whether somebody has ever come.
    pub fn has_begun(&self) -> bool {
        self.entries.load(Acquire) != 0
    }

    /// Whether nobody who lives has a share, at some instant of the call.
    pub fn is_empty<W: Wait>(&self, shares: &[AtomicU64], w: &W) -> bool {
        // Acquire pairs with the Release in `enter`.
        let mut before = self.entries.load(Acquire);
        loop {
            if !shares.iter().all(|share| is_over(share, w)) {
                return false;
            }
            // One who let another come before it went shows that here: its word was read with Acquire.
            let after = self.entries.load(Acquire);
            if after == before {
                return true;
            }
            before = after;
        }
    }

    /// Waits until the group [is empty](Self::is_empty), or `deadline`.
    pub fn wait<W: Wait>(
        &self,
        shares: &[AtomicU64],
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<(), WaitError> {
        let mut turn = 0;
        loop {
            // Before the verdicts on the participants, or a death in between would go unseen.
            let epoch = w.epoch();
            if self.is_empty(shares, w) {
                return Ok(());
            }
            if w.linger(turn) {
                turn += 1;
                continue;
            }
            let (word, ticket) = self.gate.announce();
            // Who went before the announcement is seen to have gone; who goes after it opens the gate.
            if self.is_empty(shares, w) {
                return Ok(());
            }
            match w.wait(word, ticket, epoch, deadline) {
                Wake::Woken => {}
                // All sleepers are woken together, so leaving loses no wake.
                Wake::TimedOut => return Err(WaitError::TimedOut),
                Wake::Interrupted => return Err(WaitError::Interrupted),
            }
        }
    }

    /// How many shares `word` says that `owner` has.
    #[must_use]
    pub fn peek(word: &AtomicU64, owner: Owner) -> u64 {
        let s = word.load(Relaxed);
        if s >> 32 == u64::from(owner.get()) { s & u64::from(u32::MAX) } else { 0 }
    }

    /// How many shares there are, those of the dead that nobody has noticed included. Stale as soon as it is returned.
    pub fn shares(&self, shares: &[AtomicU64]) -> u64 {
        shares.iter().map(|share| share.load(Relaxed) & u64::from(u32::MAX)).sum()
    }
}

/// The caller's word.
fn word_of<'a, W: Wait>(shares: &'a [AtomicU64], w: &W) -> &'a AtomicU64 {
    if W::OWNER_IS_THREAD { &shares[0] } else { &shares[(w.me().get() & 1023) as usize] }
}

/// Whom the caller's word names.
fn owner_bits<W: Wait>(w: &W) -> u64 {
    if W::OWNER_IS_THREAD { 0 } else { u64::from(w.me().get()) }
}

/// This word has no shares, or none any more since its participant is gone.
fn is_over<W: Wait>(share: &AtomicU64, w: &W) -> bool {
    // Acquire pairs with the Release in `leave`.
    let s = share.load(Acquire);
    if s as u32 == 0 {
        return true;
    }
    match Owner::new((s >> 32) as u32) {
        // Spares others the question. Failure: a new participant has moved in, which counts.
        Some(owner) if w.is_gone(owner) => share.compare_exchange(s, 0, Relaxed, Relaxed).is_ok(),
        _ => false,
    }
}
