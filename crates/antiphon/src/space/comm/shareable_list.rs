//! A list of fixed length whose items are replaced where they lie.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use antiphon_core::sync::{Claim, RawMutex};
use antiphon_place::{Error, Kind, Spec, message_layout};

use super::keep::Door;
use crate::error::{AccessError, TimedAccessError, UpdateError};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line};
use crate::space::handle::{Openable, handle};

/// What an item of a [`ShareableList`] may be.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
}

impl Item {
    fn tag(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Str(_) => 4,
            Self::Bytes(_) => 5,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Bool(value) => vec![u8::from(*value)],
            Self::Int(value) => value.to_le_bytes().to_vec(),
            Self::Float(value) => value.to_le_bytes().to_vec(),
            Self::Str(value) => value.as_bytes().to_vec(),
            Self::Bytes(value) => value.clone(),
        }
    }

    fn of(tag: u64, bytes: Vec<u8>) -> Option<Self> {
        let eight = || bytes.as_slice().try_into().ok();
        Some(match tag {
            0 if bytes.is_empty() => Self::None,
            1 => Self::Bool(*bytes.first()? != 0),
            2 => Self::Int(i64::from_le_bytes(eight()?)),
            3 => Self::Float(f64::from_le_bytes(eight()?)),
            4 => Self::Str(String::from_utf8(bytes).ok()?),
            5 => Self::Bytes(bytes),
            _ => return None,
        })
    }

    /// Words of room that it gets: at least one, so that a number may take the place of nothing.
    fn words(&self) -> usize {
        self.bytes().len().div_ceil(8).max(1)
    }
}

/// A fixed number of items that are numbers, strings, bytes, or nothing, each of which can be replaced by any other that fits where it
/// lies: what Python calls a `ShareableList`.
///
/// An item has the room that it was made with, rounded up to 8 bytes. For what grows there is [`List`](super::List).
///
/// A replacement happens in one step: whoever dies in the midst leaves the old item or the new one. (Each item has its room twice.)
pub struct ShareableList {
    entry: Entry,
    line: NonNull<Line<RawMutex>>,
    words: NonNull<[AtomicU64]>,
    len: usize,
}

// SAFETY: everything in it is made of atomics, in memory that `entry` keeps.
unsafe impl Send for ShareableList {}
// SAFETY: as above.
unsafe impl Sync for ShareableList {}

impl Clone for ShareableList {
    /// Another way to the same list.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), ..*self }
    }
}

/// What the word of an item says: its length (32 bits), its tag (8 bits), and which of its two rooms counts.
const TAG_SHIFT: u32 = 32;
const OTHER: u64 = 1 << 40;

impl Space {
    /// Opens the list `name`, creating it with these items if need be. Whoever opens it must ask for as many items and as much room.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the name is another kind's or shape's; [`Error::BadParameter`] for no items; [`Error::BadName`],
    /// [`Error::NoRoom`], [`Error::Foreign`], [`Error::System`].
    ///
    /// ```
    /// use antiphon::space::Item;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let initial = [Item::Str("Ada".to_owned()), Item::Int(36), Item::None];
    /// let person = space.shareable_list("person", &initial)?;
    /// person.set(2, &Item::Float(1.5))?;
    /// assert_eq!(person.get(0)?, Some(Item::Str("Ada".to_owned())));
    /// assert_eq!(person.get(2)?, Some(Item::Float(1.5)));
    /// assert!(person.set(0, &Item::Str("a longer name".to_owned())).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn shareable_list(&self, name: &str, items: &[Item]) -> Result<ShareableList, Error> {
        let room: usize = items.iter().map(Item::words).sum();
        let params = [0, 0, items.len() as u64, room as u64];
        self.open_object(name, params, Location::caller(), |body| {
            // SAFETY: the spec has put so many words behind the first line, and nobody else sees them yet.
            let words = unsafe {
                let first = body.add(BEHIND).cast::<AtomicU64>();
                NonNull::slice_from_raw_parts(first, count(items.len(), room)).as_ref()
            };
            let mut start = 2 * items.len();
            for (i, item) in items.iter().enumerate() {
                let bytes = item.bytes();
                words[items.len() + i].store(start as u64 | (item.words() as u64) << 32, Relaxed);
                write(&words[start..start + item.words()], &bytes);
                words[i].store(bytes.len() as u64 | item.tag() << TAG_SHIFT, Relaxed);
                start += 2 * item.words();
            }
        })
    }
}

/// Words of a list: one for what counts and one for where it lies, each, and the rooms, twice.
fn count(len: usize, room: usize) -> usize {
    2 * len + 2 * room
}

