//! Models of the ring for two, on cells of which loom watches every access.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::slots::Shape;
use antiphon_core::comm::spsc::{Place, RawSpsc, Spsc};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::model::Kernel;
use antiphon_core::wait::{Deadline, Wait};
use loom::cell::UnsafeCell;
use loom::thread;

use crate::harness::{check_deaths, check_to};

const FOREVER: Patience = Patience::Until(None);

struct Cell(UnsafeCell<usize>);

struct Channel {
    ring: RawSpsc,
    cells: Box<[Cell]>,
    shape: Shape,
}

// SAFETY: loom checks every access to the cells, which is what the models are for.
unsafe impl Sync for Channel {}

impl Channel {
    fn new(capacity: u32) -> Arc<Self> {
        let shape = Shape::new(capacity).unwrap();
        let cells = (0..shape.cells()).map(|_| Cell(UnsafeCell::new(0))).collect();
        Arc::new(Self { ring: RawSpsc::new(), cells, shape })
    }

    fn view(&self) -> Spsc<'_, Cell> {
        let cells = NonNull::from(&*self.cells).cast();
        // SAFETY: the cells are as many as the shape says, and live as long as `self`; one thread of a model is at each end.
        unsafe { Spsc::new(&self.ring, cells, self.shape) }
    }

    fn push<W: Wait>(&self, at: &mut Place, w: &W, value: usize) -> Result<(), RingError> {
        self.view().push(at, w, FOREVER, |cell| set(cell, value))
    }

    fn pop<W: Wait>(&self, at: &mut Place, w: &W) -> Result<usize, RingError> {
        self.view().pop(at, w, FOREVER, get)
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

/// Both have to sleep: everything arrives once, in order, and then the end.
fn in_order(capacity: u32, items: usize) {
    let kernel = Kernel::new();
    let channel = Channel::new(capacity);
    let producer = {
        let (channel, w) = (channel.clone(), kernel.thread(2));
        thread::spawn(move || {
            let mut at = Place::default();
            for value in 1..=items {
                channel.push(&mut at, &w, value).unwrap();
            }
            channel.ring.close_put(&w);
        })
    };
    let (mut at, w) = (Place::default(), kernel.thread(1));
    for value in 1..=items {
        assert_eq!(channel.pop(&mut at, &w), Ok(value));
    }
    assert_eq!(channel.pop(&mut at, &w), Err(RingError::ShutDown));
    producer.join().unwrap();
}

#[test]
fn one_cell() {
    check_to(2, "spsc, one cell", 500, || in_order(1, 2));
}

#[test]
fn two_cells() {
    check_to(2, "spsc, two cells", 500, || in_order(2, 3));
}

#[test]
fn batches() {
    check_to(2, "spsc, batches", 200, || {
        let kernel = Kernel::new();
        let channel = Channel::new(2);
        let producer = {
            let (channel, w) = (channel.clone(), kernel.thread(2));
            thread::spawn(move || {
                let (mut at, mut done) = (Place::default(), 0);
                while done < 3 {
                    let left = 3 - done as u32;
                    let put =
                        channel.view().push_many(&mut at, &w, FOREVER, left, |cell, from, n| {
                            // SAFETY: the cells are in one piece.
                            (0..n).for_each(|i| set(unsafe { cell.add(i) }, done + from + i));
                        });
                    done += put.unwrap() as usize;
                }
            })
        };
        let (mut at, w, mut values) = (Place::default(), kernel.thread(1), Vec::new());
        while values.len() < 3 {
            let got = channel.view().pop_many(&mut at, &w, FOREVER, 2, |cell, _, n| {
                // SAFETY: the cells are in one piece.
                values.extend((0..n).map(|i| get(unsafe { cell.add(i) })));
            });
            assert!(got.unwrap() > 0);
        }
        assert_eq!(values, [0, 1, 2]);
        producer.join().unwrap();
    });
}

#[test]
fn a_consumer_that_goes_releases_the_producer() {
    check_to(2, "spsc, the consumer goes", 100, || {
        let kernel = Kernel::new();
        let channel = Channel::new(1);
        let consumer = {
            let (channel, w) = (channel.clone(), kernel.thread(2));
            thread::spawn(move || {
                let mut at = Place::default();
                assert_eq!(channel.pop(&mut at, &w), Ok(1));
                channel.ring.close_get(&w);
            })
        };
        let (mut at, w) = (Place::default(), kernel.thread(1));
        channel.push(&mut at, &w, 1).unwrap();
        let ended = (0..3).find_map(|_| channel.push(&mut at, &w, 2).err());
        assert_eq!(ended, Some(RingError::ShutDown));
        consumer.join().unwrap();
    });
}

#[test]
fn who_does_not_wait_is_told() {
    check_to(1, "spsc, without waiting", 1, || {
        let kernel = Kernel::new();
        let (channel, w) = (Channel::new(1), kernel.thread(1));
        let (mut put, mut got) = (Place::default(), Place::default());
        let view = channel.view();
        assert_eq!(view.pop(&mut got, &w, Patience::Try, get), Err(RingError::Empty));
        let soon = Patience::Until(Some(Deadline(0)));
        assert_eq!(view.pop(&mut got, &w, soon, get), Err(RingError::TimedOut));
        view.push(&mut put, &w, Patience::Try, |cell| set(cell, 7)).unwrap();
        assert_eq!(view.push(&mut put, &w, Patience::Try, |_| ()), Err(RingError::Full));
        assert_eq!(view.push(&mut put, &w, soon, |_| ()), Err(RingError::TimedOut));
        assert_eq!((channel.ring.len(), view.pop(&mut got, &w, soon, get)), (1, Ok(7)));
    });
}

/// Between threads nobody dies; between processes the ring's user says so. Until then nothing half is seen.
#[test]
fn a_dead_producer_commits_nothing_half() {
    check_deaths("spsc, death of the producer", 100, |step| {
        let kernel = Kernel::mortal();
        let channel = Channel::new(2);
        let w = kernel.participant(0);
        let consumer = {
            let (channel, w) = (channel.clone(), kernel.participant(1));
            thread::spawn(move || {
                let mut at = Place::default();
                let mut next = 1;
                while let Ok(value) = channel.pop(&mut at, &w) {
                    assert_eq!(value, next);
                    next += 1;
                }
                next
            })
        };
        let lived = kernel.victim(w.me(), step, || {
            let mut at = Place::default();
            channel.push(&mut at, &w, 1).unwrap();
            channel.push(&mut at, &w, 2).unwrap();
        });
        channel.ring.close_put(&kernel.participant(2));
        let next = consumer.join().unwrap();
        assert!(next <= 3 && (lived.is_none() || next == 3));
        lived.is_none()
    });
}
