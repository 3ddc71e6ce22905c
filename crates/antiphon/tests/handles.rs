//! Objects as arguments of children: named ones and anonymous ones arrive as the same object, at another address.

use std::process::ExitCode;
use std::time::Duration;

use antiphon::error::{GetError, LockError};
use antiphon::space::{
    Barrier, ByteQueue, Condvar, Event, Latch, MessageQueue, Mutex, Queue, RwLock, Semaphore,
    Shutdown,
};
use antiphon::{Cause, Space, process};

type Test = fn(&Space);

const TESTS: &[(&str, Test)] = &[
    ("locks_count_together", locks_count_together),
    ("queues_carry_work_and_results", queues_carry_work_and_results),
    ("phases_are_shared", phases_are_shared),
    ("a_child_that_dies_holding_is_named", a_child_that_dies_holding_is_named),
    ("leaving_with_a_lock_held_is_told", leaving_with_a_lock_held_is_told),
];

fn main() -> ExitCode {
    process::init();
    let dir = format!("/dev/shm/antiphon-handles-{}", std::process::id());
    // SAFETY: this program has one thread yet.
    unsafe { std::env::set_var("ANTIPHON_DIR", &dir) };
    let mut passed = 0;
    for (name, test) in TESTS {
        for (kind, space) in [
            ("named", Space::open("host:handles").unwrap()),
            ("anonymous", Space::anonymous().unwrap()),
        ] {
            test(&space);
            println!("test {name} ({kind}) ... ok");
            passed += 1;
        }
    }
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    std::fs::remove_dir(&dir).unwrap();
    println!("test result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

const PATIENCE: Duration = Duration::from_secs(60);

fn locks_count_together(space: &Space) {
    fn child((count, rate, permits): (Mutex<u64>, RwLock<u64>, Semaphore)) -> u64 {
        for _ in 0..1000 {
            *count.lock().unwrap() += 1;
            let _permit = permits.acquire();
            *rate.write().unwrap() += 1;
        }
        *rate.read().unwrap()
    }
    let count = space.mutex("count", 0u64).unwrap();
    let rate = space.rwlock("rate", 0u64).unwrap();
    let permits = space.semaphore("permits", 2).unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| process::spawn(child, (count.clone(), rate.clone(), permits.clone())).unwrap())
        .collect();
    for child in children {
        assert!(child.join_timeout(PATIENCE).unwrap() >= 1000);
    }
    assert_eq!((*count.lock().unwrap(), *rate.read().unwrap()), (3000, 3000));
    assert_eq!(permits.available(), 2);
}

fn queues_carry_work_and_results(space: &Space) {
    type Queues = (Queue<u32>, MessageQueue<(u32, String)>, ByteQueue);
    fn child((work, results, bytes): Queues) {
        while let Ok(n) = work.get() {
            results.put(&(n, format!("{}", n * n))).unwrap();
            bytes.put(&vec![n as u8; n as usize]).unwrap();
        }
    }
    let work = space.queue("work", 4).unwrap();
    let results = space.message_queue("results", 4, 1 << 12).unwrap();
    let bytes = space.byte_queue("bytes", 100, 1 << 16).unwrap();
    let child = process::spawn(child, (work.clone(), results.clone(), bytes.clone())).unwrap();
    for n in 1..=50 {
        work.put(n).unwrap();
        assert_eq!(results.get().unwrap(), (n, format!("{}", n * n)));
        assert_eq!(bytes.get().unwrap(), vec![n as u8; n as usize]);
    }
    work.shutdown(Shutdown::Drain);
    child.join_timeout(PATIENCE).unwrap();
    assert_eq!(work.get(), Err(GetError::ShutDown));
}

fn phases_are_shared(space: &Space) {
    fn child((go, level, risen, phase, done): (Event, Mutex<u32>, Condvar, Barrier, Latch)) -> u32 {
        go.wait();
        let guard = risen.wait_while(level.lock().unwrap(), |level| *level < 3).unwrap();
        let seen = *guard;
        drop(guard);
        phase.wait().unwrap();
        phase.leave();
        done.count_down(1);
        seen
    }
    let (go, risen) = (space.event("go").unwrap(), space.condvar("risen").unwrap());
    let level = space.mutex("level", 0u32).unwrap();
    let phase = space.barrier("phase", 3).unwrap();
    let done = space.latch("done", 2).unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| {
            let shared = (go.clone(), level.clone(), risen.clone(), phase.clone(), done.clone());
            process::spawn(child, shared).unwrap()
        })
        .collect();
    go.set();
    for _ in 0..3 {
        *level.lock().unwrap() += 1;
        risen.notify_all();
    }
    phase.wait().unwrap();
    done.wait();
    for child in children {
        assert_eq!(child.join_timeout(PATIENCE).unwrap(), 3);
    }
}

fn a_child_that_dies_holding_is_named(space: &Space) {
    fn child((value, held): (Mutex<[u32; 2]>, Event)) {
        let mut guard = value.lock().unwrap();
        guard[0] = 1;
        held.set();
        loop {
            std::thread::park();
        }
    }
    let value = space.mutex("value", [0u32; 2]).unwrap();
    let held = space.event("held").unwrap();
    let child = process::Builder::new()
        .label("victim")
        .spawn(child, (value.clone(), held.clone()))
        .unwrap();
    held.wait();
    let timeout = value.lock_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(timeout.to_string().contains("tests/handles.rs"), "{timeout}");
    let pid = child.pid();
    child.kill().unwrap();
    match value.lock() {
        Err(LockError::OwnerDied(mut guard, death)) => {
            assert_eq!((death.pid, death.cause), (pid, Cause::Died));
            assert_eq!(death.who, "victim");
            assert!(death.site.as_ref().is_some_and(|site| site.contains("handles.rs")), "{death}");
            assert!(death.held.is_some(), "{death}");
            assert_eq!(*guard, [1, 0]);
            *guard = [1, 1];
            guard.repair();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(*value.lock().unwrap(), [1, 1]);
    assert!(child.join().is_err());
}

fn leaving_with_a_lock_held_is_told(space: &Space) {
    fn child(value: Mutex<u64>) {
        std::mem::forget(value.lock().unwrap());
    }
    let value = space.mutex("left", 0u64).unwrap();
    process::spawn(child, value.clone()).unwrap().join_timeout(PATIENCE).unwrap();
    let error = value.lock().unwrap_err();
    assert!(error.death().is_some(), "{error}");
}
