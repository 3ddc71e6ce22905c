//! A sequence of byte strings in a space.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::comm::list::{List, RawList, StoreError};
use antiphon_core::comm::store::{Block, Corrupt, UNIT, units};
use antiphon_core::owner::Owner;
use antiphon_core::sync::Claim;
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec, message_layout};
use antiphon_sys::clock;

use super::keep::{Door, Room, Shape};
use crate::error::{AccessError, TimedAccessError, TryAccessError, UpdateError};
use crate::space::Space;
use crate::space::entry::{Entry, Line, param};
use crate::space::handle::{Openable, handle};

/// A sequence of byte strings in a space, bounded by bytes: what [`List`](super::List) is underneath.
///
/// Every operation takes the lock for as long as it copies one item; putting or taking one elsewhere than at the end also copies
/// four bytes for each item there is. A change happens in one step: whoever dies in the midst, at whatever instruction, leaves what was
/// there before or what was to be there, and the next one to come goes on at once (it counts anew which memory is taken, which
/// takes time in proportion to the list).
///
/// Each item takes its bytes, rounded up to words of eight, and 16 more, rounded up to 32.
pub struct ByteList {
    entry: Entry,
    line: NonNull<Line<RawList>>,
    room: Room,
}

impl Clone for ByteList {
    /// Another way to the same list.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), room: self.room.clone(), ..*self }
    }
}

// SAFETY: everything in it is made of atomics, in memory that `entry` keeps.
unsafe impl Send for ByteList {}
// SAFETY: as above.
unsafe impl Sync for ByteList {}

impl Space {
    /// Opens the list `name`, creating it for `bytes` of items if need be.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the name is another kind's, type's or size's; [`Error::BadParameter`], [`Error::BadName`],
    /// [`Error::NoRoom`], [`Error::Foreign`], [`Error::System`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let log = space.byte_list("log", 1 << 16)?;
    /// log.push(b"one")?;
    /// log.insert(0, b"zero")?;
    /// assert_eq!(log.items()?, [&b"zero"[..], b"one"]);
    /// assert_eq!(log.pop()?, Some(b"one".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn byte_list(&self, name: &str, bytes: u64) -> Result<ByteList, Error> {
        self.open_object(name, [bytes, 0, 0, 0], Location::caller(), |_| {})
    }
}

fn shape(params: [u64; 4]) -> Result<Shape, Error> {
    // Two arrays of slots: no item takes less than a unit.
    Shape::new(params[0], |units| 2 * units)
}

impl ByteList {
    pub(super) fn spec_for(type_name: String, params: [u64; 4]) -> Result<Spec, Error> {
        Ok(Spec {
            kind: Kind::List,
            type_layout: message_layout(&type_name),
            type_name,
            params: param("capacity in bytes", params[0]),
            body_len: shape(params)?.body_len(),
        })
    }
}

impl Openable for ByteList {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        Self::spec_for(String::new(), params)
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()).expect("the spec was made from it");
        let room = Room::new(&entry, shape);
        // SAFETY: the spec has put a line there, which is made of atomics.
        let line = unsafe { entry.at(0) };
        Self { entry, line, room }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(ByteList);

