//! A map in a space, from any key to any value that serde can encode.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use antiphon_place::{Error, Spec, type_name};
use antiphon_sys::clock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::byte_dict::{ByteDict, ByteDictGuard, ByteDictIter};
use super::code::{decode, key, value};
use crate::error::{AccessError, TimedAccessError, TryAccessError, UpdateError};
use crate::space::Space;
use crate::space::entry::Entry;
use crate::space::handle::{Openable, handle};

/// What it is of, without having any.
type Of<K, V> = PhantomData<fn(K, V) -> (K, V)>;

/// A map from keys to values in a space, bounded by bytes, for all who open it.
///
/// What other languages keep in a server process (`Manager().dict()`) lies in shared memory here: an operation takes a lock and
/// copies an entry. Keys and values are whatever serde can encode, as MessagePack with field names; keys are equal when what they encode
/// to is, so a key should encode in one way only (no `HashMap` in it). Costs and promises about deaths are those of [`ByteDict`].
pub struct Dict<K, V> {
    bytes: ByteDict,
    _entries: Of<K, V>,
}

impl<K, V> Clone for Dict<K, V> {
    /// Another way to the same dict.
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), _entries: PhantomData }
    }
}

impl Space {
    /// Opens the dict `name`, creating it for `bytes` of entries if need be. An entry takes 16 bytes more than what is in it, in
    /// multiples of 32; and changing one needs room for the new one beside the old one.
    ///
    /// # Errors
    /// As [`byte_dict`](Self::byte_dict).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let stock = space.dict::<String, u32>("stock", 1 << 16)?;
    /// stock.insert(&"tea".to_owned(), &10)?;
    /// // Under the lock, nobody comes between looking and changing.
    /// stock.update(&"tea".to_owned(), |n| Some(n.unwrap_or(0) - 1))?;
    /// assert_eq!(stock.get(&"tea".to_owned())?, Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn dict<K, V>(&self, name: &str, bytes: u64) -> Result<Dict<K, V>, Error>
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        self.open_object(name, [bytes, 0, 0, 0], Location::caller(), |_| {})
    }
}

impl<K, V> Openable for Dict<K, V> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        ByteDict::spec_for(type_name::<(K, V)>(), params)
    }

    fn attach(entry: Entry) -> Self {
        Self { bytes: ByteDict::attach(entry), _entries: PhantomData }
    }

    fn entry(&self) -> &Entry {
        self.bytes.entry()
    }
}

handle!(Dict<K: Serialize, DeserializeOwned; V: Serialize, DeserializeOwned>);

impl<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> Dict<K, V> {
    /// Takes the lock, waiting as long as it takes: what is done through the guard, nobody comes between. It is no transaction: of
    /// several changes, a death in the midst leaves the first ones.
    ///
    /// # Errors
    /// [`AccessError::WouldDeadlock`] if this thread has it; [`AccessError::Corrupt`].
    #[track_caller]
    pub fn lock(&self) -> Result<DictGuard<'_, K, V>, AccessError> {
        self.bytes
            .lock_at(Location::caller(), None)
            .map_err(TimedAccessError::untimed)
            .map(DictGuard::of)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    /// [`TryAccessError`].
    #[track_caller]
    pub fn try_lock(&self) -> Result<DictGuard<'_, K, V>, TryAccessError> {
        self.bytes.try_lock_at(Location::caller()).map(DictGuard::of)
    }

    /// Takes the lock, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Result<DictGuard<'_, K, V>, TimedAccessError> {
        self.bytes
            .lock_at(Location::caller(), Some(clock::deadline_after(timeout)))
            .map(DictGuard::of)
    }

    /// Takes the lock, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedAccessError`].
    #[track_caller]
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<DictGuard<'_, K, V>, TimedAccessError> {
        self.bytes
            .lock_at(Location::caller(), Some(clock::deadline_at(deadline)))
            .map(DictGuard::of)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn get(&self, key: &K) -> Result<Option<V>, AccessError> {
        self.lock()?.get(key)
    }

    /// Whether there is an entry with this key.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn contains(&self, key: &K) -> Result<bool, AccessError> {
        self.lock()?.contains(key)
    }

    /// Gives `key` this value, whatever it had. Says whether it had one.
    ///
    /// # Errors
    /// [`UpdateError`], and nothing has changed.
    #[track_caller]
    pub fn insert(&self, key: &K, value: &V) -> Result<bool, UpdateError> {
        self.lock()?.insert(key, value)
    }

    /// Takes the entry with this key away, and returns its value.
    ///
    /// # Errors
    /// [`AccessError`]. [`AccessError::Decode`] leaves the entry where it is.
    #[track_caller]
    pub fn remove(&self, key: &K) -> Result<Option<V>, AccessError> {
        self.lock()?.remove(key)
    }

    /// Gives `key` the value that `change` makes of the one it has, or takes the entry away if it makes none. Everybody else waits
    /// meanwhile; if `change` panics, nothing has changed.
    ///
    /// # Errors
    /// [`UpdateError`], and nothing has changed.
    #[track_caller]
    pub fn update(
        &self,
        key: &K,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<(), UpdateError> {
        let mut guard = self.lock()?;
        match change(guard.get(key)?) {
            Some(value) => guard.insert(key, &value).map(drop),
            None => guard.remove_unread(key),
        }
    }

    /// Takes all entries away, one by one.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn clear(&self) -> Result<(), AccessError> {
        self.bytes.clear()
    }

    /// All entries as they are at one instant, in no order.
    ///
    /// # Errors
    /// [`AccessError`].
    #[track_caller]
    pub fn entries(&self) -> Result<Vec<(K, V)>, AccessError> {
        self.lock()?.entries()
    }

    /// The entries, as [`ByteDict::iter`].
    pub fn iter(&self) -> DictIter<'_, K, V> {
        DictIter { bytes: self.bytes.iter(), _entries: PhantomData }
    }
}

