//! The bounded table of those who wait: for people to look at, never for algorithms to decide by.

use std::mem::offset_of;
use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use antiphon_core::owner::Owner;

use crate::site::SiteId;

/// Waiters that a table can show; more are there but unseen.
const SLOTS: usize = 16;

#[derive(Debug, Default)]
#[repr(C)]
struct Slot {
    /// The participant, 0 when unused.
    owner: AtomicU32,
    thread: AtomicU32,
    site: AtomicU32,
    _pad: u32,
    since: AtomicU64,
    until: AtomicU64,
}

/// The table in an object's header.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Waiters {
    slots: [Slot; SLOTS],
}

const _: () = {
    assert!(size_of::<Waiters>() == 512 && size_of::<Slot>() == 32);
    assert!(offset_of!(Slot, owner) == 0);
    assert!(offset_of!(Slot, thread) == 4);
    assert!(offset_of!(Slot, site) == 8);
    assert!(offset_of!(Slot, since) == 16);
    assert!(offset_of!(Slot, until) == 24);
};

/// One who waits, as shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaiterInfo {
    /// The participant.
    pub owner: Owner,
    /// Its thread.
    pub thread: u32,
    /// Where it waits.
    pub site: SiteId,
    /// Since when, in monotonic nanoseconds.
    pub since: u64,
    /// Until when, if not for ever.
    pub until: Option<u64>,
}

/// A line in the table, cleared when dropped.
#[derive(Debug)]
pub struct Waiting<'a>(Option<&'a Slot>);

impl Waiters {
    /// Enters a waiter. `is_gone` tells which lines the dead have left.
    pub fn enter(&self, info: WaiterInfo, is_gone: impl Fn(Owner) -> bool) -> Waiting<'_> {
        let free = self.slots.iter().find(|slot| slot.take(0, info.owner));
        let slot = free.or_else(|| {
            self.slots.iter().find(|slot| {
                let old = slot.owner.load(Relaxed);
                Owner::of_word(old).is_some_and(&is_gone) && slot.take(old, info.owner)
            })
        });
        if let Some(slot) = slot {
            slot.thread.store(info.thread, Relaxed);
            slot.site.store(info.site.0, Relaxed);
            slot.until.store(info.until.unwrap_or(0), Relaxed);
            // Publishes the line: a reader skips lines without a time.
            slot.since.store(info.since, Release);
        }
        Waiting(slot)
    }

    /// The waiters to be seen now.
    pub fn list(&self) -> Vec<WaiterInfo> {
        self.slots.iter().filter_map(Slot::read).collect()
    }
}

impl Slot {
    fn take(&self, from: u32, owner: Owner) -> bool {
        self.owner.compare_exchange(from, owner.get(), Acquire, Relaxed).is_ok()
    }

    fn read(&self) -> Option<WaiterInfo> {
        let owner = Owner::of_word(self.owner.load(Relaxed))?;
        let since = self.since.load(Acquire);
        (since != 0).then(|| WaiterInfo {
            owner,
            thread: self.thread.load(Relaxed),
            site: SiteId(self.site.load(Relaxed)),
            since,
            until: Some(self.until.load(Relaxed)).filter(|u| *u != 0),
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.since.store(0, Relaxed);
            slot.owner.store(0, Release);
        }
    }
}
