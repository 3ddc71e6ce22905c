//! What queues without copies promise.

use std::cell::Cell;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use antiphon::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use antiphon::space::{LoanQueue, Shutdown};
use antiphon_verify::child::{Child, End};
use antiphon_verify::random::Random;

use crate::crew::{A_WHILE, Crew, Job, Member, die};

const ITEMS: u64 = 1500;
const PATIENCE: Duration = Duration::from_secs(30);

/// A message of a length of its own, that tells who made it.
fn fill(message: &mut [u8], maker: u64, number: u64) {
    for (at, byte) in message.iter_mut().enumerate() {
        *byte = (maker * 131 + number * 7 + at as u64) as u8;
    }
    message[..8].copy_from_slice(&(maker << 32 | number).to_le_bytes());
}

fn length(number: u64) -> usize {
    8 + (number * 37 % 900) as usize
}

/// Who made it, and its number.
fn check(message: &[u8]) -> (u64, u64) {
    let stamp = u64::from_le_bytes(message[..8].try_into().unwrap());
    let (maker, number) = (stamp >> 32, stamp & u64::from(u32::MAX));
    let mut expected = vec![0; length(number)];
    fill(&mut expected, maker, number);
    assert!(message == expected, "{number} of {maker} is not whole");
    (maker, number)
}

fn put(queue: &LoanQueue, maker: u64, number: u64) {
    let mut loan = queue.reserve(length(number)).unwrap();
    fill(&mut loan, maker, number);
    loan.commit().unwrap();
}

pub(crate) fn messages_come_in_order_and_once(crew: &Crew<'_>) {
    fn produce(job: Job) -> u64 {
        let queue = job.space().loan_queue("queue", 9, 200).unwrap();
        (0..ITEMS).for_each(|number| put(&queue, job.argument, number));
        ITEMS
    }
    fn consume(job: Job) -> u64 {
        let queue = job.space().loan_queue("queue", 9, 200).unwrap();
        let mut next = [0; 2];
        let mut sum = 0;
        for view in queue.iter() {
            let (maker, number) = check(&view);
            let next = &mut next[maker as usize];
            assert!(number >= *next, "{number} of {maker} after {next}");
            *next = number + 1;
            sum += number;
        }
        sum
    }
    let queue = crew.space().loan_queue("queue", 9, 200).unwrap();
    let consumers = crew.send_many(consume, 0..2);
    crew.send_many(produce, 0..2).into_iter().for_each(Member::finish);
    queue.shutdown(Shutdown::Drain);
    let sum: u64 = consumers.into_iter().map(|member| member.join()).sum();
    assert_eq!(sum, 2 * (0..ITEMS).sum::<u64>());
    assert!(queue.is_empty());
    assert_eq!(queue.free(), 9);
}

pub(crate) fn dropping_changes_nothing(crew: &Crew<'_>) {
    let queue = crew.space().loan_queue("queue", 4, 100).unwrap();
    assert_eq!((queue.blocks(), queue.block(), queue.longest()), (4, 128, 512));
    let loan = queue.reserve(300).unwrap();
    assert_eq!((loan.len(), queue.free()), (300, 1));
    drop(loan);
    assert_eq!((queue.len(), queue.free()), (0, 4));
    assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
    put(&queue, 0, 1);
    drop(queue.get().unwrap());
    assert_eq!((queue.len(), queue.free()), (0, 4));
    // Shorter than it was reserved, also empty, and as long as can be.
    let mut loan = queue.reserve(512).unwrap();
    loan.fill(5);
    loan.truncate(3);
    loan.truncate(4);
    loan.commit().unwrap();
    assert_eq!(*queue.get().unwrap(), [5, 5, 5]);
    queue.reserve(0).unwrap().commit().unwrap();
    assert!(queue.get().unwrap().is_empty());
    let mut loan = queue.reserve(512).unwrap();
    loan.fill(6);
    loan.commit().unwrap();
    assert_eq!(*queue.get().unwrap(), [6; 512]);
    assert!(matches!(queue.reserve(513), Err(PutError::TooLarge(()))));
}

pub(crate) fn it_is_bounded(crew: &Crew<'_>) {
    fn get(job: Job) -> u64 {
        std::thread::sleep(A_WHILE);
        let queue = job.space().loan_queue("queue", 3, 1000).unwrap();
        let view = queue.get().unwrap();
        check(&view).1
    }
    let queue = crew.space().loan_queue("queue", 3, 1000).unwrap();
    assert!(matches!(queue.get_timeout(A_WHILE), Err(TimedGetError::TimedOut(_))));
    for number in 0..3 {
        put(&queue, 0, number);
    }
    assert!(matches!(queue.try_reserve(1), Err(TryPutError::Full(()))));
    assert!(matches!(queue.reserve_timeout(1, A_WHILE), Err(TimedPutError::TimedOut((), _))));
    // A message that is being read takes room, too.
    let view = queue.get().unwrap();
    assert_eq!(check(&view), (0, 0));
    assert!(matches!(queue.try_reserve(1), Err(TryPutError::Full(()))));
    drop(view);
    put(&queue, 0, 3);
    // A reservation waits for room that another makes.
    let member = crew.send(get, 0);
    drop(queue.reserve_timeout(1000, PATIENCE).unwrap());
    assert_eq!(member.join(), 1);
    assert_eq!(check(&queue.get().unwrap()), (0, 2));
    assert_eq!(check(&queue.get_timeout(PATIENCE).unwrap()), (0, 3));
}

