//! A sequence in a space, of any values that serde can encode.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use antiphon_place::{Error, Spec, type_name};
use antiphon_sys::clock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::byte_list::{ByteList, ByteListGuard};
use super::code::{decode, value};
use crate::error::{AccessError, TimedAccessError, TryAccessError, UpdateError};
use crate::space::Space;
use crate::space::entry::Entry;
use crate::space::handle::{Openable, handle};

/// A sequence of values in a space, bounded by bytes, for all who open it.
///
/// What other languages keep in a server process (`Manager().list()`) lies in shared memory here: an operation takes a lock and
/// copies an item. Items are whatever serde can encode, as MessagePack with field names. Costs and promises about deaths are
/// those of [`ByteList`].
pub struct List<T> {
    bytes: ByteList,
    _items: PhantomData<fn(T) -> T>,
}

impl<T> Clone for List<T> {
    /// Another way to the same list.
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), _items: PhantomData }
    }
}

impl Space {
    /// Opens the list `name`, creating it for `bytes` of items if need be. An item takes 16 bytes more than what is in it, in
    /// multiples of 32; and changing one needs room for the new one beside the old one.
    ///
    /// # Errors
    /// As [`byte_list`](Self::byte_list).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let scores = space.list::<(String, u32)>("scores", 1 << 16)?;
    /// scores.push(&("Ada".to_owned(), 3))?;
    /// scores.update(0, |(who, n)| (who, n + 1))?;
    /// assert_eq!(scores.get(0)?, Some(("Ada".to_owned(), 4)));
    /// assert_eq!(scores.get(1)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn list<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        bytes: u64,
    ) -> Result<List<T>, Error> {
        self.open_object(name, [bytes, 0, 0, 0], Location::caller(), |_| {})
    }
}

impl<T> Openable for List<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        ByteList::spec_for(type_name::<T>(), params)
    }

    fn attach(entry: Entry) -> Self {
        Self { bytes: ByteList::attach(entry), _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        self.bytes.entry()
    }
}

handle!(List<T: Serialize, DeserializeOwned>);

impl<T: Serialize + DeserializeOwned> List<T> {
    /// Takes the lock, waiting as long as it takes: what is done through the guard, nobody comes between. It is no transaction: of
    /// several changes, a death in the midst leaves the first ones.
    ///
    /// # Errors
    /// [`AccessError::WouldDeadlock`] if this thread has it; [`AccessError::Corrupt`].
    #[track_caller]
    pub fn lock(&self) -> Result<ListGuard<'_, T>, AccessError> {
        self.bytes
            .lock_at(Location::caller(), None)
            .map_err(TimedAccessError::untimed)
            .map(ListGuard::of)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    /// [`TryAccessError`].
    #[track_caller]
    pub fn try_lock(&self) -> Result<ListGuard<'_, T>, TryAccessError> {
        self.bytes.try_lock_at(Location::caller()).map(ListGuard::of)
    }

    /// Takes the lock, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ListGuard<'_, T>, TimedAccessError> {
        self.bytes
            .lock_at(Location::caller(), Some(clock::deadline_after(timeout)))
            .map(ListGuard::of)
    }

    /// Takes the lock, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_deadline(&self, deadline: Instant) -> Result<ListGuard<'_, T>, TimedAccessError> {
        self.bytes
            .lock_at(Location::caller(), Some(clock::deadline_at(deadline)))
            .map(ListGuard::of)
    }

    /// The item at `index`.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn get(&self, index: usize) -> Result<Option<T>, AccessError> {
        self.lock()?.get(index)
    }

    /// Puts an item at the end.
    ///
    /// # Errors
    /// [`UpdateError`], and nothing has changed.
    #[track_caller]
    pub fn push(&self, item: &T) -> Result<(), UpdateError> {
        self.lock()?.push(item)
    }

    /// Takes the last item away and returns it.
    ///
    /// # Errors
    /// [`AccessError`]. [`AccessError::Decode`] leaves the item where it is.
    #[track_caller]
    pub fn pop(&self) -> Result<Option<T>, AccessError> {
        self.lock()?.pop()
    }

    /// Puts an item in the place of the one at `index`.
    ///
    /// # Errors
    /// [`UpdateError`], and nothing has changed.
    #[track_caller]
    pub fn set(&self, index: usize, item: &T) -> Result<(), UpdateError> {
        self.lock()?.set(index, item)
    }

    /// Puts what `change` makes of the item at `index` in its place. Everybody else waits meanwhile; if `change` panics, nothing has
    /// changed.
    ///
    /// # Errors
    /// [`UpdateError`], and nothing has changed.
    #[track_caller]
    pub fn update(&self, index: usize, change: impl FnOnce(T) -> T) -> Result<(), UpdateError> {
        let mut guard = self.lock()?;
        let Some(item) = guard.get(index)? else {
            return Err(UpdateError::OutOfRange { index, len: guard.len() });
        };
        guard.set(index, &change(item))
    }

    /// Puts an item before the one at `index`, or at the end if that is the index.
    ///
    /// # Errors
    /// [`UpdateError`], and nothing has changed.
    #[track_caller]
    pub fn insert(&self, index: usize, item: &T) -> Result<(), UpdateError> {
        self.lock()?.insert(index, item)
    }

    /// Takes the item at `index` away and returns it.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    #[track_caller]
    pub fn remove(&self, index: usize) -> Result<Option<T>, AccessError> {
        self.lock()?.remove(index)
    }

    /// Takes all items away.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn clear(&self) -> Result<(), AccessError> {
        self.bytes.clear()
    }

    /// All items as they are at one instant.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn items(&self) -> Result<Vec<T>, AccessError> {
        self.lock()?.items()
    }
}

