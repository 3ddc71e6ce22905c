//! What a value promises that is written once.

use crate::crew::{A_WHILE, Crew, Job, Member, die};

pub(crate) fn a_value_is_written_once(crew: &Crew<'_>) {
    fn make(job: Job) -> u64 {
        let value = job.space().once_value::<u64>("value").unwrap();
        let made = value.get_or_init(|death| {
            assert!(death.is_none());
            std::thread::sleep(A_WHILE);
            100 + job.argument
        });
        assert_eq!(value.get(), made.ok());
        value.get().unwrap()
    }
    fn wait(job: Job) -> u64 {
        job.space().once_value::<u64>("value").unwrap().wait().unwrap()
    }
    let value = crew.space().once_value::<u64>("value").unwrap();
    assert_eq!(value.get(), None);
    assert!(value.wait_timeout(A_WHILE).is_err());
    let waiter = crew.send(wait, 0);
    let members = crew.send_many(make, 1..4);
    let made: Vec<_> = members.into_iter().map(Member::join).collect();
    assert!(made.iter().all(|one| *one == made[0] && *one > 100), "{made:?}");
    assert_eq!(waiter.join(), made[0]);
    assert_eq!(value.set(7), Err(7));
    assert_eq!(value.get(), Some(made[0]));
}

pub(crate) fn making_it_within_itself_is_an_error(crew: &Crew<'_>) {
    let value = crew.space().once_value::<u64>("value").unwrap();
    let made = value.get_or_init(|_| {
        assert!(value.get_or_init(|_| 1).is_err());
        assert_eq!(value.set(2), Err(2));
        assert!(value.wait().is_err());
        3
    });
    assert_eq!(made, Ok(3));
}

pub(crate) fn a_dead_maker_is_replaced(crew: &Crew<'_>) {
    fn make_and_die(job: Job) -> u64 {
        let value = job.space().once_value::<u64>("value").unwrap();
        let _ = value.get_or_init(|_| die());
        0
    }
    let value = crew.space().once_value::<u64>("value").unwrap();
    let member = crew.send(make_and_die, 0);
    let pid = member.pid();
    member.bury();
    let made = value.get_or_init(|death| u64::from(death.map_or(0, |death| death.pid)));
    assert_eq!(made, Ok(u64::from(pid)));
}
