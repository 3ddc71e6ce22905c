//! What job queues promise.

use std::time::Duration;

use antiphon::error::{GetError, TryGetError, TryPutError};
use antiphon::space::{JobQueue, Shutdown};

use crate::crew::{A_WHILE, Crew, Job, Member, die};

const ITEMS: u64 = 2000;

fn jobs(job: &Job, capacity: u32) -> JobQueue<[u64; 2]> {
    job.space().job_queue("jobs", capacity).unwrap()
}

pub(crate) fn each_value_is_acknowledged_once(crew: &Crew<'_>) {
    fn produce(job: Job) -> u64 {
        let jobs = jobs(&job, 7);
        for number in 0..ITEMS {
            jobs.put([job.argument, number]).unwrap();
        }
        ITEMS
    }
    /// Every seventh value fails the first time.
    fn work(job: Job) -> u64 {
        let jobs = jobs(&job, 7);
        let mut sum = 0;
        while let Ok(lease) = jobs.take() {
            if lease[1].is_multiple_of(7) && lease.attempts() == 1 {
                lease.nack();
                continue;
            }
            assert_eq!(lease.attempts(), 1 + u32::from(lease[1].is_multiple_of(7)));
            sum += lease.ack().unwrap()[1];
        }
        sum
    }
    let queue = crew.space().job_queue::<[u64; 2]>("jobs", 7).unwrap();
    let workers = crew.send_many(work, 0..2);
    crew.send_many(produce, 0..2).into_iter().for_each(Member::finish);
    queue.shutdown(Shutdown::Drain);
    let sum: u64 = workers.into_iter().map(|member| member.join()).sum();
    assert_eq!(sum, 2 * (0..ITEMS).sum::<u64>());
    assert_eq!(queue.try_take().unwrap_err(), TryGetError::ShutDown);
}

pub(crate) fn the_oldest_comes_back_first(crew: &Crew<'_>) {
    let queue = crew.space().job_queue::<u64>("jobs", 4).unwrap();
    queue.put_many(&[1, 2, 3, 4]).unwrap();
    let [first, second] = [(); 2].map(|()| queue.take().unwrap());
    assert!(matches!(queue.try_put(5), Err(TryPutError::Full(5))));
    second.nack();
    first.nack();
    let again = queue.take().unwrap();
    assert_eq!((*again, again.attempts()), (1, 2));
    let again = again.ack().unwrap();
    assert_eq!(again, 1);
    // The oldest place is free.
    queue.try_put(5).unwrap();
    for (value, attempts) in [(2, 2), (3, 1), (4, 1), (5, 1)] {
        let lease = queue.take_timeout(A_WHILE).unwrap();
        assert_eq!((*lease, lease.attempts()), (value, attempts));
        lease.ack().unwrap();
    }
    assert_eq!(queue.try_take().unwrap_err(), TryGetError::Empty);
}

pub(crate) fn batches_are_acknowledged_in_parts(crew: &Crew<'_>) {
    let queue = crew.space().job_queue::<u64>("jobs", 10).unwrap();
    for lap in 0..20 {
        queue.put_many(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        let mut values = Vec::new();
        let mut batch = queue.take_many(&mut values, 6).unwrap();
        assert_eq!((batch.len(), &values[..]), (6, &[0, 1, 2, 3, 4, 5][..]), "lap {lap}");
        batch.ack_first(2).unwrap();
        batch.nack();
        values.clear();
        let some = queue.take_many(&mut values, 3).unwrap();
        assert_eq!((some.attempts(), &values[..]), (2, &[2, 3, 4][..]));
        some.ack().unwrap();
        for value in [5, 6, 7] {
            assert_eq!(queue.take().unwrap().ack(), Ok(value));
        }
    }
}

pub(crate) fn what_fails_too_often_is_put_aside(crew: &Crew<'_>) {
    let space = crew.space();
    let dead = space.queue::<u64>("dead", 1).unwrap();
    let queue = space.job_queue::<u64>("jobs", 4).unwrap().with_dead_letters(&dead, 2);
    queue.put_many(&[1, 2]).unwrap();
    let mut values = Vec::new();
    queue.take_many(&mut values, 2).unwrap().nack();
    queue.take_many(&mut values, 2).unwrap().nack();
    // There is room for one dead letter; the other is delivered.
    let second = queue.take_timeout(A_WHILE).unwrap();
    assert_eq!((*second, second.attempts()), (2, 3));
    assert_eq!(dead.get(), Ok(1));
    second.nack();
    assert_eq!(queue.try_take().unwrap_err(), TryGetError::Empty);
    assert_eq!(dead.get(), Ok(2));
}

pub(crate) fn draining_waits_for_what_was_taken(crew: &Crew<'_>) {
    fn work(job: Job) -> u64 {
        let queue = job.space().job_queue::<u64>("jobs", 4).unwrap();
        let mut sum = 0;
        loop {
            match queue.take() {
                Ok(lease) => sum += lease.ack().unwrap(),
                Err(error) => {
                    assert_eq!(error, GetError::ShutDown);
                    return sum;
                }
            }
        }
    }
    let queue = crew.space().job_queue::<u64>("jobs", 4).unwrap();
    queue.put_many(&[5, 6]).unwrap();
    let [first, second] = [(); 2].map(|()| queue.take().unwrap());
    queue.shutdown(Shutdown::Drain);
    let members = crew.send_many(work, 0..2);
    std::thread::sleep(A_WHILE);
    first.nack();
    std::thread::sleep(A_WHILE);
    second.ack().unwrap();
    let sum: u64 = members.into_iter().map(|member| member.join()).sum();
    assert_eq!(sum, 5);
}

pub(crate) fn what_the_dead_had_taken_comes_back(crew: &Crew<'_>) {
    /// Takes some, acknowledges one of them, and dies.
    fn take(job: Job) -> u64 {
        let queue = job.space().job_queue::<u64>("jobs", 4).unwrap();
        assert_eq!(queue.take().unwrap().ack(), Ok(1));
        let mut values = Vec::new();
        let _batch = queue.take_many(&mut values, 2).unwrap();
        assert_eq!(values, [2, 3]);
        job.space().latch("ready", 1).unwrap().count_down(1);
        die()
    }
    let space = crew.space();
    let queue = space.job_queue::<u64>("jobs", 4).unwrap();
    queue.put_many(&[1, 2, 3, 4]).unwrap();
    let victim = crew.send(take, 0);
    space.latch("ready", 1).unwrap().wait();
    queue.put(5).unwrap();
    victim.signal(libc::SIGKILL);
    victim.bury();
    // Somebody has to notice; with so much to do, nobody waits.
    assert_eq!(space.participants().len(), 1);
    for (value, attempts) in [(2, 2), (3, 2), (4, 1), (5, 1)] {
        let lease = queue.take_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!((*lease, lease.attempts()), (value, attempts));
        lease.ack().unwrap();
    }
    queue.put_many(&[1, 2, 3, 4]).unwrap();
    assert!(queue.is_full());
}
