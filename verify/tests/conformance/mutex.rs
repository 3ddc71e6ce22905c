//! What a mutex promises.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use antiphon::Cause;
use antiphon::error::{LockError, TimedLockError, TryLockError};

use crate::crew::{A_WHILE, Crew, Job, Member, ON_PURPOSE, die};

pub(crate) fn excludes_others(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let mutex = job.space().mutex("pair", [0_u64; 2]).unwrap();
        for _ in 0..job.argument {
            let mut pair = mutex.lock().unwrap();
            assert_eq!(pair[0], pair[1]);
            pair[0] += 1;
            std::hint::spin_loop();
            pair[1] += 1;
        }
        job.argument
    }
    let space = crew.space();
    let mutex = space.mutex("pair", [0_u64; 2]).unwrap();
    let members = crew.send_many(add, [3000, 4000, 5000].into_iter());
    let all: u64 = members.into_iter().map(|member| member.join()).sum();
    assert_eq!(*mutex.lock().unwrap(), [all; 2]);
}

pub(crate) fn it_excludes_without_a_record(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let mutex = job.space().mutex_without_record("bare", 0_u64).unwrap();
        for _ in 0..3000 {
            *mutex.lock().unwrap() += 1;
        }
        0
    }
    let space = crew.space();
    let mutex = space.mutex_without_record("bare", 0_u64).unwrap();
    assert!(space.mutex("bare", 0_u64).is_err(), "its holders must agree");
    crew.send_many(add, 0..3).into_iter().for_each(Member::finish);
    assert_eq!(*mutex.lock().unwrap(), 9000);
}

pub(crate) fn a_death_is_told_without_a_record(crew: &Crew<'_>) {
    fn lock_and_die(job: Job) -> u64 {
        let mutex = job.space().mutex_without_record("bare", 0_u64).unwrap();
        let _guard = mutex.lock().unwrap();
        die()
    }
    let mutex = crew.space().mutex_without_record("bare", 0_u64).unwrap();
    crew.send(lock_and_die, 0).bury();
    match mutex.lock() {
        Err(LockError::OwnerDied(mut guard, death)) => {
            assert_eq!((death.cause, death.thread, death.held), (Cause::Died, 0, None));
            assert_ne!(death.pid, 0);
            guard.repair();
        }
        other => panic!("{other:?}"),
    }
    assert!(mutex.lock().is_ok());
}

pub(crate) fn relocking_is_an_error(crew: &Crew<'_>) {
    let mutex = crew.space().mutex("mutex", 0_u32).unwrap();
    let guard = mutex.lock().unwrap();
    assert!(matches!(mutex.lock(), Err(LockError::WouldDeadlock)));
    let timed = mutex.lock_timeout(Duration::from_secs(100));
    assert!(matches!(timed, Err(TimedLockError::WouldDeadlock)));
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    assert!(mutex.try_lock().is_ok());
}

/// Holds the mutex from the event `held` to the event `enough`.
fn hold(job: Job) -> u64 {
    let space = job.space();
    let mutex = space.mutex("held-one", 0_u32).unwrap();
    let guard = mutex.lock().unwrap();
    space.event("held").unwrap().set();
    space.event("enough").unwrap().wait();
    drop(guard);
    0
}

pub(crate) fn timeouts_say_who_holds_it(crew: &Crew<'_>) {
    let space = crew.space();
    let mutex = space.mutex("held-one", 0_u32).unwrap();
    let member = crew.send(hold, 0);
    space.event("held").unwrap().wait();
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    let began = Instant::now();
    let Err(TimedLockError::TimedOut(timeout)) = mutex.lock_timeout(A_WHILE) else {
        panic!("it is held")
    };
    assert!(timeout.what.contains("held-one"), "{timeout}");
    assert!(began.elapsed() >= A_WHILE && !timeout.waited.is_zero());
    let holder = timeout.holder.expect("somebody holds it");
    assert_eq!(holder.pid, member.pid());
    assert!(holder.site.expect("it was noted").contains("mutex.rs"));
    let late = mutex.lock_deadline(Instant::now() + A_WHILE);
    assert!(matches!(late, Err(TimedLockError::TimedOut(_))));
    space.event("enough").unwrap().set();
    drop(mutex.lock().unwrap());
    member.join();
}

