//! Two copies of the library in one process do not harm each other: to the space they are two participants.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::{forget, transmute};
use std::thread;

use antiphon::error::{LockError, TryLockError};
use antiphon_verify::child::{Child, End};

use crate::crew::{Crew, until};

const GOOD: i32 = 0;
const HELD: i32 = 2;
const DIED: i32 = 3;

/// Functions of `verify/copy`, which get the name of the space.
type Add = unsafe extern "C" fn(*const c_char, u64) -> i32;
type Sum = unsafe extern "C" fn(*const c_char, u64) -> u64;
type Visit = unsafe extern "C" fn(*const c_char) -> i32;

/// The functions of `verify/copy`.
#[derive(Clone, Copy)]
struct Copy {
    add: Add,
    sum: Sum,
    attach: Visit,
    try_lock: Visit,
    keep: Visit,
}

impl Copy {
    /// Loads the shared object that cargo put beside this program. It stays for good, as those of Python do.
    fn load() -> Self {
        let program = std::env::current_exe().unwrap();
        let path = program.with_file_name("libantiphon_copy.so");
        let name = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the object runs no code of its own when it is loaded.
        let object = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!object.is_null(), "{} cannot be loaded", path.display());
        // SAFETY: the types are those that the object's source gives these functions.
        unsafe {
            Self {
                add: transmute::<*mut c_void, Add>(find(object, c"antiphon_copy_add")),
                sum: transmute::<*mut c_void, Sum>(find(object, c"antiphon_copy_sum")),
                attach: transmute::<*mut c_void, Visit>(find(object, c"antiphon_copy_attach")),
                try_lock: transmute::<*mut c_void, Visit>(find(object, c"antiphon_copy_try")),
                keep: transmute::<*mut c_void, Visit>(find(object, c"antiphon_copy_keep")),
            }
        }
    }
}

fn find(object: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the object is loaded.
    let found = unsafe { libc::dlsym(object, name.as_ptr()) };
    assert!(!found.is_null(), "{name:?} is not there");
    found
}

pub(crate) fn both_take_part(crew: &Crew<'_>) {
    let copy = Copy::load();
    let name = CString::new(crew.address()).unwrap();
    let space = crew.space();
    let value = space.mutex("value", 0_u64).unwrap();
    let items = space.queue::<u64>("items", 16).unwrap();

    // Threads that use the one and the other exclude each other.
    thread::scope(|scope| {
        for _ in 0..2 {
            // SAFETY: `name` is a string.
            scope.spawn(|| assert_eq!(unsafe { (copy.add)(name.as_ptr(), 10_000) }, GOOD));
            scope.spawn(|| (0..10_000).for_each(|_| *value.lock().unwrap() += 1));
        }
    });
    assert_eq!(*value.lock().unwrap(), 40_000);
    let guard = value.lock().unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { (copy.try_lock)(name.as_ptr()) }, HELD);
    drop(guard);

    // What sleeps in the one is woken by the other.
    thread::scope(|scope| {
        // SAFETY: as above.
        let sum = scope.spawn(|| unsafe { (copy.sum)(name.as_ptr(), 1000) });
        (1..=1000).for_each(|n| items.put(n).unwrap());
        assert_eq!(sum.join().unwrap(), 500_500);
    });

    // The copy has left with its last handle, which was not this one's end.
    assert!(value.lock().is_ok());
    assert_eq!(space.participants().len(), 1);
}

pub(crate) fn both_fork_and_die(crew: &Crew<'_>) {
    let copy = Copy::load();
    let name = CString::new(crew.address()).unwrap();
    let space = crew.space();
    let value = space.mutex("value", 0_u64).unwrap();
    let gone = space.event("gone").unwrap();

    // A child in which the copy holds the lock and the first one does not: its death is one of the copy's.
    let mut child = Child::fork(|| {
        // SAFETY: `name` is a string.
        let kept = unsafe { (copy.keep)(name.as_ptr()) };
        let held = matches!(value.try_lock(), Err(TryLockError::WouldBlock));
        gone.set();
        // SAFETY: it ends this process.
        unsafe {
            libc::kill(
                libc::getpid(),
                if kept == GOOD && held { libc::SIGKILL } else { libc::SIGTERM },
            )
        };
        0
    });
    gone.wait();
    assert_eq!(child.wait(), End::Killed(libc::SIGKILL));
    match value.lock() {
        Err(LockError::OwnerDied(mut guard, _)) => guard.repair(),
        other => panic!("{other:?}"),
    }

    // The other way round.
    let mut child = Child::fork(|| {
        forget(value.lock().unwrap());
        0
    });
    assert_eq!(child.wait(), End::Exited(0));
    // SAFETY: as above.
    until(|| unsafe { (copy.try_lock)(name.as_ptr()) } == DIED);
    assert!(matches!(value.lock(), Err(LockError::OwnerDied(..))));

    // A process in which both take part forks: two that were not there before.
    let mut child = Child::fork(|| {
        // SAFETY: as above.
        let before =
            unsafe { (copy.attach)(name.as_ptr()) } == GOOD && space.participants().len() == 3;
        let mut grandchild = Child::fork(|| i32::from(space.participants().len() != 5));
        i32::from(!before || grandchild.wait() != End::Exited(0))
    });
    assert_eq!(child.wait(), End::Exited(0));
}
