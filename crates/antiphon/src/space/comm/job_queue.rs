//! A bounded queue of plain values in a space, taken under leases.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use antiphon_core::comm::Jobs;
use antiphon_core::comm::copy::copy_items;
use antiphon_core::comm::lease;
use antiphon_core::comm::ring::{Patience, RingError, Shutdown};
use antiphon_core::comm::slots::{MAX_CAPACITY, Shape};
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec};

use super::Queue;
use super::queue::shape;
use crate::error::{
    GetError, LeaseLost, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError,
};
use crate::space::Space;
use crate::space::ends::{self, Ends, FOREVER, ITEMS, queue_methods};
use crate::space::entry::{Entry, param, spec};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// What follows the ring begins at a multiple of this.
const LINE: usize = 128;

/// A bounded first-in first-out queue of plain values that are *taken* and then acknowledged: for work that must be done even if
/// the worker dies.
///
/// A value that was taken stays in the queue under a [`Lease`] until [`ack`](Lease::ack). If it is given back
/// ([`nack`](Lease::nack), or by dropping the lease), or its taker dies, the next taker gets it, before what is new and the oldest first, and is told
/// the [number of attempts](Lease::attempts). So each value is handled at least once, and exactly once if nobody dies between having
/// done the work and the `ack`. Until then it takes up its place: a value that is never acknowledged stops a full queue.
///
/// While there is something new to take, nobody may notice a death before a sleeper in the space or the [watcher](Space::watch) does; a
/// taker that finds nothing new asks at once.
///
/// Puts are those of a [`Queue`](super::Queue), with the same promises. After [`Shutdown::Drain`], takers get
/// [`ShutDown`](GetError::ShutDown) when everything has been acknowledged, not before: what others have taken may yet come back.
pub struct JobQueue<T> {
    ends: Ends,
    words: NonNull<AtomicU64>,
    cells: NonNull<T>,
    shape: Shape,
    /// Where values go, of this handle's takes, that have been taken too often.
    dead: Option<(Queue<T>, u32)>,
    _items: PhantomData<T>,
}

// SAFETY: the queue moves values from thread to thread and never shares one.
unsafe impl<T: Send> Send for JobQueue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for JobQueue<T> {}

impl<T> Clone for JobQueue<T> {
    fn clone(&self) -> Self {
        Self { ends: self.ends.clone(), dead: self.dead.clone(), ..*self }
    }
}

impl Space {
    /// Opens the job queue `name`, creating it for up to `capacity` values if need be.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let jobs = space.job_queue::<u64>("jobs", 100)?;
    /// jobs.put(7).unwrap();
    /// let job = jobs.take().unwrap();
    /// assert_eq!(*job, 7);
    /// drop(job); // given back: the work failed
    /// let job = jobs.take().unwrap();
    /// assert_eq!((*job, job.attempts()), (7, 2));
    /// assert_eq!(job.ack(), Ok(7));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn job_queue<T: Plain>(&self, name: &str, capacity: u32) -> Result<JobQueue<T>, Error> {
        self.open_object(name, [capacity.into(), 0, 0, 0], Location::caller(), |_| {})
    }
}

/// Where the cells begin: behind the words.
fn cells_at(shape: Shape) -> usize {
    ITEMS + (shape.cells() as usize * size_of::<AtomicU64>()).next_multiple_of(LINE)
}

impl<T: Plain> Openable for JobQueue<T> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= LINE && size_of::<T>() > 0) };
        let capacity = params[0];
        let bad = || Error::BadParameter {
            what: "the capacity of a job queue",
            rule: format!("1 to {MAX_CAPACITY}"),
            found: capacity.to_string(),
        };
        let shape = shape(capacity).ok_or_else(bad)?;
        let len = (shape.cells() as usize).checked_mul(size_of::<T>());
        let len = len.and_then(|len| len.checked_add(cells_at(shape)));
        let len = len.filter(|len| i64::try_from(*len).is_ok()).ok_or_else(bad)?;
        Ok(spec::<T>(Kind::JobQueue, param("capacity", capacity), len))
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()[0]).expect("the spec was checked");
        // SAFETY: the spec has put a ring, the words and the cells there; fresh memory is an empty ring.
        let (words, cells, ends) =
            unsafe { (entry.at(ITEMS), entry.at(cells_at(shape)), Ends::new(entry)) };
        Self { ends, words, cells, shape, dead: None, _items: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.ends.entry
    }
}

