//! Our semaphore and readers-writer lock in host.

use super::space::{open, unique_name};
use crate::stage::Stage;
use crate::sync::host_pairs::HostPair;
use antiphon::Space;
use antiphon::space;

pub struct Semaphore {
    semaphore: space::Semaphore,
    _space: Space,
}

impl HostPair for Semaphore {
    const NAME: &'static str = crate::marks::OURS;
    const ROW: &'static str = "semaphore.host.pair";

    fn prepare(_: &Stage) -> String {
        unique_name()
    }

    fn attach(_: &Stage, name: &str) -> Self {
        let space = open(name);
        Self { semaphore: space.semaphore("s", 4).expect("a semaphore"), _space: space }
    }

    #[inline]
    fn pair(&self) {
        drop(self.semaphore.acquire());
    }
}

pub struct Read {
    lock: space::RwLock<u64>,
    _space: Space,
}

impl HostPair for Read {
    const NAME: &'static str = crate::marks::OURS;
    const ROW: &'static str = "rwlock.host.read";

    fn prepare(_: &Stage) -> String {
        unique_name()
    }

    fn attach(_: &Stage, name: &str) -> Self {
        let space = open(name);
        Self { lock: space.rwlock("l", 0_u64).expect("a lock"), _space: space }
    }

    #[inline]
    fn pair(&self) {
        std::hint::black_box(*self.lock.read().expect("nobody died"));
    }
}
