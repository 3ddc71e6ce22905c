//! Taking part in a space: an identity that no later process can be taken for, and the verdict on others.
//!
//! The truth is a byte lock of the control segment, held through an open file description of the participant's own: the
//! kernel releases it when the process ends, however it ends. The participant's line says the rest. A participant is
//! gone when its line has moved on to another generation, says free or dead, or says alive or leaving while its byte is
//! unlocked. Nobody locks the byte of a line that still says so, and the line is read again after the byte: so who is
//! found to be there was there at an instant after the finder took the epoch, and its end will move it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicI32, AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};

use antiphon_core::bell::Bell;
use antiphon_core::lookout::Lookout;
use antiphon_core::owner::Owner;
use antiphon_core::wait::ALL;
use antiphon_sys::fork::still;
use antiphon_sys::futex::{self, Visibility};
use antiphon_sys::{clock, descriptor, process};

use crate::control::{
    Control, Participant, ParticipantInfo, State, following, generation, index, orphan, owner,
};
use crate::error::Error;
use crate::forked::{self, Unborn};
use crate::segment::{Heap, Storage};
use crate::site::{SiteCache, SiteId};

/// First of the bytes whose locks say who lives; far behind any byte that is there.
pub(crate) const LOCKS: u64 = 1 << 62;
/// The byte whose lock serialises joining, leaving and cleaning of a space.
const REGISTRY: u64 = LOCKS + 4096;

/// This process's part in one space.
#[derive(Debug)]
pub struct Registration {
    storage: Storage,
    /// Into the storage, to be reached without asking what it is.
    control: NonNull<Control>,
    participants: u32,
    is_shared: bool,
    pub(crate) me: AtomicU32,
    /// The open file description that holds our byte; -1 when the space is on the heap, or there was none for a forked child.
    pub(crate) file: AtomicI32,
    pub(crate) unborn: Unborn,
    sites: SiteCache,
    pub(crate) delegate: Lookout<1>,
}

// SAFETY: the pointer leads into the storage, and what is there is made of atomics.
unsafe impl Send for Registration {}
// SAFETY: as above.
unsafe impl Sync for Registration {}

impl Registration {
    /// A space on the heap: one participant, this process.
    pub fn local() -> Box<Self> {
        let storage = Storage::Heap(Heap::new(Control::size(1)).expect("memory for a space"));
        let this = Self::unattached(storage, 1, -1);
        let me = owner(0, 1);
        this.slots()[0].write(std::process::id(), 0, clock::wall(), "", "");
        this.slots()[0].publish(1, State::Alive);
        this.me.store(me.get(), Relaxed);
        Box::new(this)
    }

    fn unattached(storage: Storage, participants: u32, file: i32) -> Self {
        assert!(storage.len() >= Control::size(participants));
        Self {
            control: storage.base().cast(),
            is_shared: matches!(storage, Storage::Mapped(_)),
            storage,
            participants,
            me: AtomicU32::new(orphan().get()),
            file: AtomicI32::new(file),
            unborn: Unborn::none(),
            sites: SiteCache::new(),
            delegate: Lookout::new(),
        }
    }

    /// Takes part in the space whose control segment is `file` (an open file description of our own) mapped at `storage`.
    /// The caller holds the registry lock.
    pub(crate) fn attach(
        storage: Storage,
        participants: u32,
        file: OwnedFd,
        label: &str,
    ) -> Result<Box<Self>, Error> {
        let this = Box::new(Self::unattached(storage, participants, file.as_raw_fd()));
        // From here on `Drop` closes it.
        std::mem::forget(file);
        // Before a byte is locked: a forked child must not keep it locked.
        if !forked::remember(&this) {
            return Err(Error::BadParameter {
                what: "the number of spaces that a process shares with others at once",
                rule: format!("at most {}", forked::CAPACITY),
                found: "one more".to_owned(),
            });
        }
        let Some((slot, generation)) =
            this.claim(this.file()).map_err(Error::system("lock", "the control segment"))?
        else {
            return Err(Error::TooManyParticipants { limit: participants });
        };
        let pid = std::process::id();
        let start = process::start_time(pid).unwrap_or(0);
        let program = process::name(pid).unwrap_or_default();
        this.slots()[slot as usize].write(pid, start, clock::wall(), label, &program);
        this.publish(slot, generation);
        Ok(this)
    }

