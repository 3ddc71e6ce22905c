//! What semaphores promise.

use std::time::{Duration, Instant};

use crate::crew::{A_WHILE, Crew, Job, Member, die};

pub(crate) fn permits_bound_who_is_inside(crew: &Crew<'_>) {
    fn enter(job: Job) -> u64 {
        let space = job.space();
        let permits = space.semaphore("permits", 2).unwrap();
        let inside = space.mutex("inside", [0_u64; 2]).unwrap();
        for _ in 0..500 {
            let permit = permits.acquire();
            {
                let mut inside = inside.lock().unwrap();
                inside[0] += 1;
                inside[1] = inside[1].max(inside[0]);
            }
            inside.lock().unwrap()[0] -= 1;
            drop(permit);
        }
        0
    }
    let space = crew.space();
    let permits = space.semaphore("permits", 2).unwrap();
    crew.send_many(enter, 0..4).into_iter().for_each(Member::finish);
    let [inside, most] = *space.mutex("inside", [0_u64; 2]).unwrap().lock().unwrap();
    assert_eq!(inside, 0);
    assert!((1..=2).contains(&most), "{most} were inside");
    assert_eq!(permits.available(), 2);
}

pub(crate) fn a_bound_is_kept(crew: &Crew<'_>) {
    let permits = crew.space().bounded_semaphore("permits", 2).unwrap();
    let error = permits.release(1).unwrap_err();
    assert_eq!(error.bound, 2);
    let permit = permits.acquire();
    assert!(permits.try_acquire_many(2).is_none());
    drop(permit);
    assert!(permits.try_acquire_many(2).is_some());
    assert_eq!(permits.available(), 2);
}

pub(crate) fn any_number_is_given_back(crew: &Crew<'_>) {
    let permits = crew.space().semaphore("many", 700).unwrap();
    for _ in 0..7 {
        permits.acquire_many(100).forget();
    }
    assert!(permits.try_acquire().is_none());
    permits.release(700).unwrap();
    assert_eq!(permits.available(), 700);
    // Given back, not sent: what is taken now still belongs to its taker.
    assert!(permits.try_acquire_many(255).is_some());
}

pub(crate) fn timeouts_take_nothing(crew: &Crew<'_>) {
    let permits = crew.space().semaphore("permits", 1).unwrap();
    let permit = permits.try_acquire().expect("one is there");
    assert!(permits.try_acquire().is_none());
    let began = Instant::now();
    let timeout = permits.acquire_timeout(A_WHILE).unwrap_err();
    assert!(began.elapsed() >= A_WHILE);
    assert!(timeout.what.contains("permits") && !timeout.waited.is_zero(), "{timeout}");
    assert!(permits.acquire_deadline(Instant::now()).is_err());
    drop(permit);
    assert_eq!(permits.available(), 1);
    assert!(permits.acquire_timeout(Duration::ZERO).is_ok());
}

pub(crate) fn signals_are_sent_by_anybody(crew: &Crew<'_>) {
    fn receive(job: Job) -> u64 {
        let permits = job.space().semaphore("signals", 0).unwrap();
        for _ in 0..job.argument {
            permits.acquire().forget();
        }
        job.argument
    }
    let permits = crew.space().semaphore("signals", 0).unwrap();
    let member = crew.send(receive, 5);
    for _ in 0..5 {
        permits.release(1).unwrap();
    }
    assert_eq!(member.join(), 5);
    assert_eq!(permits.available(), 0);
}

fn take_two_and_die(job: Job) -> u64 {
    job.space().semaphore("permits", 3).unwrap().acquire_many(2).forget();
    die()
}

pub(crate) fn permits_come_back(crew: &Crew<'_>) {
    let permits = crew.space().semaphore("permits", 3).unwrap();
    let one = permits.acquire();
    crew.send(take_two_and_die, 0).bury();
    let two = permits.acquire_many(2);
    assert!(permits.try_acquire().is_none());
    drop((one, two));
    assert_eq!(permits.available(), 3);
}

pub(crate) fn signals_do_not_come_back(crew: &Crew<'_>) {
    let permits = crew.space().semaphore("permits", 3).unwrap();
    // Nobody took it: from now on permits are messages.
    permits.release(1).unwrap();
    crew.send(take_two_and_die, 0).bury();
    assert!(permits.try_acquire_many(3).is_none());
    assert_eq!(permits.available(), 2);
}
