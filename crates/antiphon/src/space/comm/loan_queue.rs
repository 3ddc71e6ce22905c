//! A queue without copies in a space: messages are written and read where they lie.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use antiphon_core::comm::loans::{Descriptor, Loans, MAX_BLOCKS, RawBlocks, Run, Shape};
use antiphon_core::comm::ring::{Patience, RawRing, RingError, Shutdown};
use antiphon_core::owner::Owner;
use antiphon_core::pad::Padded;
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Header, Kind, Spec, message_layout};

use crate::comm::outcome;
use crate::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use crate::space::Space;
use crate::space::ends::{self, FOREVER};
use crate::space::entry::{Entry, Noted, param};
use crate::space::handle::{Openable, handle};

/// A bounded first-in first-out queue of messages that are written and read where they lie, for any number of producers and
/// consumers in all processes of the space.
///
/// A producer [reserves](Self::reserve) as many bytes as it needs, fills the [`Loan`] in shared memory, and [commits](Loan::commit)
/// it. A consumer [gets](Self::get) a [`View`] of the message, reads it in place, and drops it. Nothing is copied on the way, so a
/// message of a megabyte costs what one of a byte does.
///
/// The memory is a number of blocks of the same size. A message takes one block, or several neighbouring ones if it is longer; those
/// that are being filled, that are waiting, and that are being read all count. So choose the size of a block for the usual message.
///
/// A producer that dies before its commit has put nothing, and one that dies after it has put the whole message. The blocks of
/// whoever dies with loans or views are free for the next who needs them; a message whose view died with its process is gone with
/// it. A stopped process keeps what it has.
///
/// ```
/// let space = antiphon::Space::open("threads:doc")?;
/// let frames = space.loan_queue("frames", 4, 1 << 20)?;
/// let mut frame = frames.reserve(640 * 480).unwrap();
/// frame.fill(7);
/// frame.commit().unwrap();
///
/// let view = frames.get().unwrap();
/// assert_eq!(view.len(), 640 * 480);
/// assert!(view.iter().all(|pixel| *pixel == 7));
/// # Ok::<(), antiphon::error::SpaceError>(())
/// ```
#[derive(Clone)]
pub struct LoanQueue {
    entry: Entry,
    ring: NonNull<RawRing>,
    raw: NonNull<RawBlocks>,
    descriptors: NonNull<Descriptor>,
    owners: NonNull<AtomicU32>,
    blocks: NonNull<u8>,
    shape: Shape,
}

// SAFETY: the words are atomics in memory that `entry` keeps, and a block is touched by the one who has it.
unsafe impl Send for LoanQueue {}
// SAFETY: as above.
unsafe impl Sync for LoanQueue {}

/// Blocks begin at multiples of this.
const GRAIN: u64 = 64;
/// The first one is at the beginning of a page.
const PAGE: usize = 4096;

impl Space {
    /// Opens the queue `name`, creating it for `blocks` blocks of `block` bytes (rounded up to a multiple of 64) if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created with other numbers, and [`Error::BadParameter`] for
    /// numbers that are zero or too large.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let frames = space.loan_queue("large-frames", 3, 1000)?;
    /// assert_eq!(frames.block(), 1024);
    /// assert_eq!(frames.longest(), 3 * 1024);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn loan_queue(&self, name: &str, blocks: u32, block: u64) -> Result<LoanQueue, Error> {
        self.open_object(name, [blocks.into(), block, 0, 0], Location::caller(), |_| {})
    }
}

/// The shape of a queue, if there is one with these parameters.
fn shape([blocks, block, ..]: [u64; 4]) -> Option<Shape> {
    Shape::new(u32::try_from(blocks).ok()?, block.checked_next_multiple_of(GRAIN)?)
}

