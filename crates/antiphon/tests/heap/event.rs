//! The event.

use antiphon::sync::Event;

use crate::crew::{Plain, crew};

pub(crate) fn a_setting_publishes() {
    const TIMES: usize = 500;
    for _ in 0..TIMES {
        let (event, value) = (Event::new(), Plain::default());
        crew(3, |n| match n {
            0 => {
                value.set(7);
                event.set();
            }
            1 => {
                event.wait();
                assert_eq!(value.get(), 7);
            }
            _ if event.is_set() => assert_eq!(value.get(), 7),
            _ => {}
        });
    }
}
