//! Models of the ring, on cells of which loom watches every access.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::slots::{Shape, Slots};
use antiphon_core::comm::{Patience, RawRing, RingError, Shutdown};
use antiphon_core::model::Kernel;
use antiphon_core::wait::{Deadline, Wait};
use loom::cell::UnsafeCell;

use crate::harness::{check, check_deaths, check_deaths_to, check_to, party, sorted};

const FOREVER: Patience = Patience::Until(None);
const HASTY: Patience = Patience::Until(Some(Deadline(0)));

struct Cell(UnsafeCell<usize>);

/// A queue of numbers.
pub(crate) struct Queue {
    ring: RawRing,
    cells: Box<[Cell]>,
    shape: Shape,
}

// SAFETY: loom checks every access to the cells, which is what the models are for.
unsafe impl Sync for Queue {}

impl Queue {
    pub(crate) fn new(capacity: u32) -> Arc<Self> {
        let shape = Shape::new(capacity).unwrap();
        let cells = (0..shape.cells()).map(|_| Cell(UnsafeCell::new(0))).collect();
        Arc::new(Self { ring: RawRing::new(), cells, shape })
    }

    fn slots(&self) -> Slots<'_, Cell> {
        let cells = NonNull::from(&*self.cells).cast();
        // SAFETY: the cells are as many as the shape says, and live as long as `self`.
        unsafe { Slots::new(&self.ring, cells, self.shape) }
    }

    pub(crate) fn push<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        value: usize,
    ) -> Result<(), RingError> {
        self.slots().push(w, patience, |cell| set(cell, value))
    }

    pub(crate) fn pop<W: Wait>(&self, w: &W, patience: Patience) -> Result<usize, RingError> {
        self.slots().pop(w, patience, get)
    }

    /// Puts all of `values`, in as few commits as there is room for.
    fn push_all<W: Wait>(&self, w: &W, values: &[usize]) {
        let mut done = 0;
        while done < values.len() {
            let left = &values[done..];
            let put = self.slots().push_many(w, FOREVER, left.len() as u32, |cell, from, n| {
                for i in 0..n {
                    // SAFETY: the cells are in one piece.
                    set(unsafe { cell.add(i) }, left[from + i]);
                }
            });
            done += put.unwrap() as usize;
        }
    }

    fn pop_some<W: Wait>(&self, w: &W, most: u32) -> Vec<usize> {
        let mut values = Vec::new();
        let got = self.slots().pop_many(w, FOREVER, most, |cell, from, n| {
            assert_eq!(from, values.len());
            // SAFETY: the cells are in one piece.
            values.extend((0..n).map(|i| get(unsafe { cell.add(i) })));
        });
        assert_eq!(got, Ok(values.len() as u32));
        values
    }

    fn drain<W: Wait>(&self, w: &W) -> Vec<usize> {
        std::iter::from_fn(|| self.pop(w, Patience::Try).ok()).collect()
    }
}

fn set(cell: *mut Cell, value: usize) {
    // SAFETY: the cell lives; loom fails the model when another access is not ordered with this one.
    unsafe { (*cell).0.with_mut(|to| *to = value) };
}

fn get(cell: *const Cell) -> usize {
    // SAFETY: as in `set`.
    unsafe { (*cell).0.with(|from| *from) }
}

/// One producer and one consumer, who both have to sleep: everything arrives once and in order.
fn in_order(capacity: u32, items: usize) {
    let kernel = Kernel::new();
    let queue = Queue::new(capacity);
    let producer = party(&queue, kernel.participant(1), move |queue, w| {
        for value in 1..=items {
            queue.push(w, FOREVER, value).unwrap();
        }
    });
    let w = kernel.participant(2);
    for value in 1..=items {
        assert_eq!(queue.pop(&w, FOREVER), Ok(value));
    }
    producer.join().unwrap();
    assert_eq!(queue.ring.len(), 0);
}

#[test]
fn one_to_one_through_one_cell() {
    check("ring, 1:1, one cell", 2000, || in_order(1, 2));
}

#[test]
fn one_to_one_through_two_cells() {
    check("ring, 1:1, two cells", 500, || in_order(2, 3));
}

#[test]
fn many_producers() {
    check("ring, 2:1, one cell", 5000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let producers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), move |queue, w| {
                    queue.push(w, FOREVER, n as usize).unwrap();
                })
            })
            .collect();
        let w = kernel.participant(3);
        let got = (0..2).map(|_| queue.pop(&w, FOREVER).unwrap()).collect();
        assert_eq!(sorted(got), [1, 2]);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn many_consumers() {
    for (capacity, preemptions) in [(1, 1), (2, 2)] {
        check_to(preemptions, "ring, 1:2", 1000, move || {
            let kernel = Kernel::new();
            let queue = Queue::new(capacity);
            let consumers: Vec<_> = (1..=2)
                .map(|n| {
                    party(&queue, kernel.participant(n), |queue, w| queue.pop(w, FOREVER).unwrap())
                })
                .collect();
            let w = kernel.participant(3);
            queue.push(&w, FOREVER, 1).unwrap();
            queue.push(&w, FOREVER, 2).unwrap();
            let got = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
            assert_eq!(sorted(got), [1, 2]);
        });
    }
}