/// Where the blocks' words, the descriptors, the owners, the blocks and the end of a body are.
fn parts(shape: Shape) -> Option<[usize; 5]> {
    let raw = size_of::<Padded<RawRing>>();
    let descriptors = raw + size_of::<RawBlocks>();
    let owners = descriptors
        + (shape.descriptors() as usize * size_of::<Descriptor>()).next_multiple_of(128);
    let words = owners + shape.blocks() as usize * size_of::<AtomicU32>();
    let blocks = (size_of::<Header>() + words).next_multiple_of(PAGE) - size_of::<Header>();
    let len = usize::try_from(u64::from(shape.blocks()).checked_mul(shape.block())?).ok()?;
    let end = blocks.checked_add(len).filter(|end| i64::try_from(*end).is_ok())?;
    Some([raw, descriptors, owners, blocks, end])
}

impl Openable for LoanQueue {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let parts = shape(params).and_then(parts);
        let [.., body_len] = parts.ok_or_else(|| Error::BadParameter {
            what: "the blocks of a queue",
            rule: format!(
                "1 to {MAX_BLOCKS}, of 1 to {} bytes",
                i64::MAX as u64 / u64::from(MAX_BLOCKS)
            ),
            found: format!("{} of {} bytes", params[0], params[1]),
        })?;
        let [_, block, ..] = params;
        let mut params = param("number of blocks", params[0]);
        params[1] = ("bytes of a block", block);
        let (type_name, type_layout) = (String::new(), message_layout(""));
        Ok(Spec { kind: Kind::LoanQueue, type_name, type_layout, params, body_len })
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()).expect("the spec was checked");
        let [raw, descriptors, owners, blocks, end] = parts(shape).expect("the spec was checked");
        assert!(end <= entry.object.body_len());
        // SAFETY: the spec has put all of them there; they may be any bytes, and fresh memory is an empty queue.
        unsafe {
            let (ring, raw, descriptors) = (entry.at(0), entry.at(raw), entry.at(descriptors));
            let (owners, blocks) = (entry.at(owners), entry.at(blocks));
            Self { entry, ring, raw, descriptors, owners, blocks, shape }
        }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(LoanQueue);

