//! A channel with one sender and one receiver: the fastest way from one thread to one other.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_core::comm::copy::copy;
use antiphon_core::comm::slots::Shape;
use antiphon_core::comm::spsc::{Place, RawSpsc, Spsc};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use super::outcome;
use crate::comm::rest::Rest;
use crate::error::{
    RecvError, SendError, TimedRecvError, TimedSendError, Timeout, TryRecvError, TrySendError,
};

/// As long as it takes.
const FOREVER: Patience = Patience::Until(None);

/// A channel for up to `capacity` items between one sender and one receiver, who each have it for themselves.
///
/// # Panics
/// When the capacity is zero or more than 2^30.
///
/// ```
/// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(8);
/// std::thread::scope(|s| {
///     s.spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
///     assert!(receiver.iter().eq(0..100)); // until the sender is gone
/// });
/// ```
#[must_use]
pub fn spsc<T>(capacity: usize) -> (SpscSender<T>, SpscReceiver<T>) {
    let shape = u32::try_from(capacity).ok().and_then(Shape::new);
    let shape = shape.expect("the capacity of a channel for two is 1 to 2^30 items");
    let cells = Box::new_uninit_slice(shape.cells() as usize);
    let shared = Arc::new(Shared { ring: RawSpsc::new(), cells, shape });
    let sender = SpscSender { shared: shared.clone(), place: Place::default() };
    (sender, SpscReceiver { shared, place: Place::default() })
}

struct Shared<T> {
    ring: RawSpsc,
    cells: Box<[MaybeUninit<UnsafeCell<T>>]>,
    shape: Shape,
}

// SAFETY: items are moved from thread to thread, and no two threads touch a cell at once: the ring sees to that.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; no reference to an item is ever given out.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline]
    fn view(&self) -> Spsc<'_, T> {
        let cells = NonNull::from(&*self.cells).cast();
        // SAFETY: the cells are as many as the shape says, live as long as `self`, and are reached by this method only. There is one
        // sender and one receiver, each with its place, and their methods take `&mut self`. They are `Send` only if `T` is.
        unsafe { Spsc::new(&self.ring, cells, self.shape) }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: both ends are gone. Each cell that is given holds an item.
        unsafe { self.view().abandon(|cell| cell.drop_in_place()) };
    }
}

/// The sending end of [`spsc`]. Dropping it ends the channel: the receiver gets what is in it, and is then told.
pub struct SpscSender<T> {
    shared: Arc<Shared<T>>,
    place: Place,
}

impl<T> SpscSender<T> {
    #[inline]
    fn push(&mut self, item: T, patience: Patience) -> Result<(), (RingError, T)> {
        let item = ManuallyDrop::new(item);
        // SAFETY: the cell is ours until we commit, and apart from `item`, which is given back only if this is not called.
        let write = |cell: *mut T| unsafe {
            copy((&raw const item).cast(), cell.cast(), size_of::<T>());
        };
        match self.shared.view().push(&mut self.place, &Threads, patience, write) {
            Ok(()) => Ok(()),
            Err(error) => Err((error, ManuallyDrop::into_inner(item))),
        }
    }

    /// Sends an item, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`SendError::Disconnected`], with the item, when the receiver is gone.
    ///
    /// ```
    /// let (mut sender, receiver) = antiphon::comm::channel::spsc(1);
    /// sender.send(1).unwrap();
    /// drop(receiver);
    /// assert_eq!(sender.send(2).unwrap_err().into_inner(), 2);
    /// ```
    #[inline]
    pub fn send(&mut self, item: T) -> Result<(), SendError<T>> {
        self.push(item, FOREVER).map_err(|(error, item)| outcome::send(error, item))
    }

    /// Sends an item if there is room.
    ///
    /// # Errors
    /// [`TrySendError`], with the item.
    ///
    /// ```
    /// use antiphon::error::TrySendError;
    ///
    /// let (mut sender, _receiver) = antiphon::comm::channel::spsc(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    #[inline]
    pub fn try_send(&mut self, item: T) -> Result<(), TrySendError<T>> {
        self.push(item, Patience::Try).map_err(|(error, item)| outcome::try_send(error, item))
    }

