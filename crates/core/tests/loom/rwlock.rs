//! Models of the readers-writer lock.

use std::sync::Arc;

use antiphon_core::model::{Kernel, Model};
use antiphon_core::primitive::{AtomicU32, AtomicU64, Ordering::Relaxed};
use antiphon_core::sync::mutex::{Claim, INCONSISTENT};
use antiphon_core::sync::rwlock::RawRwLock;
use antiphon_core::wait::{Deadline, Wait, WaitError};
use loom::thread::{self, JoinHandle};

use crate::harness::{Watched, check, check_deaths, check_deaths_to, check_to};

struct Guarded {
    lock: RawRwLock,
    readers: Vec<AtomicU64>,
    value: Watched,
    /// Something to touch between two halves of a change, which is a point of death.
    middle: AtomicU32,
}

impl Guarded {
    fn new(words: usize) -> Arc<Self> {
        Arc::new(Self {
            lock: RawRwLock::new(),
            readers: (0..words).map(|_| AtomicU64::new(0)).collect(),
            value: Watched::new(0),
            middle: AtomicU32::new(0),
        })
    }

    /// Adds two, one by one: the value is odd in the middle of a change.
    fn write<W: Wait>(&self, w: &W) -> Claim {
        let claim = self.lock.write(&self.readers, w, None).unwrap();
        if claim == Claim::Clean {
            assert_eq!(
                self.value.get() % 2,
                0,
                "a change that was cut short is passed off as clean"
            );
        }
        self.value.bump();
        self.middle.load(Relaxed);
        self.value.bump();
        self.lock.unlock_write(w, if claim == Claim::Clean { 0 } else { INCONSISTENT });
        claim
    }

    fn read<W: Wait>(&self, w: &W) -> Claim {
        let claim = self.lock.read(&self.readers, w, None).unwrap();
        let value = self.value.get();
        if claim == Claim::Clean {
            assert_eq!(value % 2, 0, "a change that was cut short is passed off as clean");
        }
        self.lock.unlock_read(&self.readers, w);
        claim
    }
}

fn spawn<W: Wait + 'static>(
    guarded: &Arc<Guarded>,
    w: W,
    act: fn(&Guarded, &W) -> Claim,
) -> JoinHandle<Claim> {
    let guarded = guarded.clone();
    thread::spawn(move || act(&guarded, &w))
}

#[test]
fn a_writer_excludes_a_reader() {
    check_to(3, "rwlock, a writer and a reader", 2500, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let reader = spawn(&guarded, kernel.thread(2), Guarded::read);
        let _ = guarded.write(&kernel.thread(1));
        let _ = reader.join().unwrap();
        assert_eq!(guarded.value.get(), 2);
    });
}

#[test]
fn a_writer_excludes_readers_of_two_participants() {
    check("rwlock, a writer and two participants that read", 10_000, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(3);
        let first = spawn(&guarded, kernel.participant(1), Guarded::read);
        let second = spawn(&guarded, kernel.participant(2), Guarded::read);
        let _ = guarded.write(&kernel.participant(0));
        let _ = first.join().unwrap();
        let _ = second.join().unwrap();
        assert_eq!(guarded.lock.readers(&guarded.readers), 0);
    });
}

#[test]
fn a_writer_excludes_threads_that_read() {
    check("rwlock, a writer and two threads that read", 15_000, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let first = spawn(&guarded, kernel.thread(1), Guarded::read);
        let second = spawn(&guarded, kernel.thread(2), Guarded::read);
        let _ = guarded.write(&kernel.thread(3));
        let _ = first.join().unwrap();
        let _ = second.join().unwrap();
    });
}

#[test]
fn writers_exclude_each_other_and_a_reader() {
    check("rwlock, two writers and a reader", 20_000, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let writer = spawn(&guarded, kernel.thread(1), Guarded::write);
        let reader = spawn(&guarded, kernel.thread(2), Guarded::read);
        let _ = guarded.write(&kernel.thread(3));
        let _ = writer.join().unwrap();
        let _ = reader.join().unwrap();
        assert_eq!(guarded.value.get(), 4);
    });
}