impl LoanQueue {
    #[inline]
    fn loans(&self) -> Loans<'_> {
        // SAFETY: the body has as many descriptors and owners as the shape says, in memory that `entry` keeps.
        unsafe {
            let owners = NonNull::slice_from_raw_parts(self.owners, self.shape.blocks() as usize);
            let (ring, raw) = (self.ring.as_ref(), self.raw.as_ref());
            Loans::new(ring, self.descriptors, raw, owners.as_ref(), self.shape)
        }
    }

    fn ring(&self) -> &RawRing {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.ring.as_ref() }
    }

    /// Where a run of blocks begins.
    #[inline]
    fn start(&self, run: Run) -> NonNull<u8> {
        // SAFETY: a run is inside the blocks.
        unsafe { self.blocks.add(run.first as usize * self.shape.block() as usize) }
    }

    #[inline]
    fn borrow<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        len: usize,
    ) -> Result<Loan<'_>, RingError> {
        let count = self.shape.blocks_for(len as u64).ok_or(RingError::TooLarge)?;
        let run = self.loans().reserve(w, patience, count)?;
        Ok(Loan { hold: Hold { queue: self, run, owner: w.me() }, len })
    }

    #[inline]
    fn take<W: Wait>(&self, w: &W, patience: Patience) -> Result<View<'_>, RingError> {
        let (run, len) = self.loans().take(w, patience)?;
        Ok(View { hold: Hold { queue: self, run, owner: w.me() }, len: len as usize })
    }

    #[inline]
    fn noted(&self, caller: &'static Location<'static>, deadline: Option<Deadline>) -> Noted<'_> {
        self.entry.noted(caller, deadline, None)
    }

    /// Borrows room for a message of `len` bytes, waiting for it as long as it takes. What is in the loan is what happened to be there.
    ///
    /// # Errors
    /// [`PutError::ShutDown`]; [`PutError::TooLarge`] for more than [`longest`](Self::longest).
    #[inline]
    #[track_caller]
    pub fn reserve(&self, len: usize) -> Result<Loan<'_>, PutError<()>> {
        let noted = self.noted(Location::caller(), None);
        self.borrow(&noted, FOREVER, len).map_err(|error| outcome::put(error, ()))
    }

    /// Borrows room for a message of `len` bytes if there is any.
    ///
    /// # Errors
    /// [`TryPutError::Full`] if there are too few free blocks side by side; else as [`reserve`](Self::reserve).
    ///
    /// ```
    /// use antiphon::error::TryPutError;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let queue = space.loan_queue("narrow", 2, 64)?;
    /// let loan = queue.try_reserve(100).unwrap();
    /// assert!(matches!(queue.try_reserve(1), Err(TryPutError::Full(()))));
    /// drop(loan); // changes nothing, and gives the room back
    /// assert!(queue.try_reserve(1).is_ok());
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[inline]
    pub fn try_reserve(&self, len: usize) -> Result<Loan<'_>, TryPutError<()>> {
        let loan = self.borrow(&self.entry.wait(), Patience::Try, len);
        loan.map_err(|error| outcome::try_put(error, ()))
    }

    /// Borrows room for a message of `len` bytes, waiting for it no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedPutError::TimedOut`]; else as [`reserve`](Self::reserve).
    #[track_caller]
    pub fn reserve_timeout(
        &self,
        len: usize,
        timeout: Duration,
    ) -> Result<Loan<'_>, TimedPutError<()>> {
        self.reserve_until(len, Location::caller(), ends::within(timeout))
    }

    /// Borrows room for a message of `len` bytes, waiting for it no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`reserve_timeout`](Self::reserve_timeout).
    #[track_caller]
    pub fn reserve_deadline(
        &self,
        len: usize,
        deadline: Instant,
    ) -> Result<Loan<'_>, TimedPutError<()>> {
        self.reserve_until(len, Location::caller(), ends::at(deadline))
    }

    fn reserve_until(
        &self,
        len: usize,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<Loan<'_>, TimedPutError<()>> {
        let noted = self.noted(caller, Some(deadline));
        let loan = self.borrow(&noted, Patience::Until(Some(deadline)), len);
        loan.map_err(|error| outcome::timed_put(error, (), || self.entry.timeout(&noted, None)))
    }

    /// Takes the oldest message, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Result<View<'_>, GetError> {
        let noted = self.noted(Location::caller(), None);
        self.take(&noted, FOREVER).map_err(outcome::get)
    }

    /// Takes the oldest message if there is one.
    ///
    /// # Errors
    /// [`TryGetError`].
    #[inline]
    pub fn try_get(&self) -> Result<View<'_>, TryGetError> {
        self.take(&self.entry.wait(), Patience::Try).map_err(outcome::try_get)
    }

    /// Takes the oldest message, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<View<'_>, TimedGetError> {
        self.get_until(Location::caller(), ends::within(timeout))
    }

    /// Takes the oldest message, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn get_deadline(&self, deadline: Instant) -> Result<View<'_>, TimedGetError> {
        self.get_until(Location::caller(), ends::at(deadline))
    }

    fn get_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<View<'_>, TimedGetError> {
        let noted = self.noted(caller, Some(deadline));
        let view = self.take(&noted, Patience::Until(Some(deadline)));
        view.map_err(|error| outcome::timed_get(error, || self.entry.timeout(&noted, None)))
    }

    /// The messages until the queue is shut down and empty. Waits for each.
    pub fn iter(&self) -> impl Iterator<Item = View<'_>> {
        std::iter::from_fn(|| self.get().ok())
    }

    /// Ends the queue: later reservations and commits fail, and gets once it is empty ([`Shutdown::Drain`]) or at once
    /// ([`Shutdown::Immediate`]). Wakes all who wait. May be repeated and hardened.
    pub fn shutdown(&self, how: Shutdown) {
        let done = self.loans().shut_down(&self.entry.wait(), how);
        debug_assert!(done.is_ok(), "only a signal could interrupt this, and none does");
    }

    /// Whether it was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.ring().is_shut_down()
    }

    /// The number of messages that wait, true at some instant of the call.
    pub fn len(&self) -> usize {
        self.ring().len() as usize
    }

    /// Whether no message waits, at some instant of the call.
    pub fn is_empty(&self) -> bool {
        self.ring().is_empty()
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.shape.blocks() as usize
    }

    /// The bytes of a block.
    pub fn block(&self) -> usize {
        self.shape.block() as usize
    }

    /// How many blocks are free, at some instant of the call; those that the dead had are among them.
    pub fn free(&self) -> usize {
        // Of a queue that somebody scribbled on nothing can be used.
        self.loans().free(&self.entry.wait()).unwrap_or(0)
    }

    /// The length of the longest message: all blocks.
    pub fn longest(&self) -> usize {
        self.blocks() * self.block()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

/// Blocks that this process has. Dropping it gives them back.
struct Hold<'a> {
    queue: &'a LoanQueue,
    run: Run,
    /// A forked child is not its parent, and must not give back what that has.
    owner: Owner,
}

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        let wait = self.queue.entry.wait();
        if wait.is(self.owner) {
            self.queue.loans().release(&wait, self.run);
        }
    }
}

