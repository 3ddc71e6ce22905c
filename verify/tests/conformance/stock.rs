//! What queues promise that are not first in first out.

use std::collections::{BTreeMap, BinaryHeap};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use antiphon::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use antiphon::space::Shutdown;
use antiphon_verify::random::Random;

use crate::crew::{A_WHILE, Crew, Job, Member, die};

const ITEMS: u64 = 3000;

pub(crate) fn items_come_once(crew: &Crew<'_>) {
    fn produce(job: Job) -> u64 {
        let space = job.space();
        let lifo = space.lifo_queue::<[u64; 2]>("lifo", 7).unwrap();
        let urgent = space.priority_queue::<u64, [u64; 2]>("urgent", 7).unwrap();
        for number in 0..ITEMS {
            lifo.put([job.argument, number]).unwrap();
            urgent.put((number, [job.argument, number])).unwrap();
        }
        ITEMS
    }
    fn consume(job: Job) -> u64 {
        let space = job.space();
        if job.argument == 0 {
            let lifo = space.lifo_queue::<[u64; 2]>("lifo", 7).unwrap();
            return lifo.iter().map(|[_, number]| number).sum();
        }
        let urgent = space.priority_queue::<u64, [u64; 2]>("urgent", 7).unwrap();
        let mut next = [0; 2];
        let mut sum = 0;
        for (priority, [producer, number]) in urgent.iter() {
            assert_eq!(priority, number);
            // A producer's numbers grow, and the smaller of two that are there comes first.
            let next = &mut next[producer as usize];
            assert!(number >= *next, "{number} of {producer} after {next}");
            *next = number + 1;
            sum += number;
        }
        sum
    }
    let space = crew.space();
    let lifo = space.lifo_queue::<[u64; 2]>("lifo", 7).unwrap();
    let urgent = space.priority_queue::<u64, [u64; 2]>("urgent", 7).unwrap();
    let consumers = crew.send_many(consume, [0, 0, 1, 1].into_iter());
    crew.send_many(produce, 0..2).into_iter().for_each(Member::finish);
    lifo.shutdown(Shutdown::Drain);
    urgent.shutdown(Shutdown::Drain);
    let sum: u64 = consumers.into_iter().map(|member| member.join()).sum();
    assert_eq!(sum, 4 * (0..ITEMS).sum::<u64>());
    assert!(lifo.is_empty() && urgent.is_empty());
}

pub(crate) fn they_are_bounded(crew: &Crew<'_>) {
    fn get(job: Job) -> u64 {
        std::thread::sleep(A_WHILE);
        job.space().lifo_queue::<u64>("lifo", 5).unwrap().get().unwrap()
    }
    let lifo = crew.space().lifo_queue::<u64>("lifo", 5).unwrap();
    assert_eq!(lifo.capacity(), 5);
    assert_eq!(lifo.try_get(), Err(TryGetError::Empty));
    assert!(matches!(lifo.get_timeout(A_WHILE), Err(TimedGetError::TimedOut(_))));
    for _ in 0..4 {
        for item in 0..5 {
            assert_eq!(lifo.len(), item as usize);
            lifo.try_put(item).unwrap();
        }
        assert!(lifo.is_full());
        assert!(matches!(lifo.try_put(9), Err(TryPutError::Full(9))));
        assert!(matches!(lifo.put_timeout(9, A_WHILE), Err(TimedPutError::TimedOut(9, _))));
        for item in (0..5).rev() {
            assert_eq!(lifo.get(), Ok(item));
        }
    }
    lifo.put_many(&[0, 1, 2, 3, 4]).unwrap();
    // A put waits for room that another makes.
    let member = crew.send(get, 0);
    lifo.put(5).unwrap();
    assert_eq!(member.join(), 4);
    assert_eq!(lifo.get_many(9), Ok(vec![5, 3, 2, 1, 0]));
}

