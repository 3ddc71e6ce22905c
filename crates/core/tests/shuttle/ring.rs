//! Walks around the ring of cells.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use antiphon_core::comm::slots::{Shape, Slots};
use antiphon_core::comm::{Patience, RawRing, RingError, Shutdown};
use antiphon_core::wait::{Deadline, Wait};

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

const FOREVER: Patience = Patience::Until(None);
const HASTY: Patience = Patience::Until(Some(Deadline(0)));

/// A queue of numbers, each a hundred times its producer and one of its items.
struct Queue {
    ring: RawRing,
    cells: Box<[Watched]>,
    shape: Shape,
    /// What was put and what was taken, each noted as soon as that is over.
    put: Mutex<Vec<u32>>,
    taken: Mutex<Vec<u32>>,
}

impl Queue {
    fn new(capacity: u32) -> Arc<Self> {
        let shape = Shape::new(capacity).unwrap();
        Arc::new(Self {
            ring: RawRing::new(),
            cells: (0..shape.cells()).map(|_| Watched::default()).collect(),
            shape,
            put: Mutex::default(),
            taken: Mutex::default(),
        })
    }

    fn slots(&self) -> Slots<'_, Watched> {
        let cells = NonNull::from(&*self.cells).cast();
        // SAFETY: the cells are as many as the shape says, and live as long as `self`.
        unsafe { Slots::new(&self.ring, cells, self.shape) }
    }

    fn push<W: Wait>(&self, w: &W, patience: Patience, value: u32) -> Result<(), RingError> {
        // SAFETY: the ring lends the cell, which has a value at all times.
        self.slots().push(w, patience, |cell| unsafe { (*cell).set(value) })?;
        self.put.lock().unwrap().push(value);
        Ok(())
    }

    /// Puts two items in as few commits as there is room for.
    fn push_two<W: Wait>(&self, w: &W, values: [u32; 2]) {
        let mut left = &values[..];
        while !left.is_empty() {
            let put = self.slots().push_many(w, FOREVER, left.len() as u32, |cell, from, n| {
                for i in 0..n {
                    // SAFETY: the ring lends that many cells in one piece.
                    unsafe { (*cell.add(i)).set(left[from + i]) };
                }
            });
            let (done, rest) = left.split_at(put.unwrap() as usize);
            self.put.lock().unwrap().extend(done);
            left = rest;
        }
    }

    fn pop<W: Wait>(&self, w: &W, patience: Patience) -> Result<(), RingError> {
        // SAFETY: as in `push`.
        let value = self.slots().pop(w, patience, |cell| unsafe { (*cell).get() })?;
        self.taken.lock().unwrap().push(value);
        Ok(())
    }

    fn pop_some<W: Wait>(&self, w: &W) -> Result<(), RingError> {
        let mut values = Vec::new();
        self.slots().pop_many(w, FOREVER, 3, |cell, _, n| {
            // SAFETY: as in `push_two`.
            values.extend((0..n).map(|i| unsafe { (*cell.add(i)).get() }));
        })?;
        self.taken.lock().unwrap().extend(values);
        Ok(())
    }

    /// Takes until the ring has ended, in several ways.
    fn pop_all<W: Wait>(&self, w: &W) {
        for turn in 0.. {
            let popped = match turn % 3 {
                0 => self.pop(w, FOREVER),
                1 => self.pop(w, HASTY),
                _ => self.pop_some(w),
            };
            match popped {
                Ok(()) | Err(RingError::TimedOut) => {}
                Err(error) => return assert_eq!(error, RingError::ShutDown),
            }
        }
    }

    /// What was put and not taken, after nothing was taken twice or came from nowhere.
    fn missing(&self) -> Vec<u32> {
        let mut left = self.put.lock().unwrap().clone();
        for value in &*self.taken.lock().unwrap() {
            let at = left.iter().position(|put| put == value);
            left.swap_remove(at.unwrap_or_else(|| panic!("{value} was not put, or taken before")));
        }
        left
    }
}

