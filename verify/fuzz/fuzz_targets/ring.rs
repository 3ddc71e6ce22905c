//! A ring whose words and storage change under its operations: nothing out of bounds is touched, nothing panics, all ends.
//!
//! The words and the storage lie beside pages that nobody may touch, flush with their front or with their end; what is left of
//! the last page holds a pattern that must stay. The first two bytes of the input choose the ring, its shape and its place. Of
//! the rest the first half is operations, two bytes each, and the second half is scribbles, ten bytes each: by turns
//! made between two operations, and again and again by another thread while the operations run.
#![no_main]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use antiphon_core::comm::{Patience, RawRing, RingError, Shutdown, bytes, slots};
use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};
use libfuzzer_sys::fuzz_target;

const PAGE: usize = 4096;
const PATTERN: u8 = 0xA5;
/// The other thread goes over its scribbles so many times at most: operations must end once it has.
const ROUNDS: usize = 300;
/// So many sleeps in one operation, and it is called back: what names somebody alive as the owner of a lock is waited for, rightly.
const SLEEPS: u32 = 30;

/// Memory between two pages that nobody may touch.
struct Fenced {
    start: *mut u8,
    /// What is used of it.
    at: usize,
    len: usize,
    /// What there is.
    room: usize,
}

impl Fenced {
    fn new(len: usize, at_end: bool) -> Self {
        let room = len.next_multiple_of(PAGE);
        // SAFETY: a new mapping, and its inner part opened; both are checked.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let all =
                libc::mmap(std::ptr::null_mut(), room + 2 * PAGE, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(all, libc::MAP_FAILED);
            let start = all.cast::<u8>().add(PAGE);
            assert_eq!(libc::mprotect(start.cast(), room, libc::PROT_READ | libc::PROT_WRITE), 0);
            start
        };
        let at = if at_end { room - len } else { 0 };
        let fenced = Self { start, at, len, room };
        for i in fenced.slack() {
            // SAFETY: inside the opened part.
            unsafe { start.add(i).write(PATTERN) };
        }
        fenced
    }

    /// Where nothing is used.
    fn slack(&self) -> impl Iterator<Item = usize> {
        (0..self.at).chain(self.at + self.len..self.room)
    }

    fn is_intact(&self) -> bool {
        // SAFETY: inside the opened part, at which nobody else looks.
        self.slack().all(|i| unsafe { self.start.add(i).read() } == PATTERN)
    }

    /// The eight bytes at about `at`.
    fn word(&self, at: usize) -> &AtomicU64 {
        let word = at % (self.len / 8);
        // SAFETY: inside what is used, aligned since both ends of it are, and zero at first.
        unsafe { &*self.start.add(self.at + 8 * word).cast::<AtomicU64>() }
    }

    fn base<T>(&self) -> NonNull<T> {
        // SAFETY: inside the mapping.
        NonNull::new(unsafe { self.start.add(self.at) }).expect("not null").cast()
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: all of what `new` mapped.
        unsafe { libc::munmap(self.start.sub(PAGE).cast(), self.room + 2 * PAGE) };
    }
}

/// A party in a crowd of strangers: every other one is gone.
struct Stranger {
    sleeps: Cell<u32>,
}

impl Wait for Stranger {
    const OWNER_IS_THREAD: bool = false;

    fn me(&self) -> Owner {
        Owner::new(5).expect("not zero")
    }

    fn is_gone(&self, owner: Owner) -> bool {
        owner.get() % 2 == 0
    }

    fn epoch(&self) -> u32 {
        0
    }

    fn wait(&self, _: &Word, _: u32, _: u32, _: Option<Deadline>) -> Wake {
        self.sleeps.set(self.sleeps.get() + 1);
        if self.sleeps.get() > SLEEPS { Wake::Interrupted } else { Wake::Woken }
    }

    fn wake(&self, _: *const Word, _: u32) {}

    fn spin(&self, turn: u32) -> bool {
        turn < 4
    }
}

/// One change of the words or the storage.
#[derive(Clone, Copy)]
struct Scribble {
    place: usize,
    value: u64,
}

impl Scribble {
    fn read(bytes: &[u8]) -> Self {
        let value = u64::from_le_bytes(bytes[2..10].try_into().expect("ten bytes"));
        Self { place: usize::from(bytes[0]) | usize::from(bytes[1]) << 8, value }
    }

    fn make(self, words: &Fenced, storage: &Fenced) {
        let memory = if self.place & 1 == 0 { words } else { storage };
        let word = memory.word(self.place >> 3);
        let near = self.value as u8 as i8 as u64;
        // What is near to the truth goes further than noise.
        match self.place >> 1 & 3 {
            0 => word.store(self.value, Relaxed),
            1 => _ = word.fetch_add(near, Relaxed),
            2 => _ = word.fetch_add(near << 32, Relaxed),
            _ => word.store(words.word(self.value as usize).load(Relaxed), Relaxed),
        }
    }
}

