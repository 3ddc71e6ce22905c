//! What queues promise.

use std::time::Duration;

use antiphon::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use antiphon::space::Shutdown;
use serde::{Deserialize, Serialize};

use crate::crew::{A_WHILE, Crew, Job, Member, die};

const ITEMS: u64 = 3000;

pub(crate) fn items_come_in_order_and_once(crew: &Crew<'_>) {
    fn produce(job: Job) -> u64 {
        let queue = job.space().queue::<[u64; 2]>("queue", 7).unwrap();
        for number in 0..ITEMS {
            queue.put([job.argument, number]).unwrap();
        }
        ITEMS
    }
    fn consume(job: Job) -> u64 {
        let queue = job.space().queue::<[u64; 2]>("queue", 7).unwrap();
        let mut next = [0; 2];
        let mut sum = 0;
        for [producer, number] in queue.iter() {
            let next = &mut next[producer as usize];
            assert!(number >= *next, "{number} of {producer} after {next}");
            *next = number + 1;
            sum += number;
        }
        sum
    }
    let queue = crew.space().queue::<[u64; 2]>("queue", 7).unwrap();
    let consumers = crew.send_many(consume, 0..2);
    crew.send_many(produce, 0..2).into_iter().for_each(Member::finish);
    queue.shutdown(Shutdown::Drain);
    let sum: u64 = consumers.into_iter().map(|member| member.join()).sum();
    assert_eq!(sum, 2 * (0..ITEMS).sum::<u64>());
    assert!(queue.is_empty());
}

pub(crate) fn it_is_bounded(crew: &Crew<'_>) {
    fn get(job: Job) -> u64 {
        std::thread::sleep(A_WHILE);
        job.space().queue::<u64>("queue", 5).unwrap().get().unwrap()
    }
    let queue = crew.space().queue::<u64>("queue", 5).unwrap();
    assert_eq!(queue.capacity(), 5);
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    assert!(matches!(queue.get_timeout(A_WHILE), Err(TimedGetError::TimedOut(_))));
    for lap in 0..4 {
        for item in 0..5 {
            assert_eq!(queue.len(), item as usize);
            queue.try_put(item).unwrap();
        }
        assert!(queue.is_full());
        assert!(matches!(queue.try_put(9), Err(TryPutError::Full(9))));
        assert!(matches!(queue.put_timeout(9, A_WHILE), Err(TimedPutError::TimedOut(9, _))));
        for item in 0..5 {
            assert_eq!(queue.get(), Ok(item), "lap {lap}");
        }
    }
    for item in 0..5 {
        queue.put(item).unwrap();
    }
    // A put waits for room that another makes.
    let member = crew.send(get, 0);
    queue.put(5).unwrap();
    assert_eq!(member.join(), 0);
    assert_eq!(queue.len(), 5);
}

pub(crate) fn batches_are_whole(crew: &Crew<'_>) {
    fn produce(job: Job) -> u64 {
        let queue = job.space().queue::<u64>("queue", 10).unwrap();
        let items: Vec<_> = (0..ITEMS).collect();
        for batch in items.chunks(25) {
            queue.put_many(batch).unwrap();
        }
        ITEMS
    }
    let queue = crew.space().queue::<u64>("queue", 10).unwrap();
    let member = crew.send(produce, 0);
    let mut got = Vec::new();
    while got.len() < ITEMS as usize {
        let some = queue.get_many(8).unwrap();
        assert!((1..=8).contains(&some.len()));
        got.extend(some);
    }
    member.join();
    assert!(got.into_iter().eq(0..ITEMS));
    assert_eq!(queue.try_put_many(&[1; 25]).unwrap(), 10);
    assert_eq!(queue.try_get_many(25).unwrap().len(), 10);
}

pub(crate) fn draining_gives_what_is_there(crew: &Crew<'_>) {
    fn drain(job: Job) -> u64 {
        job.space().queue::<u64>("queue", 5).unwrap().iter().sum()
    }
    let queue = crew.space().queue::<u64>("queue", 5).unwrap();
    queue.put_many(&[1, 2, 3]).unwrap();
    queue.shutdown(Shutdown::Drain);
    assert!(queue.is_shut_down());
    assert!(matches!(queue.put(9), Err(PutError::ShutDown(9))));
    assert!(matches!(queue.try_put(9), Err(TryPutError::ShutDown(9))));
    assert_eq!(crew.send(drain, 0).join(), 6);
    assert_eq!(queue.get(), Err(GetError::ShutDown));
    assert_eq!(queue.try_get(), Err(TryGetError::ShutDown));
}