    /// Sends an item, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedSendError`], with the item.
    ///
    /// ```
    /// let (mut sender, _receiver) = antiphon::comm::channel::spsc(1);
    /// sender.send(1).unwrap();
    /// assert!(sender.send_timeout(2, std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn send_timeout(&mut self, item: T, timeout: Duration) -> Result<(), TimedSendError<T>> {
        self.send_until(item, clock::deadline_after(timeout))
    }

    /// Sends an item, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedSendError`], with the item.
    ///
    /// ```
    /// let (mut sender, _receiver) = antiphon::comm::channel::spsc(1);
    /// assert!(sender.send_deadline(1, std::time::Instant::now()).is_ok());
    /// ```
    pub fn send_deadline(&mut self, item: T, deadline: Instant) -> Result<(), TimedSendError<T>> {
        self.send_until(item, clock::deadline_at(deadline))
    }

    fn send_until(&mut self, item: T, deadline: Deadline) -> Result<(), TimedSendError<T>> {
        let begin = Instant::now();
        self.push(item, Patience::Until(Some(deadline))).map_err(|(error, item)| {
            let timeout = || Timeout::new("room in a channel", begin.elapsed());
            outcome::timed_send(error, item, timeout)
        })
    }

    /// Sends all items in their order, taking them out of a vector that can be filled again. Waits for room as long as it
    /// takes; each part for which there is room is one commit, so a batch costs little more than one send.
    ///
    /// # Errors
    /// [`SendError::Disconnected`]; what was not sent is still in `items`.
    ///
    /// ```
    /// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(4);
    /// let mut items = vec![1, 2, 3];
    /// sender.send_many_from(&mut items).unwrap();
    /// assert!(items.is_empty());
    /// assert_eq!(receiver.recv_many(10), Ok(vec![1, 2, 3]));
    /// ```
    #[inline]
    pub fn send_many_from(&mut self, items: &mut Vec<T>) -> Result<(), SendError<()>> {
        let mut rest = Rest::of(items);
        while rest.len() > 0 {
            let (from, count) = (rest.start(), rest.len().min(1 << 30) as u32);
            // SAFETY: `to` is room for `n` items; that many from `first` on are in the rest, and move.
            let write = |to: *mut T, first: usize, n: usize| unsafe {
                ptr::copy_nonoverlapping(from.add(first), to, n);
            };
            let put =
                self.shared.view().push_many(&mut self.place, &Threads, FOREVER, count, write);
            rest.moved(put.map_err(|error| outcome::send(error, ()))? as usize);
        }
        Ok(())
    }

    /// Whether the receiver is gone.
    ///
    /// ```
    /// let (sender, receiver) = antiphon::comm::channel::spsc::<u32>(1);
    /// drop(receiver);
    /// assert!(sender.is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        self.shared.ring.get_is_closed()
    }
}

/// The receiving end of [`spsc`]. Dropping it ends the channel: the sender gets its items back.
pub struct SpscReceiver<T> {
    shared: Arc<Shared<T>>,
    place: Place,
}

impl<T> SpscReceiver<T> {
    #[inline]
    fn pop(&mut self, patience: Patience) -> Result<T, RingError> {
        self.shared.view().pop(&mut self.place, &Threads, patience, |cell| {
            let mut item = MaybeUninit::<T>::uninit();
            // SAFETY: a committed cell holds an item, which moves out: the cell is not read again before the next put.
            unsafe {
                copy(cell.cast(), item.as_mut_ptr().cast(), size_of::<T>());
                item.assume_init()
            }
        })
    }

