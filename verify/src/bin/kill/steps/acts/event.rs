//! Setting, clearing and waiting for an event.

use antiphon::space::Event;

use super::super::{Act, Ward};
use super::keep;

fn check(ward: &Ward, event: &Event) -> Result<u32, String> {
    let set = event.is_set();
    if !set {
        event.set();
    }
    if ward.has_helper() {
        ward.helped()?;
    }
    match event.wait_timeout(ward.patience.get()) {
        Ok(()) => Ok(u32::from(set)),
        Err(timeout) => Err(format!("hang: {timeout}")),
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let event = keep(ward.space.event("event").expect("an event"));
    let checked = || {
        let ward = ward.clone();
        move |_| check(&ward, event)
    };
    let helper = {
        let ward = ward.clone();
        move || {
            ward.help(|| {
                event.wait();
                0
            });
        }
    };
    let cleared = checked();
    let wait = move |_| event.wait();
    event.set();
    wait(0);
    vec![
        Act::new("event: set with a sleeper", move |_| event.set(), checked())
            .prepare(move || event.clear())
            .meanwhile(helper),
        Act::new(
            "event: clear",
            move |_| event.clear(),
            move |deaths| cleared(deaths).map(|set| 1 - set),
        )
        .prepare(move || event.set()),
        Act::new("event: wait asleep", wait, checked()).prepare(move || event.clear()).nudge(
            move || {
                event.set();
                event.clear();
                true
            },
        ),
    ]
}
