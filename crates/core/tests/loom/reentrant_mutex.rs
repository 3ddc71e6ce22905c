//! Models of the reentrant mutex.

use std::sync::Arc;

use antiphon_core::model::Kernel;
use antiphon_core::sync::mutex::Claim;
use antiphon_core::sync::reentrant_mutex::RawReentrantMutex;
use antiphon_core::wait::{Deadline, Wait, WaitError};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_to};

struct Guarded {
    mutex: RawReentrantMutex,
    value: Watched,
}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { mutex: RawReentrantMutex::new(), value: Watched::new(0) })
    }

    /// Changes the value under two locks of the same thread.
    fn bump<W: Wait>(&self, thread: u32, w: &W) -> Claim {
        let claim = self.mutex.lock(thread, w, None).unwrap().expect("not held before");
        assert_eq!(self.mutex.lock(thread, w, None), Ok(None));
        assert!(!self.mutex.unlock(w, 0));
        self.value.bump();
        assert!(self.mutex.unlock(w, 0));
        claim
    }
}

#[test]
fn two_threads_exclude_each_other() {
    check_to(3, "reentrant mutex, two threads", 100, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new();
        let other = {
            let (guarded, w) = (guarded.clone(), kernel.thread(2));
            thread::spawn(move || guarded.bump(0, &w))
        };
        assert_eq!(guarded.bump(0, &kernel.thread(1)), Claim::Clean);
        assert_eq!(other.join().unwrap(), Claim::Clean);
        assert_eq!(guarded.value.get(), 2);
    });
}

#[test]
fn threads_of_one_participant_exclude_each_other() {
    check_to(3, "reentrant mutex, two threads of a participant", 100, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new();
        let other = {
            let (guarded, w) = (guarded.clone(), kernel.participant(0));
            thread::spawn(move || guarded.bump(12, &w))
        };
        assert_eq!(guarded.bump(11, &kernel.participant(0)), Claim::Clean);
        assert_eq!(other.join().unwrap(), Claim::Clean);
        assert_eq!(guarded.value.get(), 2);
    });
}

#[test]
fn all_locks_are_released_and_restored() {
    check_to(3, "reentrant mutex, release and restore", 20, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new();
        let w = kernel.thread(1);
        assert_eq!(guarded.mutex.lock(0, &w, None), Ok(Some(Claim::Clean)));
        assert_eq!(guarded.mutex.try_lock(0, &w), Some(None));
        let other = {
            let (guarded, w) = (guarded.clone(), kernel.thread(2));
            thread::spawn(move || guarded.bump(0, &w))
        };
        let depth = guarded.mutex.unlock_all(&w, 0);
        assert_eq!(depth, 2);
        assert_eq!(guarded.mutex.lock(0, &w, None), Ok(Some(Claim::Clean)));
        guarded.mutex.restore(depth);
        guarded.value.bump();
        assert!(!guarded.mutex.unlock(&w, 0));
        assert!(guarded.mutex.unlock(&w, 0));
        let _ = other.join().unwrap();
        assert_eq!(guarded.value.get(), 2);
    });
}

#[test]
fn another_thread_waits() {
    check("reentrant mutex, held", 1, || {
        let kernel = Kernel::new();
        let mutex = RawReentrantMutex::new();
        let (one, two) = (kernel.participant(0), kernel.participant(0));
        assert_eq!(mutex.lock(1, &one, None), Ok(Some(Claim::Clean)));
        assert_eq!(mutex.holder(), Some((one.me(), Some(1))));
        assert!(mutex.is_mine(1, &one) && !mutex.is_mine(2, &two));
        assert_eq!(mutex.try_lock(2, &two), None);
        assert_eq!(mutex.lock(2, &two, Some(Deadline(0))), Err(WaitError::TimedOut));
        assert!(mutex.unlock(&one, 0));
        assert_eq!(mutex.holder(), None);
        assert!(!mutex.is_mine(1, &one));
    });
}

#[test]
fn a_sleeper_inherits_from_the_dead() {
    check_deaths("reentrant mutex, a death beside one sleeper", 300, |step| {
        let kernel = Kernel::mortal();
        let guarded = Guarded::new();
        let other = {
            let (guarded, w) = (guarded.clone(), kernel.participant(1));
            thread::spawn(move || guarded.bump(5, &w))
        };
        let w = kernel.participant(0);
        // The same thread number as the survivor's: only the owner tells them apart.
        let lived = kernel.victim(w.me(), step, || guarded.bump(5, &w));
        let claim = other.join().unwrap();
        if lived.is_some() {
            assert_eq!((claim, guarded.value.get()), (Claim::Clean, 2));
        }
        assert!(guarded.mutex.try_lock(6, &kernel.participant(2)).is_some());
        lived.is_none()
    });
}
