//! The semaphore.

use antiphon::sync::Semaphore;

use crate::crew::{Plain, ROUNDS, crew};

pub(crate) fn one_permit_excludes() {
    let (permits, value) = (Semaphore::new(1), Plain::default());
    crew(4, |_| {
        for _ in 0..ROUNDS {
            let _permit = permits.acquire();
            value.bump();
        }
    });
    assert_eq!(value.get(), 4 * ROUNDS as u64);
}

pub(crate) fn a_signal_publishes() {
    let (full, empty, value) = (Semaphore::new(0), Semaphore::new(1), Plain::default());
    crew(2, |n| {
        for round in 0..ROUNDS as u64 {
            if n == 0 {
                empty.acquire().forget();
                value.set(round);
                full.release(1).unwrap();
            } else {
                full.acquire().forget();
                assert_eq!(value.get(), round);
                empty.release(1).unwrap();
            }
        }
    });
}

pub(crate) fn many_permits_publish_to_all() {
    const MANY: u64 = 3;
    let (permits, value) = (Semaphore::new(MANY), Plain::default());
    crew(4, |n| {
        for _ in 0..ROUNDS {
            if n == 0 {
                let _all = permits.acquire_many(MANY);
                value.bump();
            } else {
                let _one = permits.acquire();
                value.get();
            }
        }
    });
}
