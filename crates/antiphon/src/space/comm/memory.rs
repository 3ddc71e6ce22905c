//! Bytes in a space, for whoever wants nothing else.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{
    AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};

use antiphon_place::{Error, Kind, Registration, Spec, message_layout};

use crate::error::MemoryError;
use crate::space::entry::{BEHIND, Entry, Line, param};
use crate::space::handle::{Openable, handle};
use crate::space::{Plain, Space};

/// Bytes in a space that all who open it see.
///
/// They stay for as long as anybody has them open, whoever else ends, and also once the name is [removed](Space::remove). The address is
/// the same for as long as this value lives, also when it grows; in another process it is another.
///
/// # Races
/// Nothing here locks. What is safe to call copies, word by word, or is atomic:
///
/// - [`atomic`](Self::atomic) and [`atomics`](Self::atomics) are the memory itself, as std's atomics;
/// - [`read`](Self::read), [`write`](Self::write), [`load`](Self::load) and [`store`](Self::store) copy. Words of 8 bytes that
///   are aligned so are whole; of what is longer, a copy made while others write may have some of the old and some of the new, and is
///   ordered with nothing. A [mutex](Space::mutex), a [semaphore](Space::semaphore) or an [event](Space::event) beside it puts that right;
/// - [`slice`](Self::slice) and [`slice_mut`](Self::slice_mut) are `unsafe`, since only the caller knows that nobody writes meanwhile.
///
/// A value or an array *with* its lock is a [`Mutex<T>`](super::super::Mutex) and an [`Array<T>`](super::Array).
pub struct Memory {
    entry: Entry,
    line: NonNull<Line<RawMemory>>,
    /// Who has it open, by participant: the owner id, and how often.
    open: NonNull<[AtomicU64]>,
    base: NonNull<u8>,
    most: usize,
}

/// Some bytes: those before the first aligned word, words, those behind the last one.
type Parts<'a> = (&'a [AtomicU8], &'a [AtomicU64], &'a [AtomicU8]);

/// The words of a memory before its bytes.
#[derive(Debug, Default)]
#[repr(C)]
pub(in crate::space) struct RawMemory {
    /// Bytes that may be touched: there is memory behind them. It only grows.
    len: AtomicU64,
}

impl RawMemory {
    pub(in crate::space) fn len(&self) -> u64 {
        self.len.load(Relaxed)
    }
}

// SAFETY: what is safe to call copies by atomics, or lends atomics, in memory that `entry` keeps.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Clone for Memory {
    /// Another way to the same bytes.
    fn clone(&self) -> Self {
        Self::attach(self.entry.clone())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.count(|times| times.saturating_sub(1));
    }
}

impl Space {
    /// Opens the memory `name`, creating it with `len` zeros if need be.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the name is another kind's or length's; [`Error::NoRoom`] with the sizes when the file system is too
    /// small; [`Error::BadName`], [`Error::Foreign`], [`Error::System`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let frame = space.memory("frame", 1 << 20)?;
    /// frame.write(8, b"pixels")?;
    /// frame.atomic::<AtomicU64>(0)?.fetch_add(1, Relaxed);
    ///
    /// let mut seen = [0; 6];
    /// frame.read(8, &mut seen)?;
    /// assert_eq!(&seen, b"pixels");
    /// assert_eq!(frame.load::<u64>(0)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn memory(&self, name: &str, len: usize) -> Result<Memory, Error> {
        self.growing_memory(name, len, len)
    }

    /// The same, with room to [grow](Memory::grow) up to `most`: addresses are set aside for that many bytes, memory for `len` only. Who opens
    /// what is there already sees it as long as it is by then.
    ///
    /// # Errors
    /// As [`memory`](Self::memory); openers must agree on `most`.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let log = space.growing_memory("log", 4096, 1 << 30)?;
    /// assert!(log.write(5000, b"too far").is_err());
    /// log.grow(8192)?;
    /// log.write(5000, b"there")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn growing_memory(&self, name: &str, len: usize, most: usize) -> Result<Memory, Error> {
        let caller = Location::caller();
        if len == 0 || len > most {
            return Err(bad_length("1 to the most it may have", len));
        }
        let spec = Memory::spec(self, [most as u64, 0, 0, 0])?;
        let reserved = data(self) + len;
        let init = |body: NonNull<u8>| {
            // SAFETY: the body begins with a line, and nobody else sees it yet.
            let line = unsafe { body.cast::<Line<RawMemory>>().as_ref() };
            line.raw.len.store(len as u64, Relaxed);
        };
        self.open_growing(name, &spec, reserved, caller, init).map(Memory::attach)
    }
}

