//! A map from bytes to bytes in a space.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::comm::dict::{Dict, Found, RawDict};
use antiphon_core::comm::store::{Corrupt, UNIT, units};
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

/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// A map from bytes to bytes in a space, bounded by bytes: what [`Dict`](super::Dict) is underneath.
///
/// Every operation takes the lock for as long as it copies one entry. A change happens in one step: whoever dies in the midst, at whatever
/// instruction, leaves what was there before or what was to be there, and the next one to come goes on at once (it counts anew
/// which memory is taken, which takes time in proportion to the dict).
///
/// Entries are in no order. Each takes its bytes, rounded up to words of eight, and 16 more, rounded up to 32.
pub struct ByteDict {
    entry: Entry,
    line: NonNull<Line<RawDict>>,
    room: Room,
}

impl Clone for ByteDict {
    /// Another way to the same dict.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), room: self.room.clone(), ..*self }
    }
}

// SAFETY: everything in it is made of atomics, in memory that `entry` keeps.
unsafe impl Send for ByteDict {}
// SAFETY: as above.
unsafe impl Sync for ByteDict {}

impl Space {
    /// Opens the dict `name`, creating it for `bytes` of entries if need be.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the name is another kind's, type's or size's; [`Error::BadParameter`], [`Error::BadName`],
    /// [`Error::NoRoom`], [`Error::Foreign`], [`Error::System`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let seen = space.byte_dict("seen", 1 << 16)?;
    /// seen.insert(b"tea", b"hot")?;
    /// assert_eq!(seen.get(b"tea")?, Some(b"hot".to_vec()));
    /// assert_eq!(seen.get(b"coffee")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn byte_dict(&self, name: &str, bytes: u64) -> Result<ByteDict, Error> {
        self.open_object(name, [bytes, 0, 0, 0], Location::caller(), |_| {})
    }
}

fn shape(params: [u64; 4]) -> Result<Shape, Error> {
    // An entry has two units at least on the average of what is put into dicts.
    Shape::new(params[0], |units| (units / 2).next_power_of_two().max(16))
}

impl ByteDict {
    pub(super) fn spec_for(type_name: String, params: [u64; 4]) -> Result<Spec, Error> {
        Ok(Spec {
            kind: Kind::Dict,
            type_layout: message_layout(&type_name),
            type_name,
            params: param("capacity in bytes", params[0]),
            body_len: shape(params)?.body_len(),
        })
    }
}

impl Openable for ByteDict {
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

handle!(ByteDict);

impl ByteDict {
    /// Takes the lock, waiting as long as it takes: what is done through the guard, nobody comes between. It is no transaction: of
    /// several changes, a death in the midst leaves the first ones.
    ///
    /// # Errors
    /// [`AccessError::WouldDeadlock`] if this thread has it; [`AccessError::Corrupt`].
    #[track_caller]
    pub fn lock(&self) -> Result<ByteDictGuard<'_>, AccessError> {
        self.lock_at(Location::caller(), None).map_err(TimedAccessError::untimed)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    /// [`TryAccessError`].
    #[track_caller]
    pub fn try_lock(&self) -> Result<ByteDictGuard<'_>, TryAccessError> {
        self.try_lock_at(Location::caller())
    }

    /// Takes the lock, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ByteDictGuard<'_>, TimedAccessError> {
        self.lock_at(Location::caller(), Some(clock::deadline_after(timeout)))
    }

    /// Takes the lock, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_deadline(&self, deadline: Instant) -> Result<ByteDictGuard<'_>, TimedAccessError> {
        self.lock_at(Location::caller(), Some(clock::deadline_at(deadline)))
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, AccessError> {
        self.lock()?.get(key)
    }

    /// Whether there is an entry with this key.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn contains(&self, key: &[u8]) -> Result<bool, AccessError> {
        self.lock()?.contains(key)
    }

    /// Gives `key` this value, whatever it had. Says whether it had one.
    ///
    /// # Errors
    /// [`UpdateError::Full`], and nothing has changed; [`UpdateError::Access`].
    #[track_caller]
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool, UpdateError> {
        self.lock()?.insert(key, value)
    }

    /// Takes the entry with this key away, and returns its value.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn remove(&self, key: &[u8]) -> Result<Option<Vec<u8>>, AccessError> {
        self.lock()?.remove(key)
    }

    /// Takes all entries away, one by one.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn clear(&self) -> Result<(), AccessError> {
        self.lock()?.clear()
    }

    /// All entries as they are at one instant.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn entries(&self) -> Result<Vec<Pair>, AccessError> {
        self.lock()?.entries()
    }

    /// The entries, without keeping others out for longer than it takes to copy a few: an entry that is there all the time comes once, one
    /// that is put or taken away meanwhile may come or not.
    pub fn iter(&self) -> ByteDictIter<'_> {
        ByteDictIter { dict: self, bucket: 0, copied: Vec::new().into_iter(), failed: false }
    }

    fn guard(&self, claim: Claim) -> Result<ByteDictGuard<'_>, Corrupt> {
        let line = self.line();
        // SAFETY: what they return is used by the guard only, which borrows `self` and so keeps the object.
        let (links, store) = unsafe { (self.room.links(), self.room.store()) };
        let entered = Dict::enter(&line.raw, links, store, claim);
        let inner = self.door().admit(claim, entered, |wait| Dict::abandon(&line.raw, wait))?;
        let (owner, corrupt) = (self.entry.wait().me(), Cell::new(false));
        Ok(ByteDictGuard { of: self, inner, owner, corrupt, _not_send: PhantomData })
    }

    pub(super) fn lock_at(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Result<ByteDictGuard<'_>, TimedAccessError> {
        let claim = self.door().enter(caller, deadline)?;
        self.guard(claim).map_err(|Corrupt| TimedAccessError::Corrupt)
    }

    pub(super) fn try_lock_at(
        &self,
        caller: &'static Location<'static>,
    ) -> Result<ByteDictGuard<'_>, TryAccessError> {
        let claim = self.door().try_enter(caller)?;
        self.guard(claim).map_err(|Corrupt| TryAccessError::Corrupt)
    }

    fn door(&self) -> Door<'_> {
        let line = self.line();
        Door { entry: &self.entry, record: &line.record, mutex: line.raw.mutex() }
    }

    fn line(&self) -> &Line<RawDict> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// How many entries there are, at some instant of the call.
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

    /// How many of them are taken, with what each of the entries costs beside its own bytes.
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

