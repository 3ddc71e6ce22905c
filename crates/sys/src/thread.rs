//! Which thread is this, and where does it run.

use std::cell::Cell;

use antiphon_core::owner::Owner;

use crate::fork;

thread_local! {
    /// Nothing until asked for. Constant and without a destructor, so reading it is one load from the thread's own block, at
    /// any time of the thread's life.
    static ME: Cell<Option<Owner>> = const { Cell::new(None) };
}

/// The kernel's number of this thread: never zero, at most 2^22, and no other thread of the pid namespace has it while this one
/// lives. A forked child has a token of its own.
#[inline]
#[must_use]
pub fn token() -> u32 {
    owner().get()
}

/// The same as the owner of what this thread holds in scope `threads`.
#[inline]
#[must_use]
pub fn owner() -> Owner {
    match ME.get() {
        Some(owner) => owner,
        None => first_owner(),
    }
}

#[cold]
fn first_owner() -> Owner {
    let owner = ask().unwrap_or_else(|| unreachable!("a thread whose number is not an owner"));
    // Without the handler a forked child would take itself for its parent; better to ask the kernel every time.
    if fork::listen().is_ok() {
        ME.set(Some(owner));
    }
    owner
}

/// Asks the kernel anew, in a forked child.
pub(crate) fn refresh() {
    ME.set(ask());
}

fn ask() -> Option<Owner> {
    // SAFETY: takes no arguments and cannot fail.
    Owner::new(unsafe { libc::gettid() } as u32)
}

/// The processor that this thread runs on now; stale as soon as it is returned.
#[inline]
#[must_use]
pub fn cpu() -> u32 {
    // SAFETY: takes no arguments. It fails only on kernels without the call, and -1 is then a number like any other.
    unsafe { libc::sched_getcpu() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_distinct_and_lasting() {
        let mine = token();
        assert!(mine != 0 && mine < 1 << 30);
        assert_eq!(token(), mine);
        let other = std::thread::spawn(token).join().unwrap();
        assert_ne!(other, mine);
    }
}