fn bad_length(rule: &str, found: usize) -> Error {
    let (rule, found) = (rule.to_owned(), found.to_string());
    Error::BadParameter { what: "the number of bytes", rule, found }
}

/// Where the bytes begin in a body: behind a word for each participant.
fn data(space: &Space) -> usize {
    (BEHIND + space.slots() * size_of::<AtomicU64>()).next_multiple_of(128)
}

impl Openable for Memory {
    fn spec(space: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let most = usize::try_from(params[0]).unwrap_or(usize::MAX);
        if most == 0 || most > isize::MAX as usize / 2 {
            return Err(bad_length("at least 1, and no more than can be addressed", most));
        }
        Ok(Spec {
            kind: Kind::Memory,
            type_layout: message_layout("bytes"),
            type_name: String::new(),
            params: param("most bytes", params[0]),
            body_len: data(space) + most,
        })
    }

    fn attach(entry: Entry) -> Self {
        let most = entry.object.params()[0] as usize;
        let start = data(&Space { inner: entry.space.clone() });
        assert!(start + most <= entry.object.body_len(), "the spec was made from it");
        // SAFETY: the spec has put a line there, which is made of atomics.
        let line = unsafe { entry.at(0) };
        // SAFETY: inside the body, by the assertion above.
        let base = unsafe { entry.object.body().add(start) };
        let open = entry.words();
        let this = Self { entry, line, open, base, most };
        this.count(|times| times.saturating_add(1));
        this
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(Memory);

impl Memory {
    /// How many bytes there are. It only grows.
    pub fn len(&self) -> usize {
        // SAFETY: it points into the object that `entry` keeps.
        let len = unsafe { self.line.as_ref() }.raw.len.load(Acquire);
        // Whatever is there, no more than is mapped. Acquire pairs with the Release in `grow`: there is memory behind them.
        usize::try_from(len).unwrap_or(usize::MAX).min(self.most)
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As many bytes as there may ever be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Makes it at least `len` bytes long, with zeros behind what is there. All who have it open see that at once, and addresses stay
    /// as they are.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for more than [`most`](Self::most), [`Error::NoRoom`], [`Error::System`]; then it is as long as it was.
    pub fn grow(&self, len: usize) -> Result<(), Error> {
        if len > self.most {
            return Err(bad_length(&format!("at most {}", self.most), len));
        }
        // Reserved before it is said: a death in between leaves memory that nobody uses until the next growth.
        let start = self.base.addr().get() - self.entry.object.body().addr().get();
        self.entry.object.reserve(start + len)?;
        // SAFETY: it points into the object that `entry` keeps.
        let word = &unsafe { self.line.as_ref() }.raw.len;
        // Release pairs with the Acquire in `len`.
        word.fetch_max(len as u64, Release);
        Ok(())
    }

    /// How many processes have it open; those that are known to have ended do not count.
    pub fn attached(&self) -> usize {
        let registration = &self.entry.space.registration;
        registration.look_now();
        let mut living = registration.list();
        living.retain(|process| {
            let word = self.open().get(Registration::index_of(process.owner));
            word.is_some_and(|word| {
                let word = word.load(Relaxed);
                (word >> 32) as u32 == process.owner.get() && word as u32 != 0
            })
        });
        living.len()
    }

    /// Copies `out.len()` bytes from `offset` on. See [races](Self#races).
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    pub fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        let (head, words, tail) = self.split(offset, out.len())?;
        let (first, rest) = out.split_at_mut(head.len());
        let (middle, last) = rest.split_at_mut(words.len() * 8);
        copy_out(head, first);
        for (word, chunk) in words.iter().zip(middle.as_chunks_mut::<8>().0) {
            *chunk = word.load(Relaxed).to_ne_bytes();
        }
        copy_out(tail, last);
        Ok(())
    }

    /// Copies `bytes` to `offset` and what follows. See [races](Self#races).
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], and nothing is written.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), MemoryError> {
        let (head, words, tail) = self.split(offset, bytes.len())?;
        let (first, rest) = bytes.split_at(head.len());
        let (middle, last) = rest.split_at(words.len() * 8);
        copy_in(first, head);
        for (word, chunk) in words.iter().zip(middle.as_chunks::<8>().0) {
            word.store(u64::from_ne_bytes(*chunk), Relaxed);
        }
        copy_in(last, tail);
        Ok(())
    }

