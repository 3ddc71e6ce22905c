//! A ring of records of any length: messages as bytes.
//!
//! | where | what |
//! |---|---|
//! | unit `p` | A header: the length in bytes in the low half; the high half is zero, kept for leases. |
//! | units `p+1 ..` | That many bytes, filled up to a whole unit. |
//!
//! A unit is eight bytes. Record starts count units for ever, modulo a power of two; behind the last unit there is room for the
//! longest record, so that every record lies in one piece and none is needed to fill up the end.
//!
//! A length is read once and checked against the longest record and against what is committed. So no access leaves the buffer, whatever
//! is in it and even while it changes.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::ahead;
use super::copy::copy;
use super::ring::{GET, PUT, Patience, RawRing, RingError};
use super::turn::{Bound, Measure};
use crate::wait::{ALL, Wait};

/// Bytes of a unit, and of a header.
pub const UNIT: usize = 8;
/// Units of a line.
const LINE: u32 = 8;
/// The largest bound of a ring, in units and in items.
const MAX: u32 = 1 << 30;
/// How far ahead of the record that is read the next ones are asked for, in units: where a record begins is known only once
/// the one before it is there, so they would come one at a time.
const AHEAD: u32 = 128;
/// The longest possible record: one whose footprint fits 32 bits.
const MAX_LEN: u64 = (1 << 32) - 2 * UNIT as u64;

/// The dimensions of a ring of records. A private copy: what a segment says is never read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    bound: Records,
    mask: u32,
    longest: u32,
}

impl Shape {
    /// A ring of up to `items` records that take up to `bytes` together, none with more than `longest` bytes of its own.
    ///
    /// A record takes [`footprint`](Self::footprint) bytes. `None`: a number is zero or too large (2^30 items, 8 GiB),
    /// or the longest record would not fit.
    #[must_use]
    pub const fn new(items: u32, bytes: u64, longest: u64) -> Option<Self> {
        if items == 0
            || items > MAX
            || bytes > MAX as u64 * UNIT as u64
            || longest > bytes
            || longest > MAX_LEN
        {
            return None;
        }
        let units = bytes / UNIT as u64;
        if Self::footprint(longest) > units * UNIT as u64 {
            return None;
        }
        let bound = Records { units: units as u32, items };
        let mask = bound.units.next_power_of_two() - 1;
        Some(Self { bound, mask, longest: longest as u32 })
    }

    /// How much of the ring's bytes a record of `len` bytes takes: with its header, and filled up to a multiple of eight.
    #[must_use]
    pub const fn footprint(len: u64) -> u64 {
        (len.div_ceil(UNIT as u64) + 1) * UNIT as u64
    }

    /// The bytes of storage that this ring needs, aligned to eight.
    #[must_use]
    pub const fn storage(self) -> u64 {
        (self.mask as u64 + 1) * UNIT as u64 + Self::footprint(self.longest as u64)
    }

    /// The bytes of the longest record.
    #[must_use]
    pub const fn longest(self) -> u32 {
        self.longest
    }

    /// The largest number of records.
    #[must_use]
    pub const fn items(self) -> u32 {
        self.bound.items
    }
}

/// So many records, in so many units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Records {
    units: u32,
    items: u32,
}

impl Records {
    const NONE: Self = Self { units: 0, items: 0 };

    /// One record of `len` bytes, which are no more than the longest.
    #[inline]
    fn one(len: u32) -> Self {
        Self { units: len.div_ceil(UNIT as u32) + 1, items: 1 }
    }
}

impl Measure for Records {
    #[inline]
    fn unpack(word: u64) -> Self {
        Self { units: (word >> 32) as u32, items: word as u32 }
    }
    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.units) << 32 | u64::from(self.items)
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        Self {
            units: self.units.wrapping_add(other.units),
            items: self.items.wrapping_add(other.items),
        }
    }
    #[inline]
    fn minus(self, other: Self) -> Self {
        Self {
            units: self.units.wrapping_sub(other.units),
            items: self.items.wrapping_sub(other.items),
        }
    }
    #[inline]
    fn fits(self, bound: Self) -> bool {
        self.units <= bound.units && self.items <= bound.items
    }
    #[inline]
    fn items(self) -> u32 {
        self.items
    }
}

