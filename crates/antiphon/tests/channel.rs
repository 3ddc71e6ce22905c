//! Channels between threads: order, ends that go, and nothing lost on the way.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::comm::channel::{self, Receiver, Sender};
use antiphon::error::{RecvError, TimedSendError, TryRecvError, TrySendError};

type Make = fn() -> (Sender<u64>, Receiver<u64>);
const MAKES: [Make; 4] =
    [|| channel::bounded(1), || channel::bounded(16), channel::rendezvous, channel::unbounded];

#[test]
fn everything_arrives_once_and_in_each_senders_order() {
    for make in MAKES {
        let (sender, receiver) = make();
        let per_sender = 5_000;
        let got: Vec<Vec<u64>> = thread::scope(|s| {
            for n in 0..3 {
                let sender = sender.clone();
                s.spawn(move || (0..per_sender).for_each(|i| sender.send(n << 32 | i).unwrap()));
            }
            drop(sender);
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let receiver = receiver.clone();
                    s.spawn(move || receiver.iter().collect())
                })
                .collect();
            receivers.into_iter().map(|r| r.join().unwrap()).collect()
        });
        for items in &got {
            for n in 0..3 {
                let mine: Vec<_> = items.iter().filter(|item| **item >> 32 == n).collect();
                assert!(mine.is_sorted(), "out of order");
            }
        }
        let all: HashSet<_> = got.iter().flatten().collect();
        assert_eq!(all.len() as u64, 3 * per_sender);
        assert_eq!(got.iter().flatten().count() as u64, 3 * per_sender);
    }
}

#[test]
fn who_waits_is_told_that_the_other_side_is_gone() {
    for make in MAKES {
        let (sender, receiver) = make();
        thread::scope(|s| {
            s.spawn(|| assert_eq!(receiver.recv(), Err(RecvError::Disconnected)));
            thread::sleep(Duration::from_millis(5));
            drop(sender);
        });
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));

        let (sender, receiver) = make();
        if let Some(capacity) = sender.capacity() {
            (0..capacity).for_each(|i| sender.send(i as u64).unwrap());
            thread::scope(|s| {
                s.spawn(|| assert_eq!(sender.send(7).unwrap_err().into_inner(), 7));
                thread::sleep(Duration::from_millis(5));
                drop(receiver);
            });
        } else {
            drop(receiver);
        }
        assert_eq!(sender.try_send(8), Err(TrySendError::Disconnected(8)));
    }
}

#[test]
fn a_rendezvous_is_one() {
    let (sender, receiver) = channel::rendezvous();
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    let late = sender.send_deadline(2, Instant::now());
    assert!(matches!(late, Err(TimedSendError::TimedOut(2, _))));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "it was taken back");
    let received = AtomicUsize::new(0);
    thread::scope(|s| {
        s.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            received.store(1, SeqCst);
            assert_eq!(receiver.recv(), Ok(3));
        });
        sender.send(3).unwrap();
        assert_eq!(received.load(SeqCst), 1, "nobody had it yet");
    });
}

#[test]
fn what_is_left_is_dropped_once() {
    for capacity in [None, Some(8)] {
        let item = Arc::new(());
        let (sender, receiver) = capacity.map_or_else(channel::unbounded, channel::bounded);
        for _ in 0..8 {
            sender.send(item.clone()).unwrap();
        }
        drop(receiver.recv());
        drop(receiver);
        assert!(sender.send(item.clone()).is_err());
        drop(sender);
        assert_eq!(Arc::strong_count(&item), 1);
    }
    let item = Arc::new(());
    let (mut sender, mut receiver) = channel::spsc(3);
    for _ in 0..10 {
        sender.send_many_from(&mut vec![item.clone(); 3]).unwrap();
        assert_eq!(receiver.recv_many(2).unwrap().len(), 2);
        drop(receiver.recv());
    }
    sender.send_many_from(&mut vec![item.clone(); 2]).unwrap();
    drop(receiver);
    assert!(sender.send(item.clone()).is_err());
    drop(sender);
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn one_to_one_everything_arrives_in_order() {
    for capacity in [1, 2, 100] {
        let (mut sender, mut receiver) = channel::spsc(capacity);
        thread::scope(|s| {
            s.spawn(move || {
                for first in (0..30_000_u64).step_by(3) {
                    match first % 2 {
                        0 => sender.send_many_from(&mut (first..first + 3).collect()).unwrap(),
                        _ => (first..first + 3).for_each(|n| sender.send(n).unwrap()),
                    }
                    if first % 1000 == 0 {
                        thread::sleep(Duration::from_micros(100));
                    }
                }
            });
            let mut next = 0;
            while let Ok(items) = receiver.recv_many(1 + next as usize % 5) {
                for item in items {
                    assert_eq!(item, next);
                    next += 1;
                }
                if next % 777 == 0 {
                    thread::sleep(Duration::from_micros(100));
                }
            }
            assert_eq!(next, 30_000);
        });
    }
}

#[test]
fn one_to_one_who_waits_is_told_that_the_other_is_gone() {
    let (sender, mut receiver) = channel::spsc::<u32>(1);
    thread::scope(|s| {
        s.spawn(move || assert_eq!(receiver.recv(), Err(RecvError::Disconnected)));
        thread::sleep(Duration::from_millis(5));
        drop(sender);
    });
    let (mut sender, receiver) = channel::spsc(1);
    sender.send(1).unwrap();
    thread::scope(|s| {
        s.spawn(move || assert_eq!(sender.send(2).unwrap_err().into_inner(), 2));
        thread::sleep(Duration::from_millis(5));
        drop(receiver);
    });
}
