//! What the queues of a space that are not first in first out have in common: the memory, the waits, and the forms of every
//! operation.

use std::panic::Location;
use std::ptr::NonNull;

use antiphon_core::comm::order::Place;
use antiphon_core::comm::ring::{Patience, RingError};
use antiphon_core::comm::shelf::{MAX_CAPACITY, Shape, Shelf, Slot};
use antiphon_core::comm::{Order, RawStock, Shutdown};
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::Error;

use crate::space::entry::{Entry, Noted};

/// The alignment of the parts of the body.
const PART: usize = 128;

/// What an item is in memory. Bytes that are copied in, and copied out again.
#[derive(Clone, Copy)]
pub(super) struct Parcel<'a> {
    pub(super) key: u64,
    pub(super) bytes: &'a [u8],
}

/// A stock in a space.
#[derive(Clone)]
pub(super) struct Stock {
    pub(super) entry: Entry,
    stock: NonNull<RawStock>,
    slots: NonNull<Slot>,
    places: NonNull<Place>,
    cells: NonNull<u8>,
    shape: Shape,
}

// SAFETY: the words are atomics in memory that `entry` keeps, and the cells are touched only as the stock allows.
unsafe impl Send for Stock {}
// SAFETY: as above.
unsafe impl Sync for Stock {}

/// Where the slots, the places, the cells and the end of a body are.
fn parts(shape: Shape) -> Option<[usize; 4]> {
    let capacity = shape.capacity() as usize;
    let slots = size_of::<RawStock>();
    let places = slots + (capacity * size_of::<Slot>()).next_multiple_of(PART);
    let cells = places + (capacity * size_of::<Place>()).next_multiple_of(PART);
    let len = usize::try_from(shape.cells()).ok()?;
    let end = cells.checked_add(len).filter(|end| i64::try_from(*end).is_ok())?;
    Some([slots, places, cells, end])
}

/// The shape of a stock of up to `capacity` items of up to `longest` bytes.
fn shape(order: Order, capacity: u64, longest: u64) -> Option<Shape> {
    // Items begin where any of them may: at multiples of 8, or of the size of a plain value.
    Shape::new(order, u32::try_from(capacity).ok()?, u32::try_from(longest).ok()?)
}

/// The length of a body, and what is wrong with the parameters if there is none.
pub(super) fn body_len(order: Order, capacity: u64, longest: u64) -> Result<usize, Error> {
    let bad = |what, rule: String, found: u64| Error::BadParameter {
        what,
        rule,
        found: found.to_string(),
    };
    if capacity == 0 || capacity > MAX_CAPACITY.into() {
        return Err(bad("the capacity of a queue", format!("1 to {MAX_CAPACITY}"), capacity));
    }
    let parts = shape(order, capacity, longest).and_then(parts);
    let [.., end] = parts.ok_or_else(|| {
        bad("the longest message of a queue", format!("1 to {} bytes", u32::MAX / 8 * 8), longest)
    })?;
    Ok(end)
}

impl Stock {
    /// # Safety
    /// The body of the object must be as long as [`body_len`] said for the same arguments.
    pub(super) unsafe fn new(entry: Entry, order: Order, capacity: u64, longest: u64) -> Self {
        let shape = shape(order, capacity, longest).expect("the spec was checked");
        let [slots, places, cells, end] = parts(shape).expect("the spec was checked");
        assert!(end <= entry.object.body_len());
        // SAFETY: all are in the body, may be any bytes, and fresh memory is an empty stock.
        unsafe {
            let (stock, slots) = (entry.at(0), entry.at(slots));
            let (places, cells) = (entry.at(places), entry.at(cells));
            Self { entry, stock, slots, places, cells, shape }
        }
    }