pub(crate) fn shutdown_is_seen_by_all(crew: &Crew<'_>) {
    fn get(job: Job) -> u64 {
        let queue = job.space().loan_queue("empty", 1, 64).unwrap();
        u64::from(matches!(queue.get(), Err(GetError::ShutDown)))
    }
    fn put_one(job: Job) -> u64 {
        let queue = job.space().loan_queue("full", 1, 64).unwrap();
        u64::from(matches!(queue.reserve(1), Err(PutError::ShutDown(()))))
    }
    let space = crew.space();
    let empty = space.loan_queue("empty", 1, 64).unwrap();
    let full = space.loan_queue("full", 1, 64).unwrap();
    full.reserve(5).unwrap().commit().unwrap();
    let members = [crew.send(get, 0), crew.send(put_one, 0)];
    std::thread::sleep(A_WHILE);
    let loan = empty.reserve(1).unwrap();
    empty.shutdown(Shutdown::Drain);
    full.shutdown(Shutdown::Drain);
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
    // What was reserved before cannot be put any more, and comes back.
    let loan = loan.commit().unwrap_err().into_inner();
    assert_eq!(loan.len(), 1);
    assert_eq!(full.get().unwrap().len(), 5);
    assert!(matches!(full.get(), Err(GetError::ShutDown)));
}

/// Those who die with loans and views, asleep and awake, leave their room to others, and what they had put.
pub(crate) fn the_dead_leave_no_block_behind(crew: &Crew<'_>) {
    fn hold(job: Job) -> u64 {
        let space = job.space();
        let queue = space.loan_queue("queue", 8, 1000).unwrap();
        put(&queue, 9, 100 + job.argument);
        let loan = queue.reserve(1000).unwrap();
        let view = queue.get().unwrap();
        space.latch("ready", 2).unwrap().count_down(1);
        if job.argument == 0 {
            let _ = queue.reserve(8000);
        }
        std::mem::forget((loan, view));
        die()
    }
    let space = crew.space();
    let queue = space.loan_queue("queue", 8, 1000).unwrap();
    for number in 0..2 {
        put(&queue, 0, number);
    }
    let victims = crew.send_many(hold, 0..2);
    space.latch("ready", 2).unwrap().wait();
    std::thread::sleep(A_WHILE);
    for victim in victims {
        victim.signal(libc::SIGKILL);
        victim.bury();
    }
    // Two messages are there, of the four that were put, and six blocks are free.
    let loans: Vec<_> = (0..6).map(|_| queue.reserve_timeout(1000, PATIENCE).unwrap()).collect();
    assert_eq!(queue.free(), 0);
    drop(loans);
    for _ in 0..2 {
        check(&queue.try_get().unwrap());
    }
    assert_eq!(queue.free(), 8);
}

pub(crate) fn a_child_gives_nothing_back(crew: &Crew<'_>) {
    let queue = crew.space().loan_queue("queue", 2, 64).unwrap();
    let mut loan = queue.reserve(64).unwrap();
    loan.fill(1);
    // A fork doubles it: the child drops its own.
    let ours = Cell::new(Some(loan));
    let mut child = Child::fork(|| {
        drop(ours.take());
        i32::from(queue.free() != 1)
    });
    assert_eq!(child.wait(), End::Exited(0));
    assert_eq!(queue.free(), 1);
    ours.take().unwrap().commit().unwrap();
    assert_eq!(*queue.get().unwrap(), [1; 64]);
}

pub(crate) fn nonsense_is_an_error(crew: &Crew<'_>) {
    const BLOCKS: u64 = 5;
    let queue = crew.space().loan_queue("queue", BLOCKS as u32, 64).unwrap();
    let path = crew.directory().join("stage/queue");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let mut random = Random::new(11);
    let mut errors = 0;
    for _ in 0..2000 {
        for number in 0..3 {
            if let Ok(mut loan) = queue.try_reserve(10) {
                loan.fill(number);
                let _ = loan.commit();
            }
        }
        for _ in 0..random.below(10) {
            // The cursors, what the ends saw of them, the hint, the descriptors (of which there are 8) and the owners.
            let at = match random.below(8) {
                0 => 128,
                1 => 384,
                2 => 8,
                3 => 264,
                4 => 644,
                5 => 896 + 16 * 8 + 4 * random.below(BLOCKS),
                _ => 896 + 4 * random.below(4 * 8),
            };
            let word = if random.below(2) == 0 { random.below(7) } else { random.draw() };
            file.write_all_at(&(word as u32).to_le_bytes(), 1280 + at).unwrap();
        }
        for _ in 0..3 {
            match queue.try_get() {
                Ok(view) => assert!(view.len() <= queue.longest()),
                Err(error) => errors += usize::from(error == TryGetError::Corrupt),
            }
        }
        assert!(queue.free() <= queue.blocks());
        drop(queue.try_reserve(320));
        // An empty queue again, whatever it is now.
        let len = file.metadata().unwrap().len() - 1280;
        file.write_all_at(&vec![0; len as usize], 1280).unwrap();
    }
    assert!(errors > 0, "there was something to complain about");
}
