//! The word of a run of items that were taken together: who has them, how many there are, how often they were taken.
//!
//! The table of its states is in [`lease`](super::lease).

use core::fmt;

use crate::owner::{OWNER_MASK, Owner};

/// The most items of one lease.
pub const LONGEST_RUN: u32 = 1 << RUN_BITS;
/// As many attempts are told apart.
pub const MOST_ATTEMPTS: u32 = (1 << ATTEMPT_BITS) - 1;

/// Somebody may sleep until this run is done with.
pub(super) const WANTED: u64 = 1 << 30;
/// Nobody's, and not done with.
const RETURNED: u64 = 1 << 31;
const RUN_SHIFT: u32 = 32;
const RUN_BITS: u32 = 10;
const ATTEMPT_SHIFT: u32 = RUN_SHIFT + RUN_BITS;
const ATTEMPT_BITS: u32 = 8;
pub(super) const LAP_SHIFT: u32 = ATTEMPT_SHIFT + ATTEMPT_BITS;

/// How a run stands, without `WANTED`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slip(pub(super) u64);

impl Slip {
    #[inline]
    pub(super) fn leased(owner: Owner, run: u32, attempts: u32, lap: u64) -> Self {
        let holder = u64::from(owner.get());
        let attempts = u64::from(attempts.min(MOST_ATTEMPTS)) << ATTEMPT_SHIFT;
        Self(holder | length(run) | attempts | lap << LAP_SHIFT)
    }

    #[inline]
    pub(super) fn done(run: u32) -> Self {
        Self(length(run))
    }

    /// The same, given back.
    pub(super) fn returned(self) -> Self {
        Self(self.0 & !u64::from(OWNER_MASK) | RETURNED)
    }

    /// The same of a run of that length in that lap.
    pub(super) fn of(self, run: u32, lap: u64) -> Self {
        let kept =
            self.0 & (u64::from(OWNER_MASK) | RETURNED | u64::from(MOST_ATTEMPTS) << ATTEMPT_SHIFT);
        Self(kept | length(run) | lap << LAP_SHIFT)
    }

    #[inline]
    pub(super) fn is_done(self) -> bool {
        self.0 & (u64::from(OWNER_MASK) | RETURNED) == 0
    }

    pub(super) fn is_returned(self) -> bool {
        self.0 & RETURNED != 0
    }

    #[inline]
    pub(super) fn owner(self) -> Option<Owner> {
        Owner::of_word(self.0 as u32)
    }

    #[inline]
    pub(super) fn run(self) -> u32 {
        (self.0 >> RUN_SHIFT) as u32 % LONGEST_RUN + 1
    }

    pub(super) fn attempts(self) -> u32 {
        (self.0 >> ATTEMPT_SHIFT) as u32 & MOST_ATTEMPTS
    }

    pub(super) fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }
}

/// The bits of a run of that length, which is not zero.
#[inline]
fn length(run: u32) -> u64 {
    u64::from(run - 1) << RUN_SHIFT
}

/// A run of items that somebody has taken: its place, and what its word says. A number; forgetting it leaves the items leased.
#[derive(Clone, Copy)]
pub struct Lease {
    pub(super) first: u32,
    pub(super) slip: Slip,
}

impl Lease {
    /// How many items.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    #[inline]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.slip.run()
    }

    /// How often the items have been taken, up to [`MOST_ATTEMPTS`]: 1 the first time.
    #[inline]
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.slip.attempts()
    }

    /// Who took them.
    #[inline]
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.slip.owner()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("first", &self.first)
            .field("len", &self.len())
            .field("attempts", &self.attempts())
            .finish()
    }
}