    pub(super) fn raw(&self) -> &RawStock {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.stock.as_ref() }
    }

    #[inline]
    fn shelf(&self) -> Shelf<'_, u8> {
        let capacity = self.shape.capacity() as usize;
        // SAFETY: the body has as many slots, places and cells, by the contract of `new`; all may be any bytes.
        unsafe {
            let slots = NonNull::slice_from_raw_parts(self.slots, capacity).as_ref();
            let places = NonNull::slice_from_raw_parts(self.places, capacity).as_ref();
            Shelf::new(self.raw(), slots, places, self.cells, self.shape)
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.shape.capacity() as usize
    }

    /// The most bytes of an item.
    pub(super) fn longest(&self) -> usize {
        self.shape.units() as usize
    }

    /// How to wait until `deadline`, noted for those who look.
    #[inline]
    pub(super) fn noted(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Noted<'_> {
        self.entry.noted(caller, deadline, None)
    }

    #[inline]
    pub(super) fn put(
        &self,
        w: &impl Wait,
        patience: Patience,
        item: Parcel<'_>,
    ) -> Result<(), RingError> {
        if item.bytes.len() > self.longest() {
            return Err(RingError::TooLarge);
        }
        self.shelf().push(w, patience, item.key, |cells| store(item.bytes, cells))
    }

    /// Puts as many of the items as there is room for. One that is too large, and what is behind it, is left out.
    pub(super) fn put_some<'a, I>(
        &self,
        w: &impl Wait,
        patience: Patience,
        items: &'a [I],
        parcel: impl Fn(&'a I) -> Parcel<'a>,
    ) -> Result<usize, RingError> {
        let fit = |item: &&'a I| parcel(item).bytes.len() <= self.longest();
        let count = items.iter().take(self.capacity()).take_while(fit).count();
        if count == 0 && !items.is_empty() {
            return Err(RingError::TooLarge);
        }
        let key = |i| parcel(&items[i as usize]).key;
        let write = |i, cells| store(parcel(&items[i as usize]).bytes, cells);
        let put = self.shelf().push_many(w, patience, count as u32, key, write)?;
        Ok(put as usize)
    }

    /// Takes the next item: `read` gets its bytes, how many there are, and its key.
    #[inline]
    pub(super) fn get<R>(
        &self,
        w: &impl Wait,
        patience: Patience,
        read: impl FnOnce(*const u8, usize, u64) -> R,
    ) -> Result<R, RingError> {
        self.shelf().pop(w, patience, |cells, used, key| read(cells, used as usize, key))
    }

    pub(super) fn get_some(
        &self,
        w: &impl Wait,
        patience: Patience,
        most: usize,
        mut read: impl FnMut(*const u8, usize, u64),
    ) -> Result<usize, RingError> {
        let most = most.min(self.capacity()) as u32;
        let read = |cells, used, key| read(cells, used as usize, key);
        self.shelf().pop_many(w, patience, most, read).map(|n| n as usize)
    }

    pub(super) fn shut_down(&self, how: Shutdown) {
        let done = self.raw().shut_down(&self.entry.wait(), how);
        debug_assert!(done.is_ok(), "only a signal could interrupt this, and none does");
    }
}

#[inline]
fn store(bytes: &[u8], cells: *mut u8) -> u32 {
    // SAFETY: the cells of an item are the longest one's, which this is not longer than; they are ours until we commit.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), cells, bytes.len()) };
    bytes.len() as u32
}

/// The bytes that a stock hands out, copied.
pub(super) fn copied(from: *const u8, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    // SAFETY: there is room for `len`, and the stock vouches for that many readable bytes, apart from our own.
    unsafe {
        std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len);
        bytes.set_len(len);
    }
    bytes
}

