//! Models of the stock, on cells of which loom watches every access.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::order::Place;
use antiphon_core::comm::shelf::{Shape, Slot};
use antiphon_core::comm::{Order, Patience, RawStock, RingError, Shelf, Shutdown};
use antiphon_core::model::Kernel;
use antiphon_core::wait::{Deadline, Wait};
use loom::cell::UnsafeCell;

use crate::harness::{check, check_deaths, check_deaths_to, party, sorted};

const FOREVER: Patience = Patience::Until(None);
const HASTY: Patience = Patience::Until(Some(Deadline(0)));

/// After how many steps a get has marked the index as broken, and has not yet taken anything.
const IN_A_GET: u32 = 9;

struct Cell(UnsafeCell<usize>);

/// A stock of numbers; a number's key is its tens.
struct Queue {
    stock: RawStock,
    slots: Box<[Slot]>,
    places: Box<[Place]>,
    cells: Box<[Cell]>,
    shape: Shape,
}

// SAFETY: loom checks every access to the cells, which is what the models are for.
unsafe impl Sync for Queue {}

impl Queue {
    fn new(order: Order, capacity: u32) -> Arc<Self> {
        let shape = Shape::new(order, capacity, 1).unwrap();
        Arc::new(Self {
            stock: RawStock::new(),
            slots: (0..capacity).map(|_| Slot::new()).collect(),
            places: (0..capacity).map(|_| Place::new()).collect(),
            cells: (0..capacity).map(|_| Cell(UnsafeCell::new(0))).collect(),
            shape,
        })
    }

    fn shelf(&self) -> Shelf<'_, Cell> {
        let cells = NonNull::from(&*self.cells).cast();
        // SAFETY: all are as many as the shape says, and live as long as `self`.
        unsafe { Shelf::new(&self.stock, &self.slots, &self.places, cells, self.shape) }
    }

    fn push<W: Wait>(&self, w: &W, patience: Patience, value: usize) -> Result<(), RingError> {
        self.shelf().push(w, patience, value as u64 / 10, |cell| set(cell, value))
    }

    fn pop<W: Wait>(&self, w: &W, patience: Patience) -> Result<usize, RingError> {
        self.shelf().pop(w, patience, |cell, used, key| {
            let value = get(cell);
            assert_eq!((used, key), (1, value as u64 / 10));
            value
        })
    }

    fn push_all<W: Wait>(&self, w: &W, values: &[usize]) {
        let mut done = 0;
        while done < values.len() {
            let left = &values[done..];
            let key = |i| left[i as usize] as u64 / 10;
            let write = |i, cell| set(cell, left[i as usize]);
            done +=
                self.shelf().push_many(w, FOREVER, left.len() as u32, key, write).unwrap() as usize;
        }
    }

    fn pop_some<W: Wait>(&self, w: &W, most: u32) -> Vec<usize> {
        let mut values = Vec::new();
        let got = self.shelf().pop_many(w, FOREVER, most, |cell, _, _| values.push(get(cell)));
        assert_eq!(got, Ok(values.len() as u32));
        values
    }

    fn drain<W: Wait>(&self, w: &W) -> Vec<usize> {
        std::iter::from_fn(|| self.pop(w, Patience::Try).ok()).collect()
    }
}

/// Writes a number, and says how many cells it took.
fn set(cell: *mut Cell, value: usize) -> u32 {
    // SAFETY: the cell lives; loom fails the model when another access is not ordered with this one.
    unsafe { (*cell).0.with_mut(|to| *to = value) };
    1
}

fn get(cell: *const Cell) -> usize {
    // SAFETY: as in `set`.
    unsafe { (*cell).0.with(|from| *from) }
}

#[test]
fn one_to_one() {
    for order in [Order::Lifo, Order::Priority] {
        check("stock, 1:1, one slot", 1000, move || {
            let kernel = Kernel::new();
            let queue = Queue::new(order, 1);
            let producer = party(&queue, kernel.participant(1), |queue, w| {
                queue.push(w, FOREVER, 1).unwrap();
                queue.push(w, FOREVER, 11).unwrap();
            });
            let w = kernel.participant(2);
            assert_eq!(queue.pop(&w, FOREVER), Ok(1));
            assert_eq!(queue.pop(&w, FOREVER), Ok(11));
            producer.join().unwrap();
            assert_eq!(queue.stock.len(), 0);
        });
    }
}

