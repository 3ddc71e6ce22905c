//! Who holds something: the one number that an ownership word carries.

use core::num::NonZeroU32;

/// Bits of an ownership word that name the owner. The two bits above them belong to the algorithm.
pub const OWNER_BITS: u32 = 30;
/// Selects the owner from an ownership word.
pub const OWNER_MASK: u32 = (1 << OWNER_BITS) - 1;

/// A holder's identity: a thread (scope `threads`) or a participant (scope `host`). Never zero, at most 30 bits.
///
/// The algorithms only compare it and hand it to [`Wait::is_gone`](crate::wait::Wait::is_gone); what its bits mean is the
/// scope's business. It fits a futex word with two bits to spare, so one compare-exchange takes a lock *and* says who
/// took it: there is no instant at which something is held by nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Owner(NonZeroU32);

impl Owner {
    /// An owner from its number, or `None` when that is zero or needs more than [`OWNER_BITS`] bits.
    #[inline]
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id) {
            Some(id) if id.get() <= OWNER_MASK => Some(Self(id)),
            _ => None,
        }
    }

    /// The owner with a number that [`get`](Self::get) gave.
    ///
    /// # Safety
    /// - `id` is not zero and has at most [`OWNER_BITS`] bits.
    #[inline]
    pub const unsafe fn new_unchecked(id: u32) -> Self {
        // SAFETY: not zero, says the caller.
        Self(unsafe { NonZeroU32::new_unchecked(id) })
    }

    /// The owner named in an ownership word, ignoring the algorithm's two bits.
    #[inline]
    pub const fn of_word(word: u32) -> Option<Self> {
        Self::new(word & OWNER_MASK)
    }

    /// The number, to be stored in an ownership word.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}
