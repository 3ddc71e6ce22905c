//! What a topic promises.

use antiphon::error::{PublishError, ReceiveError};
use antiphon::space::{ByteTopic, Policy, Topic};

use crate::crew::{A_WHILE, Crew, Job, Member, die, until};

fn news(crew: &Crew<'_>) -> Topic<[u64; 4]> {
    crew.space().topic("news", 4).unwrap()
}

/// Subscribes with a policy, says so, and reads until the last message. How many it got and missed, if all were whole and in order.
fn read(job: Job) -> u64 {
    const POLICIES: [Policy; 3] = [Policy::Block, Policy::DropOldest, Policy::LatestOnly];
    let space = job.space();
    let news = space.topic::<[u64; 4]>("news", 4).unwrap();
    let mut reader = news.subscribe(POLICIES[job.argument as usize], 0).unwrap();
    space.latch("subscribed", 3).unwrap().count_down(1);
    let (mut last, mut got) = (0, 0);
    while last < 3000 {
        let [value, rest @ ..] = reader.receive().unwrap();
        assert_eq!(rest, [value; 3], "torn");
        assert!(value > last, "{value} after {last}");
        (last, got) = (value, got + 1);
        assert_eq!(got + reader.missed(), last);
    }
    reader.missed()
}

pub(crate) fn every_subscriber_gets_what_it_asked_for(crew: &Crew<'_>) {
    let space = crew.space();
    let news = news(crew);
    let members = crew.send_many(read, 0..3);
    space.latch("subscribed", 3).unwrap().wait();
    (1..=3000).for_each(|n| news.publish(&[n; 4]).unwrap());
    let missed: Vec<_> = members.into_iter().map(Member::join).collect();
    assert_eq!(missed[0], 0, "one that blocks has missed something");
}

pub(crate) fn publishers_share_it(crew: &Crew<'_>) {
    fn publish(job: Job) -> u64 {
        let news = job.space().topic::<[u64; 4]>("news", 4).unwrap();
        (0..500).for_each(|n| news.publish(&[job.argument << 32 | n; 4]).unwrap());
        0
    }
    let mut reader = news(crew).subscribe(Policy::Block, 0).unwrap();
    let members = crew.send_many(publish, 0..3);
    let mut next = [0; 3];
    for _ in 0..1500 {
        let [value, ..] = reader.receive().unwrap();
        let (who, n) = ((value >> 32) as usize, value & 0xffff_ffff);
        assert_eq!(n, next[who]);
        next[who] += 1;
    }
    assert_eq!(reader.try_receive(), Err(ReceiveError::Empty));
    members.into_iter().for_each(Member::finish);
}

pub(crate) fn late_ones_get_the_last(crew: &Crew<'_>) {
    let space = crew.space();
    let news: ByteTopic = space.byte_topic("lines", 4, 10).unwrap();
    for line in ["one", "two", "three", "four", "five", ""] {
        news.publish(line.as_bytes()).unwrap();
    }
    let mut all = news.subscribe(Policy::DropOldest, 99).unwrap();
    let mut last = news.subscribe(Policy::Block, 2).unwrap();
    for line in ["three", "four", "five", ""] {
        assert_eq!(all.receive().unwrap(), line.as_bytes());
    }
    assert_eq!(last.receive().unwrap(), b"five");
    assert_eq!(last.receive().unwrap(), b"");
    assert!(matches!(last.receive_timeout(A_WHILE), Err(ReceiveError::TimedOut(_))));
    assert_eq!(news.publish(b"much too long"), Err(PublishError::TooLarge { longest: 10 }));
}

pub(crate) fn one_that_blocks_is_waited_for(crew: &Crew<'_>) {
    let news = news(crew);
    let mut reader = news.subscribe(Policy::Block, 0).unwrap();
    (0..4).for_each(|n| news.publish(&[n; 4]).unwrap());
    assert_eq!(news.try_publish(&[4; 4]), Err(PublishError::Full));
    assert!(matches!(news.publish_timeout(&[4; 4], A_WHILE), Err(PublishError::TimedOut(_))));
    assert_eq!(reader.receive(), Ok([0; 4]));
    news.publish(&[4; 4]).unwrap();
    drop(reader);
    (5..99).for_each(|n| news.try_publish(&[n; 4]).unwrap());
}

pub(crate) fn dead_subscribers_block_nobody(crew: &Crew<'_>) {
    fn subscribe_and_die(job: Job) -> u64 {
        let space = job.space();
        let news = space.topic::<[u64; 4]>("news", 4).unwrap();
        let _reader = news.subscribe(Policy::Block, 0).unwrap();
        space.event("subscribed").unwrap().set();
        space.event("die").unwrap().wait();
        die()
    }
    let space = crew.space();
    let news = news(crew);
    let member = crew.send(subscribe_and_die, 0);
    space.event("subscribed").unwrap().wait();
    (0..4).for_each(|n| news.publish(&[n; 4]).unwrap());
    assert!(news.publish_timeout(&[4; 4], A_WHILE).is_err());
    space.event("die").unwrap().set();
    news.publish(&[4; 4]).unwrap();
    member.bury();
    (5..99).for_each(|n| news.publish(&[n; 4]).unwrap());
}

pub(crate) fn dead_publishers_publish_nothing_half(crew: &Crew<'_>) {
    fn publish_for_ever(job: Job) -> u64 {
        let news = job.space().topic::<[u64; 4]>("news", 4).unwrap();
        (1..u64::MAX).for_each(|n| news.publish(&[n; 4]).unwrap());
        0
    }
    let news = news(crew);
    let mut reader = news.subscribe(Policy::DropOldest, 0).unwrap();
    for _ in 0..3 {
        let member = crew.send(publish_for_ever, 0);
        let began = news.as_bytes().published();
        until(|| news.as_bytes().published() > began + 100);
        member.signal(libc::SIGKILL);
        member.bury();
        news.publish(&[u64::MAX; 4]).unwrap();
        loop {
            let [value, rest @ ..] = reader.receive().unwrap();
            assert_eq!(rest, [value; 3], "torn");
            if value == u64::MAX {
                break;
            }
        }
    }
}
