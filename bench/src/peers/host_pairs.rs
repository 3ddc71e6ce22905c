//! What POSIX has for processes: an unnamed semaphore and a readers-writer lock.

use crate::stage::Stage;
use crate::sync::host_pairs::HostPair;

pub struct SemPair(*mut libc::sem_t);

impl HostPair for SemPair {
    const NAME: &'static str = "sem_t";
    const ROW: &'static str = "semaphore.host.pair";

    fn prepare(stage: &Stage) -> String {
        // SAFETY: the area is zero, large and aligned enough, and nobody else uses it yet.
        unsafe { libc::sem_init(stage.area().cast(), 1, 4) };
        String::new()
    }

    fn attach(stage: &Stage, _: &str) -> Self {
        Self(stage.area().cast())
    }

    #[inline]
    fn pair(&self) {
        // SAFETY: `prepare` made a semaphore there.
        unsafe {
            libc::sem_wait(self.0);
            libc::sem_post(self.0);
        }
    }
}

pub struct PthreadRead(*mut libc::pthread_rwlock_t);

impl HostPair for PthreadRead {
    const NAME: &'static str = "pthread";
    const ROW: &'static str = "rwlock.host.read";

    fn prepare(stage: &Stage) -> String {
        // SAFETY: the area is zero, large and aligned enough, and nobody else uses it yet.
        unsafe {
            let mut attr: libc::pthread_rwlockattr_t = std::mem::zeroed();
            libc::pthread_rwlockattr_init(&mut attr);
            libc::pthread_rwlockattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_rwlock_init(stage.area().cast(), &attr);
        }
        String::new()
    }

    fn attach(stage: &Stage, _: &str) -> Self {
        Self(stage.area().cast())
    }

    #[inline]
    fn pair(&self) {
        // SAFETY: `prepare` made a lock there.
        unsafe {
            libc::pthread_rwlock_rdlock(self.0);
            libc::pthread_rwlock_unlock(self.0);
        }
    }
}