impl Openable for ShareableList {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let [_, _, len, room] = params;
        if len == 0 || len > room || room > 1 << 30 {
            return Err(Error::BadParameter {
                what: "the number of items",
                rule: "at least 1, and 8 GiB of them at most".to_owned(),
                found: len.to_string(),
            });
        }
        Ok(Spec {
            kind: Kind::Memory,
            type_name: "ShareableList".to_owned(),
            type_layout: message_layout("ShareableList"),
            params: [("most bytes", 0), ("", 0), ("number of items", len), ("room in words", room)],
            body_len: BEHIND + count(len as usize, room as usize) * size_of::<AtomicU64>(),
        })
    }

    fn attach(entry: Entry) -> Self {
        let [_, _, len, room] = entry.object.params().map(|param| param as usize);
        let all = count(len, room);
        assert!(BEHIND + all * size_of::<AtomicU64>() <= entry.object.body_len());
        // SAFETY: the spec has put a line there, which is made of atomics.
        let line = unsafe { entry.at(0) };
        // SAFETY: inside the body, by the assertion above.
        let first = unsafe { entry.object.body().add(BEHIND) };
        let words = NonNull::slice_from_raw_parts(first.cast(), all);
        Self { entry, line, words, len }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(ShareableList);

impl ShareableList {
    /// The item at `index`; `None` if the list is not that long.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn get(&self, index: usize) -> Result<Option<Item>, AccessError> {
        if index >= self.len {
            return Ok(None);
        }
        let _held = self.lock(Location::caller())?;
        self.item(index).map(Some)
    }

    /// Puts an item in the place of the one at `index`.
    ///
    /// # Errors
    /// [`UpdateError::OutOfRange`]; [`UpdateError::Full`] if it needs more room than that place has; [`UpdateError::Access`].
    #[track_caller]
    pub fn set(&self, index: usize, item: &Item) -> Result<(), UpdateError> {
        if index >= self.len {
            return Err(UpdateError::OutOfRange { index, len: self.len });
        }
        let _held = self.lock(Location::caller())?;
        let (bytes, other) = (item.bytes(), !self.words()[index].load(Relaxed) & OTHER);
        let room = self.room(index, other)?;
        if bytes.len() > room.len() * 8 {
            let capacity = room.len() as u64 * 8;
            return Err(UpdateError::Full { needed: bytes.len() as u64, used: 0, capacity });
        }
        write(room, &bytes);
        // The commit. Release: the bytes are there before, also in the eyes of one who takes over from us at the next instruction.
        let word = bytes.len() as u64 | item.tag() << TAG_SHIFT | other;
        self.words()[index].store(word, Release);
        Ok(())
    }

    /// All items as they are at one instant.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn items(&self) -> Result<Vec<Item>, AccessError> {
        let _held = self.lock(Location::caller())?;
        (0..self.len).map(|index| self.item(index)).collect()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }

    fn item(&self, index: usize) -> Result<Item, AccessError> {
        let word = self.words()[index].load(Relaxed);
        let room = self.room(index, word & OTHER)?;
        let len = word as u32 as usize;
        if len > room.len() * 8 {
            return Err(AccessError::Corrupt);
        }
        let mut bytes: Vec<u8> =
            room.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        bytes.truncate(len);
        Item::of(word >> TAG_SHIFT & 0xff, bytes).ok_or(AccessError::Corrupt)
    }

    /// One of the two rooms of an item.
    fn room(&self, index: usize, other: u64) -> Result<&[AtomicU64], AccessError> {
        let place = self.words()[self.len + index].load(Relaxed);
        let (start, words) = (place as u32 as usize, (place >> 32) as usize);
        let start = if other == 0 { start } else { start.saturating_add(words) };
        let room = self.words().get(start..start.saturating_add(words));
        room.filter(|_| start >= 2 * self.len).ok_or(AccessError::Corrupt)
    }

    fn lock(&self, caller: &'static Location<'static>) -> Result<Held<'_>, AccessError> {
        let line = self.line();
        let door = Door { entry: &self.entry, record: &line.record, mutex: &line.raw };
        // Whoever died has left the old item or the new one, so there is nothing to repair.
        let _: Claim = door.enter(caller, None).map_err(TimedAccessError::untimed)?;
        Ok(Held { list: self })
    }

    fn line(&self) -> &Line<RawMutex> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: inside the object that `entry` keeps; atomics may be any bytes.
        unsafe { self.words.as_ref() }
    }
}

/// The list's lock.
struct Held<'a> {
    list: &'a ShareableList,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let line = self.list.line();
        line.record.end();
        line.raw.unlock(&self.list.entry.wait(), 0);
    }
}

fn write(room: &[AtomicU64], bytes: &[u8]) {
    for (word, chunk) in room.iter().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(whole), Relaxed);
    }
}

impl fmt::Debug for ShareableList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareableList").field("name", &self.name()).field("len", &self.len).finish()
    }
}
