//! What a space promises to programs that fork and exec.

use std::cell::Cell;

use antiphon::Cause;
use antiphon::error::{LockError, TryLockError};
use antiphon_verify::child::{Child, End};

use crate::crew::{Crew, until};

pub(crate) fn a_child_is_itself_and_holds_nothing(crew: &Crew<'_>) {
    let space = crew.space();
    let mutex = space.mutex("mutex", 0_u64).unwrap();
    let permits = space.semaphore("permits", 2).unwrap();
    // A fork doubles them: the child drops its own.
    let ours = Cell::new(Some((mutex.lock().unwrap(), permits.acquire())));
    let mut child = Child::fork(|| {
        let itself = space.participants().iter().any(|p| p.pid == std::process::id());
        let held = matches!(mutex.try_lock(), Err(TryLockError::WouldBlock));
        // What is inherited is the parent's: to drop it here gives nothing back.
        drop(ours.take());
        let still = matches!(mutex.try_lock(), Err(TryLockError::WouldBlock));
        let one = permits.available() == 1;
        i32::from(!(itself && held && still && one))
    });
    assert_eq!(child.wait(), End::Exited(0));
    // The child's end is not its parent's.
    assert!(matches!(mutex.lock(), Err(LockError::WouldDeadlock)));
    drop(ours.take());
    assert!(mutex.lock().is_ok());
    assert_eq!(permits.available(), 2);
    // Nor does the parent's hold outlive it in its child.
    let mut child = Child::fork(|| {
        std::mem::forget(mutex.lock().unwrap());
        let grandchild = Child::fork(|| {
            std::thread::sleep(std::time::Duration::from_secs(60));
            0
        });
        std::mem::forget(grandchild);
        0
    });
    assert_eq!(child.wait(), End::Exited(0));
    match mutex.lock() {
        Err(LockError::OwnerDied(mut guard, death)) => {
            assert_eq!(death.cause, Cause::Died);
            guard.repair();
        }
        other => panic!("{other:?}"),
    }
    // The grandchild takes part until it is killed, since its parent is gone.
    until(|| space.participants().len() == 1);
}

pub(crate) fn an_exec_is_a_death(crew: &Crew<'_>) {
    let space = crew.space();
    let mutex = space.mutex("mutex", 0_u64).unwrap();
    let locked = space.event("locked").unwrap();
    let mut child = Child::fork(|| {
        let _guard = mutex.lock().unwrap();
        locked.set();
        let (program, argument) = (c"/bin/sleep", c"60");
        let arguments = [program.as_ptr(), argument.as_ptr(), std::ptr::null()];
        // SAFETY: the arguments are strings, and a null pointer ends them.
        unsafe { libc::execv(program.as_ptr(), arguments.as_ptr()) };
        1
    });
    locked.wait();
    until(|| matches!(mutex.try_lock(), Err(TryLockError::OwnerDied(..))));
    assert_eq!(child.ended(), None, "the process goes on as another program");
    child.kill();
}
