//! What events promise.

use std::time::Instant;

use crate::crew::{A_WHILE, Crew, Job, die};

fn wait(job: Job) -> u64 {
    let space = job.space();
    space.latch("ready", 2).unwrap().count_down(1);
    space.event("event").unwrap().wait();
    1
}

pub(crate) fn setting_releases_all(crew: &Crew<'_>) {
    let space = crew.space();
    let event = space.event("event").unwrap();
    let members = crew.send_many(wait, 0..2);
    space.latch("ready", 2).unwrap().wait();
    assert!(!event.is_set());
    event.set();
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
    assert!(event.is_set());
    event.wait();
}

pub(crate) fn setting_and_clearing_releases_all(crew: &Crew<'_>) {
    let space = crew.space();
    let event = space.event("event").unwrap();
    let members = crew.send_many(wait, 0..2);
    space.latch("ready", 2).unwrap().wait();
    // Long enough for both to sleep; one who comes later waits for the next setting, so there are more.
    std::thread::sleep(A_WHILE);
    let more = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while more.load(std::sync::atomic::Ordering::Relaxed) {
                event.set();
                event.clear();
                std::thread::sleep(A_WHILE);
            }
        });
        members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
        more.store(false, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(!event.is_set());
}

pub(crate) fn timeouts_are_told(crew: &Crew<'_>) {
    let event = crew.space().event("event").unwrap();
    let began = Instant::now();
    let timeout = event.wait_timeout(A_WHILE).unwrap_err();
    assert!(began.elapsed() >= A_WHILE);
    assert!(timeout.what.contains("event") && !timeout.waited.is_zero(), "{timeout}");
    assert!(event.wait_deadline(Instant::now()).is_err());
    event.set();
    assert!(event.wait_deadline(Instant::now()).is_ok());
    event.clear();
    assert!(event.wait_timeout(A_WHILE).is_err());
}

pub(crate) fn a_dead_setter_releases(crew: &Crew<'_>) {
    fn set_and_die(job: Job) -> u64 {
        job.space().event("event").unwrap().set();
        die()
    }
    let space = crew.space();
    let members = crew.send_many(wait, 0..2);
    space.latch("ready", 2).unwrap().wait();
    crew.send(set_and_die, 0).bury();
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
}