#[test]
fn a_batch_wakes_all_it_serves() {
    check("ring, a batch for two sleepers", 2000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(2);
        let consumers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| queue.pop(w, FOREVER).unwrap())
            })
            .collect();
        queue.push_all(&kernel.participant(3), &[1, 2]);
        let got = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        assert_eq!(sorted(got), [1, 2]);
    });
    check("ring, room for two sleepers", 2000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(2);
        let w = kernel.participant(3);
        queue.push_all(&w, &[1, 2]);
        let producers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| {
                    queue.push(w, FOREVER, 3).unwrap();
                })
            })
            .collect();
        let mut got = queue.pop_some(&w, 2);
        assert_eq!(got[0], 1);
        for producer in producers {
            producer.join().unwrap();
        }
        got.extend(queue.drain(&w));
        assert_eq!(got, [1, 2, 3, 3]);
    });
}

#[test]
fn batches_arrive_in_order() {
    check("ring, batches through three of four cells", 300, || {
        let kernel = Kernel::new();
        let queue = Queue::new(3);
        let producer =
            party(&queue, kernel.participant(1), |queue, w| queue.push_all(w, &[1, 2, 3, 4, 5]));
        let w = kernel.participant(2);
        let mut got = Vec::new();
        while got.len() < 5 {
            assert!(queue.ring.len() <= 3);
            got.extend(queue.pop_some(&w, 2));
        }
        assert_eq!(got, [1, 2, 3, 4, 5]);
        producer.join().unwrap();
    });
}

#[test]
fn a_timeout_takes_nothing_and_loses_no_wake() {
    check("ring, timeout among sleepers", 5000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(2);
        let patient =
            party(&queue, kernel.participant(1), |queue, w| queue.pop(w, FOREVER).unwrap());
        let hasty = party(&queue, kernel.participant(2), |queue, w| queue.pop(w, HASTY).ok());
        let w = kernel.participant(3);
        queue.push(&w, FOREVER, 1).unwrap();
        queue.push(&w, FOREVER, 2).unwrap();
        let mut got = vec![patient.join().unwrap()];
        got.extend(hasty.join().unwrap());
        got.extend(queue.drain(&w));
        assert_eq!(sorted(got), [1, 2]);
    });
}

#[test]
fn try_is_exact() {
    check_to(3, "ring, try", 100, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let w = kernel.participant(1);
        assert_eq!(queue.pop(&w, Patience::Try), Err(RingError::Empty));
        queue.push(&w, Patience::Try, 1).unwrap();
        let other =
            party(&queue, kernel.participant(2), |queue, w| queue.pop(w, Patience::Try).unwrap());
        match queue.push(&w, Patience::Try, 2) {
            Ok(()) => assert_eq!(queue.ring.len(), 1),
            Err(error) => assert_eq!(error, RingError::Full),
        }
        assert_eq!(other.join().unwrap(), 1);
    });
}

#[test]
fn a_drain_ends_after_the_last_item() {
    check("ring, drain", 5000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let producer =
            party(&queue, kernel.participant(1), |queue, w| match queue.push(w, FOREVER, 1) {
                Ok(()) => vec![1],
                Err(error) => {
                    assert_eq!(error, RingError::ShutDown);
                    vec![]
                }
            });
        let closer = party(&queue, kernel.participant(2), |queue, w| {
            queue.ring.shut_down(w, Shutdown::Drain).unwrap();
        });
        let w = kernel.participant(3);
        let mut got = Vec::new();
        let end = loop {
            match queue.pop(&w, FOREVER) {
                Ok(value) => got.push(value),
                Err(error) => break error,
            }
        };
        assert_eq!(end, RingError::ShutDown);
        assert_eq!(producer.join().unwrap(), got, "what was put was taken");
        closer.join().unwrap();
    });
}

