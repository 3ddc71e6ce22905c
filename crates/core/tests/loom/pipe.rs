//! Models of the pipe's end: who has an end, and how the other one learns that nobody has it any more.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::bytes::{Bytes, Shape, UNIT};
use antiphon_core::comm::pipe::{End, Pipe, RawPipe};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::model::{Kernel, Model};
use antiphon_core::primitive::AtomicU64;
use antiphon_core::wait::Wait;
use loom::cell::UnsafeCell;
use loom::thread;

use crate::harness::{check, check_deaths_to, check_to};

const FOREVER: Patience = Patience::Until(None);
const BOOKS: usize = 3;

/// A pipe for three participants; one message of eight bytes fits each direction.
struct Two {
    raw: RawPipe,
    books: [[AtomicU64; 2]; BOOKS],
    /// Of what is sent to the first end and to the second.
    buffers: [UnsafeCell<Box<[u64]>>; 2],
    shape: Shape,
}

// SAFETY: the buffers are touched through the rings only; loom runs one thread at a time.
unsafe impl Sync for Two {}

impl Two {
    fn new() -> Arc<Self> {
        let shape = Shape::new(5, 16, 8).unwrap();
        let buffer = || UnsafeCell::new(vec![0; shape.storage() as usize / UNIT].into());
        let books = [(); BOOKS].map(|()| [AtomicU64::new(0), AtomicU64::new(0)]);
        let buffers = [buffer(), buffer()];
        Arc::new(Self { raw: RawPipe::new(), books, buffers, shape })
    }

    fn pipe(&self) -> Pipe<'_> {
        Pipe::new(&self.raw, &self.books)
    }

    fn ring(&self, to: End) -> Bytes<'_> {
        // SAFETY: only for the address.
        let start = self.buffers[to as usize].with(|buffer| unsafe { (**buffer).as_ptr() });
        let start = NonNull::new(start.cast_mut()).unwrap();
        // SAFETY: the buffer is as long as the shape says, and lives as long as `self`.
        unsafe { Bytes::new(self.raw.ring(to), start, self.shape) }
    }

    fn send<W: Wait>(&self, w: &W, from: End, message: &[u8]) -> Result<(), RingError> {
        self.pipe().send(w, from, self.ring(from.far()), FOREVER, message)
    }

    fn receive<W: Wait>(&self, w: &W, at: End, patience: Patience) -> Result<Vec<u8>, RingError> {
        self.pipe().receive(w, at, self.ring(at), patience, copied)
    }
}

fn copied(from: *const u8, len: usize) -> Vec<u8> {
    // SAFETY: the ring lends that many bytes.
    unsafe { std::slice::from_raw_parts(from, len).to_vec() }
}

fn party<T: 'static>(
    two: &Arc<Two>,
    w: Model<false>,
    life: impl FnOnce(&Two, &Model<false>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let two = two.clone();
    thread::spawn(move || life(&two, &w))
}

#[test]
fn the_end_comes_after_the_last_message() {
    check("pipe, last message and end", 1000, || {
        let kernel = Kernel::new();
        let two = Two::new();
        let w = kernel.participant(0);
        two.pipe().open(&w, End::First).unwrap();
        two.pipe().open(&w, End::Second).unwrap();
        let sender = party(&two, w.clone(), |two, w| {
            two.send(w, End::Second, b"last").unwrap();
            two.pipe().close(w, End::Second);
        });
        assert_eq!(two.receive(&w, End::First, FOREVER).unwrap(), b"last");
        assert_eq!(two.receive(&w, End::First, FOREVER), Err(RingError::ShutDown));
        assert_eq!(two.send(&w, End::First, b"?"), Err(RingError::ShutDown));
        sender.join().unwrap();
    });
}

#[test]
fn of_two_that_close_at_once_one_ends_it() {
    check_to(2, "pipe, two close at once", 1000, || {
        let kernel = Kernel::new();
        let two = Two::new();
        let closers: Vec<_> = (0..2)
            .map(|n| {
                let w = kernel.participant(n);
                two.pipe().open(&w, End::Second).unwrap();
                party(&two, w, |two, w| two.pipe().close(w, End::Second))
            })
            .collect();
        for closer in closers {
            closer.join().unwrap();
        }
        assert!(two.pipe().has_ended());
    });
}

