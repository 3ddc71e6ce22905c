//! Models of the mutex.

use std::sync::Arc;

use antiphon_core::model::{Kernel, Model};
use antiphon_core::sync::mutex::{Claim, INCONSISTENT, RawMutex};
use antiphon_core::wait::{Deadline, Wait, WaitError};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Guarded {
    mutex: RawMutex,
    value: Watched,
}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { mutex: RawMutex::new(), value: Watched::new(0) })
    }

    fn bump<W: Wait>(&self, w: &W) -> Claim {
        let claim = self.mutex.lock(w, None).unwrap();
        self.value.bump();
        self.mutex.unlock(w, 0);
        claim
    }
}

/// Mutual exclusion, and everybody who sleeps is woken.
fn excludes(threads: u32, rounds: u32) {
    let kernel = Kernel::new();
    let guarded = Guarded::new();
    let bump = {
        let guarded = guarded.clone();
        move |w: Model<true>| {
            for _ in 0..rounds {
                assert_eq!(guarded.bump(&w), Claim::Clean);
            }
        }
    };
    let others: Vec<_> = (2..=threads)
        .map(|n| {
            let (bump, w) = (bump.clone(), kernel.thread(n));
            thread::spawn(move || bump(w))
        })
        .collect();
    bump(kernel.thread(1));
    for other in others {
        other.join().unwrap();
    }
    assert_eq!(guarded.value.get(), (threads * rounds) as usize);
    assert_eq!(guarded.mutex.owner(), None);
}

#[test]
fn two_exclude_each_other() {
    check_to(3, "mutex, two threads", 100, || excludes(2, 1));
}

#[test]
fn two_exclude_each_other_twice() {
    check("mutex, two threads, two rounds", 150, || excludes(2, 2));
}

#[test]
fn three_exclude_each_other() {
    check_to(3, "mutex, three threads", 5000, || excludes(3, 1));
}

#[test]
fn try_lock_never_enters_a_held_mutex() {
    check_to(3, "mutex, try_lock", 80, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new();
        let other = {
            let (guarded, w) = (guarded.clone(), kernel.thread(2));
            thread::spawn(move || {
                let taken = guarded.mutex.try_lock(&w).is_some();
                if taken {
                    guarded.value.bump();
                    guarded.mutex.unlock(&w, 0);
                }
                usize::from(taken)
            })
        };
        let _ = guarded.bump(&kernel.thread(1));
        let taken = other.join().unwrap();
        assert_eq!(guarded.value.get(), 1 + taken);
    });
}

#[test]
fn a_timeout_takes_nothing_and_loses_no_wake() {
    check("mutex, timeout among sleepers", 500, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new();
        let sleeper = {
            let (guarded, w) = (guarded.clone(), kernel.thread(2));
            thread::spawn(move || {
                let _ = guarded.bump(&w);
            })
        };
        let hasty = {
            let (guarded, w) = (guarded.clone(), kernel.thread(3));
            thread::spawn(move || match guarded.mutex.lock(&w, Some(Deadline(0))) {
                Ok(_) => guarded.mutex.unlock(&w, 0),
                Err(error) => assert_eq!(error, WaitError::TimedOut),
            })
        };
        let _ = guarded.bump(&kernel.thread(1));
        sleeper.join().unwrap();
        hasty.join().unwrap();
        assert_eq!(guarded.value.get(), 2);
    });
}

#[test]
fn relocking_is_an_error_for_threads_only() {
    check("mutex, relock", 1, || {
        let kernel = Kernel::new();
        let mutex = RawMutex::new();
        let w = kernel.thread(1);
        assert_eq!(mutex.lock(&w, None), Ok(Claim::Clean));
        assert_eq!(mutex.lock(&w, None), Err(WaitError::WouldDeadlock));
        assert_eq!(mutex.try_lock(&w), None);
        mutex.unlock(&w, 0);
        let w = kernel.participant(0);
        assert_eq!(mutex.lock(&w, None), Ok(Claim::Clean));
        assert_eq!(mutex.lock(&w, Some(Deadline(0))), Err(WaitError::TimedOut));
        mutex.unlock(&w, INCONSISTENT);
        assert_eq!(mutex.try_lock(&w), Some(Claim::Inherited(None)));
        mutex.mark_consistent();
        mutex.unlock(&w, 0);
        assert_eq!(mutex.try_lock(&w), Some(Claim::Clean));
    });
}

/// The victim locks, changes the value and unlocks, and dies at `step`. `others` more wait for the mutex; all of them get it, and the
/// value says how often it was changed.
fn survives(step: u32, others: u32) -> bool {
    let kernel = Kernel::mortal();
    let guarded = Guarded::new();
    let bystanders: Vec<_> = (1..=others)
        .map(|n| {
            let (guarded, w) = (guarded.clone(), kernel.participant(n));
            thread::spawn(move || guarded.bump(&w))
        })
        .collect();
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || guarded.bump(&w));
    let mut inherited = 0;
    for bystander in bystanders {
        if let Claim::Inherited(from) = bystander.join().unwrap() {
            assert_eq!(from, Some(w.me()));
            inherited += 1;
        }
    }
    assert!(inherited <= 1);
    let last = kernel.participant(7);
    assert!(guarded.mutex.try_lock(&last).is_some(), "nobody holds it");
    let changes = guarded.value.get();
    let others = others as usize;
    match lived {
        Some(_) => assert_eq!((changes, inherited), (others + 1, 0)),
        None => assert!((others..=others + 1).contains(&changes)),
    }
    lived.is_none()
}

#[test]
fn a_sleeper_inherits_from_the_dead() {
    check_deaths("mutex, a death beside one sleeper", 300, |step| survives(step, 1));
}

#[test]
fn sleepers_survive_a_death() {
    check_deaths("mutex, a death beside two sleepers", 7000, |step| survives(step, 2));
}

#[test]
fn a_death_in_recovery_is_recovered() {
    check_deaths("mutex, a death of the heir", 50_000, |step| {
        let kernel = Kernel::mortal();
        let guarded = Guarded::new();
        let dead = kernel.participant(3);
        let _ = guarded.mutex.lock(&dead, None).unwrap();
        let undertaker = {
            let (kernel, dead) = (kernel.clone(), dead.me());
            thread::spawn(move || kernel.declare_gone(dead))
        };
        let other = {
            let (guarded, w) = (guarded.clone(), kernel.participant(1));
            thread::spawn(move || {
                let claim = guarded.mutex.lock(&w, None).unwrap();
                guarded.value.bump();
                guarded.mutex.unlock(&w, INCONSISTENT);
                claim
            })
        };
        let w = kernel.participant(2);
        let lived = kernel.victim(w.me(), step, || {
            let claim = guarded.mutex.lock(&w, None).unwrap();
            guarded.mutex.unlock(&w, INCONSISTENT);
            claim
        });
        undertaker.join().unwrap();
        // Nobody repairs the value, so whoever gets the mutex is told.
        assert!(matches!(other.join().unwrap(), Claim::Inherited(_)));
        assert!(lived.is_none_or(|claim| matches!(claim, Claim::Inherited(_))));
        let last = guarded.mutex.try_lock(&kernel.participant(7));
        assert!(matches!(last, Some(Claim::Inherited(_))));
        lived.is_none()
    });
}
