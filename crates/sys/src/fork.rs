//! What must change in a forked child before anything else runs there.
//!
//! A child of `fork` starts with a copy of everything the parent knew about itself, and most of it is wrong: who this
//! thread is, which participant this process is, whose byte locks it holds. Handlers registered here put that right.
//! A raw `clone` system call runs none of them.

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::thread;

/// How many handlers there is room for: one per part of the library that remembers who it is, with room to spare.
const CAPACITY: usize = 32;

static HANDLERS: [AtomicPtr<()>; CAPACITY] = [const { AtomicPtr::new(ptr::null_mut()) }; CAPACITY];
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Runs `handler` in every child that this process forks from now on, in the order of registration, on the one thread that
/// the child has. A handler registered twice runs once.
///
/// The handler runs where another thread may have held any lock at the moment of the fork: it must not allocate, lock or
/// panic. Atomics, plain stores and system calls are fine.
///
/// # Errors
/// When the table of handlers is full, or the C library has no memory for its own.
pub fn on_fork_child(handler: fn()) -> io::Result<()> {
    listen()?;
    let handler = handler as *mut ();
    for slot in &HANDLERS {
        // Release pairs with the Acquire in `in_child`; so does the fork itself, for this thread.
        match slot.compare_exchange(ptr::null_mut(), handler, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => return Ok(()),
            Err(taken) if ptr::eq(taken, handler) => return Ok(()),
            Err(_) => {}
        }
    }
    Err(io::Error::other(format!("there are {CAPACITY} fork handlers already")))
}

/// Has the C library call [`in_child`], once.
pub(crate) fn listen() -> io::Result<()> {
    // Two threads may both get here, and the handlers then run twice: each must be fit for that.
    if REGISTERED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: `in_child` never unwinds and is fit for a forked child.
    match unsafe { libc::pthread_atfork(None, None, Some(in_child)) } {
        0 => {
            REGISTERED.store(true, Ordering::Release);
            Ok(())
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

unsafe extern "C" fn in_child() {
    // First: the handlers may ask who they are.
    thread::refresh();
    for slot in &HANDLERS {
        let handler = slot.load(Ordering::Acquire);
        if handler.is_null() {
            return;
        }
        // SAFETY: every pointer in the table was made from a `fn()` in `on_fork_child`.
        let handler = unsafe { mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    static RUNS: AtomicU32 = AtomicU32::new(0);
    static TOKEN: AtomicU32 = AtomicU32::new(0);

    fn note() {
        RUNS.fetch_add(1, SeqCst);
        TOKEN.store(thread::token(), SeqCst);
    }

    #[test]
    fn the_child_runs_each_handler_as_itself() {
        let _alone = crate::alone::alone();
        let parent = thread::token();
        on_fork_child(note).unwrap();
        on_fork_child(note).unwrap();
        // SAFETY: the child calls nothing but `fork`'s handlers, `getpid` and `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // SAFETY: both are fit for a forked child.
            unsafe {
                let me = libc::getpid() as u32;
                let right = RUNS.load(SeqCst) >= 1
                    && TOKEN.load(SeqCst) == me
                    && thread::token() == me
                    && me != parent;
                libc::_exit(if right { 0 } else { 1 });
            }
        }
        let mut status = -1;
        // SAFETY: `status` is writable, and the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(RUNS.load(SeqCst), 0);
        assert_eq!(thread::token(), parent);
    }
}
