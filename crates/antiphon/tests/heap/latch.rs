//! The latch.

use antiphon::sync::Latch;

use crate::crew::{Plain, crew};

pub(crate) fn what_was_counted_is_seen() {
    const TIMES: usize = 500;
    for _ in 0..TIMES {
        let (latch, parts) = (Latch::new(2), [Plain::default(), Plain::default()]);
        crew(4, |n| match n {
            0 | 1 => {
                parts[n].set(7);
                latch.count_down(1);
            }
            2 => {
                latch.wait();
                assert_eq!([parts[0].get(), parts[1].get()], [7, 7]);
            }
            _ if latch.is_open() => assert_eq!([parts[0].get(), parts[1].get()], [7, 7]),
            _ => {}
        });
    }
}