handle!(JobQueue<T: Plain>);

impl<T> JobQueue<T> {
    #[inline]
    fn jobs(&self) -> Jobs<'_, T> {
        // SAFETY: words and cells lie behind the ring, as many as the shape says; `T` is plain, so any bytes are one. All who use
        // the object use it as a job queue: its kind says so.
        unsafe { Jobs::new(self.ends.ring(), self.cells, self.words, self.shape) }
    }

    queue_methods!();

    /// The most values it holds, with those that were taken and not yet acknowledged.
    pub fn capacity(&self) -> usize {
        self.shape.capacity() as usize
    }
}

impl<T: Plain> JobQueue<T> {
    /// The same queue; a value that this handle takes for more than the `attempts`th time is put into `dead` instead, unless that
    /// is full or shut down, and acknowledged. A taker that dies between the two leaves it in both: then it may come twice.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let poisoned = space.queue::<u64>("poisoned", 10)?;
    /// let jobs = space.job_queue::<u64>("work", 10)?.with_dead_letters(&poisoned, 2);
    /// jobs.put_many(&[13, 14]).unwrap();
    /// jobs.take().unwrap().nack();
    /// jobs.take().unwrap().nack();
    /// assert_eq!(*jobs.take().unwrap(), 14);
    /// assert_eq!(poisoned.get(), Ok(13));
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[must_use]
    pub fn with_dead_letters(mut self, dead: &Queue<T>, attempts: u32) -> Self {
        self.dead = Some((dead.clone(), attempts));
        self
    }

