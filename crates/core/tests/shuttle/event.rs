//! Walks around the event.

use std::sync::Arc;

use antiphon_core::sync::event::RawEvent;
use antiphon_core::wait::Deadline;

use crate::harness::{Watched, deaths, join, party, victim, walk, walk_deaths};

#[derive(Default)]
struct Signpost {
    event: RawEvent,
    value: Watched,
}

#[test]
fn settings_and_clearings_leave_nobody_asleep() {
    walk("event, four wait, one clears, two set", |kernel| {
        let signpost = Arc::new(Signpost::default());
        let mut parties: Vec<_> = (1..5)
            .map(|n| {
                party(&signpost, kernel.thread(n), |signpost, w| {
                    signpost.event.wait(w, None).unwrap();
                    let _ = signpost.event.wait(w, Some(Deadline(0)));
                })
            })
            .collect();
        parties.push(party(&signpost, kernel.thread(5), |signpost, w| {
            for _ in 0..2 {
                signpost.event.set(w);
                signpost.event.clear();
            }
        }));
        let clearer = party(&signpost, kernel.thread(6), |signpost, _| signpost.event.clear());
        clearer.join().unwrap();
        parties.pop().unwrap().join().unwrap();
        // The last word: whoever slept through the others is released by this one.
        signpost.event.set(&kernel.thread(7));
        join(parties);
    });
}

#[test]
fn what_came_before_a_setting_is_seen() {
    walk("event, five wait for a value", |kernel| {
        let signpost = Arc::new(Signpost::default());
        let parties = (1..6).map(|n| {
            party(&signpost, kernel.thread(n), |signpost, w| {
                signpost.event.wait(w, None).unwrap();
                assert_eq!(signpost.value.get(), 1);
            })
        });
        let parties = parties.collect();
        signpost.value.bump();
        signpost.event.set(&kernel.thread(7));
        join(parties);
        assert!(signpost.event.is_set());
    });
}

#[test]
fn deaths_leave_nobody_asleep() {
    walk_deaths("event, two who wait and two who set die", |kernel| {
        let signpost = Arc::new(Signpost::default());
        let wait = |signpost: &Signpost, w: &_| signpost.event.wait(w, None).unwrap();
        let survivors: Vec<_> =
            (0..3).map(|n| party(&signpost, kernel.participant(n), wait)).collect();
        let waiters = (3..5)
            .map(|n| victim(&signpost, kernel, kernel.participant(n), 12, wait))
            .collect::<Vec<_>>();
        let setters = (5..7)
            .map(|n| {
                victim(&signpost, kernel, kernel.participant(n), 8, |signpost, w| {
                    signpost.event.set(w);
                })
            })
            .collect();
        let setters = deaths(&join(setters));
        if setters == 2 && !signpost.event.is_set() {
            signpost.event.set(&kernel.participant(7));
        }
        join(survivors);
        setters + deaths(&join(waiters))
    });
}
