//! Async and select between processes. Without libtest, since children are started from the program itself.

use std::future::Future;
use std::panic::catch_unwind;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use antiphon::error::LockError;
use antiphon::space::{ByteQueue, Event, Latch, Mutex, Queue, Semaphore, Shutdown};
use antiphon::wait::Select;
use antiphon::{Space, process};

const PATIENCE: Duration = Duration::from_secs(60);
type Test = (&'static str, fn(&Space));

const TESTS: [Test; 7] = [
    ("many tasks of a child get what is put here", many_tasks_of_a_child_get_what_is_put_here),
    ("a select takes from children", a_select_takes_from_children),
    ("tasks are told of a death", tasks_are_told_of_a_death),
    ("what is dropped loses nothing", what_is_dropped_loses_nothing),
    ("locks and permits are awaited on tokio", locks_and_permits_are_awaited_on_tokio),
    ("a select waits for threads and processes", a_select_waits_for_threads_and_processes),
    ("the thread goes when nobody waits, and comes back", the_thread_goes_and_comes_back),
];

fn main() -> ExitCode {
    process::init();
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!("a test hangs");
        std::process::abort();
    });
    println!("running {} tests", TESTS.len());
    let mut failed = 0;
    for (name, test) in TESTS {
        let space = Space::anonymous().expect("a space");
        let passed = catch_unwind(|| test(&space)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u32::from(!passed);
    }
    let passed = TESTS.len() as u32 - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    ExitCode::from(u8::from(failed > 0))
}

fn many_tasks_of_a_child_get_what_is_put_here(space: &Space) {
    fn child((work, results): (Queue<u64>, Queue<u64>)) {
        let executor = smol::LocalExecutor::new();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                executor.spawn(async {
                    while let Ok(n) = work.get_async().await {
                        results.put_async(n * 2).await.unwrap();
                    }
                })
            })
            .collect();
        smol::block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
    }
    let work = space.queue::<u64>("work", 8).unwrap();
    let results = space.queue::<u64>("results", 8).unwrap();
    let child = process::spawn(child, (work.clone(), results.clone())).unwrap();
    thread::scope(|s| {
        s.spawn(|| {
            for n in 0..2000 {
                work.put(n).unwrap();
                if n % 100 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            work.shutdown(Shutdown::Drain);
        });
        let sum: u64 = (0..2000).map(|_| results.get().unwrap()).sum();
        assert_eq!(sum, 2000 * 1999);
    });
    child.join_timeout(PATIENCE).unwrap();
}

fn a_select_takes_from_children(space: &Space) {
    fn child((queue, me): (Queue<u64>, u64)) {
        for n in 0..300 {
            queue.put(me * 1000 + n).unwrap();
            if n % 50 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    let queues: Vec<_> =
        (0..8).map(|i| space.queue::<u64>(&format!("queue-{i}"), 4).unwrap()).collect();
    let children: Vec<_> =
        (0..3).map(|i| process::spawn(child, (queues[i].clone(), i as u64)).unwrap()).collect();
    let mut select = Select::new();
    for queue in &queues {
        select = select.on(queue.get_async(), Result::unwrap);
    }
    let mut got = [0; 3];
    for _ in 0..900 {
        let item = select.wait_timeout(PATIENCE).unwrap();
        let (from, n) = ((item / 1000) as usize, item % 1000);
        assert_eq!(got[from], n, "in the order of their puts");
        got[from] += 1;
    }
    assert!(select.wait_timeout(Duration::from_millis(1)).is_err());
    for child in children {
        child.join_timeout(PATIENCE).unwrap();
    }
}

fn tasks_are_told_of_a_death(space: &Space) {
    fn child((value, permits, held): (Mutex<u64>, Semaphore, Event)) {
        let _guard = value.lock().unwrap();
        let _permit = permits.acquire();
        held.set();
        thread::sleep(Duration::from_millis(30));
        std::process::abort();
    }
    let value = space.mutex("value", 7u64).unwrap();
    let permits = space.semaphore("permits", 1).unwrap();
    let held = space.event("held").unwrap();
    let child = process::spawn(child, (value.clone(), permits.clone(), held.clone())).unwrap();
    smol::block_on(async {
        held.wait_async().await;
        let (locked, permit) = smol::future::zip(value.lock_async(), permits.acquire_async()).await;
        match locked {
            Err(LockError::OwnerDied(mut guard, death)) => {
                assert_eq!(*guard, 7);
                assert!(death.pid != 0);
                guard.repair();
            }
            other => panic!("{other:?}"),
        }
        drop(permit);
    });
    assert!(child.join_timeout(PATIENCE).is_err());
    assert_eq!(permits.available(), 1);
    assert!(value.lock().is_ok());
}

fn what_is_dropped_loses_nothing(space: &Space) {
    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }
    fn child(queue: Queue<u64>) -> u64 {
        let (mut got, mut random) = (0, 88172645463325252u64);
        while !queue.is_shut_down() {
            let mut get = pin!(queue.get_async());
            for _ in 0..2 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                if let Poll::Ready(item) = poll_once(get.as_mut()) {
                    got += item.unwrap_or(0);
                    break;
                }
                (0..random % 3000).for_each(|_| std::hint::spin_loop());
            }
        }
        got
    }
    let queue = space.queue::<u64>("queue", 2).unwrap();
    let child = process::spawn(child, queue.clone()).unwrap();
    let got = AtomicU64::new(0);
    thread::scope(|s| {
        s.spawn(|| queue.iter().for_each(|item| _ = got.fetch_add(item, SeqCst)));
        (1..=5000).for_each(|n| queue.put(n).unwrap());
        queue.shutdown(Shutdown::Drain);
    });
    let theirs = child.join_timeout(PATIENCE).unwrap();
    assert_eq!(got.load(SeqCst) + theirs, 5000 * 5001 / 2);
}

