//! What must change around a fork, before anything else runs in the child.
//!
//! A child of `fork` starts with a copy of everything the parent knew about itself, and most of it is wrong: who this
//! thread is, which participant this process is, whose byte locks it holds. Handlers registered here put that right.
//! A raw `clone` system call runs none of them.
//!
//! The child also has a copy of every lock in the state in which *other* threads of the parent had it, and none of those threads. So
//! whoever changes what the child will need does so in a [`still`] section: a fork waits until nobody is in one.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use antiphon_core::wait::ALL;

use crate::futex::{self, Visibility};
use crate::thread;

/// How many handlers there is room for: one per part of the library that remembers who it is, with room to spare.
const CAPACITY: usize = 32;

static HANDLERS: [AtomicPtr<Handlers>; CAPACITY] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CAPACITY];
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// A fork is under way; below it, how many threads are in a [`still`] section.
const FORKING: u32 = 1 << 31;
static STILL: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// How many sections this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// This thread forks just now.
    static FORKS: Cell<bool> = const { Cell::new(false) };
}

/// What runs around every fork, on the thread that forks. No two forks are under way at once, and no thread is in a
/// [`still`] section meanwhile, save the one that forks.
#[derive(Debug)]
pub struct Handlers {
    /// Before there is a child.
    pub before: fn(),
    /// In the parent after the fork, also after one that failed.
    pub in_parent: fn(),
    /// In the child, where another thread may have held any lock at the moment of the fork: it must not allocate, lock or
    /// panic. Atomics, plain stores and system calls are fine.
    pub in_child: fn(),
}

/// Runs `handlers` around every fork of this process from now on, in the order of registration. Those registered twice run
/// once.
///
/// # Errors
/// When the table of handlers is full, or the C library has no memory for its own.
pub fn on_fork(handlers: &'static Handlers) -> io::Result<()> {
    listen()?;
    let handlers = ptr::from_ref(handlers).cast_mut();
    for slot in &HANDLERS {
        // Release pairs with the Acquire in `each`; so does the fork itself, for this thread.
        match slot.compare_exchange(ptr::null_mut(), handlers, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => return Ok(()),
            Err(taken) if ptr::eq(taken, handlers) => return Ok(()),
            Err(_) => {}
        }
    }
    Err(io::Error::other(format!("there are {CAPACITY} fork handlers already")))
}

