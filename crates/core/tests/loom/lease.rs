//! Models of leases, on cells of which loom watches every access.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::slots::Shape;
use antiphon_core::comm::{Jobs, Lease, Patience, RawRing, RingError, Shutdown};
use antiphon_core::model::Kernel;
use antiphon_core::primitive::AtomicU64;
use antiphon_core::wait::Wait;
use loom::cell::UnsafeCell;

use crate::harness::{check, check_deaths, check_deaths_to, check_to, party, sorted};

const FOREVER: Patience = Patience::Until(None);

struct Cell(UnsafeCell<usize>);

/// A queue of numbers that are taken under leases.
struct Queue {
    ring: RawRing,
    cells: Box<[Cell]>,
    words: Box<[AtomicU64]>,
    shape: Shape,
}

// SAFETY: loom checks every access to the cells, which is what the models are for.
unsafe impl Sync for Queue {}

impl Queue {
    fn new(capacity: u32) -> Arc<Self> {
        let shape = Shape::new(capacity).unwrap();
        let cells = (0..shape.cells()).map(|_| Cell(UnsafeCell::new(0))).collect();
        let words = (0..shape.cells()).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { ring: RawRing::new(), cells, words, shape })
    }

    fn jobs(&self) -> Jobs<'_, Cell> {
        let cells = NonNull::from(&*self.cells).cast();
        let words = NonNull::from(&*self.words).cast();
        // SAFETY: cells and words are as many as the shape says, and live as long as `self`.
        unsafe { Jobs::new(&self.ring, cells, words, self.shape) }
    }

    fn push<W: Wait>(&self, w: &W, patience: Patience, value: usize) -> Result<(), RingError> {
        // SAFETY: the cell lives; loom fails the model when another access is not ordered with this one.
        self.jobs().push(w, patience, |cell| unsafe { (*cell).0.with_mut(|to| *to = value) })
    }

    fn take<W: Wait>(&self, w: &W, patience: Patience) -> Result<(Lease, usize), RingError> {
        let lease = self.jobs().take(w, patience, 1)?;
        Ok((lease, self.value(&lease, 0)))
    }

    fn value(&self, lease: &Lease, i: u32) -> usize {
        // SAFETY: as in `push`.
        unsafe { (*self.jobs().cell(lease, i)).0.with(|from| *from) }
    }

    /// Takes one item and finishes it.
    fn get<W: Wait>(&self, w: &W, patience: Patience) -> Result<usize, RingError> {
        let (lease, value) = self.take(w, patience)?;
        assert!(self.jobs().finish(w, lease));
        Ok(value)
    }

    fn drain<W: Wait>(&self, w: &W) -> Vec<usize> {
        std::iter::from_fn(|| self.get(w, Patience::Try).ok()).collect()
    }

    /// Nothing is in it, nothing is leased, and every place can be used again.
    fn is_as_new<W: Wait>(&self, w: &W) {
        assert_eq!(self.drain(w), []);
        assert_eq!(self.jobs().standing(), (0, 0));
        let capacity = self.shape.capacity() as usize;
        for value in 0..capacity {
            self.push(w, Patience::Try, value).unwrap();
        }
        assert_eq!(self.push(w, Patience::Try, 0), Err(RingError::Full));
        assert_eq!(self.drain(w), (0..capacity).collect::<Vec<_>>());
    }
}

#[test]
fn everything_arrives_once_and_in_order() {
    check("lease, 1:1, one cell", 500, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let producer = party(&queue, kernel.participant(1), |queue, w| {
            queue.push(w, FOREVER, 1).unwrap();
            queue.push(w, FOREVER, 2).unwrap();
        });
        let w = kernel.participant(2);
        assert_eq!(queue.get(&w, FOREVER), Ok(1));
        assert_eq!(queue.get(&w, FOREVER), Ok(2));
        producer.join().unwrap();
        queue.is_as_new(&w);
    });
}