/// The methods of a queue on a [`Stock`]. `$put` is what a put is given, `$back` what a failed one gives back, `$item` what a
/// get returns. The type has functions `parcel` (of a `&$put`), `back` (of a `$put`), and `read`.
macro_rules! stock_methods {
    ($put:ty, $back:ty, $item:ty, $next:literal) => {
        /// Puts an item, waiting for room as long as it takes.
        ///
        /// # Errors
        /// [`PutError`].
        #[inline]
        #[track_caller]
        pub fn put(&self, item: $put) -> Result<(), PutError<$back>> {
            let noted = self.stock.noted(Location::caller(), None);
            let put = self.stock.put(&noted, FOREVER, Self::parcel(&item));
            put.map_err(|error| ends::put(error, Self::back(item)))
        }

        /// Puts an item if there is room.
        ///
        /// # Errors
        /// [`TryPutError`].
        #[inline]
        pub fn try_put(&self, item: $put) -> Result<(), TryPutError<$back>> {
            let wait = self.stock.entry.wait();
            let put = self.stock.put(&wait, Patience::Try, Self::parcel(&item));
            put.map_err(|error| ends::try_put(error, Self::back(item)))
        }

        /// Puts an item, waiting for room no longer than `timeout`.
        ///
        /// # Errors
        /// [`TimedPutError`].
        #[track_caller]
        pub fn put_timeout(
            &self,
            item: $put,
            timeout: Duration,
        ) -> Result<(), TimedPutError<$back>> {
            self.put_until(item, Location::caller(), ends::within(timeout))
        }

        /// Puts an item, waiting for room no longer than until `deadline`.
        ///
        /// # Errors
        /// [`TimedPutError`].
        #[track_caller]
        pub fn put_deadline(
            &self,
            item: $put,
            deadline: Instant,
        ) -> Result<(), TimedPutError<$back>> {
            self.put_until(item, Location::caller(), ends::at(deadline))
        }

        fn put_until(
            &self,
            item: $put,
            caller: &'static Location<'static>,
            deadline: Deadline,
        ) -> Result<(), TimedPutError<$back>> {
            let noted = self.stock.noted(caller, Some(deadline));
            let put = self.stock.put(&noted, Patience::Until(Some(deadline)), Self::parcel(&item));
            put.map_err(|error| {
                let timeout = || self.stock.entry.timeout(&noted, None);
                outcome::timed_put(error, Self::back(item), timeout)
            })
        }

        /// Puts all `items`, waiting for room as long as it takes; as many at a time as there is room for, each a commit of its
        /// own. Others' items may come in between.
        ///
        /// # Errors
        /// [`PutError`], with the number of items that were put.
        #[track_caller]
        pub fn put_many(&self, items: &[$put]) -> Result<(), PutError<usize>> {
            let noted = self.stock.noted(Location::caller(), None);
            let mut put = 0;
            while put < items.len() {
                match self.stock.put_some(&noted, FOREVER, &items[put..], Self::parcel) {
                    Ok(n) => put += n,
                    Err(error) => return Err(ends::put(error, put)),
                }
            }
            Ok(())
        }

        /// Puts as many of `items` as there is room for, and says how many: at least one.
        ///
        /// # Errors
        /// [`TryPutError`] if none was put.
        pub fn try_put_many(&self, items: &[$put]) -> Result<usize, TryPutError<()>> {
            let wait = self.stock.entry.wait();
            let put = self.stock.put_some(&wait, Patience::Try, items, Self::parcel);
            put.map_err(|error| ends::try_put(error, ()))
        }

        #[doc = concat!("Takes ", $next, ", waiting for an item as long as it takes.")]
        ///
        /// # Errors
        /// [`GetError`].
        #[inline]
        #[track_caller]
        pub fn get(&self) -> Result<$item, GetError> {
            let noted = self.stock.noted(Location::caller(), None);
            self.stock.get(&noted, FOREVER, Self::read).map_err(ends::get)
        }

        #[doc = concat!("Takes ", $next, " if there is an item.")]
        ///
        /// # Errors
        /// [`TryGetError`].
        #[inline]
        pub fn try_get(&self) -> Result<$item, TryGetError> {
            let wait = self.stock.entry.wait();
            self.stock.get(&wait, Patience::Try, Self::read).map_err(ends::try_get)
        }

        #[doc = concat!("Takes ", $next, ", waiting for an item no longer than `timeout`.")]
        ///
        /// # Errors
        /// [`TimedGetError`].
        #[track_caller]
        pub fn get_timeout(&self, timeout: Duration) -> Result<$item, TimedGetError> {
            self.get_until(Location::caller(), ends::within(timeout))
        }

        #[doc = concat!("Takes ", $next, ", waiting for an item no longer than until `deadline`.")]
        ///
        /// # Errors
        /// [`TimedGetError`].
        #[track_caller]
        pub fn get_deadline(&self, deadline: Instant) -> Result<$item, TimedGetError> {
            self.get_until(Location::caller(), ends::at(deadline))
        }

        fn get_until(
            &self,
            caller: &'static Location<'static>,
            deadline: Deadline,
        ) -> Result<$item, TimedGetError> {
            let noted = self.stock.noted(caller, Some(deadline));
            let got = self.stock.get(&noted, Patience::Until(Some(deadline)), Self::read);
            got.map_err(|error| {
                outcome::timed_get(error, || self.stock.entry.timeout(&noted, None))
            })
        }

        /// Takes up to `most` items at once, in the order in which they would come one by one, waiting for the first as long as it
        /// takes. Each is a commit of its own.
        ///
        /// # Errors
        /// [`GetError`].
        #[track_caller]
        pub fn get_many(&self, most: usize) -> Result<Vec<$item>, GetError> {
            let mut items = Vec::new();
            self.get_many_into(&mut items, most)?;
            Ok(items)
        }

        /// The same, onto the end of `items`, and says how many.
        ///
        /// # Errors
        /// [`GetError`].
        #[track_caller]
        pub fn get_many_into(
            &self,
            items: &mut Vec<$item>,
            most: usize,
        ) -> Result<usize, GetError> {
            let noted = self.stock.noted(Location::caller(), None);
            items.reserve(most.min(self.capacity()));
            let read = |from, len, key| items.push(Self::read(from, len, key));
            self.stock.get_some(&noted, FOREVER, most, read).map_err(ends::get)
        }

        /// Takes up to `most` items at once, at least one if there is any.
        ///
        /// # Errors
        /// [`TryGetError`].
        pub fn try_get_many(&self, most: usize) -> Result<Vec<$item>, TryGetError> {
            let wait = self.stock.entry.wait();
            let mut items = Vec::with_capacity(most.min(self.capacity()));
            let read = |from, len, key| items.push(Self::read(from, len, key));
            self.stock.get_some(&wait, Patience::Try, most, read).map_err(ends::try_get)?;
            Ok(items)
        }

        /// The items until the queue is shut down and empty. Waits for each.
        pub fn iter(&self) -> impl Iterator<Item = $item> + '_ {
            std::iter::from_fn(|| self.get().ok())
        }

        /// Ends the queue: later puts fail, and gets once it is empty ([`Shutdown::Drain`]) or at once
        /// ([`Shutdown::Immediate`]). Wakes all who wait. May be repeated and hardened. Waits for those who are putting or
        /// taking just now.
        pub fn shutdown(&self, how: Shutdown) {
            self.stock.shut_down(how);
        }

        /// Whether it was shut down.
        pub fn is_shut_down(&self) -> bool {
            self.stock.raw().is_shut_down()
        }

        /// The number of items, true at some instant of the call.
        pub fn len(&self) -> usize {
            self.stock.raw().len() as usize
        }

        /// Whether there are no items, at some instant of the call.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether there is no room, at some instant of the call.
        pub fn is_full(&self) -> bool {
            self.len() >= self.capacity()
        }

        /// The most items it holds.
        pub fn capacity(&self) -> usize {
            self.stock.capacity()
        }

        /// The name it was opened by.
        pub fn name(&self) -> &str {
            self.stock.entry.object.name()
        }
    };
}
pub(super) use stock_methods;