#[test]
fn what_is_tried_never_enters_a_held_lock() {
    check("rwlock, try_read and try_write", 1200, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let writer = spawn(&guarded, kernel.thread(1), |guarded: &Guarded, w: &Model<true>| {
            if guarded.lock.try_write(&guarded.readers, w).is_some() {
                guarded.value.bump();
                guarded.value.bump();
                guarded.lock.unlock_write(w, 0);
            }
            Claim::Clean
        });
        let reader = spawn(&guarded, kernel.thread(2), |guarded: &Guarded, w: &Model<true>| {
            if guarded.lock.try_read(&guarded.readers, w).is_some() {
                assert_eq!(guarded.value.get() % 2, 0);
                guarded.lock.unlock_read(&guarded.readers, w);
            }
            Claim::Clean
        });
        let _ = guarded.write(&kernel.thread(3));
        let _ = writer.join().unwrap();
        let _ = reader.join().unwrap();
        assert!(guarded.lock.try_write(&guarded.readers, &kernel.thread(3)).is_some());
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_others_go_on() {
    check("rwlock, a hasty writer", 6000, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let hasty = spawn(&guarded, kernel.thread(1), |guarded: &Guarded, w: &Model<true>| {
            match guarded.lock.write(&guarded.readers, w, Some(Deadline(0))) {
                Ok(claim) => guarded.lock.unlock_write(w, u32::from(claim != Claim::Clean)),
                Err(error) => assert_eq!(error, WaitError::TimedOut),
            }
            Claim::Clean
        });
        let reader = spawn(&guarded, kernel.thread(2), Guarded::read);
        let _ = guarded.read(&kernel.thread(3));
        let _ = hasty.join().unwrap();
        let _ = reader.join().unwrap();
        assert!(guarded.lock.try_write(&guarded.readers, &kernel.thread(3)).is_some());
    });
}

#[test]
fn a_downgrade_lets_no_writer_in() {
    check("rwlock, downgrade", 80, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let writer = spawn(&guarded, kernel.thread(1), Guarded::write);
        let w = kernel.thread(2);
        let _ = guarded.lock.write(&guarded.readers, &w, None).unwrap();
        let before = guarded.value.get();
        guarded.lock.downgrade(&guarded.readers, &w, 0);
        assert_eq!(guarded.value.get(), before);
        guarded.lock.unlock_read(&guarded.readers, &w);
        let _ = writer.join().unwrap();
    });
}

#[test]
fn relocking_is_an_error_for_the_thread_that_writes() {
    check("rwlock, relock", 1, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let (lock, readers) = (&guarded.lock, &guarded.readers);
        let w = kernel.thread(1);
        assert_eq!(lock.write(readers, &w, None), Ok(Claim::Clean));
        assert_eq!(lock.read(readers, &w, None), Err(WaitError::WouldDeadlock));
        assert_eq!(lock.write(readers, &w, None), Err(WaitError::WouldDeadlock));
        assert_eq!(lock.try_read(readers, &w), None);
        assert_eq!(lock.readers(readers), 0);
        lock.unlock_write(&w, INCONSISTENT);
        assert_eq!(lock.read(readers, &w, None), Ok(Claim::Inherited(None)));
        assert_eq!(lock.try_write(readers, &w), None);
        assert_eq!(lock.write(readers, &w, Some(Deadline(0))), Err(WaitError::TimedOut));
        lock.unlock_read(readers, &w);
        assert_eq!(lock.write(readers, &w, None), Ok(Claim::Inherited(None)));
        lock.mark_consistent();
        lock.unlock_write(&w, 0);
        assert_eq!(lock.read(readers, &w, None), Ok(Claim::Clean));
    });
}

#[test]
fn a_participant_takes_over_the_word_of_the_one_before() {
    check("rwlock, the next generation", 1, || {
        let kernel = Kernel::mortal();
        let guarded = Guarded::new(2);
        let (lock, readers) = (&guarded.lock, &guarded.readers);
        let (old, new) = (kernel.participant_of(1, 1), kernel.participant_of(1, 2));
        for _ in 0..2 {
            assert_eq!(lock.read(readers, &old, None), Ok(Claim::Clean));
        }
        kernel.declare_gone(old.me());
        for _ in 0..2 {
            assert_eq!(lock.read(readers, &new, None), Ok(Claim::Clean));
        }
        assert_eq!(lock.readers(readers), 2);
        lock.unlock_read(readers, &new);
        let writer = kernel.participant(0);
        assert_eq!(lock.try_write(readers, &writer), None);
        lock.unlock_read(readers, &new);
        assert_eq!(lock.try_write(readers, &writer), Some(Claim::Clean));
    });
}

