//! What a fork does to those who take part: the child is a participant of its own from its first instruction.
//!
//! The parent claims the child's line before it forks, through an open file description that the child alone will keep. So
//! the child is there however soon the parent leaves, nothing of the parent's is the child's, and what is left to do in the
//! child are plain stores and a close.

use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};

use antiphon_core::owner::Owner;
use antiphon_sys::descriptor::{self, Access};
use antiphon_sys::fork::{self, Handlers};
use antiphon_sys::{clock, process};

use crate::control::{State, index, orphan, owner};
use crate::participant::Registration;

/// How many registrations a process may have.
pub(crate) const CAPACITY: usize = 256;

/// Those that a fork concerns. Entries are changed in still sections only, so a fork sees each whole or not at all.
static REGISTERED: [AtomicPtr<Registration>; CAPACITY] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CAPACITY];
static ON_FORK: Once = Once::new();
static HANDLERS: Handlers = Handlers {
    before: || each(Registration::conceive),
    in_parent: || each(Registration::let_go),
    in_child: || each(Registration::be_born),
};

/// The place of a child that is about to be forked.
#[derive(Debug)]
pub(crate) struct Unborn {
    /// The open file description that holds its byte; -1: there is none.
    file: AtomicI32,
    me: AtomicU32,
}

impl Unborn {
    pub(crate) fn none() -> Self {
        Self { file: AtomicI32::new(-1), me: AtomicU32::new(orphan().get()) }
    }
}

/// Has forked children take part for themselves. False: there is no room. The caller is in a still section, and has it forgotten
/// before it is dropped.
pub(crate) fn remember(registration: &Registration) -> bool {
    ON_FORK.call_once(|| {
        // Without it a child would keep its parent's byte locked: the parent would never be seen to die.
        fork::on_fork(&HANDLERS).expect("a process has room for a fork handler");
    });
    let this = ptr::from_ref(registration).cast_mut();
    REGISTERED
        .iter()
        .any(|entry| entry.compare_exchange(ptr::null_mut(), this, AcqRel, Relaxed).is_ok())
}

/// Undoes [`remember`]. The caller is in a still section.
pub(crate) fn forget(registration: &Registration) {
    let this = ptr::from_ref(registration).cast_mut();
    for entry in &REGISTERED {
        let _ = entry.compare_exchange(this, ptr::null_mut(), AcqRel, Relaxed);
    }
}

fn each(what: impl Fn(&Registration)) {
    for entry in &REGISTERED {
        // SAFETY: entries are removed in still sections before their registration is dropped, and a fork is under way.
        if let Some(registration) = unsafe { entry.load(Acquire).as_ref() } {
            what(registration);
        }
    }
}

impl Registration {
    /// Before the fork: a line for the child, where there is one.
    fn conceive(&self) {
        if !self.takes_part() {
            return;
        }
        if let Ok(Some((file, me))) = self.claim_for_child() {
            self.unborn.file.store(file.into_raw_fd(), Relaxed);
            self.unborn.me.store(me.get(), Relaxed);
        }
    }

    fn claim_for_child(&self) -> io::Result<Option<(OwnedFd, Owner)>> {
        let file = descriptor::reopen(self.file(), Access::ReadWrite)?;
        let Some((slot, generation)) = self.claim(file.as_fd())? else { return Ok(None) };
        let line = &self.slots()[slot as usize];
        // The child puts its number there; should it die before, or never be, its number is unknown.
        line.write_forked(&self.slots()[index(self.me()) as usize], 0, clock::wall());
        line.publish(generation, State::Alive);
        Ok(Some((file, owner(slot, generation))))
    }

    /// In the parent after the fork: the description is the child's, whose end will be the end of it. If there is no child, it ends
    /// here.
    fn let_go(&self) {
        let file = self.unborn.file.swap(-1, Relaxed);
        self.unborn.me.store(orphan().get(), Relaxed);
        close(file);
    }

    /// In the child: nothing that the parent holds is ours.
    fn be_born(&self) {
        // The threads that sleep are the parent's.
        self.delegate.clear();
        let me = self.unborn.me.swap(orphan().get(), Relaxed);
        let inherited = self.file.swap(self.unborn.file.swap(-1, Relaxed), Relaxed);
        self.me.store(me, Relaxed);
        if let Some(me) = Owner::new(me).filter(|me| *me != orphan()) {
            self.slots()[index(me) as usize].set_pid(process::id());
        }
        // Or the parent would not be seen to die while we live.
        close(inherited);
    }
}

fn close(file: i32) {
    if file >= 0 {
        // SAFETY: it was taken out of its only place, so nobody else has it.
        drop(unsafe { OwnedFd::from_raw_fd(file) });
    }
}