#[test]
fn everything_arrives_once() {
    for capacity in [1, 3] {
        walk("ring, 3:3", move |kernel| {
            let queue = Queue::new(capacity);
            let producers = (1..4)
                .map(|n| {
                    party(&queue, kernel.participant(n), move |queue, w| {
                        queue.push(w, FOREVER, 100 * n).unwrap();
                        queue.push_two(w, [100 * n + 1, 100 * n + 2]);
                        let _ = queue.push(w, HASTY, 100 * n + 3);
                        let _ = queue.push(w, Patience::Try, 100 * n + 4);
                    })
                })
                .collect();
            let consumers = (4..7)
                .map(|n| party(&queue, kernel.participant(n), Queue::pop_all))
                .collect::<Vec<_>>();
            join(producers);
            queue.ring.shut_down(&kernel.participant(7), Shutdown::Drain).unwrap();
            join(consumers);
            assert_eq!(queue.missing(), []);
        });
    }
}

#[test]
fn one_consumer_sees_the_order_of_each_producer() {
    walk("ring, 4:1", |kernel| {
        let queue = Queue::new(2);
        let producers = (1..5)
            .map(|n| {
                party(&queue, kernel.participant(n), move |queue, w| {
                    queue.push(w, FOREVER, 100 * n).unwrap();
                    queue.push_two(w, [100 * n + 1, 100 * n + 2]);
                })
            })
            .collect();
        let w = kernel.participant(5);
        while queue.taken.lock().unwrap().len() < 12 {
            queue.pop_some(&w).unwrap();
        }
        join(producers);
        for n in 1..5 {
            let taken = queue.taken.lock().unwrap();
            let of_one: Vec<_> = taken.iter().filter(|value| *value / 100 == n).collect();
            assert!(of_one.is_sorted() && of_one.len() == 3);
        }
    });
}

#[test]
fn an_end_releases_everybody() {
    walk("ring, shut down among sleepers", |kernel| {
        let queue = Queue::new(1);
        let producers: Vec<_> = (1..4)
            .map(|n| {
                party(
                    &queue,
                    kernel.participant(n),
                    move |queue, w| {
                        while queue.push(w, FOREVER, 1).is_ok() {}
                    },
                )
            })
            .collect();
        let consumers: Vec<_> =
            (4..6).map(|n| party(&queue, kernel.participant(n), Queue::pop_all)).collect();
        queue.ring.shut_down(&kernel.participant(6), Shutdown::Immediate).unwrap();
        join(producers);
        join(consumers);
        assert!(queue.missing().len() <= 1);
    });
}

#[test]
fn deaths_lose_only_what_the_dead_were_at() {
    for capacity in [1, 2] {
        walk_deaths("ring, two producers and two consumers die", move |kernel| {
            let queue = Queue::new(capacity);
            let produce = |n: u32| {
                move |queue: &Queue, w: &_| {
                    queue.push(w, FOREVER, 100 * n).unwrap();
                    queue.push_two(w, [100 * n + 1, 100 * n + 2]);
                }
            };
            let survivor = party(&queue, kernel.participant(1), produce(1));
            let consumer = party(&queue, kernel.participant(2), Queue::pop_all);
            let consumers = (3..5)
                .map(|n| victim(&queue, kernel, kernel.participant(n), 120, Queue::pop_all))
                .collect::<Vec<_>>();
            let producers = (5..7)
                .map(|n| victim(&queue, kernel, kernel.participant(n), 90, produce(n)))
                .collect();
            survivor.join().unwrap();
            let producers = deaths(&join(producers));
            queue.ring.shut_down(&kernel.participant(7), Shutdown::Drain).unwrap();
            consumer.join().unwrap();
            let consumers = deaths(&join(consumers));
            // What a producer committed and did not live to note: at most its two last.
            let mut taken = queue.taken.lock().unwrap().clone();
            taken.sort_unstable();
            assert!(taken.is_sorted_by(|a, b| a < b), "taken twice");
            let mut put = queue.put.lock().unwrap().clone();
            let unnoted: Vec<_> = taken.iter().filter(|value| !put.contains(value)).collect();
            assert!(unnoted.len() <= 2 * producers as usize, "{unnoted:?} came from nowhere");
            // What a consumer took and did not live to note: one run of three at most.
            put.retain(|value| !taken.contains(value));
            assert!(put.len() <= 3 * consumers as usize, "{put:?} is lost");
            producers + consumers
        });
    }
}