#[test]
fn many_producers() {
    check("stock, 2:1, one slot", 2000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Priority, 1);
        let producers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), move |queue, w| {
                    queue.push(w, FOREVER, 11 * n as usize).unwrap();
                })
            })
            .collect();
        let w = kernel.participant(3);
        let got = (0..2).flat_map(|_| queue.pop_some(&w, 1)).collect();
        assert_eq!(sorted(got), [11, 22]);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn many_consumers() {
    check("stock, 1:2", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Lifo, 1);
        let consumers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| queue.pop(w, FOREVER).unwrap())
            })
            .collect();
        let w = kernel.participant(3);
        queue.push(&w, FOREVER, 1).unwrap();
        queue.push(&w, FOREVER, 11).unwrap();
        let got = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        assert_eq!(sorted(got), [1, 11]);
    });
}

#[test]
fn a_batch_wakes_all_it_serves() {
    check("stock, a batch for two sleepers", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Lifo, 2);
        let consumers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| queue.pop(w, FOREVER).unwrap())
            })
            .collect();
        queue.push_all(&kernel.participant(3), &[1, 11]);
        let got = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        assert_eq!(sorted(got), [1, 11]);
    });
}

#[test]
fn one_wake_serves_two_puts() {
    check("stock, two puts one after the other for two sleepers", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Priority, 2);
        let consumers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| queue.pop(w, FOREVER).unwrap())
            })
            .collect();
        let w = kernel.participant(3);
        queue.push(&w, Patience::Try, 1).unwrap();
        queue.push(&w, Patience::Try, 11).unwrap();
        let got = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        assert_eq!(sorted(got), [1, 11]);
    });
}

#[test]
fn room_for_two_sleepers() {
    check("stock, room for two sleepers", 100, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Priority, 2);
        let w = kernel.participant(3);
        queue.push_all(&w, &[1, 11]);
        let producers: Vec<_> = (1..=2)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| {
                    queue.push(w, FOREVER, 1).unwrap();
                })
            })
            .collect();
        let mut got = queue.pop_some(&w, 2);
        for producer in producers {
            producer.join().unwrap();
        }
        got.extend(queue.drain(&w));
        assert_eq!(sorted(got), [1, 1, 1, 11]);
    });
}

#[test]
fn a_timeout_takes_nothing_and_loses_no_wake() {
    check("stock, timeout among sleepers", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Priority, 2);
        let patient =
            party(&queue, kernel.participant(1), |queue, w| queue.pop(w, FOREVER).unwrap());
        let hasty = party(&queue, kernel.participant(2), |queue, w| queue.pop(w, HASTY).ok());
        let w = kernel.participant(3);
        queue.push(&w, FOREVER, 1).unwrap();
        queue.push(&w, FOREVER, 11).unwrap();
        let mut got = vec![patient.join().unwrap()];
        got.extend(hasty.join().unwrap());
        got.extend(queue.drain(&w));
        assert_eq!(sorted(got), [1, 11]);
    });
}

#[test]
fn a_drain_ends_after_the_last_item() {
    check("stock, drain", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(Order::Lifo, 1);
        let producer = party(&queue, kernel.participant(1), |queue, w| queue.push(w, FOREVER, 1));
        let closer = party(&queue, kernel.participant(2), |queue, w| {
            queue.stock.shut_down(w, Shutdown::Drain).unwrap();
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
        let put = producer.join().unwrap();
        assert_eq!(put.is_ok(), got == [1], "what was put was taken");
        closer.join().unwrap();
    });
}

#[test]
fn a_shutdown_releases_sleepers() {
    for how in [Shutdown::Drain, Shutdown::Immediate] {
        check("stock, shutdown with sleepers", 100, move || {
            let kernel = Kernel::new();
            let queue = Queue::new(Order::Lifo, 1);
            let w = kernel.participant(1);
            queue.push(&w, FOREVER, 1).unwrap();
            let sleepers: Vec<_> = (2..=3)
                .map(|n| party(&queue, kernel.participant(n), |queue, w| queue.push(w, FOREVER, 2)))
                .collect();
            queue.stock.shut_down(&w, how).unwrap();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), Err(RingError::ShutDown));
            }
            let left = if how == Shutdown::Drain { Ok(1) } else { Err(RingError::ShutDown) };
            assert_eq!(queue.pop(&w, Patience::Try), left);
        });
    }
}