    /// A copy of the value at `offset`, whatever bytes are there. See [races](Self#races).
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    pub fn load<T: Plain>(&self, offset: usize) -> Result<T, MemoryError> {
        let mut value = T::new_zeroed();
        self.read(offset, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies a value to `offset`. See [races](Self#races).
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    pub fn store<T: Plain>(&self, offset: usize, value: &T) -> Result<(), MemoryError> {
        self.write(offset, value.as_bytes())
    }

    /// The atomic at `offset`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`]; [`MemoryError::Misaligned`] if its size does not divide the offset.
    pub fn atomic<A: Atomic>(&self, offset: usize) -> Result<&A, MemoryError> {
        Ok(&self.atomics(offset, 1)?[0])
    }

    /// `count` atomics from `offset` on.
    ///
    /// # Errors
    /// As [`atomic`](Self::atomic).
    pub fn atomics<A: Atomic>(&self, offset: usize, count: usize) -> Result<&[A], MemoryError> {
        let first = self.at(offset, count.saturating_mul(size_of::<A>()))?;
        if !offset.is_multiple_of(size_of::<A>()) {
            return Err(MemoryError::Misaligned { offset, size: size_of::<A>() });
        }
        // SAFETY: inside the memory that `entry` keeps, aligned as the base is to 128 and the offset to the size; atomics may be any
        // bytes and be changed by others.
        Ok(unsafe { slice::from_raw_parts(first.cast().as_ptr(), count) })
    }

    /// Where it begins in this process, aligned to 128; [`len`](Self::len) bytes may be touched.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.base
    }

    /// The bytes themselves.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    ///
    /// # Safety
    /// - Nobody writes any of them, in whatever process, for as long as the slice is used.
    pub unsafe fn slice(&self, offset: usize, len: usize) -> Result<&[u8], MemoryError> {
        let first = self.at(offset, len)?;
        // SAFETY: inside the memory that `entry` keeps; the caller promises that nobody writes.
        Ok(unsafe { slice::from_raw_parts(first.as_ptr(), len) })
    }

    /// The bytes themselves, to be written.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    ///
    /// # Safety
    /// - Nobody else reads or writes any of them, in whatever process, for as long as the slice is used.
    #[expect(clippy::mut_from_ref, reason = "who may write is the caller's to know, not Rust's")]
    pub unsafe fn slice_mut(&self, offset: usize, len: usize) -> Result<&mut [u8], MemoryError> {
        let first = self.at(offset, len)?;
        // SAFETY: inside the memory that `entry` keeps; the caller promises that nobody else is at it.
        Ok(unsafe { slice::from_raw_parts_mut(first.as_ptr(), len) })
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }

    fn at(&self, offset: usize, len: usize) -> Result<NonNull<u8>, MemoryError> {
        let there = self.len();
        if offset.checked_add(len).is_none_or(|end| end > there) {
            return Err(MemoryError::OutOfBounds { offset, len, there });
        }
        // SAFETY: inside the memory, as was just compared.
        Ok(unsafe { self.base.add(offset) })
    }

    fn split(&self, offset: usize, len: usize) -> Result<Parts<'_>, MemoryError> {
        self.at(offset, len)?;
        let before = (offset.next_multiple_of(8) - offset).min(len);
        let words = (len - before) / 8;
        let behind = len - before - words * 8;
        Ok((
            self.atomics(offset, before)?,
            if words == 0 { &[] } else { self.atomics(offset + before, words)? },
            self.atomics(offset + len - behind, behind)?,
        ))
    }

    fn open(&self) -> &[AtomicU64] {
        // SAFETY: inside the object that `entry` keeps; atomics may be any bytes.
        unsafe { self.open.as_ref() }
    }

    /// Changes how often this process has it open.
    fn count(&self, change: impl Fn(u32) -> u32) {
        let me = self.entry.space.registration.me();
        let Some(word) = self.open().get(Registration::index_of(me)) else { return };
        // Only threads of this process write this word.
        let _ = word.fetch_update(Relaxed, Relaxed, |old| {
            // A forked child, or the line's last owner, may have left another's there.
            let times = if (old >> 32) as u32 == me.get() { old as u32 } else { 0 };
            Some(u64::from(me.get()) << 32 | u64::from(change(times)))
        });
    }
}

fn copy_out(from: &[AtomicU8], to: &mut [u8]) {
    for (from, to) in from.iter().zip(to) {
        *to = from.load(Relaxed);
    }
}

fn copy_in(from: &[u8], to: &[AtomicU8]) {
    for (from, to) in from.iter().zip(to) {
        to.store(*from, Relaxed);
    }
}

/// Std's atomics that a [`Memory`] can lend.
pub trait Atomic: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! atomics {
    ($($atomic:ty)*) => {
        $(impl sealed::Sealed for $atomic {}
        impl Atomic for $atomic {})*
    };
}
atomics!(AtomicU8 AtomicU32 AtomicI32 AtomicU64 AtomicI64);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("name", &self.name()).field("len", &self.len()).finish()
    }
}