/// Room for a message, in shared memory, to be filled and [committed](Self::commit). Dropping it puts nothing.
///
/// ```compile_fail
/// let space = antiphon::Space::open("threads:doc").unwrap();
/// let queue = space.loan_queue("q", 2, 64).unwrap();
/// let mut loan = queue.reserve(10).unwrap();
/// let first = &mut loan[0];
/// loan.commit().unwrap();
/// *first = 1; // no longer ours
/// ```
#[must_use = "a loan that is dropped puts nothing"]
pub struct Loan<'a> {
    hold: Hold<'a>,
    len: usize,
}

// SAFETY: the blocks are this loan's alone, wherever it is.
unsafe impl Send for Loan<'_> {}
// SAFETY: as above; a shared reference only reads.
unsafe impl Sync for Loan<'_> {}

impl Loan<'_> {
    /// Puts the message into the queue. It never waits for room.
    ///
    /// # Errors
    /// [`PutError::ShutDown`], with the loan. In a forked child, for a loan of its parent, [`PutError::Corrupt`].
    #[inline]
    pub fn commit(self) -> Result<(), PutError<Self>> {
        let hold = &self.hold;
        let wait = hold.queue.entry.wait();
        let put = if wait.is(hold.owner) {
            hold.queue.loans().commit(&wait, hold.run, self.len as u64)
        } else {
            Err(RingError::Corrupt)
        };
        match put {
            Ok(()) => {
                // The blocks are the queue's now.
                let _ = ManuallyDrop::new(self);
                Ok(())
            }
            Err(error) => Err(outcome::put(error, self)),
        }
    }

    /// Makes the message shorter. Nothing happens if it is no longer than `len`.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let queue = space.loan_queue("lines", 4, 128)?;
    /// let mut loan = queue.reserve(100).unwrap(); // enough in any case
    /// loan[..5].copy_from_slice(b"hello");
    /// loan.truncate(5);
    /// loan.commit().unwrap();
    /// assert_eq!(*queue.get().unwrap(), *b"hello");
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the blocks are ours, and at least that long.
        unsafe { slice::from_raw_parts(self.hold.queue.start(self.hold.run).as_ptr(), self.len) }
    }
}

impl DerefMut for Loan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the blocks are ours, at least that long, and nobody else reaches them.
        unsafe {
            slice::from_raw_parts_mut(self.hold.queue.start(self.hold.run).as_ptr(), self.len)
        }
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A message where it lies. Dropping it gives the room back.
#[must_use = "a view that is dropped gives the message's room back"]
pub struct View<'a> {
    hold: Hold<'a>,
    len: usize,
}

// SAFETY: as for `Loan`.
unsafe impl Send for View<'_> {}
// SAFETY: as above.
unsafe impl Sync for View<'_> {}

impl Deref for View<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the blocks are ours, and at least that long: the descriptor was checked.
        unsafe { slice::from_raw_parts(self.hold.queue.start(self.hold.run).as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for View<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoanQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoanQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("blocks", &self.blocks())
            .field("block", &self.block())
            .finish_non_exhaustive()
    }
}