/// A ring and its buffer, borrowed.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    ring: &'a RawRing,
    buffer: NonNull<u64>,
    shape: Shape,
    life: PhantomData<&'a [u64]>,
}

// SAFETY: the buffer is only reached as the ring's locks allow, from any thread.
unsafe impl Send for Bytes<'_> {}
// SAFETY: as above.
unsafe impl Sync for Bytes<'_> {}

impl<'a> Bytes<'a> {
    /// A view of a ring and its buffer.
    ///
    /// # Safety
    /// - `buffer` points to [`Shape::storage`] bytes, readable and writable, for `'a`.
    /// - Within this process, everybody who uses `ring` passes the same buffer and shape, and nobody holds a reference into the buffer.
    ///   (What other processes do to shared memory is checked.)
    #[inline]
    #[must_use]
    pub const unsafe fn new(ring: &'a RawRing, buffer: NonNull<u64>, shape: Shape) -> Self {
        Self { ring, buffer, shape, life: PhantomData }
    }

    /// The ring.
    #[must_use]
    pub const fn ring(&self) -> &'a RawRing {
        self.ring
    }

    /// The header at unit `at`; behind it there is room for the longest record.
    #[inline]
    fn header(&self, at: u32) -> *mut u64 {
        // SAFETY: the index is at most the mask, and storage goes on for the longest record behind that.
        unsafe { self.buffer.as_ptr().add((at & self.shape.mask) as usize) }
    }

    /// The length of a record to put.
    #[inline]
    fn checked(&self, len: usize) -> Result<u32, RingError> {
        if len > self.shape.longest as usize {
            return Err(RingError::TooLarge);
        }
        Ok(len as u32)
    }

    /// Puts a record of `len` bytes: calls `write` with the place for them, and commits. `write` must fill all of them; what
    /// it leaves is what an earlier record left there. If it panics nothing was put. It must not use the same ring.
    ///
    /// # Errors
    /// [`RingError`]: `Full`, `TimedOut`, `Interrupted`, `ShutDown`, `TooLarge`, `Corrupt`, all before `write` is called.
    #[inline]
    pub fn push<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        len: usize,
        write: impl FnOnce(*mut u8),
    ) -> Result<(), RingError> {
        let len = self.checked(len)?;
        let one = Records::one(len);
        let turn = self.ring.enter::<W, _, PUT>(w, Bound(self.shape.bound), one, one, patience)?;
        let to = self.put_header(turn.at().units, len);
        turn.hold(|| write(to));
        turn.commit(one, 1);
        Ok(())
    }

    /// [`push`](Self::push) of a copy of `message`.
    ///
    /// # Errors
    /// As `push`.
    #[inline]
    pub fn push_slice<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        message: &[u8],
    ) -> Result<(), RingError> {
        self.push(w, patience, message.len(), |to| {
            // SAFETY: `to` has room for `message.len()` bytes, and nobody holds a reference to them.
            unsafe { copy(message.as_ptr(), to, message.len()) }
        })
    }

    /// Puts as many of `messages` as there is room for, at least one, in one commit, and says how many. An item that is
    /// too large ends the batch; it is an error if it is the first.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_many<W: Wait, M: AsRef<[u8]>>(
        &self,
        w: &W,
        patience: Patience,
        messages: &[M],
    ) -> Result<usize, RingError> {
        let Some(first) = messages.first() else { return Ok(0) };
        let least = Records::one(self.checked(first.as_ref().len())?);
        let mut most = Records::NONE;
        for message in messages {
            let Ok(len) = self.checked(message.as_ref().len()) else { break };
            let next = most.plus(Records::one(len));
            if !next.fits(self.shape.bound) {
                break;
            }
            most = next;
        }
        let turn =
            self.ring.enter::<W, _, PUT>(w, Bound(self.shape.bound), least, most, patience)?;
        // A damaged view of the far end may allow too much; no more than the bound is ever used.
        let room = turn.allowance();
        let put = turn.hold(|| {
            let mut sum = Records::NONE;
            for message in messages {
                let message = message.as_ref();
                let Ok(len) = self.checked(message.len()) else { break };
                let next = sum.plus(Records::one(len));
                if !next.fits(room) || !next.fits(self.shape.bound) {
                    break;
                }
                let to = self.put_header(turn.at().plus(sum).units, len);
                // SAFETY: `to` has room for `len` bytes, and nobody holds a reference to them.
                unsafe { copy(message.as_ptr(), to, message.len()) };
                sum = next;
            }
            sum
        });
        let free = put.units.min(room.units - put.units);
        ahead::to_write(self.header(turn.at().plus(put).units), free as usize * UNIT);
        turn.commit(put, put.items);
        Ok(put.items as usize)
    }

    #[inline]
    fn put_header(&self, at: u32, len: u32) -> *mut u8 {
        let header = self.header(at);
        // SAFETY: within storage; volatile, since other processes may look whenever they like.
        unsafe { header.write_volatile(u64::from(len)) };
        // SAFETY: a header is followed by room for the longest record.
        unsafe { header.add(1) }.cast()
    }

    /// Takes one record: calls `read` with its bytes, which it must copy, and commits. If `read` panics nothing was
    /// taken. It must not use the same ring, and must not rely on the bytes staying the same if others share them.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`, all before `read` is called.
    #[inline]
    pub fn pop<W: Wait, R>(
        &self,
        w: &W,
        patience: Patience,
        read: impl FnOnce(*const u8, usize) -> R,
    ) -> Result<R, RingError> {
        let least = Records { units: 0, items: 1 };
        let turn =
            self.ring.enter::<W, _, GET>(w, Bound(self.shape.bound), least, least, patience)?;
        let Some((from, len)) = self.get_header(turn.at().units, turn.allowance()) else {
            turn.leave();
            return Err(RingError::Corrupt);
        };
        let value = turn.hold(|| read(from, len as usize));
        turn.commit(Records::one(len), ALL);
        Ok(value)
    }

    /// Takes as many records as there are, at least one and at most `count`, in one commit, and says how many. `read` is
    /// called for each as in [`pop`](Self::pop).
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    #[inline]
    pub fn pop_many<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        count: usize,
        mut read: impl FnMut(*const u8, usize),
    ) -> Result<usize, RingError> {
        if count == 0 {
            return Ok(0);
        }
        let count = count.min(self.shape.bound.items as usize) as u32;
        let least = Records { units: 0, items: 1 };
        let most = Records { units: 0, items: count };
        let turn =
            self.ring.enter::<W, _, GET>(w, Bound(self.shape.bound), least, most, patience)?;
        let ready = turn.allowance();
        let got = turn.hold(|| {
            let mut sum = Records::NONE;
            let mut asked = 0;
            while sum.items < ready.items.min(count) {
                let ask = ready.units.min(sum.units + AHEAD);
                if ask >= asked + LINE {
                    let more = (ask - asked) as usize * UNIT;
                    ahead::to_read(self.header(turn.at().units.wrapping_add(asked)), more);
                    asked = ask;
                }
                let Some((from, len)) =
                    self.get_header(turn.at().plus(sum).units, ready.minus(sum))
                else {
                    break;
                };
                read(from, len as usize);
                sum = sum.plus(Records::one(len));
            }
            sum
        });
        if got.items == 0 {
            turn.leave();
            return Err(RingError::Corrupt);
        }
        turn.commit(got, ALL);
        Ok(got.items as usize)
    }

    /// Reads a header, once. `None`: no record of at most `ready` units begins here.
    #[inline]
    fn get_header(&self, at: u32, ready: Records) -> Option<(*const u8, u32)> {
        let header = self.header(at);
        // SAFETY: within storage; volatile, since other processes may scribble on it.
        let len = unsafe { header.read_volatile() } as u32;
        if len > self.shape.longest || Records::one(len).units > ready.units {
            return None;
        }
        // SAFETY: a header is followed by room for the longest record.
        Some((unsafe { header.add(1) }.cast(), len))
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes").field("len", &self.ring.len()).field("shape", &self.shape).finish()
    }
}
