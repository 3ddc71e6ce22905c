//! What a wait group promises.

use crate::crew::{A_WHILE, Crew, Job, die};

fn take_part(job: Job) -> u64 {
    let space = job.space();
    let group = space.wait_group("group").unwrap();
    let share = group.enter();
    space.event("came").unwrap().set();
    space.event("go").unwrap().wait();
    *space.mutex("done", 0_u64).unwrap().lock().unwrap() += 1;
    drop(share);
    0
}

pub(crate) fn it_is_waited_for_until_empty(crew: &Crew<'_>) {
    let space = crew.space();
    let (group, done) = (space.wait_group("group").unwrap(), space.mutex("done", 0_u64).unwrap());
    group.wait();
    // Handed over: ours stays until another one's is there.
    let share = group.enter();
    let members = crew.send_many(take_part, 0..3);
    crate::crew::until(|| group.shares() == 4);
    drop(share);
    assert!(group.wait_timeout(A_WHILE).is_err());
    assert!(!group.is_empty());
    space.event("go").unwrap().set();
    group.wait();
    assert_eq!(*done.lock().unwrap(), 3);
    assert!(group.is_empty());
    members.into_iter().for_each(crate::crew::Member::finish);
}

pub(crate) fn shares_of_the_dead_come_back(crew: &Crew<'_>) {
    fn die_with_shares(job: Job) -> u64 {
        let group = job.space().wait_group("group").unwrap();
        let _shares = [group.enter(), group.enter()];
        job.space().event("came").unwrap().set();
        job.space().event("go").unwrap().wait();
        die()
    }
    let space = crew.space();
    let group = space.wait_group("group").unwrap();
    let member = crew.send(die_with_shares, 0);
    space.event("came").unwrap().wait();
    assert_eq!(group.shares(), 2);
    assert!(group.wait_timeout(A_WHILE).is_err());
    space.event("go").unwrap().set();
    group.wait();
    member.bury();
    assert!(group.is_empty());
}