#[test]
fn a_producers_death_is_survived() {
    for capacity in [1, 2] {
        check_deaths_to(1, "stock, a producer's death", 2000, move |step| {
            let kernel = Kernel::mortal();
            let queue = Queue::new(Order::Priority, capacity);
            let other = party(&queue, kernel.participant(1), |queue, w| {
                queue.push(w, FOREVER, 11).unwrap();
            });
            let consumer =
                party(&queue, kernel.participant(2), |queue, w| queue.pop(w, FOREVER).unwrap());
            let w = kernel.participant(0);
            let lived = kernel.victim(w.me(), step, || queue.push(&w, FOREVER, 1).unwrap());
            let mut got = vec![consumer.join().unwrap()];
            other.join().unwrap();
            got.extend(queue.drain(&kernel.participant(7)));
            let got = sorted(got);
            assert!(got == [1, 11] || lived.is_none() && got == [11], "{got:?}");
            lived.is_none()
        });
    }
}

#[test]
fn a_consumers_death_is_survived() {
    for (order, capacity) in [(Order::Lifo, 1), (Order::Priority, 2)] {
        check_deaths_to(1, "stock, a consumer's death", 2000, move |step| {
            let kernel = Kernel::mortal();
            let queue = Queue::new(order, capacity);
            let producer = party(&queue, kernel.participant(1), |queue, w| {
                queue.push(w, FOREVER, 1).unwrap();
                queue.push(w, FOREVER, 11).unwrap();
            });
            let other =
                party(&queue, kernel.participant(2), |queue, w| queue.pop(w, FOREVER).unwrap());
            let w = kernel.participant(0);
            let lived = kernel.victim(w.me(), step, || queue.pop(&w, FOREVER).unwrap());
            producer.join().unwrap();
            let mut got = vec![other.join().unwrap()];
            got.extend(queue.drain(&kernel.participant(7)));
            got.extend(lived);
            let got = sorted(got);
            match lived {
                Some(_) => assert_eq!(got, [1, 11]),
                // What it had taken ended with it.
                None => assert!(got == [1, 11] || got.len() == 1),
            }
            lived.is_none()
        });
    }
}

#[test]
fn the_index_is_made_anew_after_a_death() {
    check_deaths("stock, a death in a batch of four", 50, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(Order::Priority, 4);
        let w = kernel.participant(0);
        queue.push_all(&w, &[31, 1]);
        let lived = kernel.victim(w.me(), step, || {
            queue.push_all(&w, &[21, 11]);
            queue.pop_some(&w, 2)
        });
        let last = kernel.participant(7);
        let got = queue.drain(&last);
        assert!(got.is_sorted(), "{got:?}");
        match lived {
            Some(ref taken) => assert_eq!((&taken[..], &got[..]), (&[1, 11][..], &[21, 31][..])),
            None => assert!(got.contains(&31)),
        }
        // All four slots are free again.
        queue.push_all(&last, &[1, 11, 21, 31]);
        assert_eq!(queue.drain(&last), [1, 11, 21, 31]);
        lived.is_none()
    });
}

#[test]
fn mending_is_finished_by_another() {
    check_deaths("stock, a death while the index is made anew", 20, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(Order::Lifo, 3);
        let first = kernel.participant(1);
        queue.push_all(&first, &[1, 11, 21]);
        // Dies with the lock, just before the commit of a get.
        let died = kernel.victim(first.me(), IN_A_GET, || queue.pop(&first, FOREVER));
        assert!(died.is_none() && queue.stock.len() == 3);
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || queue.pop(&w, Patience::Try).unwrap());
        let got = queue.drain(&kernel.participant(7));
        assert!(got.is_sorted_by(|a, b| a > b), "{got:?}");
        assert!(got.len() == 2 || lived.is_none() && got.len() == 3, "{got:?}");
        lived.is_none()
    });
}

#[test]
fn a_sleeping_counterpart_survives_a_death() {
    check_deaths("stock, a producer dies beside a sleeping consumer", 500, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(Order::Lifo, 1);
        let consumer =
            party(&queue, kernel.participant(1), |queue, w| queue.pop(w, FOREVER).unwrap());
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || queue.push(&w, FOREVER, 1).unwrap());
        let last = kernel.participant(7);
        if lived.is_none() {
            // Nobody knows whether it was committed; the consumer gets one or the other.
            queue.push(&last, FOREVER, 11).unwrap();
        }
        assert!([1, 11].contains(&consumer.join().unwrap()));
        assert!(queue.drain(&last).len() <= 1);
        lived.is_none()
    });
}
