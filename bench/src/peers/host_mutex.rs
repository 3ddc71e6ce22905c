//! Other people's mutexes between processes, in shared memory.

use super::futex;
use crate::stage::Stage;
use crate::sync::host_mutex::HostMutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Where the counter stands in the area: beside the lock, as `Mutex<u64>` would have it.
const VALUE: usize = 64;

/// Adds to the counter beside a lock at the start of the area.
///
/// # Safety
/// `at` is the start of a stage's area and the caller holds its lock.
unsafe fn change(at: *mut u8, change: impl FnOnce(&mut u64)) {
    // SAFETY: inside the area, aligned, zero at first, and the lock makes it ours.
    change(unsafe { &mut *at.add(VALUE).cast::<u64>() });
}

macro_rules! pthread {
    ($type:ident, $name:literal, $robust:literal) => {
        pub struct $type(*mut u8);

        impl HostMutex for $type {
            const NAME: &'static str = $name;

            fn prepare(stage: &Stage) -> String {
                // SAFETY: the area is zero, large and aligned enough, and nobody else uses it yet.
                unsafe {
                    let mut attr: libc::pthread_mutexattr_t = std::mem::zeroed();
                    libc::pthread_mutexattr_init(&mut attr);
                    libc::pthread_mutexattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
                    if $robust {
                        libc::pthread_mutexattr_setrobust(&mut attr, libc::PTHREAD_MUTEX_ROBUST);
                    }
                    libc::pthread_mutex_init(stage.area().cast(), &attr);
                }
                String::new()
            }

            fn attach(stage: &Stage, _: &str) -> Self {
                Self(stage.area())
            }

            #[inline]
            fn with(&self, f: impl FnOnce(&mut u64)) {
                // SAFETY: `prepare` made a mutex there; the counter is touched while it is held.
                unsafe {
                    if libc::pthread_mutex_lock(self.0.cast()) == libc::EOWNERDEAD {
                        libc::pthread_mutex_consistent(self.0.cast());
                    }
                    change(self.0, f);
                    libc::pthread_mutex_unlock(self.0.cast());
                }
            }
        }
    };
}

pthread!(Pthread, "pthread", false);
pthread!(PthreadRobust, "pthread robust", true);

pub struct Sem(*mut u8);

impl HostMutex for Sem {
    const NAME: &'static str = "sem_t";

    fn prepare(stage: &Stage) -> String {
        // SAFETY: as for the pthread mutexes.
        unsafe { libc::sem_init(stage.area().cast(), 1, 1) };
        String::new()
    }

    fn attach(stage: &Stage, _: &str) -> Self {
        Self(stage.area())
    }

    #[inline]
    fn with(&self, f: impl FnOnce(&mut u64)) {
        // SAFETY: `prepare` made a semaphore there; the counter is touched while its one permit is ours.
        unsafe {
            while libc::sem_wait(self.0.cast()) != 0 {}
            change(self.0, f);
            libc::sem_post(self.0.cast());
        }
    }
}

/// The plain three-state futex mutex of Drepper's "Futexes Are Tricky", spinning 100 turns, shared. Knows no owner.
pub struct Futex(*mut u8);

impl Futex {
    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the start of the area, used as this word only.
        unsafe { &*self.0.cast() }
    }

    #[cold]
    fn lock_contended(&self) {
        let word = self.word();
        let mut spins = 100;
        while word.load(Relaxed) == 1 && spins > 0 {
            std::hint::spin_loop();
            spins -= 1;
        }
        if word.compare_exchange(0, 1, Acquire, Relaxed).is_ok() {
            return;
        }
        while word.swap(2, Acquire) != 0 {
            futex::wait(word, 2);
        }
    }
}

impl HostMutex for Futex {
    const NAME: &'static str = "futex, 3 states";

    fn prepare(_: &Stage) -> String {
        String::new()
    }

    fn attach(stage: &Stage, _: &str) -> Self {
        Self(stage.area())
    }

    #[inline]
    fn with(&self, f: impl FnOnce(&mut u64)) {
        if self.word().compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            self.lock_contended();
        }
        // SAFETY: the word is ours.
        unsafe { change(self.0, f) };
        if self.word().swap(0, Release) == 2 {
            futex::wake(self.word(), 1);
        }
    }
}
