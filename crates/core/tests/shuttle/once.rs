//! Walks around the once.

use std::sync::Arc;

use antiphon_core::sync::once::{RawOnce, Turn};
use antiphon_core::wait::Wait;

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

#[derive(Default)]
struct Lazy {
    once: RawOnce,
    value: Watched,
}

impl Lazy {
    /// Does it, unless it has been done. Whether it was done here.
    fn get<W: Wait>(&self, w: &W) -> bool {
        let mine = self.once.begin(w, None).unwrap() != Turn::Done;
        if mine {
            self.value.set(7);
            self.once.finish(w);
        }
        assert_eq!(self.value.get(), 7);
        mine
    }
}

#[test]
fn it_is_done_once_though_two_give_up() {
    walk("once, five beside two who give up", |kernel| {
        let lazy = Arc::new(Lazy::default());
        let parties = (1..6).map(|n| party(&lazy, kernel.thread(n), Lazy::get)).collect();
        let quitters = (6..8).map(|n| {
            party(&lazy, kernel.thread(n), |lazy, w| {
                if lazy.once.begin(w, None).unwrap() != Turn::Done {
                    lazy.once.give_up(w);
                }
            })
        });
        join(quitters.collect());
        let done = join(parties).into_iter().filter(|mine| *mine).count();
        assert_eq!(done, 1);
    });
}

#[test]
fn the_dead_are_replaced() {
    walk_deaths("once, three die beside three", |kernel| {
        let lazy = Arc::new(Lazy::default());
        let others: Vec<_> =
            (0..3).map(|n| party(&lazy, kernel.participant(n), Lazy::get)).collect();
        let victims =
            (3..6).map(|n| victim(&lazy, kernel, kernel.participant(n), 20, Lazy::get)).collect();
        let victims = join(victims);
        let done = join(others).into_iter().chain(victims.iter().copied().flatten());
        assert!(done.filter(|mine| *mine).count() <= 1);
        assert!(lazy.once.is_done());
        deaths(&victims)
    });
}