#[test]
fn a_shutdown_releases_sleepers() {
    for how in [Shutdown::Drain, Shutdown::Immediate] {
        check("ring, shutdown with sleeping producers", 100, move || {
            let kernel = Kernel::new();
            let queue = Queue::new(1);
            let w = kernel.participant(1);
            queue.push(&w, FOREVER, 1).unwrap();
            let sleepers: Vec<_> = (2..=3)
                .map(|n| party(&queue, kernel.participant(n), |queue, w| queue.push(w, FOREVER, 2)))
                .collect();
            queue.ring.shut_down(&w, how).unwrap();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), Err(RingError::ShutDown));
            }
            let left = if how == Shutdown::Drain { Ok(1) } else { Err(RingError::ShutDown) };
            assert_eq!(queue.pop(&w, Patience::Try), left);
        });
        check("ring, shutdown with sleeping consumers", 100, move || {
            let kernel = Kernel::new();
            let queue = Queue::new(1);
            let sleepers: Vec<_> = (2..=3)
                .map(|n| party(&queue, kernel.participant(n), |queue, w| queue.pop(w, FOREVER)))
                .collect();
            queue.ring.shut_down(&kernel.participant(1), how).unwrap();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), Err(RingError::ShutDown));
            }
        });
    }
}

/// A producer dies at `step`. Another producer and the consumer go on; the victim's item is there or not, but whole.
fn producer_dies(step: u32, capacity: u32) -> bool {
    let kernel = Kernel::mortal();
    let queue = Queue::new(capacity);
    let other = party(&queue, kernel.participant(1), |queue, w| queue.push(w, FOREVER, 2).unwrap());
    let consumer = party(&queue, kernel.participant(2), |queue, w| {
        let mut got = Vec::new();
        while got.last() != Some(&2) {
            got.push(queue.pop(w, FOREVER).unwrap());
        }
        got
    });
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || queue.push(&w, FOREVER, 1).unwrap());
    let mut got = consumer.join().unwrap();
    other.join().unwrap();
    got.extend(queue.drain(&kernel.participant(7)));
    let got = sorted(got);
    assert!(got == [1, 2] || lived.is_none() && got == [2]);
    lived.is_none()
}

#[test]
fn a_producers_death_is_survived() {
    check_deaths_to(1, "ring, a producer's death, one cell", 5000, |step| producer_dies(step, 1));
    check_deaths_to(1, "ring, a producer's death, two cells", 2000, |step| producer_dies(step, 2));
}

/// A consumer dies at `step`. Another consumer and the producer go on; at most the item that the victim took is gone.
fn consumer_dies(step: u32, capacity: u32) -> bool {
    let kernel = Kernel::mortal();
    let queue = Queue::new(capacity);
    let producer = party(&queue, kernel.participant(1), |queue, w| {
        queue.push(w, FOREVER, 1).unwrap();
        queue.push(w, FOREVER, 2).unwrap();
    });
    let other = party(&queue, kernel.participant(2), |queue, w| queue.pop(w, FOREVER).unwrap());
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || queue.pop(&w, FOREVER).unwrap());
    producer.join().unwrap();
    let mut got = vec![other.join().unwrap()];
    got.extend(queue.drain(&kernel.participant(7)));
    got.extend(lived);
    let got = sorted(got);
    match lived {
        Some(_) => assert_eq!(got, [1, 2]),
        // What it had taken ended with it.
        None => assert!(got == [1, 2] || got.len() == 1),
    }
    lived.is_none()
}

#[test]
fn a_consumers_death_is_survived() {
    check_deaths_to(1, "ring, a consumer's death, two cells", 5000, |step| consumer_dies(step, 2));
}

#[test]
fn a_consumers_death_is_survived_by_sleeping_producers() {
    check_deaths_to(1, "ring, a consumer's death, one cell", 5000, |step| consumer_dies(step, 1));
}

#[test]
fn a_sleeping_counterpart_survives_a_death() {
    check_deaths("ring, a producer dies beside a sleeping consumer", 1000, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(1);
        let consumer =
            party(&queue, kernel.participant(1), |queue, w| queue.pop(w, FOREVER).unwrap());
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || queue.push(&w, FOREVER, 1).unwrap());
        let last = kernel.participant(7);
        if lived.is_none() {
            // Nobody knows whether it was committed; the consumer gets one or the other.
            queue.push(&last, FOREVER, 2).unwrap();
        }
        assert!([1, 2].contains(&consumer.join().unwrap()));
        assert!(queue.drain(&last).len() <= 1);
        lived.is_none()
    });
}

#[test]
fn a_shutdown_is_finished_by_another() {
    check_deaths("ring, a death in shutdown", 500, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(1);
        let sleeper = party(&queue, kernel.participant(1), |queue, w| queue.pop(w, FOREVER));
        let w = kernel.participant(0);
        let lived =
            kernel.victim(w.me(), step, || queue.ring.shut_down(&w, Shutdown::Immediate).unwrap());
        queue.ring.shut_down(&kernel.participant(2), Shutdown::Immediate).unwrap();
        assert_eq!(sleeper.join().unwrap(), Err(RingError::ShutDown));
        lived.is_none()
    });
}