#[test]
fn a_producer_sleeps_until_the_oldest_is_finished() {
    check_to(3, "lease, a producer behind a lease", 100, || {
        let kernel = Kernel::new();
        let queue = Queue::new(2);
        let w = kernel.participant(1);
        queue.push(&w, FOREVER, 1).unwrap();
        queue.push(&w, FOREVER, 2).unwrap();
        let (first, _) = queue.take(&w, FOREVER).unwrap();
        let producer =
            party(&queue, kernel.participant(2), |queue, w| queue.push(w, FOREVER, 3).unwrap());
        // The younger one makes no room.
        assert_eq!(queue.get(&w, FOREVER), Ok(2));
        assert!(queue.jobs().finish(&w, first));
        producer.join().unwrap();
        assert_eq!(queue.drain(&w), [3]);
    });
    check("lease, two producers behind a run", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(2);
        let w = kernel.participant(1);
        queue.push(&w, FOREVER, 1).unwrap();
        queue.push(&w, FOREVER, 2).unwrap();
        let run = queue.jobs().take(&w, FOREVER, 2).unwrap();
        assert_eq!((run.len(), queue.value(&run, 0), queue.value(&run, 1)), (2, 1, 2));
        let producers: Vec<_> = (2..=3)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| queue.push(w, FOREVER, 3).unwrap())
            })
            .collect();
        assert!(queue.jobs().finish(&w, run));
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(queue.drain(&w), [3, 3]);
    });
}

#[test]
fn what_is_given_back_wakes_a_taker() {
    check_to(3, "lease, given back to a sleeper", 300, || {
        let kernel = Kernel::new();
        let queue = Queue::new(1);
        let w = kernel.participant(1);
        queue.push(&w, FOREVER, 1).unwrap();
        let (lease, _) = queue.take(&w, FOREVER).unwrap();
        let other = party(&queue, kernel.participant(2), |queue, w| {
            let (lease, value) = queue.take(w, FOREVER).unwrap();
            assert_eq!((lease.attempts(), value), (2, 1));
            assert!(queue.jobs().finish(w, lease));
        });
        assert!(queue.jobs().give_back(&w, lease));
        other.join().unwrap();
        assert!(!queue.jobs().finish(&w, lease), "it is another one's");
        queue.is_as_new(&w);
    });
}

#[test]
fn one_given_back_and_one_put_for_two_sleepers() {
    check("lease, two sleepers, two sources", 1000, || {
        let kernel = Kernel::new();
        let queue = Queue::new(2);
        let w = kernel.participant(1);
        queue.push(&w, FOREVER, 1).unwrap();
        let (lease, _) = queue.take(&w, FOREVER).unwrap();
        let takers: Vec<_> = (2..=3)
            .map(|n| {
                party(&queue, kernel.participant(n), |queue, w| queue.get(w, FOREVER).unwrap())
            })
            .collect();
        queue.push(&w, FOREVER, 2).unwrap();
        assert!(queue.jobs().give_back(&w, lease));
        let got = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        assert_eq!(sorted(got), [1, 2]);
    });
}

#[test]
fn a_run_is_finished_and_taken_in_parts() {
    check_to(3, "lease, a run in parts", 20, || {
        let kernel = Kernel::new();
        let queue = Queue::new(4);
        let w = kernel.participant(1);
        (1..=4).for_each(|value| queue.push(&w, FOREVER, value).unwrap());
        let run = queue.jobs().take(&w, FOREVER, 4).unwrap();
        let producer =
            party(&queue, kernel.participant(2), |queue, w| queue.push(w, FOREVER, 5).unwrap());
        let rest = queue.jobs().finish_first(&w, run, 1).unwrap();
        assert_eq!((rest.len(), queue.value(&rest, 0)), (3, 2));
        assert!(queue.jobs().give_back(&w, rest));
        producer.join().unwrap();
        let pair = queue.jobs().take(&w, FOREVER, 2).unwrap();
        assert_eq!((pair.len(), pair.attempts(), queue.value(&pair, 1)), (2, 2, 3));
        assert_eq!(queue.drain(&w), [4, 5]);
        assert!(queue.jobs().finish(&w, pair));
        queue.is_as_new(&w);
    });
}

