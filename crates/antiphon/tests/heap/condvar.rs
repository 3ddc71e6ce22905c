//! The condition variable.

use antiphon::sync::{Condvar, Mutex};

use crate::crew::{ROUNDS, crew};

pub(crate) fn what_was_laid_down_is_seen() {
    let (place, laid, taken) = (Mutex::new(Vec::new()), Condvar::new(), Condvar::new());
    crew(4, |n| {
        for round in 0..ROUNDS {
            if n % 2 == 0 {
                let room = taken.wait_while(place.lock().unwrap(), |place| place.len() >= 2);
                room.unwrap().push(round);
                laid.notify_one();
            } else {
                let some = laid.wait_while(place.lock().unwrap(), |place| place.is_empty());
                assert!(some.unwrap().pop().unwrap() < ROUNDS);
                taken.notify_one();
            }
        }
    });
    assert_eq!(place.into_inner(), []);
}