impl ByteList {
    /// Takes the lock, waiting as long as it takes: what is done through the guard, nobody comes between. It is no transaction: of
    /// several changes, a death in the midst leaves the first ones.
    ///
    /// # Errors
    /// [`AccessError::WouldDeadlock`] if this thread has it; [`AccessError::Corrupt`].
    #[track_caller]
    pub fn lock(&self) -> Result<ByteListGuard<'_>, AccessError> {
        self.lock_at(Location::caller(), None).map_err(TimedAccessError::untimed)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    /// [`TryAccessError`].
    #[track_caller]
    pub fn try_lock(&self) -> Result<ByteListGuard<'_>, TryAccessError> {
        self.try_lock_at(Location::caller())
    }

    /// Takes the lock, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ByteListGuard<'_>, TimedAccessError> {
        self.lock_at(Location::caller(), Some(clock::deadline_after(timeout)))
    }

    /// Takes the lock, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_deadline(&self, deadline: Instant) -> Result<ByteListGuard<'_>, TimedAccessError> {
        self.lock_at(Location::caller(), Some(clock::deadline_at(deadline)))
    }

    /// The item at `index`.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn get(&self, index: usize) -> Result<Option<Vec<u8>>, AccessError> {
        self.lock()?.get(index)
    }

    /// Puts an item at the end.
    ///
    /// # Errors
    /// [`UpdateError::Full`], and nothing has changed; [`UpdateError::Access`].
    #[track_caller]
    pub fn push(&self, item: &[u8]) -> Result<(), UpdateError> {
        self.lock()?.push(item)
    }

    /// Takes the last item away and returns it.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn pop(&self) -> Result<Option<Vec<u8>>, AccessError> {
        self.lock()?.pop()
    }

    /// Puts an item in the place of the one at `index`.
    ///
    /// # Errors
    /// [`UpdateError::OutOfRange`], [`UpdateError::Full`], and nothing has changed; [`UpdateError::Access`].
    #[track_caller]
    pub fn set(&self, index: usize, item: &[u8]) -> Result<(), UpdateError> {
        self.lock()?.set(index, item)
    }

    /// Puts an item before the one at `index`, or at the end if that is the index.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    #[track_caller]
    pub fn insert(&self, index: usize, item: &[u8]) -> Result<(), UpdateError> {
        self.lock()?.insert(index, item)
    }

    /// Takes the item at `index` away and returns it.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn remove(&self, index: usize) -> Result<Option<Vec<u8>>, AccessError> {
        self.lock()?.remove(index)
    }

    /// Takes all items away.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn clear(&self) -> Result<(), AccessError> {
        self.lock()?.clear();
        Ok(())
    }

    /// All items as they are at one instant.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn items(&self) -> Result<Vec<Vec<u8>>, AccessError> {
        self.lock()?.items()
    }

    fn guard(&self, claim: Claim) -> Result<ByteListGuard<'_>, Corrupt> {
        let line = self.line();
        // SAFETY: what they return is used by the guard only, which borrows `self` and so keeps the object.
        let (links, store) = unsafe { (self.room.links(), self.room.store()) };
        let half = links.len() / 2;
        let entered = List::enter(&line.raw, [&links[..half], &links[half..]], store, claim);
        let inner = self.door().admit(claim, entered, |wait| List::abandon(&line.raw, wait))?;
        let (owner, corrupt) = (self.entry.wait().me(), Cell::new(false));
        Ok(ByteListGuard { of: self, inner, owner, corrupt, _not_send: PhantomData })
    }

    pub(super) fn lock_at(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Result<ByteListGuard<'_>, TimedAccessError> {
        let claim = self.door().enter(caller, deadline)?;
        self.guard(claim).map_err(|Corrupt| TimedAccessError::Corrupt)
    }

    pub(super) fn try_lock_at(
        &self,
        caller: &'static Location<'static>,
    ) -> Result<ByteListGuard<'_>, TryAccessError> {
        let claim = self.door().try_enter(caller)?;
        self.guard(claim).map_err(|Corrupt| TryAccessError::Corrupt)
    }

    fn door(&self) -> Door<'_> {
        let line = self.line();
        Door { entry: &self.entry, record: &line.record, mutex: line.raw.mutex() }
    }

    fn line(&self) -> &Line<RawList> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// How many items there are, at some instant of the call.
    pub fn len(&self) -> usize {
        self.line().raw.len() as usize
    }

    /// Whether there are none, at some instant of the call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that it was made for.
    pub fn capacity(&self) -> u64 {
        self.entry.object.params()[0]
    }

    /// How many of them are taken, with what each of the items costs beside its own bytes.
    pub fn used(&self) -> u64 {
        u64::from(self.line().raw.used()) * UNIT as u64
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }

    fn full(&self, first: usize, second: usize) -> UpdateError {
        let needed = units(first as u64, second as u64).saturating_mul(UNIT as u64);
        UpdateError::Full { needed, used: self.used(), capacity: self.capacity() }
    }
}