    /// Puts a value, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`PutError`], with the value.
    #[inline]
    #[track_caller]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        let noted = self.ends.noted(Location::caller(), None);
        self.push(&noted, FOREVER, item).map_err(|(error, item)| ends::put(error, item))
    }

    /// Puts a value if there is room.
    ///
    /// # Errors
    /// [`TryPutError`], with the value.
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        let wait = self.ends.entry.wait();
        self.push(&wait, Patience::Try, item).map_err(|(error, item)| ends::try_put(error, item))
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
        self.push(&noted, Patience::Until(Some(deadline)), item)
            .map_err(|(error, item)| self.ends.timed_put(error, item, &noted))
    }

    #[inline]
    fn push(&self, w: &impl Wait, patience: Patience, item: T) -> Result<(), (RingError, T)> {
        // SAFETY: the cell is ours until we commit, and apart from `item`; plain values are their bytes.
        let write = |cell: *mut T| unsafe { ptr::copy_nonoverlapping(&raw const item, cell, 1) };
        self.jobs().push(w, patience, write).map_err(|error| (error, item))
    }

    /// Puts all `items` in their order, waiting for room as long as it takes. Each part for which there is room is one
    /// commit; others' items may come in between parts.
    ///
    /// # Errors
    /// [`PutError`], with the number of items that were put.
    #[track_caller]
    pub fn put_many(&self, items: &[T]) -> Result<(), PutError<usize>> {
        let noted = self.ends.noted(Location::caller(), None);
        let mut put = 0;
        while put < items.len() {
            let rest = &items[put..];
            let count = rest.len().min(MAX_CAPACITY as usize) as u32;
            let write = |to: *mut T, from: usize, n: usize| {
                // SAFETY: that many cells are ours until we commit. Plain values may be copied.
                unsafe { copy_items(rest[from..from + n].as_ptr(), to, n) };
            };
            match self.jobs().push_many(&noted, FOREVER, count, write) {
                Ok(n) => put += n as usize,
                Err(error) => return Err(ends::put(error, put)),
            }
        }
        Ok(())
    }

    /// Takes the oldest value under a lease, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    #[track_caller]
    pub fn take(&self) -> Result<Lease<'_, T>, GetError> {
        let noted = self.ends.noted(Location::caller(), None);
        self.take_one(&noted, FOREVER).map_err(ends::get)
    }

    /// Takes the oldest value under a lease if there is one.
    ///
    /// # Errors
    /// [`TryGetError`].
    #[inline]
    pub fn try_take(&self) -> Result<Lease<'_, T>, TryGetError> {
        self.take_one(&self.ends.entry.wait(), Patience::Try).map_err(ends::try_get)
    }

    /// Takes the oldest value under a lease, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn take_timeout(&self, timeout: Duration) -> Result<Lease<'_, T>, TimedGetError> {
        self.take_until(Location::caller(), ends::within(timeout))
    }

    /// Takes the oldest value under a lease, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn take_deadline(&self, deadline: Instant) -> Result<Lease<'_, T>, TimedGetError> {
        self.take_until(Location::caller(), ends::at(deadline))
    }

    fn take_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<Lease<'_, T>, TimedGetError> {
        let noted = self.ends.noted(caller, Some(deadline));
        let taken = self.take_one(&noted, Patience::Until(Some(deadline)));
        taken.map_err(|error| self.ends.timed_get(error, &noted))
    }

    /// Takes up to `most` values (at most 1024) under one lease, waiting for the first as long as it takes. They are acknowledged, given
    /// back, or lost with their taker together, so many cost little more than one.
    ///
    /// # Errors
    /// [`GetError`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let jobs = space.job_queue::<u64>("batches", 100)?;
    /// jobs.put_many(&[1, 2, 3]).unwrap();
    /// let mut values = Vec::new();
    /// let batch = jobs.take_many(&mut values, 2).unwrap();
    /// assert_eq!((batch.len(), &values[..]), (2, &[1, 2][..]));
    /// batch.ack().unwrap();
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn take_many(&self, items: &mut Vec<T>, most: usize) -> Result<LeasedRun<'_, T>, GetError> {
        let noted = self.ends.noted(Location::caller(), None);
        let most = most.min(lease::LONGEST_RUN as usize) as u32;
        loop {
            let taken = self.jobs().take(&noted, FOREVER, most).map_err(ends::get)?;
            let mut run = LeasedRun { queue: self, lease: taken };
            if self.is_spent(&taken) {
                match self.bury(run) {
                    Some(rest) => run = rest,
                    None => continue,
                }
            }
            run.copy_onto(items);
            return Ok(run);
        }
    }

    #[inline]
    fn take_one(&self, w: &impl Wait, patience: Patience) -> Result<Lease<'_, T>, RingError> {
        loop {
            let mut run = LeasedRun { queue: self, lease: self.jobs().take(w, patience, 1)? };
            if self.is_spent(&run.lease) {
                match self.bury(run) {
                    Some(rest) => run = rest,
                    None => continue,
                }
            }
            let item = run.item(0);
            return Ok(Lease { run, item });
        }
    }

    /// Whether these values have been taken too often.
    #[inline]
    fn is_spent(&self, lease: &lease::Lease) -> bool {
        self.dead.as_ref().is_some_and(|(_, most)| lease.attempts() > *most)
    }

    /// Moves the values to the dead letters, one by one; those for which there is no room there are returned.
    #[cold]
    fn bury<'a>(&self, mut run: LeasedRun<'a, T>) -> Option<LeasedRun<'a, T>> {
        let Some((dead, _)) = &self.dead else { return Some(run) };
        while dead.try_put(run.item(0)).is_ok() {
            if run.len() == 1 {
                // Nobody else could have finished it.
                let _ = run.ack();
                return None;
            }
            if run.ack_first(1).is_err() {
                return None;
            }
        }
        Some(run)
    }
}

/// One value that was taken and not yet acknowledged. Dropping it gives the value back.
#[must_use = "dropping a lease gives its value back"]
pub struct Lease<'a, T: Plain> {
    run: LeasedRun<'a, T>,
    item: T,
}

