//! Async and select between threads: on two executors, with cancellation at random points, beside threads that block.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use antiphon::comm::{Queue, Shutdown};
use antiphon::sync::{Event, Latch, Mutex, RwLock, Semaphore};
use antiphon::wait::Select;

/// Ends the program when a test hangs.
fn watchdog() -> impl Drop {
    struct Alive(Arc<()>);
    impl Drop for Alive {
        fn drop(&mut self) {
            let _ = &self.0;
        }
    }
    let alive = Arc::new(());
    let guarded = Arc::downgrade(&alive);
    thread::spawn(move || {
        for _ in 0..1200 {
            thread::sleep(Duration::from_millis(100));
            if guarded.upgrade().is_none() {
                return;
            }
        }
        eprintln!("a test hangs");
        std::process::abort();
    });
    Alive(alive)
}

/// A small generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn tasks_and_threads_share_a_queue_on_tokio() {
    let _watchdog = watchdog();
    const EACH: u64 = 5_000;
    let queue = Arc::new(Queue::bounded(3));
    let runtime = tokio();
    let sum = Arc::new(AtomicU64::new(0));
    let getters: Vec<_> = (0..3)
        .map(|_| {
            let (queue, sum) = (queue.clone(), sum.clone());
            runtime.spawn(async move {
                while let Ok(item) = queue.get_async().await {
                    sum.fetch_add(item, SeqCst);
                }
            })
        })
        .collect();
    let putter = {
        let queue = queue.clone();
        runtime.spawn(async move {
            for i in 0..EACH {
                queue.put_async(i).await.unwrap();
            }
        })
    };
    thread::scope(|s| {
        s.spawn(|| (0..EACH).for_each(|i| queue.put(i).unwrap()));
        s.spawn(|| queue.iter().for_each(|item| _ = sum.fetch_add(item, SeqCst)));
        runtime.block_on(putter).unwrap();
        while !queue.is_empty() {
            thread::yield_now();
        }
        // The thread may still be putting: an item more for it is no loss, since it is counted when it is put.
        thread::sleep(Duration::from_millis(50));
        while sum.load(SeqCst) < 2 * (EACH * (EACH - 1) / 2) {
            thread::sleep(Duration::from_millis(1));
        }
        queue.shutdown(Shutdown::Drain);
    });
    for getter in getters {
        runtime.block_on(getter).unwrap();
    }
    assert_eq!(sum.load(SeqCst), EACH * (EACH - 1));
}

#[test]
fn tasks_share_locks_and_permits_on_smol() {
    let _watchdog = watchdog();
    let (mutex, permits) = (Mutex::new(0u64), Semaphore::new(2));
    let (lock, inside) = (RwLock::new(0u64), AtomicU64::new(0));
    let executor = smol::Executor::new();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            executor.spawn(async {
                for _ in 0..200 {
                    let permit = permits.acquire_async().await;
                    assert!(inside.fetch_add(1, SeqCst) < 2);
                    {
                        let mut guard = mutex.lock_async().await.unwrap();
                        let before = *guard;
                        // Held across an await.
                        smol::future::yield_now().await;
                        *guard = before + 1;
                    }
                    inside.fetch_sub(1, SeqCst);
                    drop(permit);
                    let read = *lock.read_async().await.unwrap();
                    let mut write = lock.write_async().await.unwrap();
                    assert!(*write >= read);
                    *write += 1;
                    smol::future::yield_now().await;
                }
            })
        })
        .collect();
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                smol::block_on(executor.run(async {
                    while inside.load(SeqCst) < u64::MAX && *lock.read_async().await.unwrap() < 1600
                    {
                        smol::Timer::after(Duration::from_millis(1)).await;
                    }
                }));
            });
        }
        s.spawn(|| {
            for _ in 0..200 {
                *mutex.lock().unwrap() += 1;
            }
        });
    });
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
    assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (1800, 1600));
    assert_eq!(permits.available(), 2);
}