pub(crate) fn immediate_shutdown_gives_nothing(crew: &Crew<'_>) {
    let queue = crew.space().queue::<u64>("queue", 5).unwrap();
    queue.put_many(&[1, 2, 3]).unwrap();
    queue.shutdown(Shutdown::Immediate);
    assert_eq!(queue.get(), Err(GetError::ShutDown));
    assert!(matches!(queue.put(9), Err(PutError::ShutDown(9))));
}

pub(crate) fn shutdown_wakes_sleepers(crew: &Crew<'_>) {
    fn get(job: Job) -> u64 {
        let queue = job.space().queue::<u64>("empty", 5).unwrap();
        u64::from(queue.get() == Err(GetError::ShutDown))
    }
    fn put(job: Job) -> u64 {
        let queue = job.space().queue::<u64>("full", 1).unwrap();
        u64::from(matches!(queue.put(1), Err(PutError::ShutDown(1))))
    }
    let space = crew.space();
    let empty = space.queue::<u64>("empty", 5).unwrap();
    let full = space.queue::<u64>("full", 1).unwrap();
    full.put(0).unwrap();
    let members = [crew.send(get, 0), crew.send(put, 0)];
    std::thread::sleep(A_WHILE);
    empty.shutdown(Shutdown::Drain);
    full.shutdown(Shutdown::Drain);
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
}

pub(crate) fn bytes_of_any_length(crew: &Crew<'_>) {
    fn message(number: u64) -> Vec<u8> {
        (0..number * 7 % 500).map(|i| (i * number) as u8).collect()
    }
    fn produce(job: Job) -> u64 {
        let queue = job.space().byte_queue("queue", 9, 2000).unwrap();
        for number in 0..job.argument {
            queue.put(&message(number)).unwrap();
        }
        0
    }
    let queue = crew.space().byte_queue("queue", 9, 2000).unwrap();
    let member = crew.send(produce, 1000);
    for number in 0..1000 {
        assert_eq!(queue.get().unwrap(), message(number));
    }
    member.join();
    let longest = vec![7; queue.longest()];
    queue.put(&longest).unwrap();
    assert_eq!(queue.get().unwrap(), longest);
    let longer = vec![7; queue.longest() + 1];
    assert!(matches!(queue.put(&longer), Err(PutError::TooLarge(()))));
    assert!(matches!(queue.try_put(&longer), Err(TryPutError::TooLarge(()))));
}

pub(crate) fn values_travel(crew: &Crew<'_>) {
    #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
    struct Order {
        number: u64,
        lines: Vec<(String, Option<i32>)>,
    }
    fn order(number: u64) -> Order {
        let line = |i| (format!("line {i}"), (i % 2 == 0).then_some(i as i32));
        Order { number, lines: (0..number % 5).map(line).collect() }
    }
    fn produce(job: Job) -> u64 {
        let queue = job.space().message_queue("queue", 9, 4000).unwrap();
        for number in 0..job.argument {
            queue.put(&order(number)).unwrap();
        }
        0
    }
    let queue = crew.space().message_queue::<Order>("queue", 9, 4000).unwrap();
    let member = crew.send(produce, 100);
    for number in 0..100 {
        assert_eq!(queue.get().unwrap(), order(number));
    }
    member.join();
}

pub(crate) fn the_dead_do_not_take_it_along(crew: &Crew<'_>) {
    /// Sleeps at the end that the argument names, until it is killed there.
    fn sleep(job: Job) -> u64 {
        let space = job.space();
        space.latch("ready", 2).unwrap().count_down(1);
        if job.argument == 0 {
            let _ = space.queue::<u64>("empty", 1).unwrap().get();
        } else {
            let _ = space.queue::<u64>("full", 1).unwrap().put(1);
        }
        die()
    }
    let space = crew.space();
    let (empty, full) =
        (space.queue::<u64>("empty", 1).unwrap(), space.queue::<u64>("full", 1).unwrap());
    full.put(0).unwrap();
    let victims = crew.send_many(sleep, 0..2);
    space.latch("ready", 2).unwrap().wait();
    std::thread::sleep(A_WHILE);
    for victim in victims {
        victim.signal(libc::SIGKILL);
        victim.bury();
    }
    for number in 0..5 {
        empty.put(number).unwrap();
        assert_eq!(empty.get_timeout(Duration::from_secs(30)), Ok(number));
    }
    assert_eq!(full.get(), Ok(0));
    full.put_timeout(2, Duration::from_secs(30)).unwrap();
    assert_eq!(full.get(), Ok(2));
}
