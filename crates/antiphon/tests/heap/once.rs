//! The once.

use antiphon::sync::Once;

use crate::crew::{Plain, crew};

pub(crate) fn what_was_done_is_seen() {
    const TIMES: usize = 500;
    for _ in 0..TIMES {
        let (once, value) = (Once::new(), Plain::default());
        crew(3, |n| {
            if n < 2 {
                once.call_once(|_| value.bump()).unwrap();
                assert_eq!(value.get(), 1);
            } else if once.is_completed() {
                assert_eq!(value.get(), 1);
            }
        });
    }
}