#[test]
fn a_count_that_is_lost_keeps_writers_out_until_its_participant_is_gone() {
    check("rwlock, a damaged count", 1, || {
        let kernel = Kernel::mortal();
        let guarded = Guarded::new(2);
        let (lock, readers) = (&guarded.lock, &guarded.readers);
        let (reader, writer) = (kernel.participant(1), kernel.participant(0));
        for count in [1 << 31, u32::MAX] {
            readers[1].store(u64::from(reader.me().get()) << 32 | u64::from(count), Relaxed);
            assert_eq!(lock.try_read(readers, &reader), Some(Claim::Clean));
            lock.unlock_read(readers, &reader);
            assert_eq!(lock.write(readers, &writer, Some(Deadline(0))), Err(WaitError::TimedOut));
        }
        kernel.declare_gone(reader.me());
        assert_eq!(lock.try_write(readers, &writer), Some(Claim::Clean));
    });
}

/// A writer that is killed while it waits for readers has changed nothing, and nobody suspects it.
#[test]
fn a_dead_waiter_raises_no_suspicion() {
    check("rwlock, death of a writer that waits", 1, || {
        let mut suspected = 0;
        for step in 0..20 {
            let kernel = Kernel::mortal();
            let guarded = Guarded::new(3);
            let (lock, readers) = (&guarded.lock, &guarded.readers);
            let (reader, victim, heir) =
                (kernel.participant(1), kernel.participant(0), kernel.participant(2));
            assert_eq!(lock.read(readers, &reader, None), Ok(Claim::Clean));
            let lived = kernel
                .victim(victim.me(), step, || lock.write(readers, &victim, Some(Deadline(0))));
            assert!(lived.is_none_or(|outcome| outcome == Err(WaitError::TimedOut)));
            let claim = match step % 2 {
                0 => lock.read(readers, &heir, None).unwrap(),
                _ => {
                    lock.unlock_read(readers, &reader);
                    lock.write(readers, &heir, None).unwrap()
                }
            };
            suspected += usize::from(claim != Claim::Clean);
        }
        // Between the writer's taking its word and its announcing that it drains.
        assert!(suspected <= 4, "{suspected}");
    });
}

/// The victim does `act` and dies at `step`; the others read and write as they are told, and go on.
fn survives(
    step: u32,
    act: fn(&Guarded, &Model<false>) -> Claim,
    others: &[fn(&Guarded, &Model<false>) -> Claim],
) -> bool {
    let kernel = Kernel::mortal();
    let guarded = Guarded::new(3);
    let bystanders: Vec<_> =
        (1..).zip(others).map(|(n, act)| spawn(&guarded, kernel.participant(n), *act)).collect();
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || act(&guarded, &w));
    let mut inherited = false;
    for bystander in bystanders {
        inherited |= bystander.join().unwrap() != Claim::Clean;
    }
    assert!(lived.is_none() || !inherited);
    let last = kernel.participant(2);
    let claim = guarded.lock.try_write(&guarded.readers, &last);
    assert!(claim.is_some(), "nobody holds it");
    if claim == Some(Claim::Clean) {
        assert_eq!(guarded.value.get() % 2, 0);
    }
    lived.is_none()
}

#[test]
fn a_writer_survives_the_death_of_a_reader() {
    check_deaths("rwlock, death of a reader beside a writer", 7000, |step| {
        survives(step, Guarded::read, &[Guarded::write])
    });
}

#[test]
fn a_reader_survives_the_death_of_a_writer() {
    check_deaths("rwlock, death of a writer beside a reader", 3500, |step| {
        survives(step, Guarded::write, &[Guarded::read])
    });
}

