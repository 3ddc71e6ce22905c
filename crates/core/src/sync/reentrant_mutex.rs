//! A mutex that the thread which holds it may lock again.
//!
//! | field | meaning |
//! |---|---|
//! | `mutex` | As in [`RawMutex`]: the only word that decides who holds it. |
//! | `holder` | Zero, or owner and thread of the one that holds the mutex. Written by the holder only: after it took the mutex, and back to zero before it releases. |
//! | `depth` | How often the holder has locked it. Meaningless unless `holder` names the reader. |
//!
//! A thread that finds itself in `holder` wrote that itself and has not released since, so it holds the mutex. Nobody
//! else needs to read it right, so `Relaxed` is enough. What a dead holder left in `holder` names an owner that nobody
//! is any more, and the heir overwrites it.

use crate::owner::Owner;
use crate::primitive::Ordering::Relaxed;
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::sync::mutex::{Claim, INCONSISTENT, RawMutex};
use crate::wait::{Deadline, Wait, WaitError};

/// The reentrant mutex without its value.
///
/// `thread` in its methods is a number that no other living thread of the same owner has, such as the kernel's thread
/// id; where an owner is a thread, any constant will do.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawReentrantMutex {
    mutex: RawMutex,
    depth: AtomicU32,
    holder: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawReentrantMutex>() == 16);
    assert!(offset_of!(RawReentrantMutex, mutex) == 0);
    assert!(offset_of!(RawReentrantMutex, depth) == 4);
    assert!(offset_of!(RawReentrantMutex, holder) == 8);
};

impl RawReentrantMutex {
    constructor! {
        /// A free mutex.
        pub fn new() -> Self {
            Self { mutex: RawMutex::new(), depth: AtomicU32::new(0), holder: AtomicU64::new(0) }
        }
    }

    /// Locks it, once more if the caller holds it. `None`: once more; the claim it first came with stands.
    ///
    /// # Panics
    /// When the caller has locked it 2^32 - 1 times.
    #[inline]
    pub fn lock<W: Wait>(
        &self,
        thread: u32,
        w: &W,
        deadline: Option<Deadline>,
    ) -> Result<Option<Claim>, WaitError> {
        if self.lock_again(thread, w) {
            return Ok(None);
        }
        let claim = self.mutex.lock(w, deadline)?;
        self.enter(thread, w);
        Ok(Some(claim))
    }

    /// [`lock`](Self::lock) without waiting. The outer `None`: another holds it.
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn try_lock<W: Wait>(&self, thread: u32, w: &W) -> Option<Option<Claim>> {
        if self.lock_again(thread, w) {
            return Some(None);
        }
        let claim = self.mutex.try_lock(w)?;
        self.enter(thread, w);
        Some(Some(claim))
    }

    /// Takes one lock back, and with the last one releases the mutex with `residue` as [`RawMutex::unlock`] does. The
    /// caller must hold it. Returns whether it was the last.
    #[inline]
    pub fn unlock<W: Wait>(&self, w: &W, residue: u32) -> bool {
        let depth = self.depth.load(Relaxed) - 1;
        self.depth.store(depth, Relaxed);
        if depth > 0 {
            return false;
        }
        self.holder.store(0, Relaxed);
        self.mutex.unlock(w, residue);
        true
    }

    /// Releases the mutex however often it was locked, and returns how often, for [`restore`](Self::restore). The caller
    /// must hold it.
    pub fn unlock_all<W: Wait>(&self, w: &W, residue: u32) -> u32 {
        let depth = self.depth.load(Relaxed);
        self.holder.store(0, Relaxed);
        self.mutex.unlock(w, residue);
        depth
    }

    /// After one [`lock`](Self::lock): as if it were `depth`.
    pub fn restore(&self, depth: u32) {
        self.depth.store(depth, Relaxed);
    }

    /// Says that the value was left in the middle of a change. The caller must hold the mutex.
    #[cold]
    pub fn mark_inconsistent(&self) {
        loop {
            // Only the bit for sleepers can change under its holder.
            let s = self.mutex.load(Relaxed);
            if self.mutex.replace(s, s | INCONSISTENT, Relaxed) {
                return;
            }
        }
    }

    /// Whether the caller holds it.
    #[inline]
    pub fn is_mine<W: Wait>(&self, thread: u32, w: &W) -> bool {
        self.holder.load(Relaxed) == name(thread, w)
    }

    /// How often the caller, who must hold it, has locked it.
    pub fn depth(&self) -> u32 {
        self.depth.load(Relaxed)
    }

    /// Owner and thread of the one that holds it. Stale as soon as it is returned; the thread is unknown for an instant
    /// after the mutex was taken and before it is released.
    pub fn holder(&self) -> Option<(Owner, Option<u32>)> {
        let owner = self.mutex.owner()?;
        let holder = self.holder.load(Relaxed);
        let known = holder >> 32 == u64::from(owner.get());
        Some((owner, known.then_some(holder as u32)))
    }

    /// The mutex inside: who owns it, whether its value awaits repair.
    pub fn mutex(&self) -> &RawMutex {
        &self.mutex
    }

    #[inline]
    fn lock_again<W: Wait>(&self, thread: u32, w: &W) -> bool {
        if !self.is_mine(thread, w) {
            return false;
        }
        let depth = self.depth.load(Relaxed);
        self.depth.store(depth.checked_add(1).expect("locked too often"), Relaxed);
        true
    }

    #[inline]
    fn enter<W: Wait>(&self, thread: u32, w: &W) {
        self.depth.store(1, Relaxed);
        self.holder.store(name(thread, w), Relaxed);
    }
}

#[inline]
fn name<W: Wait>(thread: u32, w: &W) -> u64 {
    u64::from(w.me().get()) << 32 | u64::from(thread)
}