/// The dict, locked until this is dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct ByteDictGuard<'a> {
    of: &'a ByteDict,
    inner: Dict<'a>,
    owner: Owner,
    /// Contradictions were found.
    corrupt: Cell<bool>,
    /// The thread is part of the record, so the guard stays on it.
    _not_send: PhantomData<*const ()>,
}

impl ByteDictGuard<'_> {
    /// See [`ByteDict::get`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, AccessError> {
        Ok(self.find(key)?.map(|found| self.value(found)))
    }

    /// See [`ByteDict::contains`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn contains(&self, key: &[u8]) -> Result<bool, AccessError> {
        Ok(self.find(key)?.is_some())
    }

    /// See [`ByteDict::insert`].
    ///
    /// # Errors
    /// As there.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool, UpdateError> {
        let found = self.find(key)?;
        let put = self.inner.put(found, key, value);
        put.map_err(|_| self.of.full(key.len(), value.len()))?;
        Ok(found.is_some())
    }

    /// See [`ByteDict::remove`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn remove(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, AccessError> {
        let Some(found) = self.find(key)? else { return Ok(None) };
        let value = self.value(found);
        self.inner.remove(found);
        Ok(Some(value))
    }

    /// See [`ByteDict::clear`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn clear(&mut self) -> Result<(), AccessError> {
        for (key, _) in self.entries()? {
            self.remove(&key)?;
        }
        Ok(())
    }

    /// See [`ByteDict::entries`].
    ///
    /// # Errors
    /// [`AccessError::Corrupt`].
    pub fn entries(&self) -> Result<Vec<Pair>, AccessError> {
        let mut entries = Vec::new();
        for bucket in 0..self.inner.buckets() {
            self.copy(bucket, &mut entries)?;
        }
        Ok(entries)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the entries of one bucket.
    fn copy(&self, bucket: usize, to: &mut Vec<Pair>) -> Result<(), AccessError> {
        let store = self.inner.store();
        let mut next = self.checked(self.inner.first(bucket))?;
        let mut left = store.units();
        while let Some(entry) = next {
            // A chain has no more entries than there are units; longer ones run in a circle.
            left = self.checked(left.checked_sub(1).ok_or(Corrupt))?;
            let (mut key, mut value) = (vec![0; entry.first_len()], vec![0; entry.second_len()]);
            store.read_first(entry, &mut key);
            store.read_second(entry, &mut value);
            to.push((key, value));
            next = self.checked(self.inner.after(entry))?;
        }
        Ok(())
    }

    fn find(&self, key: &[u8]) -> Result<Option<Found>, AccessError> {
        self.checked(self.inner.find(key))
    }

    fn value(&self, found: Found) -> Vec<u8> {
        let mut value = vec![0; found.entry().second_len()];
        self.inner.store().read_second(found.entry(), &mut value);
        value
    }

    fn checked<T>(&self, result: Result<T, Corrupt>) -> Result<T, AccessError> {
        result.map_err(|Corrupt| {
            self.corrupt.set(true);
            AccessError::Corrupt
        })
    }
}

impl Drop for ByteDictGuard<'_> {
    fn drop(&mut self) {
        if !self.of.door().note_leaving(self.owner) {
            return;
        }
        let (line, wait) = (self.of.line(), self.of.entry.wait());
        if self.corrupt.get() {
            Dict::abandon(&line.raw, &wait);
        } else {
            self.inner.leave(&wait);
        }
    }
}

impl fmt::Debug for ByteDict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteDict").field("name", &self.name()).field("len", &self.len()).finish()
    }
}

impl fmt::Debug for ByteDictGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteDictGuard").field(self.of).finish()
    }
}

/// See [`ByteDict::iter`].
#[derive(Debug)]
pub struct ByteDictIter<'a> {
    dict: &'a ByteDict,
    bucket: usize,
    copied: std::vec::IntoIter<Pair>,
    failed: bool,
}

/// How many entries are copied under one lock, roughly, and how many buckets are looked at.
const AT_ONCE: (usize, usize) = (64, 4096);

impl ByteDictIter<'_> {
    fn more(&mut self) -> Result<(), AccessError> {
        let guard = self.dict.lock()?;
        let (mut entries, begin) = (Vec::new(), self.bucket);
        let end = guard.inner.buckets();
        while self.bucket < end && entries.len() < AT_ONCE.0 && self.bucket - begin < AT_ONCE.1 {
            guard.copy(self.bucket, &mut entries)?;
            self.bucket += 1;
        }
        self.copied = entries.into_iter();
        Ok(())
    }
}

impl Iterator for ByteDictIter<'_> {
    type Item = Result<Pair, AccessError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.copied.next() {
                return Some(Ok(entry));
            }
            if self.failed || self.bucket >= self.dict.room.buckets() {
                return None;
            }
            if let Err(error) = self.more() {
                self.failed = true;
                return Some(Err(error));
            }
        }
    }
}