#[test]
fn a_future_dropped_at_any_time_loses_no_item() {
    let _watchdog = watchdog();
    const ITEMS: u64 = 4_000;
    for seed in 1..=4 {
        let queue = Queue::bounded(2);
        let got = AtomicU64::new(0);
        thread::scope(|s| {
            s.spawn(|| {
                (1..=ITEMS).for_each(|i| queue.put(i).unwrap());
                queue.shutdown(Shutdown::Drain);
            });
            s.spawn(|| queue.iter().for_each(|item| _ = got.fetch_add(item, SeqCst)));
            // Polls a few times and drops: told or not, with an item on its way or not.
            s.spawn(|| {
                let mut random = Random(seed);
                while !queue.is_shut_down() {
                    let mut get = pin!(queue.get_async());
                    for _ in 0..=random.below(3) {
                        if let Poll::Ready(item) = poll_once(get.as_mut()) {
                            got.fetch_add(item.unwrap_or(0), SeqCst);
                            break;
                        }
                        (0..random.below(2000)).for_each(|_| std::hint::spin_loop());
                    }
                }
            });
        });
        assert_eq!(got.load(SeqCst), ITEMS * (ITEMS + 1) / 2, "seed {seed}");
    }
}

#[test]
fn a_future_dropped_at_any_time_loses_no_put_permit_or_lock() {
    let _watchdog = watchdog();
    for seed in 1..=4 {
        let (queue, permits, mutex, lock) =
            (Queue::bounded(1), Semaphore::new(1), Mutex::new(0u64), RwLock::new(()));
        let put = AtomicU64::new(0);
        let done = AtomicU64::new(0);
        thread::scope(|s| {
            for who in 0..2u64 {
                let (queue, permits, mutex, lock, put, done) =
                    (&queue, &permits, &mutex, &lock, &put, &done);
                s.spawn(move || {
                    let mut random = Random(seed * 10 + who);
                    for i in 0..2_000 {
                        let mut future = pin!(async {
                            match i % 4 {
                                0 => {
                                    queue.put_async(1u64).await.unwrap();
                                    put.fetch_add(1, SeqCst);
                                }
                                1 => drop(permits.acquire_async().await),
                                2 => *mutex.lock_async().await.unwrap() += 1,
                                _ => drop(lock.write_async().await.unwrap()),
                            }
                        });
                        for _ in 0..=random.below(3) {
                            if poll_once(future.as_mut()).is_ready() {
                                break;
                            }
                            (0..random.below(500)).for_each(|_| std::hint::spin_loop());
                        }
                    }
                    done.fetch_add(1, SeqCst);
                });
            }
            // The blocking ones beside them always get through.
            let got = s.spawn(|| {
                let mut got = 0;
                while done.load(SeqCst) < 2 || !queue.is_empty() {
                    got += queue.try_get().unwrap_or(0);
                    drop(permits.acquire());
                    drop(mutex.lock().unwrap());
                    drop(lock.read().unwrap());
                    drop(lock.write().unwrap());
                }
                got
            });
            assert_eq!(got.join().unwrap(), put.load(SeqCst), "seed {seed}");
        });
        assert_eq!(permits.available(), 1);
        assert!(!mutex.is_locked());
    }
}

#[test]
fn an_event_set_and_cleared_between_polls_counts() {
    let event = Event::new();
    let mut wait = pin!(event.wait_async());
    assert!(poll_once(wait.as_mut()).is_pending());
    event.set();
    event.clear();
    assert!(poll_once(wait.as_mut()).is_ready());
}

