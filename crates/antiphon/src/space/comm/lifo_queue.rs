//! Bounded queues in a space, last in first out: of plain values, and of bytes.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use antiphon_core::comm::Order;
use antiphon_core::comm::ring::{Patience, Shutdown};
use antiphon_core::wait::Deadline;
use antiphon_place::{Error, Kind, Spec, message_layout};

use super::stock::{Parcel, Stock, body_len, copied, stock_methods};
use crate::comm::outcome;
use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use crate::space::Space;
use crate::space::ends::{self, FOREVER};
use crate::space::entry::{Entry, param, spec};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// A bounded queue of plain values whose newest comes out first, for any number of putters and getters in all processes of the space.
///
/// A put is committed by one store after the bytes are there, a get by one store that makes the value the caller's: who dies
/// before has done nothing, who dies after has done it. So no committed value is lost in the queue, torn, or returned by two gets.
/// Who dies while it changes the queue's order leaves it to the next to put that right, from the values themselves.
pub struct LifoQueue<T> {
    stock: Stock,
    _items: PhantomData<fn() -> T>,
}

/// A [`LifoQueue`] of messages, which are bytes: each of any length up to a bound.
#[derive(Clone)]
pub struct ByteLifoQueue {
    stock: Stock,
}

impl<T> Clone for LifoQueue<T> {
    fn clone(&self) -> Self {
        Self { stock: self.stock.clone(), _items: PhantomData }
    }
}

impl Space {
    /// Opens the last-in-first-out queue `name`, creating it for up to `capacity` values if need be.
    ///
    /// # Errors
    /// As [`queue`](Self::queue), the largest capacity being 2^26.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let stack = space.lifo_queue::<u64>("stack", 100)?;
    /// stack.put(1).unwrap();
    /// stack.put_many(&[2, 3]).unwrap();
    /// assert_eq!(stack.get(), Ok(3));
    /// assert_eq!(stack.get_many(10), Ok(vec![2, 1]));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn lifo_queue<T: Plain>(&self, name: &str, capacity: u32) -> Result<LifoQueue<T>, Error> {
        self.open_object(name, [capacity.into(), 0, 0, 0], Location::caller(), |_| {})
    }

    /// Opens the last-in-first-out queue `name`, creating it for up to `capacity` messages of up to `longest` bytes each if need be.
    ///
    /// # Errors
    /// As [`lifo_queue`](Self::lifo_queue).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let stack = space.byte_lifo_queue("lines", 100, 80)?;
    /// stack.put(b"bottom").unwrap();
    /// stack.put(b"top").unwrap();
    /// assert_eq!(stack.get().unwrap(), b"top");
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn byte_lifo_queue(
        &self,
        name: &str,
        capacity: u32,
        longest: u32,
    ) -> Result<ByteLifoQueue, Error> {
        self.open_object(name, [capacity.into(), longest.into(), 0, 0], Location::caller(), |_| {})
    }
}

impl<T: Plain> Openable for LifoQueue<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= 128 && size_of::<T>() > 0) };
        let len = body_len(Order::Lifo, params[0], size_of::<T>() as u64)?;
        Ok(spec::<T>(Kind::LifoQueue, param("capacity", params[0]), len))
    }

    fn attach(entry: Entry) -> Self {
        let capacity = entry.object.params()[0];
        // SAFETY: the spec says how long the body is.
        let stock = unsafe { Stock::new(entry, Order::Lifo, capacity, size_of::<T>() as u64) };
        Self { stock, _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.stock.entry
    }
}

impl Openable for ByteLifoQueue {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let [capacity, longest, ..] = params;
        let body_len = body_len(Order::Lifo, capacity, longest)?;
        let mut params = param("capacity in messages", capacity);
        params[1] = ("longest message in bytes", longest);
        let (type_name, type_layout) = (String::new(), message_layout(""));
        Ok(Spec { kind: Kind::LifoQueue, type_name, type_layout, params, body_len })
    }

    fn attach(entry: Entry) -> Self {
        let [capacity, longest, ..] = entry.object.params();
        // SAFETY: the spec says how long the body is.
        Self { stock: unsafe { Stock::new(entry, Order::Lifo, capacity, longest) } }
    }

    fn entry(&self) -> &Entry {
        &self.stock.entry
    }
}

handle!(LifoQueue<T: Plain>);
handle!(ByteLifoQueue);

impl<T: Plain> LifoQueue<T> {
    stock_methods!(T, T, T, "the newest value");

    #[inline]
    fn parcel(item: &T) -> Parcel<'_> {
        Parcel { key: 0, bytes: item.as_bytes() }
    }

    #[inline]
    fn back(item: T) -> T {
        item
    }

    #[inline]
    fn read(from: *const u8, _: usize, _: u64) -> T {
        // SAFETY: the cells of an item are as long as a value, and any bytes are one.
        unsafe { from.cast::<T>().read_unaligned() }
    }
}

impl ByteLifoQueue {
    stock_methods!(&[u8], (), Vec<u8>, "the newest message");

    /// The length of the longest message it takes.
    pub fn longest(&self) -> usize {
        self.stock.longest()
    }

    fn parcel<'a>(item: &'a &[u8]) -> Parcel<'a> {
        Parcel { key: 0, bytes: item }
    }

    fn back(_: &[u8]) {}

    fn read(from: *const u8, len: usize, _: u64) -> Vec<u8> {
        copied(from, len)
    }
}

impl<T: Plain> fmt::Debug for LifoQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifoQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ByteLifoQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteLifoQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
