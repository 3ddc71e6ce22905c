//! What condition variables promise.

use std::time::Duration;

use crate::crew::{A_WHILE, Crew, Job, die};

/// Takes a token, waiting for it.
fn take(job: Job) -> u64 {
    let space = job.space();
    let (tokens, brought) =
        (space.mutex("tokens", 0_u64).unwrap(), space.condvar("brought").unwrap());
    space.latch("ready", job.argument as u32).unwrap().count_down(1);
    let mut left = brought.wait_while(tokens.lock().unwrap(), |tokens| *tokens == 0).unwrap();
    *left -= 1;
    1
}

pub(crate) fn notifications_wake(crew: &Crew<'_>) {
    let space = crew.space();
    let (tokens, brought) =
        (space.mutex("tokens", 0_u64).unwrap(), space.condvar("brought").unwrap());
    let members = crew.send_many(take, [3; 3].into_iter());
    space.latch("ready", 3).unwrap().wait();
    std::thread::sleep(A_WHILE);
    *tokens.lock().unwrap() += 1;
    brought.notify_one();
    *tokens.lock().unwrap() += 2;
    brought.notify(2);
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
    assert_eq!(*tokens.lock().unwrap(), 0);
    // Nobody waits: nothing is kept.
    brought.notify_all();
    let (_, notified) = brought.wait_timeout(tokens.lock().unwrap(), A_WHILE).unwrap();
    // A wait may end for no reason, but not by a notification that came before it.
    let _ = notified;
}

pub(crate) fn timeouts_are_told(crew: &Crew<'_>) {
    let space = crew.space();
    let (tokens, brought) =
        (space.mutex("tokens", 0_u64).unwrap(), space.condvar("brought").unwrap());
    let (guard, met) =
        brought.wait_while_timeout(tokens.lock().unwrap(), A_WHILE, |tokens| *tokens == 0).unwrap();
    assert!(!met);
    drop(guard);
    assert!(tokens.try_lock().is_ok());
}

pub(crate) fn a_dead_waiter_swallows_nothing(crew: &Crew<'_>) {
    /// Dies as soon as it is woken, with the token there.
    fn wake_and_die(job: Job) -> u64 {
        let space = job.space();
        let (tokens, brought) =
            (space.mutex("tokens", 0_u64).unwrap(), space.condvar("brought").unwrap());
        space.latch("first", 1).unwrap().count_down(1);
        let tokens = brought.wait_while(tokens.lock().unwrap(), |tokens| *tokens == 0).unwrap();
        drop(tokens);
        die()
    }
    let space = crew.space();
    let (tokens, brought) =
        (space.mutex("tokens", 0_u64).unwrap(), space.condvar("brought").unwrap());
    let victim = crew.send(wake_and_die, 0);
    space.latch("first", 1).unwrap().wait();
    std::thread::sleep(A_WHILE);
    // It is the first in the kernel's queue, so one notification is the victim's.
    let member = crew.send(take, 1);
    space.latch("ready", 1).unwrap().wait();
    std::thread::sleep(Duration::from_millis(50));
    *tokens.lock().unwrap() += 1;
    brought.notify_one();
    assert_eq!(member.join(), 1);
    // If the member was woken first, the victim sleeps on.
    *tokens.lock().unwrap() += 1;
    brought.notify_all();
    victim.bury();
}
