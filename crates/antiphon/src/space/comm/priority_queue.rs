//! Bounded queues in a space, the smallest priority first: of plain values, and of bytes.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use antiphon_core::comm::Order;
use antiphon_core::comm::ring::{Patience, Shutdown};
use antiphon_core::wait::Deadline;
use antiphon_place::{Error, Kind, Spec, message_layout, type_layout, type_name};

use super::priority::{self, Priority, pair_name};
use super::stock::{Parcel, Stock, body_len, copied, stock_methods};
use crate::comm::outcome;
use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use crate::space::Space;
use crate::space::ends::{self, FOREVER};
use crate::space::entry::{Entry, param};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// A bounded queue of pairs of a priority and a plain value, the smallest priority first, for any number of putters and getters in
/// all processes of the space.
///
/// Values of the same priority come out in the order in which they were put. What it promises about deaths is what
/// [`LifoQueue`](super::LifoQueue) does.
pub struct PriorityQueue<P, T> {
    stock: Stock,
    _items: PhantomData<fn() -> (P, T)>,
}

/// A [`PriorityQueue`] of messages, which are bytes: each of any length up to a bound.
pub struct BytePriorityQueue<P> {
    stock: Stock,
    _items: PhantomData<fn() -> P>,
}

impl<P, T> Clone for PriorityQueue<P, T> {
    fn clone(&self) -> Self {
        Self { stock: self.stock.clone(), _items: PhantomData }
    }
}

impl<P> Clone for BytePriorityQueue<P> {
    fn clone(&self) -> Self {
        Self { stock: self.stock.clone(), _items: PhantomData }
    }
}

impl Space {
    /// Opens the priority queue `name`, creating it for up to `capacity` values if need be.
    ///
    /// # Errors
    /// As [`queue`](Self::queue), the largest capacity being 2^26.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let jobs = space.priority_queue::<i64, u32>("jobs", 100)?;
    /// jobs.put((5, 100)).unwrap();
    /// jobs.put((-5, 200)).unwrap();
    /// jobs.put((5, 300)).unwrap();
    /// assert_eq!(jobs.get(), Ok((-5, 200)));
    /// assert_eq!(jobs.get_many(10), Ok(vec![(5, 100), (5, 300)]));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn priority_queue<P: Priority, T: Plain>(
        &self,
        name: &str,
        capacity: u32,
    ) -> Result<PriorityQueue<P, T>, Error> {
        self.open_object(name, [capacity.into(), 0, 0, 0], Location::caller(), |_| {})
    }

    /// Opens the priority queue `name`, creating it for up to `capacity` messages of up to `longest` bytes each if need be.
    ///
    /// # Errors
    /// As [`priority_queue`](Self::priority_queue).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let mail = space.byte_priority_queue::<f64>("mail", 100, 80)?;
    /// mail.put((0.5, b"later")).unwrap();
    /// mail.put((0.25, b"soon")).unwrap();
    /// assert_eq!(mail.get().unwrap(), (0.25, b"soon".to_vec()));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn byte_priority_queue<P: Priority>(
        &self,
        name: &str,
        capacity: u32,
        longest: u32,
    ) -> Result<BytePriorityQueue<P>, Error> {
        self.open_object(name, [capacity.into(), longest.into(), 0, 0], Location::caller(), |_| {})
    }
}

impl<P: Priority, T: Plain> Openable for PriorityQueue<P, T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= 128 && size_of::<T>() > 0) };
        Ok(Spec {
            kind: Kind::PriorityQueue,
            type_name: pair_name::<P>(&type_name::<T>()),
            type_layout: type_layout::<P>() ^ type_layout::<T>().rotate_left(1),
            params: param("capacity", params[0]),
            body_len: body_len(Order::Priority, params[0], size_of::<T>() as u64)?,
        })
    }

    fn attach(entry: Entry) -> Self {
        let capacity = entry.object.params()[0];
        // SAFETY: the spec says how long the body is.
        let stock = unsafe { Stock::new(entry, Order::Priority, capacity, size_of::<T>() as u64) };
        Self { stock, _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.stock.entry
    }
}

impl<P: Priority> Openable for BytePriorityQueue<P> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let [capacity, longest, ..] = params;
        let body_len = body_len(Order::Priority, capacity, longest)?;
        let mut params = param("capacity in messages", capacity);
        params[1] = ("longest message in bytes", longest);
        let type_name = pair_name::<P>("bytes");
        let type_layout = message_layout(&type_name);
        Ok(Spec { kind: Kind::PriorityQueue, type_name, type_layout, params, body_len })
    }

    fn attach(entry: Entry) -> Self {
        let [capacity, longest, ..] = entry.object.params();
        // SAFETY: the spec says how long the body is.
        let stock = unsafe { Stock::new(entry, Order::Priority, capacity, longest) };
        Self { stock, _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.stock.entry
    }
}

impl<P: Priority, T: Plain> serde::Serialize for PriorityQueue<P, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::space::handle::serialize(self, serializer)
    }
}

impl<'de, P: Priority, T: Plain> serde::Deserialize<'de> for PriorityQueue<P, T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::space::handle::deserialize(deserializer)
    }
}

handle!(BytePriorityQueue<P: Priority>);

impl<P: Priority, T: Plain> PriorityQueue<P, T> {
    stock_methods!((P, T), (P, T), (P, T), "the item with the smallest priority");

    #[inline]
    fn parcel((priority, value): &(P, T)) -> Parcel<'_> {
        Parcel { key: priority::key(*priority), bytes: value.as_bytes() }
    }

    #[inline]
    fn back(item: (P, T)) -> (P, T) {
        item
    }

    #[inline]
    fn read(from: *const u8, _: usize, key: u64) -> (P, T) {
        // SAFETY: the cells of an item are as long as a value, and any bytes are one.
        (priority::of_key(key), unsafe { from.cast::<T>().read_unaligned() })
    }
}

impl<P: Priority> BytePriorityQueue<P> {
    stock_methods!((P, &[u8]), (), (P, Vec<u8>), "the message with the smallest priority");

    /// The length of the longest message it takes.
    pub fn longest(&self) -> usize {
        self.stock.longest()
    }

    fn parcel<'a>((priority, bytes): &'a (P, &[u8])) -> Parcel<'a> {
        Parcel { key: priority::key(*priority), bytes }
    }

    fn back(_: (P, &[u8])) {}

    fn read(from: *const u8, len: usize, key: u64) -> (P, Vec<u8>) {
        (priority::of_key(key), copied(from, len))
    }
}

impl<P: Priority, T: Plain> fmt::Debug for PriorityQueue<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<P: Priority> fmt::Debug for BytePriorityQueue<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytePriorityQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