/// Has the C library call us around forks, once.
pub(crate) fn listen() -> io::Result<()> {
    // Two threads may both get here: then each function is called twice around a fork, and the second call does nothing.
    if REGISTERED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the functions never unwind, and `in_child` is fit for a forked child.
    match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
        0 => {
            REGISTERED.store(true, Ordering::Release);
            Ok(())
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// While this lives, no other thread forks.
#[derive(Debug)]
#[must_use = "the section ends when this is dropped"]
pub struct Still(PhantomData<*const ()>);

/// Begins a section during which no other thread of this process forks, so that what it changes is whole in every child. It
/// must not wait for anything that takes long, since forks wait for it. Sections may be nested.
pub fn still() -> Still {
    DEPTH.set(DEPTH.get() + 1);
    if DEPTH.get() == 1 {
        // Without the handlers nobody counts, and nothing worse happens than would without this module.
        let _ = listen();
        let mut s = STILL.load(Ordering::Relaxed);
        loop {
            if s & FORKING != 0 {
                futex::wait(&STILL, s, None, Visibility::Private);
                s = STILL.load(Ordering::Relaxed);
                continue;
            }
            // Acquire pairs with the Release in `go_on`: what the handlers did is seen.
            match STILL.compare_exchange(s, s + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
    }
    Still(PhantomData)
}

impl Drop for Still {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        // Release pairs with the Acquire in `before`: the section is whole in the child.
        if DEPTH.get() == 0 && STILL.fetch_sub(1, Ordering::Release) & FORKING != 0 {
            futex::wake(&STILL, ALL, Visibility::Private);
        }
    }
}

/// Those sections that the forking thread is in itself, which it cannot wait for: 0 or 1.
fn own() -> u32 {
    DEPTH.get().min(1)
}

unsafe extern "C" fn before() {
    if FORKS.replace(true) {
        return;
    }
    let mut s = STILL.load(Ordering::Relaxed);
    loop {
        if s & FORKING != 0 {
            // Another thread forks.
            futex::wait(&STILL, s, None, Visibility::Private);
            s = STILL.load(Ordering::Relaxed);
            continue;
        }
        match STILL.compare_exchange(s, s | FORKING, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => s = now,
        }
    }
    loop {
        // Acquire pairs with the Release of the last to end its section.
        let s = STILL.load(Ordering::Acquire);
        if s & !FORKING <= own() {
            break;
        }
        futex::wait(&STILL, s, None, Visibility::Private);
    }
    each(|handlers| (handlers.before)());
}

unsafe extern "C" fn in_parent() {
    if FORKS.replace(false) {
        each(|handlers| (handlers.in_parent)());
        go_on();
    }
}

unsafe extern "C" fn in_child() {
    if FORKS.replace(false) {
        // First: the handlers may ask who they are.
        thread::refresh();
        each(|handlers| (handlers.in_child)());
        go_on();
    }
}

/// Lets sections and forks begin again. In a child, whoever waits for that is not there.
fn go_on() {
    STILL.store(own(), Ordering::Release);
    futex::wake(&STILL, ALL, Visibility::Private);
}

fn each(run: impl Fn(&Handlers)) {
    for slot in &HANDLERS {
        // SAFETY: null, or from a `&'static Handlers` in `on_fork`.
        match unsafe { slot.load(Ordering::Acquire).as_ref() } {
            Some(handlers) => run(handlers),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    static RUNS: AtomicU32 = AtomicU32::new(0);
    static TOKEN: AtomicU32 = AtomicU32::new(0);
    static AROUND: AtomicU32 = AtomicU32::new(0);

    fn nothing() {}

    fn note() {
        RUNS.fetch_add(1, SeqCst);
        TOKEN.store(thread::token(), SeqCst);
    }

    fn in_child(check: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child runs `fork`'s handlers, `check` (atomics and system calls) and `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let code = if check() { 0 } else { 1 };
            // SAFETY: fit for a forked child.
            unsafe { libc::_exit(code) };
        }
        let mut status = -1;
        // SAFETY: `status` is writable, and the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        status == 0
    }

    #[test]
    fn the_child_runs_each_handler_as_itself() {
        static HANDLERS: Handlers =
            Handlers { before: nothing, in_parent: nothing, in_child: note };
        let _alone = crate::alone::alone();
        let parent = thread::token();
        on_fork(&HANDLERS).unwrap();
        on_fork(&HANDLERS).unwrap();
        assert!(in_child(|| {
            let me = crate::process::id();
            RUNS.load(SeqCst) == 1
                && TOKEN.load(SeqCst) == me
                && thread::token() == me
                && me != parent
        }));
        assert_eq!(RUNS.load(SeqCst), 0);
        assert_eq!(thread::token(), parent);
    }

    #[test]
    fn the_parent_runs_its_handlers_around_the_fork() {
        static HANDLERS: Handlers = Handlers {
            before: || AROUND.store(1, SeqCst),
            in_parent: || AROUND.store(2, SeqCst),
            in_child: nothing,
        };
        let _alone = crate::alone::alone();
        on_fork(&HANDLERS).unwrap();
        assert!(in_child(|| AROUND.load(SeqCst) == 1));
        assert_eq!(AROUND.load(SeqCst), 2);
    }

    #[test]
    fn a_fork_waits_for_sections_of_others_and_not_for_its_own() {
        static WHOLE: AtomicU32 = AtomicU32::new(0);
        let _alone = crate::alone::alone();
        let (begun, begins) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let (_outer, _inner) = (still(), still());
                begun.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
                WHOLE.store(1, SeqCst);
            });
            begins.recv().unwrap();
            assert!(in_child(|| {
                let whole = WHOLE.load(SeqCst) == 1;
                drop(still());
                whole
            }));
            let _ours = still();
            assert!(in_child(|| {
                drop(still());
                true
            }));
        });
        // Sections and forks go on in the parent.
        drop(still());
        assert!(in_child(|| true));
    }
}
