//! The bare futex round trip: one word a direction, a store and a wake, a wait and a load. Holds one message and never spins.

use super::futex;
use crate::comm::link::Link;
use crate::stage::Stage;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub struct FutexLink;

/// The word and the message, in shared memory that stays mapped in both processes.
#[derive(Clone, Copy)]
pub struct End(*mut u8);

impl End {
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the start of a stage's area, which lives as long as the wires, used as this word only.
        unsafe { &*self.0.cast() }
    }

    /// Where the eight bytes of the message stand.
    fn message(&self) -> *mut [u8; 8] {
        self.0.wrapping_add(64).cast()
    }
}

impl Link for FutexLink {
    const NAME: &'static str = "raw futex";
    type Wires = Stage;
    type Tx = End;
    type Rx = End;

    fn wires(_: usize) -> Stage {
        Stage::new()
    }

    fn tx(wires: &Stage) -> End {
        End(wires.area())
    }

    fn rx(wires: &Stage) -> End {
        End(wires.area())
    }

    fn send(tx: &mut End, bytes: &[u8]) {
        // SAFETY: inside the area; the other end reads it only after the store below.
        unsafe { *tx.message() = bytes.try_into().expect("eight bytes") };
        tx.word().store(1, Release);
        futex::wake(tx.word(), 1);
    }

    fn recv(rx: &mut End, show: impl FnOnce(&[u8])) {
        while rx.word().load(Acquire) == 0 {
            futex::wait(rx.word(), 0);
        }
        // SAFETY: inside the area; the sender wrote it before its store, and waits for our answer.
        show(unsafe { &*rx.message() });
        rx.word().store(0, Relaxed);
    }
}
