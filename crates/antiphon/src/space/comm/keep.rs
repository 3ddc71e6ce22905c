//! What dicts and lists have in common: a lock whose holder's death is made good by the next one, and room for blocks.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use antiphon_core::comm::store::{self, Corrupt, MAX_UNITS, Store, UNIT, UNIT_WORDS};
use antiphon_core::owner::Owner;
use antiphon_core::sync::{Claim, RawMutex};
use antiphon_core::wait::{Deadline, WaitError};
use antiphon_place::{Counter, Error, Record};

use crate::error::{TimedAccessError, TryAccessError};
use crate::space::entry::{BEHIND, Entry};
use crate::space::wait::SpaceWait;

/// A lock, and the record beside it.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) entry: &'a Entry,
    pub(super) record: &'a Record,
    pub(super) mutex: &'a RawMutex,
}

impl Door<'_> {
    /// Takes the lock, waiting until `deadline`. Who died with it is noted.
    #[inline]
    pub(super) fn enter(
        self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Result<Claim, TimedAccessError> {
        let site = self.entry.site(caller);
        if self.mutex.lock_free(&self.entry.wait()) {
            self.entry.begin(self.record, site);
            return Ok(Claim::Clean);
        }
        if self.entry.is_mine(self.mutex.owner(), self.record) {
            return Err(TimedAccessError::WouldDeadlock);
        }
        let noted = self.entry.noted(caller, deadline, Some(self.record));
        match self.mutex.lock_contended(&noted, deadline) {
            Ok(claim) => {
                let claim = self.entered(claim, caller);
                noted.note_acquired();
                Ok(claim)
            }
            Err(WaitError::WouldDeadlock) => Err(TimedAccessError::WouldDeadlock),
            Err(_) => {
                let holder = self.mutex.owner().map(|owner| (owner, self.record));
                Err(TimedAccessError::TimedOut(self.entry.timeout(&noted, holder)))
            }
        }
    }

    /// Takes the lock if that takes no waiting.
    pub(super) fn try_enter(
        self,
        caller: &'static Location<'static>,
    ) -> Result<Claim, TryAccessError> {
        let claim = self.mutex.try_lock(&self.entry.wait());
        Ok(self.entered(claim.ok_or(TryAccessError::WouldBlock)?, caller))
    }

    /// What came of `entered`, with that claim on the lock: a repair is counted, and what cannot be repaired is let go by `abandon`.
    pub(super) fn admit<I>(
        self,
        claim: Claim,
        entered: Result<I, Corrupt>,
        abandon: impl FnOnce(&SpaceWait<'_>),
    ) -> Result<I, Corrupt> {
        match entered {
            Ok(_) if claim != Claim::Clean => {
                self.entry.object.header().statistics.count(Counter::Repairs);
            }
            Ok(_) => {}
            Err(Corrupt) => {
                self.record.end();
                abandon(&self.entry.wait());
            }
        }
        entered
    }

    /// Notes that `owner` lets go of the lock. False in a forked child: the lock is its parent's.
    pub(super) fn note_leaving(self, owner: Owner) -> bool {
        let ours = self.entry.wait().is(owner);
        if ours {
            self.entry.note_held(self.record, self.record.token());
            self.record.end();
        }
        ours
    }

    fn entered(self, claim: Claim, caller: &'static Location<'static>) -> Claim {
        if let Claim::Inherited(Some(gone)) = claim {
            self.entry.bury(gone, Some(self.record), None);
        }
        self.entry.begin(self.record, self.entry.site(caller));
        claim
    }
}

/// Where links, map and blocks of an object are: behind its first line, in this order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    links: usize,
    units: u32,
}

impl Shape {
    /// Room for so many bytes of blocks, with `links` of the number of units.
    pub(super) fn new(bytes: u64, links: impl FnOnce(usize) -> usize) -> Result<Self, Error> {
        let most = u64::from(MAX_UNITS) * UNIT as u64;
        if !(UNIT as u64..=most).contains(&bytes) {
            return Err(Error::BadParameter {
                what: "the number of bytes",
                rule: format!("{UNIT} to {most}"),
                found: bytes.to_string(),
            });
        }
        let units = bytes.div_ceil(UNIT as u64) as u32;
        Ok(Self { links: links(units as usize).next_multiple_of(16), units })
    }

    pub(super) fn body_len(self) -> usize {
        self.words_at() + self.units as usize * UNIT
    }

    fn map_at(self) -> usize {
        BEHIND + self.links * size_of::<AtomicU32>()
    }

    fn words_at(self) -> usize {
        self.map_at() + store::map_words(self.units) * size_of::<AtomicU64>()
    }
}

/// The memory behind the first line.
#[derive(Clone)]
pub(super) struct Room {
    links: NonNull<[AtomicU32]>,
    map: NonNull<[AtomicU64]>,
    words: NonNull<[AtomicU64]>,
}

impl Room {
    /// The room in this object, which must be kept for as long as it is used.
    pub(super) fn new(entry: &Entry, shape: Shape) -> Self {
        assert!(shape.body_len() <= entry.object.body_len());
        let at = |offset: usize| {
            // SAFETY: inside the body, by the assertion above.
            unsafe { entry.object.body().add(offset) }
        };
        let words = shape.units as usize * UNIT_WORDS;
        Self {
            links: NonNull::slice_from_raw_parts(at(BEHIND).cast(), shape.links),
            map: NonNull::slice_from_raw_parts(
                at(shape.map_at()).cast(),
                store::map_words(shape.units),
            ),
            words: NonNull::slice_from_raw_parts(at(shape.words_at()).cast(), words),
        }
    }

    /// How many links of a dict lead to its entries.
    pub(super) fn buckets(&self) -> usize {
        self.links.len()
    }

    /// # Safety
    /// The object must be kept for `'a`.
    pub(super) unsafe fn links<'a>(&self) -> &'a [AtomicU32] {
        // SAFETY: inside the object that the caller keeps; atomics may be any bytes.
        unsafe { self.links.as_ref() }
    }

    /// # Safety
    /// As [`links`](Self::links).
    pub(super) unsafe fn store<'a>(&self) -> Store<'a> {
        // SAFETY: as above.
        unsafe { Store::new(self.map.as_ref(), self.words.as_ref()) }
    }
}
