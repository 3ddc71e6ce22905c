//! Models of the topic.

use std::sync::Arc;

use antiphon_core::comm::topic::{Policy, RawTopic, Reader, Seat, Shape, Topic};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::model::Kernel;
use antiphon_core::primitive::AtomicU64;
use antiphon_core::wait::{Deadline, Wait};
use loom::thread;

use crate::harness::{check, check_deaths, check_to};

const FOREVER: Patience = Patience::Until(None);

struct News {
    raw: RawTopic,
    seats: Vec<Seat>,
    cells: Vec<AtomicU64>,
    shape: Shape,
}

impl News {
    /// Messages of two words, which are torn if they differ.
    fn new(capacity: u32, seats: usize) -> Arc<Self> {
        let shape = Shape::new(capacity, 16).unwrap();
        Arc::new(Self {
            raw: RawTopic::new(),
            seats: (0..seats).map(|_| Seat::new()).collect(),
            cells: (0..shape.words()).map(|_| AtomicU64::new(0)).collect(),
            shape,
        })
    }

    fn view(&self) -> Topic<'_> {
        Topic::new(&self.raw, &self.seats, &self.cells, self.shape)
    }

    fn publish<W: Wait>(&self, w: &W, patience: Patience, value: u64) -> Result<(), RingError> {
        let mut message = [0; 16];
        message[..8].copy_from_slice(&value.to_ne_bytes());
        message[8..].copy_from_slice(&value.to_ne_bytes());
        self.view().publish(w, patience, &message)
    }

    fn subscribe<W: Wait>(&self, w: &W, policy: Policy, history: u64) -> Reader {
        self.view().subscribe(w, policy, history).unwrap().expect("a seat")
    }

    fn receive<W: Wait>(
        &self,
        reader: &mut Reader,
        w: &W,
        patience: Patience,
    ) -> Result<u64, RingError> {
        let [first, second] = self.view().receive(reader, w, patience, |message| {
            let mut bytes = [0; 16];
            message.copy_to(&mut bytes);
            [0, 8].map(|at| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()))
        })?;
        assert_eq!(first, second, "torn");
        Ok(first)
    }
}

/// A subscriber that blocks gets everything in order, though both sides have to sleep.
fn nothing_is_missed(capacity: u32, messages: u64) {
    let kernel = Kernel::new();
    let news = News::new(capacity, 1);
    let w = kernel.participant(0);
    let mut reader = news.subscribe(&w, Policy::Block, 0);
    let publisher = {
        let (news, w) = (news.clone(), kernel.participant(1));
        thread::spawn(move || {
            (1..=messages).for_each(|n| news.publish(&w, FOREVER, n).unwrap());
        })
    };
    for n in 1..=messages {
        assert_eq!(news.receive(&mut reader, &w, FOREVER), Ok(n));
    }
    assert_eq!(reader.missed(), 0);
    publisher.join().unwrap();
}

#[test]
fn who_blocks_misses_nothing() {
    check("topic, one cell", 300, || nothing_is_missed(1, 2));
}

#[test]
fn two_publishers_and_one_who_blocks() {
    check_to(1, "topic, two publishers", 150, || {
        let kernel = Kernel::new();
        let news = News::new(1, 1);
        let w = kernel.participant(0);
        let mut reader = news.subscribe(&w, Policy::Block, 0);
        let publishers = [1, 2].map(|n| {
            let (news, w) = (news.clone(), kernel.participant(n));
            thread::spawn(move || news.publish(&w, FOREVER, n.into()).unwrap())
        });
        let got = [(); 2].map(|()| news.receive(&mut reader, &w, FOREVER).unwrap());
        assert_eq!(got[0] + got[1], 3);
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    });
}

/// What one who may miss messages gets is whole and in order, and the rest is counted.
fn some_are_missed(policy: Policy, messages: u64) {
    let kernel = Kernel::new();
    let news = News::new(1, 1);
    let w = kernel.participant(0);
    let mut reader = news.subscribe(&w, policy, 0);
    let publisher = {
        let (news, w) = (news.clone(), kernel.participant(1));
        thread::spawn(move || {
            (1..=messages).for_each(|n| news.publish(&w, FOREVER, n).unwrap());
        })
    };
    let (mut last, mut got) = (0, 0);
    while last < messages {
        let next = news.receive(&mut reader, &w, FOREVER).unwrap();
        assert!(next > last);
        (last, got) = (next, got + 1);
        assert_eq!(got + reader.missed(), last);
    }
    publisher.join().unwrap();
}

