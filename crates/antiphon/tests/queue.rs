//! The queue between threads, with items that notice when they are lost or dropped twice.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use antiphon::comm::{Queue, Shutdown};
use antiphon::error::{GetError, PutError, TimedGetError, TryGetError, TryPutError};

/// Counts the living.
struct Item(usize, Arc<AtomicUsize>);

impl Item {
    fn new(value: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self(value, alive.clone())
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.1.fetch_sub(1, SeqCst);
    }
}

fn exchange(putters: usize, getters: usize, capacity: usize, each: usize) {
    let queue = Queue::<Item>::bounded(capacity);
    let alive = Arc::new(AtomicUsize::new(0));
    let got = thread::scope(|s| {
        let getters: Vec<_> = (0..getters)
            .map(|n| {
                let queue = &queue;
                s.spawn(move || {
                    let mut values = Vec::new();
                    let mut batch = Vec::new();
                    loop {
                        let result = if n % 2 == 0 {
                            queue.get().map(|item| values.push(item.0))
                        } else {
                            queue.get_many_into(&mut batch, 3).map(|_| {
                                values.extend(batch.drain(..).map(|item| item.0));
                            })
                        };
                        if result.is_err() {
                            return values;
                        }
                    }
                })
            })
            .collect();
        let putters: Vec<_> = (0..putters)
            .map(|n| {
                let (queue, alive) = (&queue, &alive);
                s.spawn(move || {
                    let values = n * each..(n + 1) * each;
                    if n % 2 == 0 {
                        for value in values {
                            queue.put(Item::new(value, alive)).unwrap();
                        }
                    } else {
                        queue.put_many(values.map(|value| Item::new(value, alive))).unwrap();
                    }
                })
            })
            .collect();
        for putter in putters {
            putter.join().unwrap();
        }
        queue.shutdown(Shutdown::Drain);
        getters.into_iter().map(|getter| getter.join().unwrap()).collect::<Vec<_>>()
    });
    for values in &got {
        for n in 0..putters {
            let own = values.iter().filter(|value| **value / each == n);
            assert!(own.is_sorted(), "the items of one putter stay in their order");
        }
    }
    let all: Vec<_> = got.into_iter().flatten().collect();
    assert_eq!(all.len(), putters * each);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), putters * each);
    assert_eq!(alive.load(SeqCst), 0);
}

#[test]
fn everything_arrives_once_and_in_order() {
    for capacity in [1, 2, 3, 7, 1000] {
        for (putters, getters) in [(1, 1), (4, 1), (1, 4), (4, 4)] {
            exchange(putters, getters, capacity, 2000);
        }
    }
}

#[test]
fn what_is_left_is_dropped_once() {
    for how in [None, Some(Shutdown::Drain), Some(Shutdown::Immediate)] {
        let alive = Arc::new(AtomicUsize::new(0));
        let queue = Queue::bounded(5);
        for value in 0..8 {
            if queue.is_full() {
                drop(queue.get().unwrap());
            }
            queue.put(Item::new(value, &alive)).unwrap();
        }
        if let Some(how) = how {
            queue.shutdown(how);
        }
        assert_eq!(alive.load(SeqCst), 5);
        drop(queue);
        assert_eq!(alive.load(SeqCst), 0);
    }
}

#[test]
fn the_bound_is_exact() {
    for capacity in 1..10 {
        let queue = Queue::bounded(capacity);
        for value in 0..capacity {
            queue.try_put(value).unwrap();
        }
        assert_eq!(queue.try_put(99), Err(TryPutError::Full(99)));
        assert_eq!((queue.len(), queue.is_full()), (capacity, true));
        assert_eq!(queue.get_many(100).unwrap(), (0..capacity).collect::<Vec<_>>());
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    }
}

#[test]
fn a_batch_that_fails_gives_the_rest_back() {
    let alive = Arc::new(AtomicUsize::new(0));
    let queue = Queue::bounded(3);
    thread::scope(|s| {
        let putter = s.spawn(|| queue.put_many((0..10).map(|value| Item::new(value, &alive))));
        while queue.len() < 3 {
            thread::yield_now();
        }
        queue.shutdown(Shutdown::Drain);
        let Err(PutError::ShutDown(rest)) = putter.join().unwrap() else { panic!("shut down") };
        assert_eq!(rest.iter().map(|item| item.0).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9]);
    });
    assert_eq!(queue.iter().map(|item| item.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(alive.load(SeqCst), 0);
}

#[test]
fn those_who_wait_learn_of_the_end() {
    for how in [Shutdown::Drain, Shutdown::Immediate] {
        let (empty, full) = (Queue::<u8>::bounded(1), Queue::bounded(1));
        full.put(0).unwrap();
        thread::scope(|s| {
            let getters = [(); 3].map(|()| s.spawn(|| empty.get()));
            let putters = [(); 3].map(|()| s.spawn(|| full.put(1)));
            thread::sleep(Duration::from_millis(5));
            empty.shutdown(how);
            full.shutdown(how);
            for getter in getters {
                assert_eq!(getter.join().unwrap(), Err(GetError::ShutDown));
            }
            for putter in putters {
                assert_eq!(putter.join().unwrap(), Err(PutError::ShutDown(1)));
            }
        });
    }
}

#[test]
fn a_timeout_takes_nothing() {
    let queue = Queue::<u32>::bounded(1);
    let error = queue.get_timeout(Duration::from_millis(2)).unwrap_err();
    let TimedGetError::TimedOut(timeout) = &error else { panic!("{error:?}") };
    assert!(timeout.waited >= Duration::from_millis(2));
    queue.put(1).unwrap();
    assert_eq!(queue.put_timeout(2, Duration::ZERO).unwrap_err().into_inner(), 2);
    assert_eq!(queue.get_timeout(Duration::ZERO), Ok(1), "what is there needs no time");
}

#[test]
fn items_of_any_size_move() {
    let units = Queue::bounded(3);
    units.put_many([(), ()]).unwrap();
    assert_eq!(units.iter().take(2).count(), 2);
    let large = Queue::bounded(2);
    for value in 0..10_u64 {
        large.put([value; 1000]).unwrap();
        assert_eq!(large.get().unwrap(), [value; 1000]);
    }
    let text = String::from("borrowed");
    let references = Queue::bounded(1);
    references.put(&text).unwrap();
    assert_eq!(references.get().unwrap(), "borrowed");
}

#[test]
fn a_panicking_iterator_puts_nothing() {
    let queue = Queue::bounded(10);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        queue.put_many((0..5).inspect(|value| assert!(*value < 3)))
    }));
    assert!(outcome.is_err());
    assert!(queue.is_empty());
    queue.put(1).unwrap();
    assert_eq!(queue.get(), Ok(1));
}
