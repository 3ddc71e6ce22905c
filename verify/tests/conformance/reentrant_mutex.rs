//! What a reentrant mutex promises.

use antiphon::error::{LockError, TryLockError};

use crate::crew::{Crew, Job, Member, die};

pub(crate) fn its_holder_may_lock_again(crew: &Crew<'_>) {
    fn try_it(job: Job) -> u64 {
        let mutex = job.space().reentrant_mutex("mutex", 0_u32).unwrap();
        match mutex.try_lock() {
            Ok(guard) => u64::from(guard.depth()),
            Err(TryLockError::WouldBlock) => 100,
            Err(error) => panic!("{error:?}"),
        }
    }
    let mutex = crew.space().reentrant_mutex("mutex", 0_u32).unwrap();
    let outer = mutex.lock().unwrap();
    let inner = mutex.lock().unwrap();
    assert_eq!(inner.depth(), 2);
    assert_eq!(crew.send(try_it, 0).join(), 100);
    drop(inner);
    assert_eq!(crew.send(try_it, 0).join(), 100);
    drop(outer);
    assert_eq!(crew.send(try_it, 0).join(), 1);
}

pub(crate) fn its_guards_share_a_cell(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let mutex = job.space().reentrant_mutex("sum", 0_u64).unwrap();
        for _ in 0..500 {
            let outer = mutex.lock().unwrap();
            let inner = mutex.lock().unwrap();
            inner.set(outer.get() + 1);
            drop(inner);
            outer.set(outer.get() + 1);
        }
        0
    }
    let mutex = crew.space().reentrant_mutex("sum", 0_u64).unwrap();
    crew.send_many(add, 0..3).into_iter().for_each(Member::finish);
    assert_eq!(mutex.lock().unwrap().get(), 3000);
}

pub(crate) fn a_death_is_told(crew: &Crew<'_>) {
    fn lock_and_die(job: Job) -> u64 {
        let mutex = job.space().reentrant_mutex("mutex", 0_u32).unwrap();
        let _guards = (mutex.lock().unwrap(), mutex.lock().unwrap());
        die()
    }
    let mutex = crew.space().reentrant_mutex("mutex", 0_u32).unwrap();
    crew.send(lock_and_die, 0).bury();
    match mutex.lock() {
        Err(LockError::OwnerDied(mut guard, _)) => {
            assert_eq!(guard.depth(), 1);
            guard.repair();
        }
        other => panic!("{other:?}"),
    }
    assert!(mutex.lock().is_ok());
}
