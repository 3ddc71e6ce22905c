//! The gates by which ours are judged: one futex word, and POSIX's semaphore.

use super::futex;
use crate::stage::Stage;
use crate::sync::growth::{Gate, HostGate, ThreadGate};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A count on a futex: every give wakes one.
pub struct FutexGate(AtomicU32);

impl Gate for FutexGate {
    const NAME: &'static str = "futex";

    fn give(&self) {
        self.0.fetch_add(1, Release);
        futex::wake(&self.0, 1);
    }

    fn take(&self) {
        loop {
            let count = self.0.load(Relaxed);
            if count == 0 {
                futex::wait(&self.0, 0);
            } else if self.0.compare_exchange(count, count - 1, Acquire, Relaxed).is_ok() {
                return;
            }
        }
    }
}

impl ThreadGate for FutexGate {
    fn new() -> Self {
        Self(AtomicU32::new(0))
    }
}

pub struct SemGate(*mut libc::sem_t);

// SAFETY: a POSIX semaphore may be used from every thread.
unsafe impl Sync for SemGate {}

impl Gate for SemGate {
    const NAME: &'static str = "sem_t";

    fn give(&self) {
        // SAFETY: `prepare` made a semaphore there.
        unsafe { libc::sem_post(self.0) };
    }

    fn take(&self) {
        // SAFETY: as above.
        while unsafe { libc::sem_wait(self.0) } != 0 {}
    }
}

impl HostGate for SemGate {
    fn prepare(stage: &Stage) -> String {
        // SAFETY: the area is zero, large and aligned enough, and nobody else uses it yet.
        unsafe { libc::sem_init(stage.area().cast(), 1, 0) };
        String::new()
    }

    fn attach(stage: &Stage, _: &str) -> Self {
        Self(stage.area().cast())
    }
}
