//! What the parties of one measurement share with the conductor: a gate, a stop flag, a place for their answers, and
//! raw memory for peers that live in shared memory.

use crate::clock::sleep_us;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The most parties in one measurement.
pub const PARTIES: usize = 80;
/// The most numbers that one party may answer.
pub const VALUES: usize = 510;
/// Bytes for the peers' own objects.
pub const AREA: usize = 1 << 20;

#[repr(C, align(128))]
struct Head {
    arrived: AtomicU32,
    go: AtomicU32,
    stop: AtomicU32,
    /// Free for the scene: one word per use.
    marks: [AtomicU64; PARTIES],
}

#[repr(C, align(128))]
struct Answer {
    /// Number of values plus one; 0 while the party has not answered.
    count: AtomicU64,
    values: [AtomicU64; VALUES],
}

#[repr(C)]
struct Layout {
    head: Head,
    answers: [Answer; PARTIES],
    area: [u64; AREA / 8],
}

/// One mapping, shared with every process forked after it was made.
pub struct Stage {
    at: *mut Layout,
}

// SAFETY: all access through `&Stage` is to atomics; `area` hands out a raw pointer whose use is the caller's affair.
unsafe impl Sync for Stage {}
// SAFETY: as above; the mapping belongs to the process, not to a thread.
unsafe impl Send for Stage {}

impl Stage {
    pub fn new() -> Self {
        // SAFETY: a fresh anonymous mapping, placed by the kernel, all zero, which is valid for `Layout`.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Layout>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert!(at != libc::MAP_FAILED, "no memory for the stage");
        Self { at: at.cast() }
    }

    fn head(&self) -> &Head {
        // SAFETY: mapped until drop, zero is a valid `Head`, and all its fields are atomics.
        unsafe { &(*self.at).head }
    }

    fn answer_of(&self, index: usize) -> &Answer {
        assert!(index < PARTIES);
        // SAFETY: in bounds, mapped until drop, all fields are atomics.
        unsafe { &*(&raw const (*self.at).answers).cast::<Answer>().add(index) }
    }

    /// Shared memory for the peers, zero at first, aligned to 128 bytes at least.
    pub fn area(&self) -> *mut u8 {
        // SAFETY: only computes an address inside the mapping.
        unsafe { (&raw mut (*self.at).area).cast() }
    }

    /// A word that the scene may use as it likes.
    pub fn mark(&self, index: usize) -> &AtomicU64 {
        &self.head().marks[index]
    }

    pub fn arrived(&self) -> usize {
        self.head().arrived.load(Acquire) as usize
    }

    pub fn go(&self) {
        self.head().go.store(1, Release);
    }

    pub fn stop(&self) {
        self.head().stop.store(1, Relaxed);
    }

    /// The answer of one party, once it has one.
    pub fn answer(&self, index: usize) -> Option<Vec<f64>> {
        let answer = self.answer_of(index);
        let count = answer.count.load(Acquire).checked_sub(1)?;
        let values = &answer.values[..(count as usize).min(VALUES)];
        Some(values.iter().map(|v| f64::from_bits(v.load(Relaxed))).collect())
    }

    fn put_answer(&self, index: usize, values: &[f64]) {
        let answer = self.answer_of(index);
        for (slot, value) in answer.values.iter().zip(values) {
            slot.store(value.to_bits(), Relaxed);
        }
        answer.count.store(values.len().min(VALUES) as u64 + 1, Release);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; nobody in this process borrows it any more.
        unsafe { libc::munmap(self.at.cast(), size_of::<Layout>()) };
    }
}

/// One thread or process of a measurement, as it sees itself.
pub struct Party<'a> {
    pub stage: &'a Stage,
    pub index: usize,
    /// How many take part.
    pub of: usize,
}

impl Party<'_> {
    /// Waits until every party is ready and the conductor opens the gate.
    pub fn start(&self) {
        let head = self.stage.head();
        head.arrived.fetch_add(1, Release);
        let mut turns = 0_u64;
        while head.go.load(Acquire) == 0 {
            turns += 1;
            if self.of > 4 || turns > 100_000 {
                sleep_us(200);
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// Whether the conductor has closed the measurement.
    #[inline]
    pub fn stopped(&self) -> bool {
        self.stage.head().stop.load(Relaxed) != 0
    }

    pub fn finish(&self, values: &[f64]) {
        self.stage.put_answer(self.index, values);
    }
}