#[test]
fn who_falls_behind_gets_whole_messages() {
    check("topic, the oldest are dropped", 300, || some_are_missed(Policy::DropOldest, 2));
}

#[test]
fn who_wants_the_latest_gets_it() {
    check("topic, latest only", 300, || some_are_missed(Policy::LatestOnly, 2));
}

#[test]
fn late_ones_get_what_is_left_and_limits_are_kept() {
    check("topic, alone", 1, || {
        let kernel = Kernel::new();
        let (news, w) = (News::new(2, 1), kernel.participant(0));
        (1..=3).for_each(|n| news.publish(&w, Patience::Try, n).unwrap());
        let mut reader = news.subscribe(&w, Policy::Block, 9);
        assert!(news.view().subscribe(&w, Policy::Block, 0).unwrap().is_none());
        assert_eq!(news.publish(&w, Patience::Try, 4), Err(RingError::Full));
        let soon = Patience::Until(Some(Deadline(0)));
        assert_eq!(news.publish(&w, soon, 4), Err(RingError::TimedOut));
        assert_eq!(news.receive(&mut reader, &w, soon), Ok(2));
        news.publish(&w, Patience::Try, 4).unwrap();
        assert_eq!(news.receive(&mut reader, &w, soon), Ok(3));
        assert_eq!(news.receive(&mut reader, &w, soon), Ok(4));
        assert_eq!(news.receive(&mut reader, &w, soon), Err(RingError::TimedOut));
        assert_eq!(news.receive(&mut reader, &w, Patience::Try), Err(RingError::Empty));
        assert_eq!(news.view().publish(&w, soon, &[0; 17]), Err(RingError::TooLarge));
        news.view().unsubscribe(&w, &reader);
        (5..=9).for_each(|n| news.publish(&w, Patience::Try, n).unwrap());
        assert_eq!(news.raw.published(), 9);
    });
}

#[test]
fn who_leaves_lets_the_publishers_go_on() {
    check("topic, a subscriber leaves", 30, || {
        let kernel = Kernel::new();
        let news = News::new(1, 1);
        let w = kernel.participant(0);
        let reader = news.subscribe(&w, Policy::Block, 0);
        let publisher = {
            let (news, w) = (news.clone(), kernel.participant(1));
            thread::spawn(move || (1..=2).for_each(|n| news.publish(&w, FOREVER, n).unwrap()))
        };
        news.view().unsubscribe(&w, &reader);
        publisher.join().unwrap();
    });
}

#[test]
fn a_dead_subscriber_blocks_nobody() {
    check_deaths("topic, death of a subscriber", 300, |step| {
        let kernel = Kernel::mortal();
        let news = News::new(1, 1);
        let publisher = {
            let (news, w) = (news.clone(), kernel.participant(1));
            thread::spawn(move || (1..=2).for_each(|n| news.publish(&w, FOREVER, n).unwrap()))
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || {
            let mut reader = news.subscribe(&w, Policy::Block, 0);
            let _ = news.receive(&mut reader, &w, Patience::Try);
            news.view().unsubscribe(&w, &reader);
        });
        publisher.join().unwrap();
        // Its seat is free.
        assert!(news.view().subscribe(&kernel.participant(2), Policy::Block, 0).unwrap().is_some());
        lived.is_none()
    });
}

#[test]
fn a_dead_publisher_publishes_nothing_half() {
    check_deaths("topic, death of a publisher", 300, |step| {
        let kernel = Kernel::mortal();
        let news = News::new(1, 1);
        let w = kernel.participant(1);
        let mut reader = news.subscribe(&w, Policy::DropOldest, 0);
        let subscriber = {
            let news = news.clone();
            thread::spawn(move || {
                let mut last = 0;
                while last < 7 {
                    let next = news.receive(&mut reader, &w, FOREVER).unwrap();
                    assert!(next > last, "{next} after {last}");
                    last = next;
                }
            })
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || news.publish(&w, FOREVER, 1).unwrap());
        news.publish(&kernel.participant(2), FOREVER, 7).unwrap();
        subscriber.join().unwrap();
        lived.is_none()
    });
}
