//! The readers-writer lock.

use antiphon::sync::RwLock;

use crate::crew::{ROUNDS, crew};

pub(crate) fn readers_see_whole_values() {
    let pair = RwLock::new([0; 2]);
    crew(4, |n| {
        for _ in 0..ROUNDS {
            if n % 2 == 0 {
                let mut pair = pair.write().unwrap();
                pair[0] += 1;
                pair[1] += 1;
            } else {
                let pair = pair.read().unwrap();
                assert_eq!(pair[0], pair[1]);
            }
        }
    });
    assert_eq!(pair.into_inner(), [2 * ROUNDS; 2]);
}

pub(crate) fn a_downgrade_keeps_writers_out() {
    let value = RwLock::new(0);
    crew(3, |_| {
        for _ in 0..ROUNDS {
            let mut writing = value.write().unwrap();
            *writing += 1;
            let seen = *writing;
            assert_eq!(*writing.downgrade(), seen);
        }
    });
    assert_eq!(value.into_inner(), 3 * ROUNDS);
}