/// Against the standard library's collections, with the same random puts and gets, one by one and many at once.
pub(crate) fn they_order_as_the_standard_library_does(crew: &Crew<'_>) {
    const CAPACITY: usize = 50;
    let space = crew.space();
    let lifo = space.lifo_queue::<u64>("lifo", CAPACITY as u32).unwrap();
    let urgent = space.priority_queue::<i64, u64>("urgent", CAPACITY as u32).unwrap();
    let floats = space.priority_queue::<f64, u64>("floats", CAPACITY as u32).unwrap();
    let mut random = Random::new(4711);
    let mut stack = Vec::new();
    let mut heap = BinaryHeap::new();
    for value in 0..20_000_u64 {
        // Few different ones, so that many are equal.
        let priority = random.below(9) as i64 - 4;
        let float = priority as f64 / 8.0;
        if random.below(100) < 50 {
            let many = 1 + random.below(8) as usize;
            let left = CAPACITY - stack.len();
            if many == 1 || left == 0 {
                assert_eq!(lifo.try_put(value).is_ok(), left > 0);
                assert_eq!(urgent.try_put((priority, value)).is_ok(), left > 0);
                assert_eq!(floats.try_put((float, value)).is_ok(), left > 0);
            } else {
                assert_eq!(lifo.try_put_many(&vec![value; many]), Ok(many.min(left)));
                assert_eq!(urgent.try_put_many(&vec![(priority, value); many]), Ok(many.min(left)));
                assert_eq!(floats.try_put_many(&vec![(float, value); many]), Ok(many.min(left)));
            }
            for _ in 0..many.min(left) {
                stack.push(value);
                heap.push(std::cmp::Reverse((priority, value)));
            }
        } else {
            let most = 1 + random.below(8) as usize;
            let expected: Vec<_> = (0..most).map_while(|_| stack.pop()).collect();
            let urgently: Vec<_> = (0..most).map_while(|_| heap.pop().map(|r| r.0)).collect();
            if most == 1 {
                assert_eq!(lifo.try_get().ok(), expected.first().copied());
                assert_eq!(urgent.try_get().ok(), urgently.first().copied());
                assert_eq!(floats.try_get().ok().map(|f| f.1), urgently.first().map(|u| u.1));
            } else {
                assert_eq!(lifo.try_get_many(most).unwrap_or_default(), expected);
                assert_eq!(urgent.try_get_many(most).unwrap_or_default(), urgently);
                let got = floats.try_get_many(most).unwrap_or_default();
                assert!(got.iter().map(|f| f.1).eq(urgently.iter().map(|u| u.1)));
            }
        }
        assert_eq!(
            (lifo.len(), urgent.len(), floats.len()),
            (stack.len(), stack.len(), stack.len())
        );
    }
}

pub(crate) fn messages_of_any_length(crew: &Crew<'_>) {
    fn message(number: u64) -> Vec<u8> {
        (0..number * 7 % 500).map(|i| (i * number) as u8).collect()
    }
    fn produce(job: Job) -> u64 {
        let space = job.space();
        let lifo = space.byte_lifo_queue("lifo", 9, 500).unwrap();
        let urgent = space.byte_priority_queue::<u64>("urgent", 9, 500).unwrap();
        for number in 0..job.argument {
            let mut stamped = number.to_le_bytes().to_vec();
            stamped.extend(message(number).iter().take(492));
            lifo.put(&stamped).unwrap();
            urgent.put((number, &message(number))).unwrap();
        }
        0
    }
    let space = crew.space();
    let lifo = space.byte_lifo_queue("lifo", 9, 500).unwrap();
    let urgent = space.byte_priority_queue::<u64>("urgent", 9, 500).unwrap();
    let member = crew.send(produce, 1000);
    let mut seen = BTreeMap::new();
    for number in 0..1000 {
        assert_eq!(urgent.get().unwrap(), (number, message(number)));
        let got = lifo.get().unwrap();
        let (stamp, rest) = got.split_at(8);
        let stamp = u64::from_le_bytes(stamp.try_into().unwrap());
        assert!(message(stamp).starts_with(rest));
        assert_eq!(seen.insert(stamp, ()), None, "{stamp} came twice");
    }
    member.join();
    let longest = vec![7; lifo.longest()];
    lifo.put(&longest).unwrap();
    assert_eq!(lifo.get().unwrap(), longest);
    let longer = vec![7; lifo.longest() + 1];
    assert!(matches!(lifo.put(&longer), Err(PutError::TooLarge(()))));
    assert!(matches!(urgent.try_put((1, &longer)), Err(TryPutError::TooLarge(()))));
    assert!(matches!(lifo.put_many(&[&[1], &longer[..]]), Err(PutError::TooLarge(1))));
    assert_eq!(lifo.len(), 1);
}

