//! The reentrant mutex.

use antiphon::sync::ReentrantMutex;

use crate::crew::{Plain, ROUNDS, crew};

pub(crate) fn it_excludes() {
    let value = ReentrantMutex::new(Plain::default());
    crew(4, |_| {
        for _ in 0..ROUNDS {
            let outer = value.lock().unwrap();
            let inner = value.lock().unwrap();
            inner.bump();
            drop(inner);
            outer.bump();
        }
    });
    assert_eq!(value.into_inner().get(), 8 * ROUNDS as u64);
}
