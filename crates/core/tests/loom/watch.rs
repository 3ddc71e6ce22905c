//! Models of the roll and of attempts: waiting without sleeping.

use std::sync::Arc;
use std::task::{Wake, Waker};

use antiphon_core::attempt::Attempt;
use antiphon_core::comm::RingError;
use antiphon_core::comm::ring::Patience;
use antiphon_core::model::{Kernel, Model};
use antiphon_core::owner::Owner;
use antiphon_core::primitive::AtomicU32;
use antiphon_core::primitive::Ordering::{AcqRel, Release};
use antiphon_core::sync::{RawEvent, RawMutex, RawSemaphore};
use antiphon_core::wait::{self, Deadline, Wait, WaitError, Word};
use antiphon_core::watch::{Roll, Watcher};
use loom::thread;

use crate::harness::{Watched, check, check_to};
use crate::ring::Queue;

const FOREVER: Patience = Patience::Until(None);

/// A scope in which a roll stands before the kernel.
#[derive(Clone)]
struct Hall {
    model: Model<true>,
    roll: Arc<Roll>,
}

impl Wait for Hall {
    const OWNER_IS_THREAD: bool = true;

    fn me(&self) -> Owner {
        self.model.me()
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.model.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.model.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, d: Option<Deadline>) -> wait::Wake {
        self.roll.sleep(&self.model, word, expected, epoch, d)
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.roll.wake(&self.model, word, count);
    }

    fn spin(&self, _: u32) -> bool {
        false
    }
}

struct House {
    kernel: Kernel,
    roll: Arc<Roll>,
}

impl House {
    fn new() -> Self {
        Self { kernel: Kernel::new(), roll: Arc::new(Roll::new()) }
    }

    fn hall(&self, n: u32) -> Hall {
        Hall { model: self.kernel.thread(n), roll: self.roll.clone() }
    }
}

/// A task and its executor: asleep until its waker is woken.
struct Task {
    hall: Hall,
    parked: Arc<Parked>,
    watcher: Box<Watcher>,
}

struct Parked {
    word: AtomicU32,
    model: Model<true>,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.word.fetch_or(1, Release);
        self.model.wake(&self.word, 1);
    }
}

impl Task {
    fn new(hall: Hall) -> Self {
        let parked = Arc::new(Parked { word: AtomicU32::new(0), model: hall.model.clone() });
        Self { hall, parked, watcher: Box::new(Watcher::new()) }
    }

    /// Attempts once; whatever would sleep is watched.
    fn attempt<T>(&self, body: impl FnOnce(&dyn Fn(&Word, u32, u32) -> bool) -> T) -> T {
        let waker = Waker::from(self.parked.clone());
        body(&|word, expected, _| {
            // SAFETY: the watcher is boxed, and left before it goes; this task alone uses it.
            unsafe { self.hall.roll.enrol(&self.hall.model, &self.watcher, word, expected, &waker) }
        })
    }

    /// Attempts until there is something, asleep in between.
    fn block_on<T>(
        &self,
        mut body: impl FnMut(&dyn Fn(&Word, u32, u32) -> bool) -> Option<T>,
    ) -> T {
        loop {
            self.parked.word.fetch_and(0, AcqRel);
            if let Some(value) = self.attempt(&mut body) {
                return value;
            }
            self.hall.model.wait(&self.parked.word, 0, 0, None);
        }
    }

    fn leave(&self) {
        // SAFETY: as in `attempt`.
        unsafe { self.hall.roll.leave(&self.hall.model, &self.watcher) };
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.leave();
    }
}

#[test]
fn a_watcher_of_an_event_is_told() {
    check_to(3, "watch, an event", 50, || {
        let house = House::new();
        let signpost = Arc::new((RawEvent::new(), Watched::new(0)));
        let task = {
            let (signpost, hall) = (signpost.clone(), house.hall(2));
            thread::spawn(move || {
                let task = Task::new(hall);
                task.block_on(|watch| signpost.0.wait(&Attempt::new(&task.hall, watch), None).ok());
                assert_eq!(signpost.1.get(), 1);
            })
        };
        signpost.1.bump();
        signpost.0.set(&house.hall(1));
        task.join().unwrap();
    });
}

#[test]
fn a_sleeper_is_known_to_the_roll() {
    check_to(3, "watch, a sleeper", 20, || {
        let house = House::new();
        let event = Arc::new(RawEvent::new());
        let sleeper = {
            let (event, hall) = (event.clone(), house.hall(2));
            thread::spawn(move || event.wait(&hall, None).unwrap())
        };
        event.set(&house.hall(1));
        sleeper.join().unwrap();
    });
}

#[test]
fn a_watcher_and_a_sleeper_both_get_an_item() {
    check("watch, a task and a thread at a ring", 500, || {
        let house = House::new();
        let ring = Queue::new(2);
        let sleeper = {
            let (ring, hall) = (ring.clone(), house.hall(2));
            thread::spawn(move || ring.pop(&hall, FOREVER).unwrap())
        };
        let task = {
            let (ring, hall) = (ring.clone(), house.hall(3));
            thread::spawn(move || {
                let task = Task::new(hall);
                task.block_on(|watch| ring.pop(&Attempt::new(&task.hall, watch), FOREVER).ok())
            })
        };
        let hall = house.hall(1);
        ring.push(&hall, FOREVER, 1).unwrap();
        ring.push(&hall, FOREVER, 2).unwrap();
        assert_eq!(sleeper.join().unwrap() + task.join().unwrap(), 3);
    });
}

