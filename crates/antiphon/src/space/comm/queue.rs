//! A bounded queue of plain values in a space.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use antiphon_core::comm::copy::copy_items;
use antiphon_core::comm::ring::{Patience, RingError, Shutdown};
use antiphon_core::comm::slots::{MAX_CAPACITY, Shape, Slots};
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec};

use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use crate::space::Space;
use crate::space::ends::{self, Ends, FOREVER, ITEMS, queue_methods};
use crate::space::entry::{Entry, param, spec};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// A bounded first-in first-out queue of plain values, for any number of putters and getters in all processes of the space.
///
/// A put is committed by one store after the bytes are there, a get by one store that makes the value the caller's: who dies before
/// has done nothing, who dies after has done it. So no committed value is lost in the queue, torn, or returned by two
/// gets; a value that a get has returned is its process's, and ends with it. There is no feeder thread: a put that returned is in
/// shared memory.
///
/// A put happens before the get that returns its value. Values put by one thread come out in its order.
pub struct Queue<T> {
    pub(in crate::space) ends: Ends,
    cells: NonNull<T>,
    shape: Shape,
    _items: PhantomData<T>,
}

// SAFETY: the queue moves values from thread to thread and never shares one.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { ends: self.ends.clone(), ..*self }
    }
}

impl Space {
    /// Opens the queue `name`, creating it for up to `capacity` values if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created for another number of values, and
    /// [`Error::BadParameter`] for none or more than 2^30.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let numbers = space.queue::<u64>("numbers", 100)?;
    /// numbers.put(1).unwrap();
    /// numbers.put_many(&[2, 3]).unwrap();
    /// assert_eq!(numbers.get(), Ok(1));
    /// assert_eq!(numbers.get_many(10), Ok(vec![2, 3]));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn queue<T: Plain>(&self, name: &str, capacity: u32) -> Result<Queue<T>, Error> {
        self.open_object(name, [capacity.into(), 0, 0, 0], Location::caller(), |_| {})
    }
}

/// The shape of a queue, if there is one of that capacity.
pub(super) fn shape(capacity: u64) -> Option<Shape> {
    Shape::new(u32::try_from(capacity).ok()?)
}

impl<T: Plain> Openable for Queue<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= 128 && size_of::<T>() > 0) };
        let capacity = params[0];
        let bad = || Error::BadParameter {
            what: "the capacity of a queue",
            rule: format!("1 to {MAX_CAPACITY}"),
            found: capacity.to_string(),
        };
        let cells = shape(capacity).ok_or_else(bad)?.cells() as usize;
        let len = cells.checked_mul(size_of::<T>()).filter(|len| i64::try_from(*len).is_ok());
        let len = len.ok_or_else(bad)?;
        Ok(spec::<T>(Kind::Queue, param("capacity", capacity), ITEMS + len))
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()[0]).expect("the spec was checked");
        // SAFETY: the spec has put a ring and the cells there; fresh memory is an empty ring.
        let (cells, ends) = unsafe { (entry.at(ITEMS), Ends::new(entry)) };
        Self { ends, cells, shape, _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.ends.entry
    }
}

handle!(Queue<T: Plain>);

impl<T> Queue<T> {
    #[inline]
    fn slots(&self) -> Slots<'_, T> {
        // SAFETY: the cells lie behind the ring, as many as the shape says; `T` is plain, so any bytes are one.
        unsafe { Slots::new(self.ends.ring(), self.cells, self.shape) }
    }

    queue_methods!();

    /// A put that waits in a way of its own. The caller forgets `item` if it succeeds.
    pub(in crate::space) fn push_as<W: Wait>(&self, item: &T, w: &W) -> Result<(), RingError> {
        self.slots().push(w, FOREVER, |cell| write(item, cell))
    }

    /// A get that waits in a way of its own.
    pub(in crate::space) fn pop_as<W: Wait>(&self, w: &W) -> Result<T, RingError>
    where
        T: Plain,
    {
        // SAFETY: a committed cell holds a value.
        self.slots().pop(w, FOREVER, |cell| unsafe { cell.read() })
    }

    /// The most values it holds.
    pub fn capacity(&self) -> usize {
        self.shape.capacity() as usize
    }
}