fn locks_and_permits_are_awaited_on_tokio(space: &Space) {
    fn child((count, permits, lines): (Mutex<u64>, Semaphore, ByteQueue)) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (count, permits, lines) = (count.clone(), permits.clone(), lines.clone());
                runtime.spawn(async move {
                    for _ in 0..20 {
                        let permit = permits.acquire_async().await;
                        let mut guard = count.lock_async().await.unwrap();
                        let before = *guard;
                        tokio::task::yield_now().await;
                        *guard = before + 1;
                        drop((guard, permit));
                    }
                    lines.put_async(b"done").await.unwrap();
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
    let count = space.mutex("count", 0u64).unwrap();
    let permits = space.semaphore("permits", 2).unwrap();
    let lines = space.byte_queue("lines", 4, 256).unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| process::spawn(child, (count.clone(), permits.clone(), lines.clone())).unwrap())
        .collect();
    for _ in 0..200 {
        *count.lock().unwrap() += 1;
    }
    for _ in 0..20 {
        assert_eq!(smol::block_on(lines.get_async()).unwrap(), b"done");
    }
    for child in children {
        child.join_timeout(PATIENCE).unwrap();
    }
    assert_eq!((*count.lock().unwrap(), permits.available()), (600, 2));
}

fn a_select_waits_for_threads_and_processes(space: &Space) {
    fn child((gate, go): (Latch, Event)) {
        go.wait();
        thread::sleep(Duration::from_millis(5));
        gate.count_down(1);
    }
    let gate = space.latch("gate", 1).unwrap();
    let go = space.event("go").unwrap();
    let child = process::spawn(child, (gate.clone(), go.clone())).unwrap();
    let local = antiphon::comm::Queue::bounded(1);
    thread::scope(|s| {
        s.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            local.put(1).unwrap();
        });
        let mut select =
            Select::new().on(local.get_async(), |_| "thread").on(gate.wait_async(), |()| "process");
        assert_eq!(select.wait_timeout(PATIENCE).unwrap(), "thread");
        go.set();
        assert_eq!(select.wait_timeout(PATIENCE).unwrap(), "process");
    });
    child.join_timeout(PATIENCE).unwrap();
}

fn the_thread_goes_and_comes_back(space: &Space) {
    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let named = |task: std::io::Result<std::fs::DirEntry>| {
            let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
            name.is_ok_and(|name| name.trim() == "antiphon-wait")
        };
        tasks.filter_map(|task| named(task).then_some(())).count()
    }
    let event = space.event("event").unwrap();
    for _ in 0..2 {
        thread::scope(|s| {
            s.spawn(|| smol::block_on(event.wait_async()));
            while threads() == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(threads(), 1);
            event.set();
        });
        event.clear();
        while threads() > 0 {
            thread::sleep(Duration::from_millis(10));
        }
    }
}
