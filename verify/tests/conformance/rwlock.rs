//! What a readers-writer lock promises.

use std::os::unix::fs::FileExt;

use antiphon::error::{LockError, TimedLockError, TryLockError, UpgradeError};

use crate::crew::{A_WHILE, Crew, Job, Member, die};

/// Reads (argument 0) or writes (1) if it can at once. 1: it could.
fn try_it(job: Job) -> u64 {
    let lock = job.space().rwlock("lock", 0_u64).unwrap();
    if job.argument == 0 {
        u64::from(lock.try_read().is_ok())
    } else {
        u64::from(lock.try_write().is_ok())
    }
}

pub(crate) fn readers_share(crew: &Crew<'_>) {
    let lock = crew.space().rwlock("lock", 0_u64).unwrap();
    let guard = lock.read().unwrap();
    assert_eq!(crew.send(try_it, 0).join(), 1);
    assert_eq!(crew.send(try_it, 1).join(), 0);
    drop(guard);
    assert_eq!(crew.send(try_it, 1).join(), 1);
}

pub(crate) fn writers_exclude(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let lock = job.space().rwlock("pair", [0_u64; 2]).unwrap();
        for turn in 0..2000 {
            if turn % 4 == 0 {
                let mut pair = lock.write().unwrap();
                pair[0] += 1;
                std::hint::spin_loop();
                pair[1] += 1;
            } else {
                let pair = lock.read().unwrap();
                assert_eq!(pair[0], pair[1]);
            }
        }
        500
    }
    let space = crew.space();
    let lock = space.rwlock("pair", [0_u64; 2]).unwrap();
    let members = crew.send_many(add, 0..3);
    let all: u64 = members.into_iter().map(|member| member.join()).sum();
    assert_eq!(*lock.read().unwrap(), [all; 2]);
    let lock = space.rwlock("lock", 0_u64).unwrap();
    let guard = lock.write().unwrap();
    assert_eq!(crew.send(try_it, 0).join(), 0);
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.write(), Err(LockError::WouldDeadlock)));
    drop(guard);
}

pub(crate) fn writers_do_not_starve(crew: &Crew<'_>) {
    /// Reads over and over, so that with three of them somebody always does.
    fn read(job: Job) -> u64 {
        let space = job.space();
        let (lock, enough) = (space.rwlock("lock", 0_u64).unwrap(), space.event("enough").unwrap());
        let mut turns = 0;
        while !enough.is_set() {
            let guard = lock.read().unwrap();
            for _ in 0..200 {
                std::hint::spin_loop();
            }
            drop(guard);
            turns += 1;
        }
        turns
    }
    let space = crew.space();
    let lock = space.rwlock("lock", 0_u64).unwrap();
    let members = crew.send_many(read, 0..3);
    for _ in 0..100 {
        *lock.write().unwrap() += 1;
    }
    space.event("enough").unwrap().set();
    members.into_iter().for_each(Member::finish);
    assert_eq!(*lock.read().unwrap(), 100);
}

pub(crate) fn downgrading_lets_readers_in(crew: &Crew<'_>) {
    let lock = crew.space().rwlock("lock", 0_u64).unwrap();
    let guard = lock.write().unwrap().downgrade();
    assert_eq!(crew.send(try_it, 0).join(), 1);
    assert_eq!(crew.send(try_it, 1).join(), 0);
    drop(guard);
}

fn die_with_it(job: Job) -> u64 {
    let lock = job.space().rwlock("lock", 0_u64).unwrap();
    if job.argument == 0 {
        let _guard = lock.read().unwrap();
        die()
    } else {
        *lock.write().unwrap() = 1;
        let mut guard = lock.write().unwrap();
        *guard = 2;
        die()
    }
}

pub(crate) fn dead_readers_are_let_go(crew: &Crew<'_>) {
    let lock = crew.space().rwlock("lock", 0_u64).unwrap();
    crew.send(die_with_it, 0).bury();
    let guard = lock.read().unwrap();
    let late = lock.write_timeout(A_WHILE);
    assert!(matches!(late, Err(TimedLockError::TimedOut(_))), "{late:?}");
    drop(late);
    drop(guard);
    assert!(lock.write().is_ok());
}

pub(crate) fn dead_writers_are_told(crew: &Crew<'_>) {
    let lock = crew.space().rwlock("lock", 0_u64).unwrap();
    crew.send(die_with_it, 1).bury();
    match lock.read() {
        Err(LockError::OwnerDied(guard, death)) => assert_eq!((*guard, death.pid != 0), (2, true)),
        other => panic!("{other:?}"),
    }
    match lock.write() {
        Err(LockError::OwnerDied(mut guard, _)) => guard.repair(),
        other => panic!("{other:?}"),
    }
    assert_eq!(*lock.read().unwrap(), 2);
}

pub(crate) fn a_death_is_told_though_its_finder_died(crew: &Crew<'_>) {
    /// Where the writer's word is, see `docs/segment-format.md`.
    const WORD: u64 = 1280 + 32;
    const INCONSISTENT: u32 = 1 << 30;
    let lock = crew.space().rwlock("lock", 0_u64).unwrap();
    let member = crew.send(die_with_it, 1);
    let pid = member.pid();
    member.bury();
    // A reader has found the dead writer, taken the word from it, and died before it could note that.
    let path = crew.directory().join("stage/lock");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&INCONSISTENT.to_le_bytes(), WORD).unwrap();
    for _ in 0..2 {
        match lock.read() {
            Err(LockError::OwnerDied(_, death)) => assert_eq!(death.pid, pid),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn of_two_that_upgrade_one_is_told(crew: &Crew<'_>) {
    fn upgrade(job: Job) -> u64 {
        let space = job.space();
        let lock = space.rwlock("lock", 0_u64).unwrap();
        let barrier = space.barrier("both-read", 2).unwrap();
        let reader = lock.read().unwrap();
        barrier.wait().unwrap();
        match reader.upgrade() {
            Ok(mut writer) => {
                *writer += 1;
                1
            }
            Err(error) => {
                assert!(matches!(error, UpgradeError::WouldDeadlock(_)), "{error:?}");
                assert_eq!(*error.into_guard(), 0, "somebody wrote while it reads");
                0
            }
        }
    }
    let lock = crew.space().rwlock("lock", 0_u64).unwrap();
    let members = crew.send_many(upgrade, 0..2);
    let upgraded: u64 = members.into_iter().map(Member::join).sum();
    assert!(upgraded >= 1, "nobody could write");
    assert_eq!(*lock.read().unwrap(), upgraded);
    let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
    let error = one.try_upgrade().unwrap_err();
    assert!(matches!(error, UpgradeError::WouldBlock(_)));
    let error = error.into_guard().upgrade_timeout(A_WHILE).unwrap_err();
    assert!(matches!(error, UpgradeError::TimedOut(..)));
    drop(other);
    *error.into_guard().try_upgrade().unwrap() += 1;
    assert_eq!(*lock.read().unwrap(), upgraded + 1);
}