#[test]
fn a_writer_that_waits_lets_no_reader_in_until_it_is_dropped() {
    let lock = RwLock::new(());
    let reader = lock.read().unwrap();
    {
        let mut write = pin!(lock.write_async());
        assert!(poll_once(write.as_mut()).is_pending());
        assert!(lock.try_read().is_err());
    }
    assert!(lock.try_read().is_ok());
    // A select that has done something else has given it up as well.
    let event = Event::new();
    let mut select = Select::new().on(lock.write_async(), |_| 0).on(event.wait_async(), |()| 1);
    assert!(select.wait_timeout(Duration::from_millis(1)).is_err());
    assert!(lock.try_read().is_ok());
    event.set();
    assert_eq!(select.wait(), 1);
    drop(reader);
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_select_takes_from_all_and_loses_nothing() {
    let _watchdog = watchdog();
    const EACH: u64 = 3_000;
    for queues in [2usize, 8, 64] {
        let queues: Vec<Queue<u64>> = (0..queues).map(|_| Queue::bounded(2)).collect();
        let total = AtomicU64::new(0);
        let n = AtomicU64::new(0);
        thread::scope(|s| {
            let putters: Vec<_> = (0..2)
                .map(|_| {
                    s.spawn(|| {
                        (0..EACH).for_each(|i| {
                            queues[i as usize % queues.len()].put(i).unwrap();
                        })
                    })
                })
                .collect();
            // Two selects, and a thread that blocks at one of the queues.
            for _ in 0..2 {
                s.spawn(|| {
                    let mut select = Select::new();
                    for queue in &queues {
                        select = select.on(queue.get_async(), |item| item.ok());
                    }
                    while let Some(item) = select.wait() {
                        total.fetch_add(item, SeqCst);
                        n.fetch_add(1, SeqCst);
                    }
                });
            }
            s.spawn(|| {
                queues[0].iter().for_each(|item| {
                    total.fetch_add(item, SeqCst);
                    n.fetch_add(1, SeqCst);
                })
            });
            for putter in putters {
                putter.join().unwrap();
            }
            while n.load(SeqCst) < 2 * EACH {
                thread::sleep(Duration::from_millis(1));
            }
            queues.iter().for_each(|queue| queue.shutdown(Shutdown::Drain));
        });
        assert_eq!(total.load(SeqCst), EACH * (EACH - 1));
    }
}

#[test]
fn a_select_puts_once_and_is_fair() {
    let (full, free) = (Queue::bounded(1), Queue::bounded(10));
    full.put(0).unwrap();
    let mut select =
        Select::new().on(full.put_async(1), |_| "full").on(free.put_async(2), |_| "free");
    assert_eq!(select.wait(), "free");
    assert!(select.wait_timeout(Duration::from_millis(1)).is_err());
    assert_eq!(full.get(), Ok(0));
    assert_eq!(select.wait(), "full");
    drop(select);
    assert_eq!((full.get(), free.get()), (Ok(1), Ok(2)));

    let latches = [Latch::new(0), Latch::new(0), Latch::new(0)];
    let mut select = Select::new();
    for (i, latch) in latches.iter().enumerate() {
        select = select.on(latch.wait_async(), move |()| i);
    }
    let mut seen = [0; 3];
    (0..9).for_each(|_| seen[select.wait()] += 1);
    assert_eq!(seen, [3; 3]);
}

#[test]
fn a_select_is_awaited_too() {
    let _watchdog = watchdog();
    let (a, b) = (Arc::new(Queue::bounded(1)), Arc::new(Queue::bounded(1)));
    let runtime = tokio();
    let task = {
        let (a, b) = (a.clone(), b.clone());
        runtime.spawn(async move {
            let mut sum = 0;
            for _ in 0..200 {
                sum += tokio::select! {
                    item = a.get_async() => item.unwrap(),
                    item = b.get_async() => item.unwrap(),
                };
            }
            sum
        })
    };
    (0..100).for_each(|i| {
        a.put(i).unwrap();
        b.put(i).unwrap();
    });
    assert_eq!(runtime.block_on(task).unwrap(), 9_900);
    let late = thread::spawn({
        let b = b.clone();
        move || {
            thread::sleep(Duration::from_millis(5));
            b.put(7).unwrap();
        }
    });
    let mut select =
        Select::new().on(a.get_async(), Result::unwrap).on(b.get_async(), Result::unwrap);
    assert_eq!(runtime.block_on(select.wait_async()), 7);
    assert!(select.try_wait().is_none());
    late.join().unwrap();
}