#[test]
fn who_waits_is_woken_by_the_last_of_two() {
    check_to(2, "pipe, a sleeper and two that close", 1000, || {
        let kernel = Kernel::new();
        let two = Two::new();
        let closers: Vec<_> = (0..2)
            .map(|n| {
                let w = kernel.participant(n);
                two.pipe().open(&w, End::Second).unwrap();
                party(&two, w, |two, w| two.pipe().close(w, End::Second))
            })
            .collect();
        let w = kernel.participant(2);
        two.pipe().open(&w, End::First).unwrap();
        assert_eq!(two.receive(&w, End::First, FOREVER), Err(RingError::ShutDown));
        for closer in closers {
            closer.join().unwrap();
        }
    });
}

#[test]
fn an_end_that_travels_is_never_nobodys() {
    check_to(3, "pipe, an end travels", 100, || {
        let kernel = Kernel::new();
        let two = Two::new();
        // The receiver's book comes before the sender's, so that one who reads them in order may miss both.
        let (sender, receiver) = (kernel.participant(1), kernel.participant(0));
        two.pipe().open(&sender, End::Second).unwrap();
        let ticket = two.pipe().send_away(&sender, End::Second).unwrap();
        two.pipe().close(&sender, End::Second);
        assert!(!two.pipe().has_ended());
        let arriving = party(&two, receiver.clone(), move |two, w| {
            two.pipe().arrive(w, End::Second, ticket).unwrap();
        });
        let w = kernel.participant(2);
        two.pipe().open(&w, End::First).unwrap();
        assert_eq!(two.receive(&w, End::First, Patience::Try), Err(RingError::Empty));
        arriving.join().unwrap();
        assert!(!two.pipe().has_ended());
        // A second use of the same ticket is one more opening.
        two.pipe().arrive(&receiver, End::Second, ticket).unwrap();
        two.pipe().close(&receiver, End::Second);
        assert!(!two.pipe().has_ended());
        two.pipe().close(&receiver, End::Second);
        assert_eq!(two.receive(&w, End::First, Patience::Try), Err(RingError::ShutDown));
    });
}

#[test]
fn a_holders_death_at_any_step_ends_it() {
    check_deaths_to(1, "pipe, a sender dies", 1000, |step| {
        let kernel = Kernel::mortal();
        let two = Two::new();
        let w = kernel.participant(2);
        two.pipe().open(&w, End::First).unwrap();
        let victim = kernel.participant(0);
        two.pipe().open(&victim, End::Second).unwrap();
        let receiver = party(&two, w, |two, w| {
            let first = two.receive(w, End::First, FOREVER);
            if first.is_ok() {
                assert_eq!(two.receive(w, End::First, FOREVER), Err(RingError::ShutDown));
            }
            first
        });
        let lived = kernel.victim(victim.me(), step, || {
            two.send(&victim, End::Second, b"victim").unwrap();
            two.pipe().close(&victim, End::Second);
        });
        match receiver.join().unwrap() {
            Ok(message) => assert_eq!(message, b"victim"),
            Err(error) => assert!(lived.is_none() && error == RingError::ShutDown),
        }
        lived.is_none()
    });
}

#[test]
fn the_death_of_one_who_has_a_handle_on_its_way_ends_it() {
    check_deaths_to(2, "pipe, one dies while its handle travels", 500, |step| {
        let kernel = Kernel::mortal();
        let two = Two::new();
        let (w, victim) = (kernel.participant(2), kernel.participant(0));
        two.pipe().open(&w, End::First).unwrap();
        two.pipe().open(&victim, End::Second).unwrap();
        let sleeper = party(&two, w, |two, w| {
            two.send(w, End::First, b"12345678").and_then(|()| {
                // There is no room for a second one, and nobody will make any.
                two.send(w, End::First, b"12345678")
            })
        });
        let lived = kernel.victim(victim.me(), step, || {
            two.pipe().send_away(&victim, End::Second).unwrap();
            two.pipe().close(&victim, End::Second);
        });
        if lived.is_some() {
            kernel.declare_gone(victim.me());
        }
        assert_eq!(sleeper.join().unwrap(), Err(RingError::ShutDown));
        lived.is_none()
    });
}

#[test]
fn a_sleeping_sender_is_told() {
    check_to(2, "pipe, a sender sleeps for room", 500, || {
        let kernel = Kernel::new();
        let two = Two::new();
        let w = kernel.participant(0);
        two.pipe().open(&w, End::First).unwrap();
        two.pipe().open(&w, End::Second).unwrap();
        two.send(&w, End::First, b"12345678").unwrap();
        let closer = party(&two, w.clone(), |two, w| two.pipe().close(w, End::Second));
        assert_eq!(two.send(&w, End::First, b"12345678"), Err(RingError::ShutDown));
        closer.join().unwrap();
    });
}