    /// Locks the byte of a free slot through `file`. `None`: all are taken by the living.
    pub(crate) fn claim(&self, file: BorrowedFd<'_>) -> io::Result<Option<(u32, u32)>> {
        let start = self.control().next().fetch_add(1, Relaxed);
        for i in 0..self.participants {
            let slot = start.wrapping_add(i) % self.participants;
            let (line, byte) = (&self.slots()[slot as usize], LOCKS + u64::from(slot));
            let (seen, state) = line.state();
            if state.is_there() {
                if descriptor::byte_is_locked(file, byte)? {
                    continue;
                }
                // It ended and nobody has noticed. Its line must say so before its byte is locked again: by the byte it is
                // judged.
                self.bury(slot, seen);
            }
            if !descriptor::lock_byte(file, byte)? {
                continue;
            }
            // Lines of children are claimed without the registry lock: one that came and died since is left to the next who looks.
            let (seen, state) = line.state();
            if state.is_there() {
                descriptor::unlock_byte(file, byte)?;
                continue;
            }
            return Ok(Some((slot, following(seen))));
        }
        Ok(None)
    }

    fn publish(&self, slot: u32, generation: u32) {
        self.slots()[slot as usize].publish(generation, State::Alive);
        self.me.store(owner(slot, generation).get(), Relaxed);
    }

    /// What a forked child is for which there was no free slot, or no descriptor: nobody, who can own nothing.
    pub const NOBODY: Owner = orphan();

    /// This participant, or [`NOBODY`](Self::NOBODY).
    #[inline]
    pub fn me(&self) -> Owner {
        // SAFETY: whatever is stored there came from `Owner::get`.
        unsafe { Owner::new_unchecked(self.me.load(Relaxed)) }
    }

    /// Whether this process takes part. A forked child does not when there was no free slot, or no descriptor, for it.
    #[inline]
    pub fn takes_part(&self) -> bool {
        self.me() != Self::NOBODY
    }

    /// Do processes share this space, or only threads?
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Has this owner died or left? One system call while it lives.
    pub fn is_gone(&self, owner: Owner) -> bool {
        if owner == self.me() {
            return false;
        }
        let slot = index(owner);
        if self.is_known_gone(owner) {
            return true;
        }
        if !self.is_shared() {
            return false;
        }
        match self.byte_is_locked(slot) {
            Ok(false) => {
                self.bury(slot, generation(owner));
                true
            }
            // Perhaps by the next participant on this line.
            Ok(true) => self.is_known_gone(owner),
            // A refusal by the kernel proves nothing: nobody is robbed on a doubt.
            Err(_) => false,
        }
    }

    fn byte_is_locked(&self, slot: u32) -> io::Result<bool> {
        if self.file.load(Relaxed) < 0 {
            return Err(io::ErrorKind::NotConnected.into());
        }
        descriptor::byte_is_locked(self.file(), LOCKS + u64::from(slot))
    }

    /// Is this owner known to have died or left? No system call; one whose end nobody has noticed yet is not.
    #[inline]
    pub fn is_known_gone(&self, owner: Owner) -> bool {
        let line = self.slots().get(index(owner) as usize);
        line.is_none_or(|line| {
            let (generation_now, state) = line.state();
            generation_now != generation(owner) || !state.is_there()
        })
    }

    /// Did this owner leave in good order rather than die?
    pub fn has_left(&self, owner: Owner) -> bool {
        let line = self.slots().get(index(owner) as usize);
        line.is_some_and(|line| line.state() == (generation(owner), State::Free))
    }

    /// Marks an end. Each step may be the last of the one who does it: the epoch moves first, so whoever finds the
    /// slot dead finds it moved; a sleeper that misses the wake sees it at the end of its slice.
    fn bury(&self, slot: u32, generation: u32) {
        self.control().epoch().fetch_add(1, AcqRel);
        self.slots()[slot as usize].bury(generation, clock::now());
        futex::wake(self.control().epoch(), ALL, Visibility::Shared);
    }

    /// Deaths confirmed so far.
    #[inline]
    pub fn epoch(&self) -> u32 {
        // Acquire pairs with the fetch_add in `bury`.
        self.control().epoch().load(Acquire)
    }

    /// The word of [`epoch`](Self::epoch), to sleep on.
    #[inline]
    pub fn epoch_word(&self) -> &AtomicU32 {
        self.control().epoch()
    }

    /// The bell of those who wait for words of the space without sleeping on them.
    #[inline]
    pub fn bell(&self) -> &Bell {
        self.control().bell()
    }

    /// Looks for the dead among all participants, unless somebody has within the last `age` nanoseconds.
    pub fn look(&self, now: u64, age: u64) {
        let looked = &self.control().looks().last;
        let last = looked.load(Relaxed);
        // A clock behind `last` means that the segment lies: look.
        if last <= now && now - last < age {
            return;
        }
        if looked.compare_exchange(last, now, Relaxed, Relaxed).is_ok() {
            self.look_now();
        }
    }

    /// When somebody last looked for the dead, in monotonic nanoseconds.
    pub fn looked(&self) -> u64 {
        self.control().looks().last.load(Relaxed)
    }

