//! The barrier.

use antiphon::sync::Barrier;

use crate::crew::{Plain, ROUNDS, crew};

pub(crate) fn phases_publish() {
    const PARTIES: usize = 3;
    let barrier = Barrier::new(PARTIES as u32);
    let parts: [Plain; PARTIES] = Default::default();
    let sum = Plain::default();
    crew(PARTIES, |n| {
        for round in 1..=ROUNDS as u64 {
            parts[n].set(round);
            // The last to arrive sees what all have done, and all see what it does.
            barrier.wait_with(|| sum.set(parts.iter().map(Plain::get).sum())).unwrap();
            assert_eq!(sum.get(), PARTIES as u64 * round);
            assert_eq!(parts[(n + 1) % PARTIES].get(), round);
            barrier.wait().unwrap();
        }
    });
}