impl<T: Plain> Lease<'_, T> {
    /// How often the value has been taken, up to 255: 1 the first time.
    #[inline]
    pub fn attempts(&self) -> u32 {
        self.run.attempts()
    }

    /// Says that the work is done: the value leaves the queue.
    ///
    /// # Errors
    /// [`LeaseLost`] in a child that this process forked: the lease is its parent's.
    #[inline]
    pub fn ack(self) -> Result<T, LeaseLost> {
        let Self { run, item } = self;
        run.ack().map(|()| item)
    }

    /// Gives the value back: the next taker gets it, before what is new.
    pub fn nack(self) {}
}

impl<T: Plain> Deref for Lease<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Lease<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (item, attempts) = (&self.item, self.attempts());
        f.debug_struct("Lease").field("item", item).field("attempts", &attempts).finish()
    }
}

/// Values that were taken together and not yet acknowledged. Dropping it gives them back.
#[must_use = "dropping a lease gives its values back"]
pub struct LeasedRun<'a, T: Plain> {
    queue: &'a JobQueue<T>,
    lease: lease::Lease,
}

impl<T: Plain> LeasedRun<'_, T> {
    /// How many values.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    #[inline]
    pub fn len(&self) -> usize {
        self.lease.len() as usize
    }

    /// How often the values have been taken, up to 255: 1 the first time.
    #[inline]
    pub fn attempts(&self) -> u32 {
        self.lease.attempts()
    }

    /// Says that the work on all of them is done.
    ///
    /// # Errors
    /// [`LeaseLost`] in a child that this process forked: the lease is its parent's.
    #[inline]
    pub fn ack(self) -> Result<(), LeaseLost> {
        let (queue, lease) = (self.queue, self.lease);
        mem::forget(self);
        let wait = queue.ends.entry.wait();
        let is_done = !is_foreign(&lease, &wait) && queue.jobs().finish(&wait, lease);
        if is_done { Ok(()) } else { Err(LeaseLost) }
    }

    /// Says that the work on the first `n` of them is done.
    ///
    /// # Panics
    /// When `n` is not less than their number.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub fn ack_first(&mut self, n: usize) -> Result<(), LeaseLost> {
        assert!(n < self.len(), "{n} of {} values: use `ack` for all of them", self.len());
        let wait = self.queue.ends.entry.wait();
        if is_foreign(&self.lease, &wait) {
            return Err(LeaseLost);
        }
        if n > 0 {
            self.lease =
                self.queue.jobs().finish_first(&wait, self.lease, n as u32).ok_or(LeaseLost)?;
        }
        Ok(())
    }

    /// Gives them back: the next takers get them, before what is new.
    pub fn nack(self) {}

    #[inline]
    fn item(&self, i: u32) -> T {
        // SAFETY: the cell holds a value until the lease is finished; plain values may be copied.
        unsafe { self.queue.jobs().cell(&self.lease, i).read() }
    }

    #[inline]
    fn copy_onto(&self, items: &mut Vec<T>) {
        let n = self.lease.len();
        items.reserve(n as usize);
        self.queue.jobs().runs(&self.lease, |cells, n| {
            let len = items.len();
            // SAFETY: there is room for all, and the cells hold values until the lease is finished.
            unsafe {
                copy_items(cells, items.as_mut_ptr().add(len), n);
                items.set_len(len + n);
            }
        });
    }
}

impl<T: Plain> Drop for LeasedRun<'_, T> {
    fn drop(&mut self) {
        let wait = self.queue.ends.entry.wait();
        // A forked child lets go of nothing that its parent holds.
        if !is_foreign(&self.lease, &wait) {
            self.queue.jobs().give_back(&wait, self.lease);
        }
    }
}

impl<T: Plain> fmt::Debug for LeasedRun<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LeasedRun").field(&self.lease).finish()
    }
}

/// Whether another participant took it: we are a forked child.
#[inline]
fn is_foreign(lease: &lease::Lease, wait: &impl Wait) -> bool {
    lease.owner() != Some(wait.me())
}

impl<T> fmt::Debug for JobQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
