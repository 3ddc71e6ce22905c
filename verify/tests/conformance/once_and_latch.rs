//! What a once and a latch promise.

use std::time::{Duration, Instant};

use antiphon::error::TimedOnceError;

use crate::crew::{A_WHILE, Crew, Job, die};

pub(crate) fn a_once_runs_once(crew: &Crew<'_>) {
    fn call(job: Job) -> u64 {
        let space = job.space();
        let runs = space.mutex("runs", 0_u64).unwrap();
        let once = space.once("once").unwrap();
        once.call_once(|death| {
            assert!(death.is_none());
            std::thread::sleep(A_WHILE);
            *runs.lock().unwrap() += 1;
        })
        .unwrap();
        assert!(once.is_completed());
        *runs.lock().unwrap()
    }
    let _space = crew.space();
    crew.send_many(call, 0..3).into_iter().for_each(|member| assert_eq!(member.join(), 1));
}

pub(crate) fn a_latch_opens(crew: &Crew<'_>) {
    fn count(job: Job) -> u64 {
        let latch = job.space().latch("latch", 3).unwrap();
        latch.count_down(1);
        latch.wait();
        u64::from(latch.is_open())
    }
    let latch = crew.space().latch("latch", 3).unwrap();
    let members = crew.send_many(count, 0..2);
    assert!(latch.wait_timeout(A_WHILE).is_err());
    latch.count_down(1);
    latch.wait();
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
    assert_eq!(latch.count(), 0);
}

pub(crate) fn a_once_may_be_tried_and_timed(crew: &Crew<'_>) {
    /// Which forms find it being run, as bits.
    fn look(job: Job) -> u64 {
        let once = job.space().once("held").unwrap();
        let tried = once.try_call_once(|_| unreachable!("it is being run"));
        let timed = once.call_once_timeout(Duration::from_millis(10), |_| ());
        let TimedOnceError::TimedOut(timeout) = timed.unwrap_err() else { return 0 };
        u64::from(tried.is_err())
            | u64::from(timeout.waited >= Duration::from_millis(5)) << 1
            | u64::from(timeout.holder.is_some_and(|holder| holder.site.is_some())) << 2
    }
    let once = crew.space().once("held").unwrap();
    once.try_call_once(|_| assert_eq!(crew.send(look, 0).join(), 7)).unwrap();
    assert!(once.call_once_deadline(Instant::now(), |_| unreachable!("it is done")).is_ok());
}

pub(crate) fn a_dead_runner_is_replaced(crew: &Crew<'_>) {
    fn call_and_die(job: Job) -> u64 {
        let _ = job.space().once("once").unwrap().call_once(|_| die());
        0
    }
    let once = crew.space().once("once").unwrap();
    let member = crew.send(call_and_die, 0);
    let pid = member.pid();
    member.bury();
    let mut told = None;
    once.call_once(|death| told = death.map(|death| death.pid)).unwrap();
    assert_eq!(told, Some(pid));
    assert!(once.is_completed());
}