impl<K, V> Dict<K, V> {
    /// The same dict, of bytes.
    pub fn as_bytes(&self) -> &ByteDict {
        &self.bytes
    }

    /// How many entries there are, at some instant of the call.
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

/// The dict, locked until this is dropped.
#[must_use = "dropping the guard unlocks at once"]
pub struct DictGuard<'a, K, V> {
    bytes: ByteDictGuard<'a>,
    _entries: Of<K, V>,
}

impl<'a, K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> DictGuard<'a, K, V> {
    fn of(bytes: ByteDictGuard<'a>) -> Self {
        Self { bytes, _entries: PhantomData }
    }

    /// See [`Dict::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, of: &K) -> Result<Option<V>, AccessError> {
        self.bytes.get(&key(of)?)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// See [`Dict::contains`].
    ///
    /// # Errors
    /// As there.
    pub fn contains(&self, of: &K) -> Result<bool, AccessError> {
        self.bytes.contains(&key(of)?)
    }

    /// See [`Dict::insert`].
    ///
    /// # Errors
    /// As there.
    pub fn insert(&mut self, of: &K, is: &V) -> Result<bool, UpdateError> {
        self.bytes.insert(&key(of)?, &value(is)?)
    }

    /// See [`Dict::remove`].
    ///
    /// # Errors
    /// As there.
    pub fn remove(&mut self, of: &K) -> Result<Option<V>, AccessError> {
        let old = self.get(of)?;
        if old.is_some() {
            self.bytes.remove(&key(of)?)?;
        }
        Ok(old)
    }

    fn remove_unread(&mut self, of: &K) -> Result<(), UpdateError> {
        self.bytes.remove(&key(of)?)?;
        Ok(())
    }

    /// See [`Dict::entries`].
    ///
    /// # Errors
    /// As there.
    pub fn entries(&self) -> Result<Vec<(K, V)>, AccessError> {
        self.bytes.entries()?.iter().map(|(k, v)| Ok((decode(k)?, decode(v)?))).collect()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// See [`Dict::iter`].
pub struct DictIter<'a, K, V> {
    bytes: ByteDictIter<'a>,
    _entries: PhantomData<fn() -> (K, V)>,
}

impl<K: DeserializeOwned, V: DeserializeOwned> Iterator for DictIter<'_, K, V> {
    type Item = Result<(K, V), AccessError>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoded = |(k, v): (Vec<u8>, Vec<u8>)| Ok((decode(&k)?, decode(&v)?));
        self.bytes.next().map(|entry| entry.and_then(decoded))
    }
}

impl<K, V> fmt::Debug for Dict<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dict").field(&self.bytes).finish()
    }
}

impl<K, V> fmt::Debug for DictGuard<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DictGuard").field(&self.bytes).finish()
    }
}

impl<K, V> fmt::Debug for DictIter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DictIter").field(&self.bytes).finish()
    }
}