impl<T: Plain> Queue<T> {
    /// Puts a value, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`PutError`], with the value.
    #[inline]
    #[track_caller]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        let noted = self.ends.noted(Location::caller(), None);
        let put = self.slots().push(&noted, FOREVER, |cell| write(&item, cell));
        done(put, item).map_err(|(error, item)| ends::put(error, item))
    }

    /// Puts a value if there is room.
    ///
    /// # Errors
    /// [`TryPutError`], with the value.
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        let wait = self.ends.entry.wait();
        let put = self.slots().push(&wait, Patience::Try, |cell| write(&item, cell));
        done(put, item).map_err(|(error, item)| ends::try_put(error, item))
    }

    /// Puts a value, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedPutError`], with the value.
    #[track_caller]
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), TimedPutError<T>> {
        self.put_until(item, Location::caller(), ends::within(timeout))
    }

    /// Puts a value, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedPutError`], with the value.
    #[track_caller]
    pub fn put_deadline(&self, item: T, deadline: Instant) -> Result<(), TimedPutError<T>> {
        self.put_until(item, Location::caller(), ends::at(deadline))
    }

    fn put_until(
        &self,
        item: T,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<(), TimedPutError<T>> {
        let noted = self.ends.noted(caller, Some(deadline));
        let patience = Patience::Until(Some(deadline));
        let put = self.slots().push(&noted, patience, |cell| write(&item, cell));
        done(put, item).map_err(|(error, item)| self.ends.timed_put(error, item, &noted))
    }

    /// Puts all `items` in their order, waiting for room as long as it takes. Each part for which there is room is one
    /// commit, so a batch costs little more than one put. Others' items may come in between parts.
    ///
    /// # Errors
    /// [`PutError`], with the number of items that were put.
    #[track_caller]
    pub fn put_many(&self, items: &[T]) -> Result<(), PutError<usize>> {
        let noted = self.ends.noted(Location::caller(), None);
        let mut put = 0;
        while put < items.len() {
            let rest = &items[put..];
            match self.slots().push_many(&noted, FOREVER, length(rest), |to, from, n| {
                write_all(&rest[from..from + n], to);
            }) {
                Ok(n) => put += n as usize,
                Err(error) => return Err(ends::put(error, put)),
            }
        }
        Ok(())
    }

    /// Puts as many of `items` as there is room for, in one commit, and says how many: at least one.
    ///
    /// # Errors
    /// [`TryPutError`] if none was put.
    pub fn try_put_many(&self, items: &[T]) -> Result<usize, TryPutError<()>> {
        let wait = self.ends.entry.wait();
        let put = self.slots().push_many(&wait, Patience::Try, length(items), |to, from, n| {
            write_all(&items[from..from + n], to);
        });
        put.map(|n| n as usize).map_err(|error| ends::try_put(error, ()))
    }

    /// Takes the oldest value, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Result<T, GetError> {
        let noted = self.ends.noted(Location::caller(), None);
        // SAFETY: a committed cell holds a value.
        self.slots().pop(&noted, FOREVER, |cell| unsafe { cell.read() }).map_err(ends::get)
    }

    /// Takes the oldest value if there is one.
    ///
    /// # Errors
    /// [`TryGetError`].
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        let wait = self.ends.entry.wait();
        // SAFETY: a committed cell holds a value.
        self.slots().pop(&wait, Patience::Try, |cell| unsafe { cell.read() }).map_err(ends::try_get)
    }

    /// Takes the oldest value, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TimedGetError> {
        self.get_until(Location::caller(), ends::within(timeout))
    }

    /// Takes the oldest value, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, TimedGetError> {
        self.get_until(Location::caller(), ends::at(deadline))
    }

    fn get_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<T, TimedGetError> {
        let noted = self.ends.noted(caller, Some(deadline));
        let patience = Patience::Until(Some(deadline));
        // SAFETY: a committed cell holds a value.
        let got = self.slots().pop(&noted, patience, |cell| unsafe { cell.read() });
        got.map_err(|error| self.ends.timed_get(error, &noted))
    }

    /// Takes up to `most` values in one commit, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        let mut items = Vec::new();
        self.get_many_into(&mut items, most)?;
        Ok(items)
    }

    /// The same, onto the end of `items`, and says how many.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get_many_into(&self, items: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        let noted = self.ends.noted(Location::caller(), None);
        let most = most.min(self.capacity());
        items.reserve(most);
        let got = self.slots().pop_many(&noted, FOREVER, most as u32, |from, _, n| {
            append(items, from, n);
        });
        got.map(|n| n as usize).map_err(ends::get)
    }

    /// Takes up to `most` values in one commit, at least one if there is any.
    ///
    /// # Errors
    /// [`TryGetError`].
    pub fn try_get_many(&self, most: usize) -> Result<Vec<T>, TryGetError> {
        let most = most.min(self.capacity());
        let mut items = Vec::with_capacity(most);
        let wait = self.ends.entry.wait();
        let got = self.slots().pop_many(&wait, Patience::Try, most as u32, |from, _, n| {
            append(&mut items, from, n);
        });
        got.map(|_| items).map_err(ends::try_get)
    }

    /// The values until the queue is shut down and empty. Waits for each.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.get().ok())
    }
}

fn length<T>(items: &[T]) -> u32 {
    items.len().min(MAX_CAPACITY as usize) as u32
}

#[inline]
fn write<T>(item: &T, cell: *mut T) {
    // SAFETY: the cell is ours until we commit, and apart from `item`. The caller forgets `item` if the put succeeds.
    unsafe { ptr::copy_nonoverlapping(item, cell, 1) };
}

fn write_all<T: Plain>(items: &[T], cells: *mut T) {
    // SAFETY: that many cells are ours until we commit. Plain values may be copied: they are their bytes.
    unsafe { copy_items(items.as_ptr(), cells, items.len()) };
}

fn append<T: Plain>(items: &mut Vec<T>, cells: *const T, n: usize) {
    items.reserve(n);
    // SAFETY: there is room for n, and n committed cells hold values.
    unsafe {
        copy_items(cells, items.as_mut_ptr().add(items.len()), n);
        items.set_len(items.len() + n);
    }
}

/// The item is in the queue now, or comes back with the reason.
#[inline]
fn done<T>(put: Result<(), RingError>, item: T) -> Result<(), (RingError, T)> {
    match put {
        Ok(()) => {
            std::mem::forget(item);
            Ok(())
        }
        Err(error) => Err((error, item)),
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}