pub(crate) fn panics_poison_until_repaired(crew: &Crew<'_>) {
    fn panic(job: Job) -> u64 {
        let mutex = job.space().mutex("mutex", 0_u32).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut guard = mutex.lock().unwrap();
            *guard = 7;
            panic!("{ON_PURPOSE}");
        }));
        u64::from(result.is_err())
    }
    let mutex = crew.space().mutex("mutex", 0_u32).unwrap();
    assert_eq!(crew.send(panic, 0).join(), 1);
    match mutex.lock() {
        Err(LockError::Poisoned(guard)) => assert_eq!(*guard, 7),
        other => panic!("{other:?}"),
    }
    match mutex.try_lock() {
        Err(TryLockError::Poisoned(mut guard)) => {
            assert!(guard.needs_repair());
            *guard = 0;
            guard.repair();
            assert!(!guard.needs_repair());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(*mutex.lock().unwrap(), 0);
}

pub(crate) fn tokens_only_grow(crew: &Crew<'_>) {
    fn token(job: Job) -> u64 {
        let mutex = job.space().mutex("mutex", 0_u32).unwrap();
        mutex.lock().unwrap().token()
    }
    let mutex = crew.space().mutex("mutex", 0_u32).unwrap();
    let first = mutex.lock().unwrap().token();
    let second = crew.send(token, 0).join();
    let third = mutex.lock().unwrap().token();
    assert!(first < second && second < third, "{first} {second} {third}");
}

pub(crate) fn a_death_is_told_until_repaired(crew: &Crew<'_>) {
    fn change_and_die(job: Job) -> u64 {
        let mutex = job.space().mutex("mutex", [0_u32; 2]).unwrap();
        let mut guard = mutex.lock().unwrap();
        guard[0] = 1;
        die()
    }
    let mutex = crew.space().mutex("mutex", [0_u32; 2]).unwrap();
    let member = crew.send(change_and_die, 0);
    let pid = member.pid();
    member.bury();
    for turn in 0..3 {
        match mutex.lock() {
            Err(LockError::OwnerDied(mut guard, death)) => {
                assert_eq!(death.cause, Cause::Died);
                assert_eq!(death.pid, pid);
                assert!(death.thread != 0 && !death.who.is_empty(), "{death:?}");
                assert!(death.site.as_ref().expect("it was noted").contains("mutex.rs"));
                assert_eq!(guard[0], 1);
                if turn == 2 {
                    guard[1] = 1;
                    guard.repair();
                }
            }
            other => panic!("turn {turn}: {other:?}"),
        }
    }
    assert_eq!(*mutex.lock().unwrap(), [1, 1]);
}

pub(crate) fn leaving_with_it_is_told(crew: &Crew<'_>) {
    fn forget(job: Job) -> u64 {
        let space = job.space();
        let mutex = space.mutex("mutex", 0_u32).unwrap();
        std::mem::forget(mutex.lock().unwrap());
        0
    }
    let mutex = crew.space().mutex("mutex", 0_u32).unwrap();
    crew.send(forget, 0).join();
    match mutex.lock() {
        Err(LockError::OwnerDied(_, death)) => assert_eq!(death.cause, Cause::LeftHolding),
        other => panic!("{other:?}"),
    };
}

pub(crate) fn a_stopped_holder_is_alive(crew: &Crew<'_>) {
    let space = crew.space();
    let mutex = space.mutex("held-one", 0_u32).unwrap();
    let member = crew.send(hold, 0);
    space.event("held").unwrap().wait();
    member.signal(libc::SIGSTOP);
    let locked = mutex.lock_timeout(Duration::from_millis(300));
    assert!(matches!(locked, Err(TimedLockError::TimedOut(_))), "{locked:?}");
    drop(locked);
    member.signal(libc::SIGCONT);
    space.event("enough").unwrap().set();
    drop(mutex.lock().unwrap());
    member.join();
}

pub(crate) fn a_sleeper_gets_it_when_the_holder_dies(crew: &Crew<'_>) {
    let space = crew.space();
    let mutex = space.mutex("held-one", 0_u32).unwrap();
    for watched in [false, true] {
        if watched {
            space.watch().unwrap();
        }
        space.event("held").unwrap().clear();
        let member = crew.send(hold, 0);
        space.event("held").unwrap().wait();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                mutex.lock().map(drop).map_err(|error| {
                    let mut guard = error.into_guard().expect("it is not ours");
                    guard.repair();
                })
            });
            std::thread::sleep(A_WHILE);
            member.signal(libc::SIGKILL);
            assert_eq!(sleeper.join().unwrap(), Err(()));
        });
        member.bury();
    }
}
