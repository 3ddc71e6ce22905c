//! What barriers promise.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use antiphon::error::BarrierError;
use antiphon_verify::random::Random;

use crate::crew::{A_WHILE, Crew, Job, Member, die, until};

const ROUNDS: u64 = 50;

pub(crate) fn indexes_are_given_once(crew: &Crew<'_>) {
    /// The sum of 10 to the power of its indexes, which says how often it got each.
    fn meet(job: Job) -> u64 {
        let space = job.space();
        let barrier = space.barrier("barrier", 3).unwrap();
        let given = space.mutex("given", [0_u64; 3]).unwrap();
        for _ in 0..ROUNDS {
            let passed = barrier.wait().unwrap();
            assert_eq!(passed.is_leader(), passed.index() == 2);
            given.lock().unwrap()[passed.index() as usize] += 1;
        }
        // Who leaves in good order breaks nothing.
        barrier.leave();
        0
    }
    let space = crew.space();
    let given = space.mutex("given", [0_u64; 3]).unwrap();
    crew.send_many(meet, 0..3).into_iter().for_each(Member::finish);
    assert_eq!(*given.lock().unwrap(), [ROUNDS; 3]);
}

pub(crate) fn the_action_runs_before_anybody_goes_on(crew: &Crew<'_>) {
    fn meet(job: Job) -> u64 {
        let space = job.space();
        let barrier = space.barrier("barrier", 2).unwrap();
        let actions = space.mutex("actions", 0_u64).unwrap();
        for round in 1..=ROUNDS {
            barrier.wait_with(|| *actions.lock().unwrap() += 1).unwrap();
            assert_eq!(*actions.lock().unwrap(), round);
            // So that nobody acts for the next round while others still look.
            barrier.wait().unwrap();
        }
        ROUNDS
    }
    let space = crew.space();
    let members = crew.send_many(meet, 0..2);
    members.into_iter().for_each(|member| assert_eq!(member.join(), ROUNDS));
    assert_eq!(*space.mutex("actions", 0_u64).unwrap().lock().unwrap(), ROUNDS);
}

/// 1 if the barrier broke.
fn wait(job: Job) -> u64 {
    let barrier = job.space().barrier("barrier", 3).unwrap();
    u64::from(barrier.wait() == Err(BarrierError::Broken))
}

pub(crate) fn timeouts_break_it(crew: &Crew<'_>) {
    let barrier = crew.space().barrier("barrier", 3).unwrap();
    let member = crew.send(wait, 0);
    until(|| barrier.waiting() == 1);
    match barrier.wait_timeout(A_WHILE) {
        Err(BarrierError::TimedOut(timeout)) => assert!(timeout.what.contains("barrier")),
        other => panic!("{other:?}"),
    }
    assert_eq!(member.join(), 1);
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
}

pub(crate) fn aborting_breaks_it(crew: &Crew<'_>) {
    let barrier = crew.space().barrier("barrier", 3).unwrap();
    let members = crew.send_many(wait, 0..2);
    until(|| barrier.waiting() == 2);
    barrier.abort();
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
    assert!(barrier.is_broken());
}

pub(crate) fn resetting_renews_it(crew: &Crew<'_>) {
    let barrier = crew.space().barrier("barrier", 3).unwrap();
    let member = crew.send(wait, 0);
    until(|| barrier.waiting() == 1);
    barrier.reset();
    assert_eq!(member.join(), 1);
    assert!(!barrier.is_broken());
    let members = crew.send_many(wait, 0..2);
    assert!(barrier.wait().is_ok());
    members.into_iter().for_each(|member| assert_eq!(member.join(), 0));
}

pub(crate) fn a_death_breaks_it(crew: &Crew<'_>) {
    let space = crew.space();
    let barrier = space.barrier("barrier", 3).unwrap();
    let member = crew.send(wait, 0);
    let victim = crew.send(wait, 0);
    until(|| barrier.waiting() == 2);
    victim.signal(libc::SIGKILL);
    victim.bury();
    assert_eq!(member.join(), 1);
    // A party that has passed and then dies breaks it as well.
    fn meet_and_die(job: Job) -> u64 {
        job.space().barrier("pair", 2).unwrap().wait().unwrap();
        die()
    }
    let pair = space.barrier("pair", 2).unwrap();
    let victim = crew.send(meet_and_die, 0);
    let _ = pair.wait();
    victim.bury();
    assert_eq!(pair.wait(), Err(BarrierError::Broken));
}

/// One that sleeps through any number of resets is told so, and does not take itself for one that still waits.
pub(crate) fn resets_without_number_leave_nobody_behind(crew: &Crew<'_>) {
    let (space, over) = (crew.space(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (1..=3_u64)
            .map(|seed| {
                let (barrier, over) = (space.barrier("barrier", 3).unwrap(), &over);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for _ in 0..20_000 {
                        if over.load(SeqCst) {
                            return;
                        }
                        if random.one_in(8) {
                            (0..random.below(300)).for_each(|_| barrier.abort());
                        }
                        if barrier.wait().is_err() && barrier.is_broken() {
                            (0..1 + random.below(300)).for_each(|_| barrier.reset());
                        }
                    }
                    // The others would wait for one that does not come any more.
                    over.store(true, SeqCst);
                })
            })
            .collect();
        let barrier = space.barrier("barrier", 3).unwrap();
        until(|| {
            if over.load(SeqCst) {
                barrier.abort();
            }
            visitors.iter().all(|visitor| visitor.is_finished())
        });
    });
}
