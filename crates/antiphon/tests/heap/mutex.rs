//! The mutex.

use antiphon::sync::Mutex;

use crate::crew::{ROUNDS, crew};

pub(crate) fn it_excludes() {
    let value = Mutex::new(0);
    crew(4, |_| (0..ROUNDS).for_each(|_| *value.lock().unwrap() += 1));
    assert_eq!(value.into_inner(), 4 * ROUNDS);
}

pub(crate) fn trying_excludes_too() {
    let value = Mutex::new([0; 2]);
    crew(4, |n| {
        for _ in 0..ROUNDS {
            if n == 0 {
                value.lock().unwrap()[0] += 1;
            } else if let Ok(mut value) = value.try_lock() {
                value[0] += 1;
                value[1] += 1;
            }
        }
    });
    let [all, tried] = value.into_inner();
    assert_eq!(all, ROUNDS + tried);
}