#[test]
fn a_watcher_that_goes_takes_no_wake_with_it() {
    check("watch, dropped beside a sleeper", 200, || {
        let house = House::new();
        let ring = Queue::new(1);
        let sleeper = {
            let (ring, hall) = (ring.clone(), house.hall(2));
            thread::spawn(move || ring.pop(&hall, FOREVER).unwrap())
        };
        let producer = {
            let (ring, hall) = (ring.clone(), house.hall(3));
            thread::spawn(move || ring.push(&hall, FOREVER, 7).unwrap())
        };
        // Polled once, and dropped, told or not.
        let task = Task::new(house.hall(1));
        let polled = task.attempt(|watch| ring.pop(&Attempt::new(&task.hall, watch), FOREVER));
        drop(task);
        match polled {
            Ok(item) => {
                assert_eq!(item, 7);
                ring.push(&house.hall(1), FOREVER, 7).unwrap();
            }
            Err(error) => assert_eq!(error, RingError::Interrupted),
        }
        assert_eq!(sleeper.join().unwrap(), 7);
        producer.join().unwrap();
    });
}

#[test]
fn one_unlocking_reaches_the_task_and_the_thread() {
    check("watch, a task and a thread at a mutex", 200, || {
        let house = House::new();
        let mutex = Arc::new((RawMutex::new(), Watched::new(0)));
        let (w, first) = (house.hall(1), mutex.0.lock(&house.hall(1), None));
        let _ = first.unwrap();
        let sleeper = {
            let (mutex, hall) = (mutex.clone(), house.hall(2));
            thread::spawn(move || {
                let _ = mutex.0.lock(&hall, None).unwrap();
                mutex.1.bump();
                mutex.0.unlock(&hall, 0);
            })
        };
        let task = {
            let (mutex, hall) = (mutex.clone(), house.hall(3));
            thread::spawn(move || {
                let task = Task::new(hall);
                let attempt = |watch: &dyn Fn(&Word, u32, u32) -> bool| {
                    mutex.0.lock(&Attempt::new(&task.hall, watch), None).ok()
                };
                let _ = task.block_on(attempt);
                mutex.1.bump();
                mutex.0.unlock(&task.hall, 0);
            })
        };
        mutex.0.unlock(&w, 0);
        sleeper.join().unwrap();
        task.join().unwrap();
        assert_eq!(mutex.1.get(), 2);
    });
}

#[test]
fn one_setting_tells_all_watchers() {
    check("watch, two tasks at an event", 200, || {
        let house = House::new();
        let event = Arc::new(RawEvent::new());
        let tasks: Vec<_> = (2..4)
            .map(|n| {
                let (event, hall) = (event.clone(), house.hall(n));
                thread::spawn(move || {
                    let task = Task::new(hall);
                    task.block_on(|watch| event.wait(&Attempt::new(&task.hall, watch), None).ok());
                })
            })
            .collect();
        event.set(&house.hall(1));
        for task in tasks {
            task.join().unwrap();
        }
    });
}

#[test]
fn two_releases_reach_two_watchers() {
    check_to(1, "watch, two tasks at a semaphore", 200, || {
        let house = House::new();
        let semaphore = Arc::new(RawSemaphore::signal(0));
        let tasks: Vec<_> = (2..4)
            .map(|n| {
                let (semaphore, hall) = (semaphore.clone(), house.hall(n));
                thread::spawn(move || {
                    let task = Task::new(hall);
                    task.block_on(|watch| {
                        semaphore.acquire(1, &[], &Attempt::new(&task.hall, watch), None).ok()
                    });
                })
            })
            .collect();
        let hall = house.hall(1);
        semaphore.release(1, 2, &[], &hall).unwrap();
        semaphore.release(1, 2, &[], &hall).unwrap();
        for task in tasks {
            task.join().unwrap();
        }
    });
}

/// A thread that waits for either of two events, watching both.
#[test]
fn one_watches_several() {
    check_to(2, "watch, one of two events", 100, || {
        let house = House::new();
        let events = Arc::new([RawEvent::new(), RawEvent::new()]);
        let setter = {
            let (events, hall) = (events.clone(), house.hall(2));
            thread::spawn(move || events[1].set(&hall))
        };
        let one = Task::new(house.hall(1));
        let two = Watcher::new();
        let waker = Waker::from(one.parked.clone());
        one.block_on(|watch| {
            let first = events[0].wait(&Attempt::new(&one.hall, watch), None);
            assert_eq!(first, Err(WaitError::Interrupted));
            let watch = |word: &Word, expected, _: u32| {
                // SAFETY: the watcher stays here, and leaves below.
                unsafe { one.hall.roll.enrol(&one.hall.model, &two, word, expected, &waker) }
            };
            events[1].wait(&Attempt::new(&one.hall, watch), None).ok()
        });
        // SAFETY: as above.
        unsafe { one.hall.roll.leave(&one.hall.model, &two) };
        assert!(!two.is_on());
        setter.join().unwrap();
        // Its announcement stands, and does no harm.
        events[0].set(&one.hall);
        assert!(!one.watcher.is_on(), "told as well");
    });
}
