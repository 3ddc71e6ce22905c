//! A pipe in memory, and one end of it as this process has it.

use std::cell::RefCell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use antiphon_core::comm::bytes::{Bytes, Shape};
use antiphon_core::comm::pipe::{Crowded, End, Pipe, RawPipe, Ticket};
use antiphon_core::wait::Wait;
use antiphon_place::{Error, Kind, Spec, message_layout};
use serde::{Deserialize, Serialize};

use crate::space::Space;
use crate::space::entry::{Entry, param};
use crate::space::handle::Openable;

/// Where the books begin: behind the words.
pub(crate) const BOOKS: usize = size_of::<RawPipe>();
/// What each direction's messages are aligned to.
const ALIGN: usize = 128;

/// The memory of a pipe.
#[derive(Clone)]
pub(super) struct Wires {
    pub(super) entry: Entry,
    raw: NonNull<RawPipe>,
    books: NonNull<[[AtomicU64; 2]]>,
    /// Of what is sent to the first end, and to the second; a one-way pipe has only the former.
    buffers: [Option<NonNull<u64>>; 2],
    shape: Shape,
}

// SAFETY: atomics, and buffers that are touched as the rings allow, in memory that `entry` keeps.
unsafe impl Send for Wires {}
// SAFETY: as above.
unsafe impl Sync for Wires {}

fn shape(bytes: u64) -> Option<Shape> {
    let longest = (bytes / 8 * 8).saturating_sub(Shape::footprint(0));
    Shape::new(u32::try_from(bytes / 8).ok()?, bytes, longest)
}

fn buffers_at(participants: usize) -> usize {
    (BOOKS + participants * size_of::<[AtomicU64; 2]>()).next_multiple_of(ALIGN)
}

fn buffer_len(shape: Shape) -> usize {
    (shape.storage() as usize).next_multiple_of(ALIGN)
}

impl Openable for Wires {
    fn spec(space: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let [bytes, two_way, ..] = params;
        let shape = shape(bytes).ok_or_else(|| Error::BadParameter {
            what: "the size of a pipe",
            rule: "8 bytes to 4 GiB".to_owned(),
            found: format!("{bytes} bytes"),
        })?;
        let mut params = param("bytes in each direction", bytes);
        params[1] = ("number of ways beyond one", two_way.min(1));
        let directions = 1 + two_way.min(1) as usize;
        let body_len = buffers_at(space.slots()) + directions * buffer_len(shape);
        let type_layout = message_layout("");
        Ok(Spec { kind: Kind::Pipe, type_name: String::new(), type_layout, params, body_len })
    }

    fn attach(entry: Entry) -> Self {
        let [bytes, two_way, ..] = entry.object.params();
        let shape = shape(bytes).expect("the spec was checked");
        let participants = entry.space.registration.participants() as usize;
        let (first, second) =
            (buffers_at(participants), buffers_at(participants) + buffer_len(shape));
        // SAFETY: the spec has put all of these there, one behind the other; any bytes are valid for them.
        unsafe {
            let books = NonNull::slice_from_raw_parts(entry.at(BOOKS), participants);
            let buffers = [Some(entry.at(first)), (two_way != 0).then(|| entry.at(second))];
            Self { raw: entry.at(0), books, buffers, shape, entry }
        }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Wires {
    #[inline]
    pub(super) fn pipe(&self) -> Pipe<'_> {
        // SAFETY: they point into the object that `entry` keeps, and are atomics.
        unsafe { Pipe::new(self.raw.as_ref(), self.books.as_ref()) }
    }

    /// What is sent to `end`, if anything can be.
    #[inline]
    fn ring(&self, end: End) -> Option<Bytes<'_>> {
        let buffer = self.buffers[end as usize]?;
        // SAFETY: the ring is in the object that `entry` keeps; the buffer is its own, as long as the shape says, and no
        // reference into it exists.
        Some(unsafe { Bytes::new(self.raw.as_ref().ring(end), buffer, self.shape) })
    }

    pub(super) fn longest(&self) -> usize {
        self.shape.longest() as usize
    }
}

/// One end, open in this process.
pub(super) struct Side {
    pub(super) wires: Wires,
    pub(super) end: End,
    /// Who has it open: this process, unless it was forked since.
    holder: AtomicU32,
    /// The epoch at which the far end was last looked at.
    epoch: AtomicU32,
}

impl Side {
    pub(super) fn open(wires: Wires, end: End) -> Result<Self, Error> {
        let opened = wires.pipe().open(&wires.entry.wait(), end);
        Self::opened(wires, end, opened)
    }