#[test]
fn the_end_waits_for_what_is_leased() {
    for gives_back in [false, true] {
        check_to(3, "lease, drained to the last lease", 20, move || {
            let kernel = Kernel::new();
            let queue = Queue::new(1);
            let w = kernel.participant(1);
            queue.push(&w, FOREVER, 1).unwrap();
            let (lease, _) = queue.take(&w, FOREVER).unwrap();
            queue.ring.shut_down(&w, Shutdown::Drain).unwrap();
            let other = party(&queue, kernel.participant(2), |queue, w| {
                std::iter::from_fn(|| queue.get(w, FOREVER).ok()).collect::<Vec<_>>()
            });
            if gives_back {
                assert!(queue.jobs().give_back(&w, lease));
            } else {
                assert!(queue.jobs().finish(&w, lease));
            }
            assert_eq!(other.join().unwrap().len(), usize::from(gives_back));
        });
    }
}

/// A consumer that takes and finishes dies at `step`: another one gets what it had not finished, and no more.
fn taker_dies(step: u32, batch: u32) -> bool {
    let kernel = Kernel::mortal();
    let queue = Queue::new(2);
    let last = kernel.participant(7);
    queue.push(&last, FOREVER, 1).unwrap();
    queue.push(&last, FOREVER, 2).unwrap();
    let other = party(&queue, kernel.participant(1), |queue, w| queue.get(w, FOREVER));
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || {
        let lease = queue.jobs().take(&w, Patience::Try, batch).ok()?;
        let values: Vec<_> = (0..lease.len()).map(|i| queue.value(&lease, i)).collect();
        assert!(queue.jobs().finish(&w, lease));
        Some(values)
    });
    if queue.ring.len() == 0 {
        // Perhaps all was finished, and the other one waits for more. If there is no room, something is left for it.
        let _ = queue.push(&last, Patience::Try, 3);
    }
    let mut got = vec![other.join().unwrap().unwrap()];
    got.extend(queue.drain(&last));
    match &lived {
        Some(values) => {
            got.extend(values.iter().flatten());
            got.retain(|value| *value != 3);
            assert_eq!(sorted(got), [1, 2]);
        }
        None => {
            let before = got.len();
            got = sorted(got);
            got.dedup();
            assert_eq!(got.len(), before, "nothing comes twice");
            got.retain(|value| *value != 3);
            let finished = 2 - got.len();
            assert!(finished <= batch as usize, "what was not finished comes back");
        }
    }
    queue.is_as_new(&last);
    lived.is_none()
}

#[test]
fn a_takers_death_is_survived() {
    check_deaths("lease, a taker's death", 300, |step| taker_dies(step, 1));
    check_deaths("lease, the death of one who takes two", 200, |step| taker_dies(step, 2));
}

#[test]
fn what_a_dead_taker_held_comes_back() {
    check_deaths("lease, a death while it is held", 200, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(1);
        let w = kernel.participant(0);
        queue.push(&w, FOREVER, 1).unwrap();
        let (lease, _) = queue.take(&w, FOREVER).unwrap();
        let other = party(&queue, kernel.participant(1), |queue, w| {
            let (lease, value) = queue.take(w, FOREVER).unwrap();
            assert!(queue.jobs().finish(w, lease));
            (lease.attempts(), value)
        });
        // It would give it back, and dies on the way, or goes on to live; in the end it is gone.
        let lived = kernel.victim(w.me(), step, || assert!(queue.jobs().give_back(&w, lease)));
        assert_eq!(other.join().unwrap(), (2, 1));
        queue.is_as_new(&kernel.participant(7));
        lived.is_none()
    });
}

#[test]
fn a_sleeping_producer_survives_a_death() {
    check_deaths_to(1, "lease, a taker dies before a sleeping producer", 500, |step| {
        let kernel = Kernel::mortal();
        let queue = Queue::new(1);
        let w = kernel.participant(0);
        queue.push(&w, FOREVER, 1).unwrap();
        let producer =
            party(&queue, kernel.participant(1), |queue, w| queue.push(w, FOREVER, 2).unwrap());
        let lived = kernel.victim(w.me(), step, || queue.get(&w, FOREVER).unwrap());
        let last = kernel.participant(7);
        let mut got = Vec::new();
        while got.last() != Some(&2) {
            got.push(queue.get(&last, FOREVER).unwrap());
        }
        producer.join().unwrap();
        assert!(got == [1, 2] || got == [2]);
        if lived.is_some() {
            assert_eq!(got, [2]);
        }
        queue.is_as_new(&last);
        lived.is_none()
    });
}