pub(crate) fn shutdown_is_seen_by_all(crew: &Crew<'_>) {
    fn get(job: Job) -> u64 {
        let queue = job.space().lifo_queue::<u64>("empty", 5).unwrap();
        u64::from(queue.get() == Err(GetError::ShutDown))
    }
    fn put(job: Job) -> u64 {
        let queue = job.space().priority_queue::<u64, u64>("full", 1).unwrap();
        u64::from(matches!(queue.put((1, 1)), Err(PutError::ShutDown((1, 1)))))
    }
    let space = crew.space();
    let empty = space.lifo_queue::<u64>("empty", 5).unwrap();
    let full = space.priority_queue::<u64, u64>("full", 1).unwrap();
    full.put((0, 0)).unwrap();
    let members = [crew.send(get, 0), crew.send(put, 0)];
    std::thread::sleep(A_WHILE);
    empty.shutdown(Shutdown::Drain);
    full.shutdown(Shutdown::Drain);
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
    assert_eq!(full.get(), Ok((0, 0)));
    assert_eq!(full.get(), Err(GetError::ShutDown));
    let now = space.lifo_queue::<u64>("now", 5).unwrap();
    now.put(1).unwrap();
    now.shutdown(Shutdown::Immediate);
    assert_eq!(now.get(), Err(GetError::ShutDown));
    assert!(matches!(now.put(9), Err(PutError::ShutDown(9))));
}

pub(crate) fn the_dead_do_not_take_them_along(crew: &Crew<'_>) {
    /// Sleeps for what the argument names, until it is killed there.
    fn sleep(job: Job) -> u64 {
        let space = job.space();
        space.latch("ready", 2).unwrap().count_down(1);
        if job.argument == 0 {
            let _ = space.lifo_queue::<u64>("empty", 1).unwrap().get();
        } else {
            let _ = space.priority_queue::<u64, u64>("full", 1).unwrap().put((1, 1));
        }
        die()
    }
    let space = crew.space();
    let empty = space.lifo_queue::<u64>("empty", 1).unwrap();
    let full = space.priority_queue::<u64, u64>("full", 1).unwrap();
    full.put((0, 0)).unwrap();
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
    assert_eq!(full.get(), Ok((0, 0)));
    full.put_timeout((2, 2), Duration::from_secs(30)).unwrap();
    assert_eq!(full.get(), Ok((2, 2)));
}

pub(crate) fn nonsense_is_an_error(crew: &Crew<'_>) {
    let space = crew.space();
    let lifo = space.byte_lifo_queue("lifo", 9, 40).unwrap();
    let urgent = space.byte_priority_queue::<i64>("urgent", 9, 40).unwrap();
    let open = |name| {
        let path = crew.directory().join("stage").join(name);
        std::fs::File::options().write(true).open(path).unwrap()
    };
    let files = [open("lifo"), open("urgent")];
    let length = files[0].metadata().unwrap().len();
    let mut random = Random::new(11);
    let mut errors = 0;
    for _ in 0..2000 {
        for file in &files {
            for _ in 0..1 + random.below(20) {
                // Anywhere behind the lock.
                let at = 1280 + 8 + random.below(length - 1280 - 16) / 4 * 4;
                let word = if random.below(2) == 0 { random.below(12) } else { random.draw() };
                file.write_all_at(&(word as u32).to_le_bytes(), at).unwrap();
            }
            // Open again, or that would be the end of it; and half of the time with an index that is believed.
            file.write_all_at(&[0; 4], 1280 + 16).unwrap();
            file.write_all_at(&[random.below(2) as u8, 0, 0, 0], 1280 + 4).unwrap();
        }
        let results = [
            matches!(lifo.try_put(&[7; 40]), Err(TryPutError::Corrupt(()))),
            matches!(lifo.try_get(), Err(TryGetError::Corrupt)),
            matches!(lifo.try_put_many(&[&[1][..]; 4]), Err(TryPutError::Corrupt(()))),
            matches!(lifo.try_get_many(4), Err(TryGetError::Corrupt)),
            matches!(urgent.try_put((-5, &[7; 40])), Err(TryPutError::Corrupt(()))),
            matches!(urgent.try_get(), Err(TryGetError::Corrupt)),
            matches!(urgent.try_get_many(9), Err(TryGetError::Corrupt)),
        ];
        assert!(lifo.try_get().map_or(0, |message| message.len()) <= 40);
        errors += results.iter().filter(|error| **error).count();
    }
    assert!(errors > 0, "there was something to complain about");
}