    /// Opens what a handle with `ticket` leads to.
    pub(super) fn arrive(wires: Wires, end: End, ticket: Ticketed) -> Result<Self, Error> {
        let Ticketed(owner, bit) = ticket;
        let opened = wires.pipe().arrive(&wires.entry.wait(), end, Ticket { owner, bit });
        Self::opened(wires, end, opened)
    }

    fn opened(wires: Wires, end: End, opened: Result<(), Crowded>) -> Result<Self, Error> {
        opened.map_err(|Crowded| Error::BadParameter {
            what: "the number of times that a process has an end open",
            rule: "at most 16,383".to_owned(),
            found: "one more".to_owned(),
        })?;
        let wait = wires.entry.wait();
        let (holder, epoch) = (wait.me().get().into(), wait.epoch().into());
        let side = Self { wires, end, holder, epoch };
        // Who comes after the other end's death learns it at once.
        side.wires.pipe().look(&side.wires.entry.wait(), end);
        Ok(side)
    }

    #[inline]
    pub(super) fn outward(&self) -> Option<Bytes<'_>> {
        self.wires.ring(self.end.far())
    }

    #[inline]
    pub(super) fn inward(&self) -> Option<Bytes<'_>> {
        self.wires.ring(self.end)
    }

    /// Before an operation: has this process been forked, has anybody died?
    #[inline]
    pub(super) fn take_part<W: Wait>(&self, w: &W) {
        // Relaxed: each says only whether there is something to do.
        if self.holder.load(Relaxed) != w.me().get() || self.epoch.load(Relaxed) != w.epoch() {
            self.take_part_anew(w);
        }
    }

    #[cold]
    fn take_part_anew<W: Wait>(&self, w: &W) {
        let me = w.me().get();
        let before = self.holder.load(Relaxed);
        // Of several threads of a forked child, one opens the end in its name. If that cannot be counted, its parent has it.
        if before != me && self.holder.compare_exchange(before, me, Relaxed, Relaxed).is_ok() {
            let _ = self.wires.pipe().open(w, self.end);
        }
        self.epoch.store(w.epoch(), Relaxed);
        self.wires.pipe().look(w, self.end);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // A forked child that has not used it has not opened it. (Nor does it take part, perhaps, so it is not asked to wait.)
        if self.holder.load(Relaxed) == self.wires.entry.space.registration.me().get() {
            self.wires.pipe().close(&self.wires.entry.wait(), self.end);
        }
    }
}

/// Who keeps an end open while a handle to it is on its way.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Ticketed(u32, u32);

/// The handles that a message contains; `None`: no message is being written.
type Departed = Option<Vec<(Arc<Side>, Ticket)>>;

thread_local! {
    /// Those of the message that this thread is writing.
    static DEPARTED: RefCell<Departed> = const { RefCell::new(None) };
}

/// Notes that a handle to this end goes on its way.
pub(super) fn send_away(side: &Arc<Side>) -> Result<Ticketed, &'static str> {
    let wait = side.wires.entry.wait();
    side.take_part(&wait);
    let ticket = side
        .wires
        .pipe()
        .send_away(&wait, side.end)
        .map_err(|Crowded| "20 handles to this end of the pipe are on their way already")?;
    DEPARTED.with_borrow_mut(|departed| {
        if let Some(departed) = departed {
            departed.push((side.clone(), ticket));
        }
    });
    Ok(Ticketed(ticket.owner, ticket.bit))
}

/// A message being written and sent: unless it is [`done`](Self::done) well, the handles in it are not on their way after all.
pub(crate) struct Departure {
    /// The list of an outer call.
    outer: Departed,
    sent: bool,
}

/// Begins a message.
pub(crate) fn depart() -> Departure {
    Departure { outer: DEPARTED.replace(Some(Vec::new())), sent: false }
}

impl Departure {
    /// It was sent, or not.
    pub(crate) fn done<T, E>(mut self, result: Result<T, E>) -> Result<T, E> {
        self.sent = result.is_ok();
        result
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let departed = DEPARTED.replace(self.outer.take());
        for (side, ticket) in departed.into_iter().flatten().filter(|_| !self.sent) {
            side.wires.pipe().recall(&side.wires.entry.wait(), side.end, ticket);
        }
    }
}

#[inline]
pub(super) fn append(message: &mut Vec<u8>, from: *const u8, len: usize) {
    message.reserve(len);
    // SAFETY: there is room for `len`, and the ring vouches for that many readable bytes, apart from our own.
    unsafe {
        ptr::copy_nonoverlapping(from, message.as_mut_ptr().add(message.len()), len);
        message.set_len(message.len() + len);
    }
}
