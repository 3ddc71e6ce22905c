//! Many values under one lock.

use std::panic::Location;
use std::ptr::NonNull;

use antiphon_place::{Error, Kind, Spec, type_layout, type_name};

use crate::space::entry::Entry;
use crate::space::handle::{Openable, deserialize, serialize};
use crate::space::{Mutex, Plain, Space};

/// A number of plain values in a space, with the lock that guards them: a [`Mutex`] around a slice, with its methods and its promises
/// about deaths. See [`Space::array`]. Without a lock: [`Memory`](super::Memory).
pub type Array<T> = Mutex<[T]>;

/// One plain value in a space, with the lock that guards it: what [`Space::mutex`] opens.
pub type Value<T> = Mutex<T>;

/// Where the values begin: behind the first line, aligned for any type.
const VALUES: usize = 128;

impl Space {
    /// Opens the array `name`, creating it with `len` times the value that is all zero bytes if need be.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the name is another kind's, type's or length's; [`Error::BadParameter`] for no values or too many;
    /// [`Error::BadName`], [`Error::NoRoom`], [`Error::Foreign`], [`Error::System`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let counts = space.array::<u64>("counts", 10)?;
    /// counts.lock().unwrap()[3] += 1;
    /// assert_eq!(counts.lock().unwrap().iter().sum::<u64>(), 1);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn array<T: Plain>(&self, name: &str, len: usize) -> Result<Array<T>, Error> {
        self.open_object(name, [0, len as u64, 0, 0], Location::caller(), |_| {})
    }
}

impl<T: Plain> Openable for Array<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= VALUES && size_of::<T>() > 0) };
        let bytes = usize::try_from(params[1]).ok().and_then(|len| len.checked_mul(size_of::<T>()));
        let bytes = bytes.filter(|bytes| (1..isize::MAX as usize / 2).contains(bytes));
        let Some(bytes) = bytes else {
            return Err(Error::BadParameter {
                what: "the number of values",
                rule: "at least 1, and no more than can be addressed".to_owned(),
                found: params[1].to_string(),
            });
        };
        Ok(Spec {
            kind: Kind::Memory,
            type_name: type_name::<[T]>(),
            // Not that of one value.
            type_layout: !type_layout::<T>(),
            params: [("most bytes", 0), ("number of values", params[1]), ("", 0), ("", 0)],
            body_len: VALUES + bytes,
        })
    }

    fn attach(entry: Entry) -> Self {
        let len = entry.object.params()[1] as usize;
        assert!(VALUES + len * size_of::<T>() <= entry.object.body_len());
        // SAFETY: inside the body, by the assertion above.
        let first: NonNull<T> = unsafe { entry.object.body().add(VALUES).cast() };
        // SAFETY: the spec has put a line at the start and so many values there; plain values may be any bytes.
        unsafe { Mutex::over(entry, NonNull::slice_from_raw_parts(first, len)) }
    }

    fn entry(&self) -> &Entry {
        self.place()
    }
}

impl<T: Plain> serde::Serialize for Array<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self, serializer)
    }
}

impl<'de, T: Plain> serde::Deserialize<'de> for Array<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}
