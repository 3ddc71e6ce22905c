//! Walks around the semaphore.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Count, Ordering::Relaxed};

use antiphon_core::primitive::AtomicU64;
use antiphon_core::sync::semaphore::RawSemaphore;
use antiphon_core::wait::{Deadline, Wait};

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

struct Pool {
    semaphore: RawSemaphore,
    held: Vec<AtomicU64>,
    permits: u64,
    /// Permits of those who are inside.
    inside: Count,
    /// Something to do inside, at which one may die.
    work: Watched,
}

/// So many permits in use. Whoever dies with them uses them no more.
struct Inside<'a>(&'a Pool, u64);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(self.1, Relaxed);
    }
}

impl Pool {
    fn new(semaphore: RawSemaphore, permits: u64, books: usize) -> Arc<Self> {
        Arc::new(Self {
            semaphore,
            held: (0..books).map(|_| AtomicU64::new(0)).collect(),
            permits,
            inside: Count::new(0),
            work: Watched::default(),
        })
    }

    fn acquire<W: Wait>(&self, n: u64, w: &W) {
        self.semaphore.acquire(n, &self.held, w, None).unwrap();
    }

    fn release<W: Wait>(&self, n: u64, w: &W) {
        self.semaphore.release(n, u64::MAX, &self.held, w).unwrap();
    }

    fn work<W: Wait>(&self, n: u64, w: &W) {
        self.acquire(n, w);
        let before = self.inside.fetch_add(n, Relaxed);
        let inside = Inside(self, n);
        assert!(before + n <= self.permits, "too many inside");
        assert_eq!(self.work.look(), Some(0));
        drop(inside);
        self.release(n, w);
    }
}

#[test]
fn permits_bound_who_is_inside() {
    walk("semaphore, six take one or two of three", |kernel| {
        let pool = Pool::new(RawSemaphore::new(3), 3, 8);
        let parties = (0..6).map(|n| {
            party(&pool, kernel.participant(n), move |pool, w| {
                pool.work(u64::from(n % 2) + 1, w);
                pool.work(u64::from(n % 3) + 1, w);
            })
        });
        join(parties.collect());
        assert_eq!(pool.semaphore.available(), 3);
        assert!(!pool.semaphore.is_signal());
    });
}

#[test]
fn every_signal_reaches_somebody() {
    walk("semaphore, signals for four", |kernel| {
        let pool = Pool::new(RawSemaphore::signal(0), 0, 0);
        let takers = [1, 2, 1, 3].into_iter().zip(1..);
        let takers = takers
            .map(|(wish, n)| party(&pool, kernel.thread(n), move |pool, w| pool.acquire(wish, w)));
        let takers = takers.collect();
        let hasty = party(&pool, kernel.thread(5), |pool, w| {
            if pool.semaphore.acquire(2, &pool.held, w, Some(Deadline(0))).is_ok() {
                pool.release(2, w);
            }
        });
        let givers = (6..8).map(|n| {
            party(&pool, kernel.thread(n), |pool, w| [1, 2, 1].map(|n| pool.release(n, w)))
        });
        join(givers.collect());
        join(takers);
        hasty.join().unwrap();
        assert_eq!(pool.semaphore.available(), 1);
    });
}

#[test]
fn permits_of_the_dead_come_back() {
    walk_deaths("semaphore, three die beside three", |kernel| {
        let pool = Pool::new(RawSemaphore::new(2), 2, 8);
        let life = |wish| move |pool: &Pool, w: &_| (0..2).for_each(|_| pool.work(wish, w));
        let others = (0..3)
            .map(|n| party(&pool, kernel.participant(n), life(u64::from(n % 2) + 1)))
            .collect::<Vec<_>>();
        let victims = (3..6)
            .map(|n| victim(&pool, kernel, kernel.participant(n), 100, life(u64::from(n % 2) + 1)));
        let died = deaths(&join(victims.collect()));
        join(others);
        let last = kernel.participant(7);
        pool.acquire(2, &last);
        assert!(!pool.semaphore.try_acquire(1, &pool.held, &last), "a permit too many");
        assert!(!pool.semaphore.is_signal());
        died
    });
}
