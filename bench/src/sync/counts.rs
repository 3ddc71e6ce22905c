//! What the uncontended paths execute: instructions, atomic read-modify-writes, system calls; and what a mutex weighs.

use super::host_mutex::HostMutex as _;
use super::host_pairs::HostPair as _;
use super::mutex::Mutex as _;
use super::rounds::Event as _;
use super::rwlock::RwLock as _;
use super::semaphore::Semaphore as _;
use crate::plan::{Cell, figure};
use crate::stage::Stage;
use crate::steps::count;
use crate::{ours, peers};

/// A counted cell: the operation on what the first expression makes, in a child.
macro_rules! counted {
    ($row:literal, $type:ty, $make:expr, $op:expr) => {
        Cell::new($row, <$type>::NAME, |_| Ok(count(|| $make, $op)?.figures())).rounds(1)
    };
}

/// The same for an object that processes share.
macro_rules! counted_host {
    ($row:literal, $type:ty, $op:expr) => {
        Cell::new($row, <$type>::NAME, |_| {
            let stage = Stage::new();
            let name = <$type>::prepare(&stage);
            Ok(count(|| <$type>::attach(&stage, &name), $op)?.figures())
        })
        .rounds(1)
    };
}

pub fn cells() -> Vec<Cell> {
    use ours::host_mutex::{HostMutex, HostMutexBare};
    use ours::host_pairs as host;
    use ours::mutex::Mutex;
    use ours::rounds::Event;
    use ours::rwlock::RwLock;
    use ours::semaphore::Semaphore;
    vec![
        counted!("counts.mutex.threads", Mutex, Mutex::new(), |m| m.with(|n| *n += 1)),
        counted!("counts.mutex.threads", peers::mutex::Std, peers::mutex::Std::new(), |m| m
            .with(|n| *n += 1)),
        counted!(
            "counts.mutex.threads",
            peers::mutex::ParkingLot,
            peers::mutex::ParkingLot::new(),
            |m| m.with(|n| *n += 1)
        ),
        counted!("counts.rwlock.threads.read", RwLock, RwLock::new(), read),
        counted!("counts.rwlock.threads.read", peers::rwlock::Std, peers::rwlock::Std::new(), read),
        counted!("counts.semaphore.threads", Semaphore, Semaphore::new(4), |s| s.pairs(1)),
        counted!("counts.event.threads", Event, Event::new(), |e| {
            e.set();
            e.wait();
            e.clear();
        }),
        counted_host!("counts.mutex.host", HostMutex, |m| m.with(|n| *n += 1)),
        counted_host!("counts.mutex.host", HostMutexBare, |m| m.with(|n| *n += 1)),
        counted_host!("counts.mutex.host", peers::host_mutex::PthreadRobust, |m| m
            .with(|n| *n += 1)),
        counted_host!("counts.rwlock.host.read", host::Read, |l| l.pair()),
        counted_host!("counts.semaphore.host", host::Semaphore, |s| s.pair()),
        Cell::new("memory.mutex.threads", Mutex::NAME, |_| {
            Ok(figure("bytes", ours::mutex::bytes_beside_the_value() as f64))
        })
        .rounds(1),
        Cell::new("memory.mutex.threads", "std", |_| {
            Ok(figure("bytes", (size_of::<std::sync::Mutex<u64>>() - 8) as f64))
        })
        .rounds(1),
    ]
}

fn read<L: super::rwlock::RwLock>(lock: &L) {
    std::hint::black_box(lock.read());
}