/// A ring of either kind.
enum Ring<'a> {
    Slots(slots::Slots<'a, [u64; 3]>, u32),
    Bytes(bytes::Bytes<'a>, bytes::Shape),
}

impl Ring<'_> {
    fn operate(&self, operation: u8, argument: u8) {
        let w = Stranger { sleeps: Cell::new(0) };
        let n = usize::from(argument);
        let patience = match operation >> 4 & 3 {
            0 => Patience::Until(None),
            1 => Patience::Until(Some(Deadline(0))),
            _ => Patience::Try,
        };
        let outcome = match self {
            Self::Slots(ring, bound) => match operation % 5 {
                // SAFETY: the ring lends that many cells.
                0 => ring.push(&w, patience, |cell| unsafe { cell.write([7; 3]) }),
                1 => ring
                    .push_many(&w, patience, n as u32, |cells, _, n| {
                        assert!(n <= *bound as usize);
                        // SAFETY: as above.
                        (0..n).for_each(|i| unsafe { cells.add(i).write([8; 3]) });
                    })
                    .map(drop),
                // SAFETY: as above.
                2 => ring.pop(&w, patience, |cell| unsafe { cell.read_volatile() }).map(drop),
                3 => ring
                    .pop_many(&w, patience, n as u32, |cells, _, n| {
                        assert!(n <= *bound as usize);
                        // SAFETY: as above.
                        (0..n).for_each(|i| _ = unsafe { cells.add(i).read_volatile() });
                    })
                    .map(drop),
                _ => self.end_or_count(ring.ring(), argument, &w),
            },
            Self::Bytes(ring, shape) => match operation % 5 {
                // SAFETY: the ring lends that many bytes.
                0 => ring.push(&w, patience, n * 5, |to| unsafe { to.write_bytes(9, n * 5) }),
                1 => {
                    let messages = [vec![1; n], vec![], vec![2; n * 7], vec![3; n / 3]];
                    ring.push_many(&w, patience, &messages).map(drop)
                }
                2 => ring.pop(&w, patience, |from, len| {
                    assert!(len <= shape.longest() as usize);
                    sum(from, len);
                }),
                3 => ring
                    .pop_many(&w, patience, n, |from, len| {
                        assert!(len <= shape.longest() as usize);
                        sum(from, len);
                    })
                    .map(drop),
                _ => self.end_or_count(ring.ring(), argument, &w),
            },
        };
        // Any answer will do, but it must be one.
        let _ = outcome;
    }

    fn end_or_count(&self, ring: &RawRing, argument: u8, w: &Stranger) -> Result<(), RingError> {
        match argument % 16 {
            0 => ring.shut_down(w, Shutdown::Drain),
            1 => ring.shut_down(w, Shutdown::Immediate),
            _ => {
                ring.len();
                ring.is_shut_down();
                Ok(())
            }
        }
    }
}

/// Reads all of a message.
fn sum(from: *const u8, len: usize) -> u64 {
    // SAFETY: the ring lends that many bytes.
    (0..len).map(|i| u64::from(unsafe { from.add(i).read_volatile() })).sum()
}

fuzz_target!(|data: &[u8]| {
    let [kind, size, rest @ ..] = data else { return };
    let (operations, scribbles) = rest.split_at(rest.len() / 2);
    let scribbles: Vec<_> = scribbles.chunks_exact(10).map(Scribble::read).collect();
    let size = u32::from(*size);
    let cells = slots::Shape::new(size + 1).expect("small");
    let records = bytes::Shape::new(size + 1, 64 + 24 * u64::from(size), 8 + 11 * u64::from(size));
    let records = records.expect("small");
    let is_slots = kind & 1 == 0;
    let length = if is_slots { cells.cells() as usize * 24 } else { records.storage() as usize };
    let words = Fenced::new(size_of::<RawRing>(), kind & 2 != 0);
    let storage = Fenced::new(length, kind & 4 != 0);
    // SAFETY: large enough, aligned at either place, zero, and made of atomics.
    let raw = unsafe { words.base::<RawRing>().as_ref() };
    // SAFETY: the storage is as long as the shape says; any bytes are three numbers.
    let ring = unsafe {
        match is_slots {
            true => Ring::Slots(slots::Slots::new(raw, storage.base(), cells), cells.capacity()),
            false => Ring::Bytes(bytes::Bytes::new(raw, storage.base(), records), records),
        }
    };
    let done = AtomicBool::new(false);
    let (words, storage, done) = (Shared(&words), Shared(&storage), &done);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            for _ in 0..if scribbles.is_empty() { 0 } else { ROUNDS } {
                if done.load(Relaxed) {
                    return;
                }
                scribbles.iter().step_by(2).for_each(|s| s.make(words.get(), storage.get()));
            }
        });
        let mut between = scribbles.iter().skip(1).step_by(2);
        for operation in operations.chunks_exact(2) {
            ring.operate(operation[0], operation[1]);
            if let Some(scribble) = between.next() {
                scribble.make(words.get(), storage.get());
            }
        }
        done.store(true, Relaxed);
        // Joined, so that its last memory is free when leaks are looked for.
        other.join().expect("it only scribbles");
    });
    assert!(words.get().is_intact() && storage.get().is_intact(), "written out of bounds");
});

/// What the other thread may reach: it only touches atomics there.
#[derive(Clone, Copy)]
struct Shared<'a>(&'a Fenced);

// SAFETY: `word` is all that is called on it while there are two threads.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn get(self) -> &'a Fenced {
        self.0
    }
}
