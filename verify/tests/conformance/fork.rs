//! What a space promises to programs that fork and exec.

use std::cell::Cell;
use std::os::fd::AsFd;

use antiphon::error::{LockError, TryLockError};
use antiphon::space::Lifetime;
use antiphon::{Cause, Space};
use antiphon_sys::descriptor;
use antiphon_verify::child::{Child, End};

use crate::crew::{A_WHILE, Crew, Job, until};

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

/// The byte whose lock serialises joining and leaving, see `docs/segment-format.md`.
const REGISTRY: u64 = (1 << 62) + 4096;

pub(crate) fn an_open_elsewhere_does_not_hang_the_child(crew: &Crew<'_>) {
    // Fork handlers are there from the first space on.
    let space = crew.space();
    drop(Space::builder("host:other").lifetime(Lifetime::Kept).open().unwrap());
    let control = crew.directory().join("other/.control");
    let file = std::fs::File::options().read(true).write(true).open(control).unwrap();
    assert!(descriptor::lock_byte(file.as_fd(), REGISTRY).unwrap());
    std::thread::scope(|scope| {
        let opener = scope.spawn(|| drop(Space::open("host:other").unwrap()));
        scope.spawn(|| {
            // Long enough for the fork to begin while the other thread is in the midst of opening.
            std::thread::sleep(A_WHILE * 3);
            descriptor::unlock_byte(file.as_fd(), REGISTRY).unwrap();
        });
        std::thread::sleep(A_WHILE);
        let mut child = Child::fork(|| i32::from(Space::open("threads:mine").is_err()));
        assert_eq!(child.wait_patiently(), Some(End::Exited(0)));
        opener.join().unwrap();
    });
    drop(space);
    antiphon::inspect::remove_space("other").unwrap();
}

pub(crate) fn the_parent_may_leave_at_once(crew: &Crew<'_>) {
    extern "C" fn be_late() {
        std::thread::sleep(A_WHILE * 3);
    }
    fn fork_and_leave(job: Job) -> u64 {
        // The first handler of this process, so it runs before any of the library's in the child.
        // SAFETY: it only sleeps.
        assert_eq!(unsafe { libc::pthread_atfork(None, None, Some(be_late)) }, 0);
        let space = job.space();
        let mutex = space.mutex("mutex", 7_u64).unwrap();
        let ours = Cell::new(Some((space, mutex)));
        let mut child = Child::fork(|| {
            // It has been there since its first instruction, so the space is still the same one.
            let (space, mutex) = ours.take().unwrap();
            let again = space.mutex("mutex", 0_u64);
            let good = *mutex.lock().unwrap() == 7 && again.is_ok_and(|m| *m.lock().unwrap() == 7);
            drop((space, mutex));
            i32::from(!good)
        });
        drop(ours.take());
        u64::from(child.wait() == End::Exited(0))
    }
    assert_eq!(crew.send(fork_and_leave, 0).join(), 1);
    assert!(!crew.directory().join("stage").exists());
}

pub(crate) fn a_child_can_watch(crew: &Crew<'_>) {
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let space = crew.space();
    space.watch().unwrap();
    let mut child = Child::fork(|| {
        let (files, alone) = (open_files(), threads());
        space.watch().unwrap();
        let watches = threads() == alone + 1;
        // As many as before: those it has inherited are closed.
        let same = open_files() == files;
        space.watch().unwrap();
        let once = threads() == alone + 1;
        i32::from(!watches) + 2 * i32::from(!same) + 4 * i32::from(!once)
    });
    assert_eq!(child.wait(), End::Exited(0));
}
