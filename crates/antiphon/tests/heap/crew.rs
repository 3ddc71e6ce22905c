//! Threads of the system, and values that say nothing to each other.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// How often each thread does its part.
pub(crate) const ROUNDS: usize = 2000;

struct Member<'a> {
    life: &'a (dyn Fn(usize) + Sync),
    number: usize,
}

/// Runs `life(0)`, …, `life(count - 1)`, each in a thread of its own, until all have ended.
pub(crate) fn crew(count: usize, life: impl Fn(usize) + Sync) {
    let life: &(dyn Fn(usize) + Sync) = &life;
    let members: Vec<_> = (0..count).map(|number| Member { life, number }).collect();
    let threads: Vec<_> = members.iter().map(start).collect();
    for thread in threads {
        // SAFETY: started above and joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    }
}

fn start(member: &Member<'_>) -> libc::pthread_t {
    let mut thread = MaybeUninit::uninit();
    let argument = ptr::from_ref(member).cast_mut().cast::<c_void>();
    // SAFETY: `member` lives until the thread has been joined, and `run` takes a `Member`.
    let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), run, argument) };
    assert_eq!(error, 0);
    // SAFETY: a call without an error has written it.
    unsafe { thread.assume_init() }
}

/// A panic in here ends the process: it cannot leave a function of C.
extern "C" fn run(member: *mut c_void) -> *mut c_void {
    // SAFETY: `start` passes one.
    let member = unsafe { &*member.cast::<Member<'_>>() };
    (member.life)(member.number);
    ptr::null_mut()
}

/// A number without any order of its own: two accesses that nothing orders are a race, which the sanitizer reports.
#[derive(Default)]
pub(crate) struct Plain(UnsafeCell<u64>);

// SAFETY: not at all safe; that the accesses are ordered is what the tests are about.
unsafe impl Sync for Plain {}

impl Plain {
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: no reference to it exists; that no write comes in between is what is tested.
        unsafe { *self.0.get() }
    }

    pub(crate) fn set(&self, value: u64) {
        // SAFETY: as in `get`.
        unsafe { *self.0.get() = value };
    }

    pub(crate) fn bump(&self) {
        self.set(self.get() + 1);
    }
}