    /// The seats of those participants that look for the dead while they sleep.
    pub fn lookout(&self) -> &Lookout<3> {
        &self.control().looks().lookout
    }

    /// The seat of the thread that sits there for this process.
    pub fn delegate(&self) -> &Lookout<1> {
        &self.delegate
    }

    /// Looks for the dead among all participants.
    pub fn look_now(&self) {
        for slot in 0..self.participants {
            let (generation, state) = self.slots()[slot as usize].state();
            if state.is_there() {
                self.is_gone(owner(slot, generation));
            }
        }
    }

    /// What is known of an owner; `None` when its slot has been taken by a later one.
    pub fn info(&self, owner: Owner) -> Option<ParticipantInfo> {
        let slot = index(owner);
        let line = self.slots().get(slot as usize)?;
        (line.state().0 == generation(owner)).then(|| line.describe(slot))
    }

    /// All participants that are there and not known to be gone.
    pub fn list(&self) -> Vec<ParticipantInfo> {
        let slots = self.slots().iter().enumerate();
        slots
            .filter(|(_, line)| line.state().1 == State::Alive)
            .map(|(i, line)| line.describe(i as u32))
            .collect()
    }

    /// Slots in this space.
    pub fn participants(&self) -> u32 {
        self.participants
    }

    /// The number of a call site in this space.
    #[inline]
    pub fn site(&self, location: &'static Location<'static>) -> SiteId {
        self.sites.get(self.control().sites(), location)
    }

    /// The text of a call site.
    pub fn resolve(&self, site: SiteId) -> Option<String> {
        self.control().site(site)
    }

    /// The slot of an owner in arrays with one entry per participant.
    #[inline]
    pub fn index_of(owner: Owner) -> usize {
        index(owner) as usize
    }

    /// The open file description of the control segment, for handles and watchers. `None` on the heap.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (self.file.load(Relaxed) >= 0).then(|| self.file())
    }

    /// Is anybody else there? The caller holds the registry lock.
    pub(crate) fn is_last(&self) -> bool {
        let me = self.me();
        self.list().iter().all(|other| other.owner == me || self.is_gone(other.owner))
    }

    /// Leaves in good order. What is still held is found by others as *left holding*.
    pub(crate) fn leave(&self) {
        let _still = still();
        forked::forget(self);
        let me = self.me();
        if me == orphan() || !self.is_shared() {
            return;
        }
        self.slots()[index(me) as usize].publish(generation(me), State::Leaving);
        self.me.store(orphan().get(), Relaxed);
        // From here on others find us gone; should we die before the line says so, they complete it.
        let _ = descriptor::unlock_byte(self.file(), LOCKS + u64::from(index(me)));
        self.bury(index(me), generation(me));
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        // SAFETY: only called while there is a descriptor, which stays open until `Drop` or until a forked child replaces it.
        unsafe { BorrowedFd::borrow_raw(self.file.load(Relaxed)) }
    }

    fn control(&self) -> &Control {
        // SAFETY: the storage is at least as long as a control segment (checked in `unattached`), aligned, and everything
        // behind the fixed part may be any bytes.
        unsafe { self.control.as_ref() }
    }

    pub(crate) fn slots(&self) -> &[Participant] {
        // SAFETY: `participants` lines follow the control structure inside the storage (checked in `unattached`).
        unsafe {
            let first = self.storage.base().add(size_of::<Control>()).cast::<Participant>();
            std::slice::from_raw_parts(first.as_ptr(), self.participants as usize)
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.leave();
        let file = *self.file.get_mut();
        if file >= 0 {
            // Not left to the closing: a child forked just now keeps the description open.
            unlock_registry(self.file());
            // SAFETY: it is ours since `attach`, or in a forked child since its birth.
            drop(unsafe { OwnedFd::from_raw_fd(file) });
        }
    }
}

/// Waits for the lock that serialises joining, leaving and cleaning. To be released by `unlock_registry`: a child forked
/// meanwhile keeps the description open, and with it a lock that is not released.
pub(crate) fn lock_registry(file: impl AsFd) -> io::Result<()> {
    loop {
        match descriptor::wait_byte(&file, REGISTRY) {
            // A signal's handler has run.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) fn try_lock_registry(file: impl AsFd) -> io::Result<bool> {
    descriptor::lock_byte(file, REGISTRY)
}

pub(crate) fn unlock_registry(file: impl AsFd) {
    let _ = descriptor::unlock_byte(file, REGISTRY);
}

/// Does any participant of the space with this control segment live? The asker must not be one through `file`.
pub(crate) fn is_inhabited(file: impl AsFd, participants: u32) -> io::Result<bool> {
    for slot in 0..u64::from(participants) {
        if descriptor::byte_is_locked(&file, LOCKS + slot)? {
            return Ok(true);
        }
    }
    Ok(false)
}