impl<T> List<T> {
    /// The same list, of bytes.
    pub fn as_bytes(&self) -> &ByteList {
        &self.bytes
    }

    /// How many items there are, at some instant of the call.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none, at some instant of the call.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.bytes.name()
    }
}

/// The list, locked until this is dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct ListGuard<'a, T> {
    bytes: ByteListGuard<'a>,
    _items: PhantomData<fn(T) -> T>,
}

impl<'a, T: Serialize + DeserializeOwned> ListGuard<'a, T> {
    fn of(bytes: ByteListGuard<'a>) -> Self {
        Self { bytes, _items: PhantomData }
    }

    /// See [`List::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, index: usize) -> Result<Option<T>, AccessError> {
        self.bytes.get(index)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// See [`List::push`].
    ///
    /// # Errors
    /// As there.
    pub fn push(&mut self, item: &T) -> Result<(), UpdateError> {
        self.bytes.push(&value(item)?)
    }

    /// See [`List::pop`].
    ///
    /// # Errors
    /// As there.
    pub fn pop(&mut self) -> Result<Option<T>, AccessError> {
        match self.len() {
            0 => Ok(None),
            len => self.remove(len - 1),
        }
    }

    /// See [`List::set`].
    ///
    /// # Errors
    /// As there.
    pub fn set(&mut self, index: usize, item: &T) -> Result<(), UpdateError> {
        self.bytes.set(index, &value(item)?)
    }

    /// See [`List::insert`].
    ///
    /// # Errors
    /// As there.
    pub fn insert(&mut self, index: usize, item: &T) -> Result<(), UpdateError> {
        self.bytes.insert(index, &value(item)?)
    }

    /// See [`List::remove`].
    ///
    /// # Errors
    /// As there.
    pub fn remove(&mut self, index: usize) -> Result<Option<T>, AccessError> {
        let item = self.get(index)?;
        if item.is_some() {
            self.bytes.remove(index)?;
        }
        Ok(item)
    }

    /// See [`List::items`].
    ///
    /// # Errors
    /// As there.
    pub fn items(&self) -> Result<Vec<T>, AccessError> {
        self.bytes.items()?.iter().map(|bytes| decode(bytes)).collect()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("List").field(&self.bytes).finish()
    }
}

impl<T> fmt::Debug for ListGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ListGuard").field(&self.bytes).finish()
    }
}