/// The list, locked until this is dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct ByteListGuard<'a> {
    of: &'a ByteList,
    inner: List<'a>,
    owner: Owner,
    /// Contradictions were found.
    corrupt: Cell<bool>,
    /// The thread is part of the record, so the guard stays on it.
    _not_send: PhantomData<*const ()>,
}

impl ByteListGuard<'_> {
    /// See [`ByteList::get`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn get(&self, index: usize) -> Result<Option<Vec<u8>>, AccessError> {
        if index >= self.len() {
            return Ok(None);
        }
        Ok(Some(self.bytes(self.checked(self.inner.item(index))?)))
    }

    /// See [`ByteList::push`].
    ///
    /// # Errors
    /// As there.
    pub fn push(&mut self, item: &[u8]) -> Result<(), UpdateError> {
        self.inner.push(item).map_err(|_| self.of.full(0, item.len()))
    }

    /// See [`ByteList::pop`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>, AccessError> {
        match self.len() {
            0 => Ok(None),
            len => self.remove(len - 1),
        }
    }

    /// See [`ByteList::set`].
    ///
    /// # Errors
    /// As there.
    pub fn set(&mut self, index: usize, item: &[u8]) -> Result<(), UpdateError> {
        self.in_range(index, self.len())?;
        match self.inner.set(index, item) {
            Ok(()) => Ok(()),
            Err(StoreError::Full) => Err(self.of.full(0, item.len())),
            Err(StoreError::Corrupt) => Ok(self.checked(Err(Corrupt))?),
        }
    }

    /// See [`ByteList::insert`].
    ///
    /// # Errors
    /// As there.
    pub fn insert(&mut self, index: usize, item: &[u8]) -> Result<(), UpdateError> {
        self.in_range(index, self.len() + 1)?;
        self.inner.insert(index, item).map_err(|_| self.of.full(0, item.len()))
    }

    /// See [`ByteList::remove`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn remove(&mut self, index: usize) -> Result<Option<Vec<u8>>, AccessError> {
        let Some(item) = self.get(index)? else { return Ok(None) };
        self.checked(self.inner.remove(index))?;
        Ok(Some(item))
    }

    /// See [`ByteList::clear`].
    pub fn clear(&mut self) {
        self.inner.clear();
    }

    /// See [`ByteList::items`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn items(&self) -> Result<Vec<Vec<u8>>, AccessError> {
        (0..self.len()).map(|i| Ok(self.bytes(self.checked(self.inner.item(i))?))).collect()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn in_range(&self, index: usize, end: usize) -> Result<(), UpdateError> {
        if index < end { Ok(()) } else { Err(UpdateError::OutOfRange { index, len: self.len() }) }
    }

    fn bytes(&self, item: Block) -> Vec<u8> {
        let mut bytes = vec![0; item.second_len()];
        self.inner.store().read_second(item, &mut bytes);
        bytes
    }

    fn checked<T>(&self, result: Result<T, Corrupt>) -> Result<T, AccessError> {
        result.map_err(|Corrupt| {
            self.corrupt.set(true);
            AccessError::Corrupt
        })
    }
}

impl Drop for ByteListGuard<'_> {
    fn drop(&mut self) {
        if !self.of.door().note_leaving(self.owner) {
            return;
        }
        let (line, wait) = (self.of.line(), self.of.entry.wait());
        if self.corrupt.get() {
            List::abandon(&line.raw, &wait);
        } else {
            self.inner.leave(&wait);
        }
    }
}

impl fmt::Debug for ByteList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteList").field("name", &self.name()).field("len", &self.len()).finish()
    }
}

impl fmt::Debug for ByteListGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteListGuard").field(self.of).finish()
    }
}