    /// Takes the oldest item, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`], when there is none and the sender is gone.
    ///
    /// ```
    /// use antiphon::error::RecvError;
    ///
    /// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(1);
    /// sender.send(7).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(7));
    /// assert_eq!(receiver.recv(), Err(RecvError::Disconnected));
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.pop(FOREVER).map_err(outcome::recv)
    }

    /// Takes the oldest item if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`].
    ///
    /// ```
    /// use antiphon::error::TryRecvError;
    ///
    /// let (_sender, mut receiver) = antiphon::comm::channel::spsc::<u32>(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.pop(Patience::Try).map_err(outcome::try_recv)
    }

    /// Takes the oldest item, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// ```
    /// let (_sender, mut receiver) = antiphon::comm::channel::spsc::<u32>(1);
    /// assert!(receiver.recv_timeout(std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, TimedRecvError> {
        self.recv_until(clock::deadline_after(timeout))
    }

    /// Takes the oldest item, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// ```
    /// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(1);
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.recv_deadline(std::time::Instant::now()), Ok(7));
    /// ```
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, TimedRecvError> {
        self.recv_until(clock::deadline_at(deadline))
    }

    fn recv_until(&mut self, deadline: Deadline) -> Result<T, TimedRecvError> {
        let begin = Instant::now();
        self.pop(Patience::Until(Some(deadline))).map_err(|error| {
            outcome::timed_recv(error, || Timeout::new("an item of a channel", begin.elapsed()))
        })
    }

    /// Takes up to `most` items in one commit, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`].
    ///
    /// ```
    /// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(4);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv_many(10), Ok(vec![1]));
    /// ```
    pub fn recv_many(&mut self, most: usize) -> Result<Vec<T>, RecvError> {
        let mut items = Vec::new();
        self.recv_many_into(&mut items, most)?;
        Ok(items)
    }

    /// The same, onto the end of `items`, and says how many.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`].
    ///
    /// ```
    /// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(4);
    /// sender.send_many_from(&mut vec![1, 2, 3]).unwrap();
    /// let mut items = Vec::new();
    /// assert_eq!(receiver.recv_many_into(&mut items, 2), Ok(2));
    /// assert_eq!(items, [1, 2]);
    /// ```
    #[inline]
    pub fn recv_many_into(&mut self, items: &mut Vec<T>, most: usize) -> Result<usize, RecvError> {
        let most = most.min(self.shared.shape.capacity() as usize);
        items.reserve(most);
        let to = items.spare_capacity_mut().as_mut_ptr().cast::<T>();
        // SAFETY: at most `most` committed cells, for which there is room, and which are not read again.
        let read = |from: *const T, first: usize, n: usize| unsafe {
            ptr::copy_nonoverlapping(from, to.add(first), n);
        };
        let view = self.shared.view();
        let got = view.pop_many(&mut self.place, &Threads, FOREVER, most as u32, read);
        let got = got.map_err(outcome::recv)? as usize;
        // SAFETY: that many items have just moved there.
        unsafe { items.set_len(items.len() + got) };
        Ok(got)
    }

    /// The items until the sender is gone. Waits for each.
    ///
    /// ```
    /// let (mut sender, mut receiver) = antiphon::comm::channel::spsc(4);
    /// sender.send_many_from(&mut vec![1, 2, 3]).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<u32>(), 6);
    /// ```
    pub fn iter(&mut self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// The number of items in the channel.
    ///
    /// ```
    /// let (mut sender, receiver) = antiphon::comm::channel::spsc(4);
    /// sender.send('a').unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.ring.len() as usize
    }

    /// Whether there are no items in the channel.
    ///
    /// ```
    /// let (_sender, receiver) = antiphon::comm::channel::spsc::<u32>(4);
    /// assert!(receiver.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the sender is gone; what it has sent may still be there.
    ///
    /// ```
    /// let (sender, receiver) = antiphon::comm::channel::spsc::<u32>(1);
    /// drop(sender);
    /// assert!(receiver.is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        self.shared.ring.put_is_closed()
    }
}

impl<T> Drop for SpscSender<T> {
    fn drop(&mut self) {
        self.shared.ring.close_put(&Threads);
    }
}

impl<T> Drop for SpscReceiver<T> {
    fn drop(&mut self) {
        self.shared.ring.close_get(&Threads);
    }
}

impl<T> fmt::Debug for SpscSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpscSender").field("len", &self.shared.ring.len()).finish()
    }
}

impl<T> fmt::Debug for SpscReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpscReceiver").field("len", &self.shared.ring.len()).finish()
    }
}