#[test]
fn a_writer_survives_the_death_of_a_writer() {
    check_deaths("rwlock, death of a writer beside a writer", 400, |step| {
        survives(step, Guarded::write, &[Guarded::write])
    });
}

#[test]
fn two_survive_the_death_of_a_writer() {
    check_deaths_to(1, "rwlock, death of a writer beside both", 1800, |step| {
        survives(step, Guarded::write, &[Guarded::read, Guarded::write])
    });
}

#[test]
fn two_survive_the_death_of_a_reader() {
    check_deaths_to(1, "rwlock, death of a reader beside both", 3000, |step| {
        survives(step, Guarded::read, &[Guarded::read, Guarded::write])
    });
}

/// Reads, and then writes what it read plus two, if it may.
fn upgrade<W: Wait>(guarded: &Guarded, w: &W) -> Claim {
    let claim = guarded.lock.read(&guarded.readers, w, None).unwrap();
    let before = guarded.value.get();
    match guarded.lock.upgrade(&guarded.readers, w, None) {
        Ok(_) => {
            assert_eq!(guarded.value.get(), before, "somebody wrote in between");
            guarded.value.bump();
            guarded.middle.load(Relaxed);
            guarded.value.bump();
            guarded.lock.unlock_write(w, 0);
        }
        Err(error) => {
            assert_eq!(error, WaitError::WouldDeadlock);
            assert_eq!(guarded.value.get(), before, "it does not read any more");
            guarded.lock.unlock_read(&guarded.readers, w);
        }
    }
    claim
}

#[test]
fn of_two_that_upgrade_one_writes() {
    check("rwlock, two upgrades", 500, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let other = spawn(&guarded, kernel.thread(2), upgrade);
        let _ = upgrade(&guarded, &kernel.thread(1));
        let _ = other.join().unwrap();
        let value = guarded.value.get();
        assert!(value == 2 || value == 4, "{value}");
    });
}

#[test]
fn an_upgrade_waits_for_the_other_readers() {
    check("rwlock, an upgrade and a reader", 400, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let other = spawn(&guarded, kernel.thread(2), Guarded::read);
        let _ = upgrade(&guarded, &kernel.thread(1));
        let _ = other.join().unwrap();
        assert_eq!(guarded.value.get(), 2);
    });
}

#[test]
fn an_upgrade_and_a_writer() {
    check("rwlock, an upgrade and a writer", 500, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(1);
        let other = spawn(&guarded, kernel.thread(2), Guarded::write);
        let _ = upgrade(&guarded, &kernel.thread(1));
        let _ = other.join().unwrap();
        assert!(guarded.value.get() >= 2);
    });
}

#[test]
fn an_upgrade_in_vain_goes_on_reading() {
    check("rwlock, upgrades in vain", 1, || {
        let kernel = Kernel::new();
        let guarded = Guarded::new(2);
        let (a, b) = (kernel.participant(0), kernel.participant(1));
        let (lock, readers) = (&guarded.lock, &guarded.readers);
        let _ = (lock.try_read(readers, &a).unwrap(), lock.try_read(readers, &b).unwrap());
        assert_eq!(lock.try_upgrade(readers, &a), Err(WaitError::TimedOut));
        assert_eq!(lock.upgrade(readers, &a, Some(Deadline(0))), Err(WaitError::TimedOut));
        assert_eq!(lock.readers(readers), 2);
        assert!(lock.writer().is_none());
        lock.unlock_read(readers, &b);
        assert_eq!(lock.try_upgrade(readers, &a), Ok(Claim::Clean));
        assert!(lock.try_read(readers, &b).is_none());
        lock.unlock_write(&a, 0);
        assert_eq!(lock.readers(readers), 0);
    });
}

#[test]
fn a_dead_upgrader_stops_nobody() {
    check_deaths("rwlock, death of an upgrader", 500, |step| {
        let kernel = Kernel::mortal();
        let guarded = Guarded::new(2);
        let reader = spawn(&guarded, kernel.participant(1), Guarded::read);
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || upgrade(&guarded, &w));
        let _ = reader.join().unwrap();
        let _ = guarded.write(&kernel.participant(1));
        lived.is_none()
    });
}
