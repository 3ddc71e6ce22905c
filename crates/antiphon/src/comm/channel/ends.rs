//! The ends of a channel, and how many of them there are.

use std::fmt;
use std::process::abort;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::{Duration, Instant};

use antiphon_core::comm::{Patience, RingError, Shutdown};
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;

use super::chain::Chain;
use super::meeting::Meeting;
use super::outcome;
use crate::comm::Queue;
use crate::error::{
    RecvError, SendError, TimedRecvError, TimedSendError, Timeout, TryRecvError, TrySendError,
};

/// As long as it takes.
const FOREVER: Patience = Patience::Until(None);

/// A channel that holds up to `capacity` items.
///
/// # Panics
/// When the capacity is zero (see [`rendezvous`]) or more than 2^30.
///
/// ```
/// use antiphon::comm::channel;
/// use antiphon::error::TrySendError;
///
/// let (sender, receiver) = channel::bounded(1);
/// sender.send("first").unwrap();
/// assert_eq!(sender.try_send("second"), Err(TrySendError::Full("second")));
/// assert_eq!(receiver.recv(), Ok("first"));
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(Flavor::Bounded(Queue::bounded(capacity)))
}

/// A channel that holds nothing: a send returns when a receiver has the item. A `try_send` succeeds only if a receiver waits
/// already, a `try_recv` only if a sender does.
///
/// ```
/// let (sender, receiver) = antiphon::comm::channel::rendezvous();
/// assert!(sender.try_send(1).is_err());
/// std::thread::scope(|s| {
///     s.spawn(move || sender.send(2).unwrap());
///     assert_eq!(receiver.recv(), Ok(2));
/// });
/// ```
#[must_use]
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    ends(Flavor::Rendezvous(Meeting::new()))
}

/// A channel that holds whatever is sent, so a send does not wait. Its memory grows with what is in it, and is kept for what may
/// come until the channel is gone.
///
/// ```
/// let (sender, receiver) = antiphon::comm::channel::unbounded();
/// (0..1000).for_each(|n| sender.send(n).unwrap());
/// drop(sender);
/// assert!(receiver.iter().eq(0..1000));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(Flavor::Unbounded(Box::new(Chain::new())))
}

fn ends<T>(flavor: Flavor<T>) -> (Sender<T>, Receiver<T>) {
    let one = || AtomicUsize::new(1);
    let shared = Arc::new(Shared { flavor, senders: one(), receivers: one() });
    (Sender { shared: shared.clone() }, Receiver { shared })
}

struct Shared<T> {
    flavor: Flavor<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

// One per channel, and the usual one is spared a pointer.
#[allow(clippy::large_enum_variant)]
enum Flavor<T> {
    Bounded(Queue<T>),
    Unbounded(Box<Chain<T>>),
    Rendezvous(Meeting<T>),
}

impl<T> Flavor<T> {
    #[inline]
    fn push(&self, item: T, patience: Patience) -> Result<(), (RingError, T)> {
        match self {
            Self::Bounded(queue) => queue.push(item, patience),
            Self::Unbounded(chain) => chain.push(item, patience),
            Self::Rendezvous(meeting) => meeting.push(item, patience),
        }
    }

    #[inline]
    fn pop(&self, patience: Patience) -> Result<T, RingError> {
        match self {
            Self::Bounded(queue) => queue.pop(patience),
            Self::Unbounded(chain) => chain.pop(patience),
            Self::Rendezvous(meeting) => meeting.pop(patience),
        }
    }

    fn no_senders(&self) {
        match self {
            Self::Bounded(queue) => queue.shutdown(Shutdown::Drain),
            Self::Unbounded(chain) => chain.drain(),
            Self::Rendezvous(meeting) => meeting.end(),
        }
    }

    fn no_receivers(&self) {
        match self {
            Self::Bounded(queue) => queue.shutdown(Shutdown::Immediate),
            Self::Unbounded(chain) => chain.end(),
            Self::Rendezvous(meeting) => meeting.end(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bounded(queue) => queue.len(),
            Self::Unbounded(chain) => chain.len(),
            Self::Rendezvous(_) => 0,
        }
    }

    fn capacity(&self) -> Option<usize> {
        match self {
            Self::Bounded(queue) => Some(queue.capacity()),
            Self::Unbounded(_) => None,
            Self::Rendezvous(_) => Some(0),
        }
    }
}

/// One more end. Forgetting so many that the count wraps would end the channel under those that are there.
fn one_more(count: &AtomicUsize) {
    // Relaxed: the clone is made from an end that is there.
    if count.fetch_add(1, Relaxed) > isize::MAX as usize {
        abort();
    }
}

/// The methods that both ends have.
macro_rules! end_methods {
    () => {
        /// The number of items in the channel, true at some instant of the call (unless it is unbounded: then about).
        ///
        /// ```
        /// let (sender, receiver) = antiphon::comm::channel::bounded(4);
        /// sender.send(1).unwrap();
        /// assert_eq!((sender.len(), receiver.len()), (1, 1));
        /// ```
        pub fn len(&self) -> usize {
            self.shared.flavor.len()
        }

        /// Whether there are no items in the channel.
        ///
        /// ```
        /// let (sender, receiver) = antiphon::comm::channel::bounded::<u32>(4);
        /// assert!(sender.is_empty() && receiver.is_empty());
        /// ```
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// The most items it holds, if there is a bound.
        ///
        /// ```
        /// use antiphon::comm::channel;
        ///
        /// assert_eq!(channel::bounded::<u32>(4).0.capacity(), Some(4));
        /// assert_eq!(channel::unbounded::<u32>().1.capacity(), None);
        /// ```
        pub fn capacity(&self) -> Option<usize> {
            self.shared.flavor.capacity()
        }
    };
}

/// The sending end of a channel. Clones are further ends of the same channel.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends an item, waiting for room (or a receiver) as long as it takes.
    ///
    /// # Errors
    /// [`SendError::Disconnected`], with the item, when all receivers are gone.
    ///
    /// ```
    /// let (sender, receiver) = antiphon::comm::channel::bounded(4);
    /// sender.send(1).unwrap();
    /// drop(receiver);
    /// assert_eq!(sender.send(2).unwrap_err().into_inner(), 2);
    /// ```
    #[inline]
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        let sent = self.shared.flavor.push(item, FOREVER);
        sent.map_err(|(error, item)| outcome::send(error, item))
    }

    /// Sends an item if that takes no waiting.
    ///
    /// # Errors
    /// [`TrySendError`], with the item.
    ///
    /// ```
    /// let (sender, _receiver) = antiphon::comm::channel::bounded(1);
    /// assert!(sender.try_send(1).is_ok() && sender.try_send(2).is_err());
    /// ```
    #[inline]
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let sent = self.shared.flavor.push(item, Patience::Try);
        sent.map_err(|(error, item)| outcome::try_send(error, item))
    }

    /// Sends an item, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedSendError`], with the item.
    ///
    /// ```
    /// let (sender, _receiver) = antiphon::comm::channel::rendezvous();
    /// assert!(sender.send_timeout(1, std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), TimedSendError<T>> {
        self.send_until(item, clock::deadline_after(timeout))
    }

    /// Sends an item, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedSendError`], with the item.
    ///
    /// ```
    /// let (sender, _receiver) = antiphon::comm::channel::bounded(1);
    /// assert!(sender.send_deadline(1, std::time::Instant::now()).is_ok());
    /// ```
    pub fn send_deadline(&self, item: T, deadline: Instant) -> Result<(), TimedSendError<T>> {
        self.send_until(item, clock::deadline_at(deadline))
    }

    fn send_until(&self, item: T, deadline: Deadline) -> Result<(), TimedSendError<T>> {
        let begin = Instant::now();
        let sent = self.shared.flavor.push(item, Patience::Until(Some(deadline)));
        sent.map_err(|(error, item)| {
            let timeout = || Timeout::new("room in a channel", begin.elapsed());
            outcome::timed_send(error, item, timeout)
        })
    }

    end_methods!();
}

/// The receiving end of a channel. Clones are further ends of the same channel: each item comes out at one of them.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Takes the oldest item, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`], when there is none and all senders are gone.
    ///
    /// ```
    /// use antiphon::error::RecvError;
    ///
    /// let (sender, receiver) = antiphon::comm::channel::bounded(1);
    /// sender.send(7).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(7));
    /// assert_eq!(receiver.recv(), Err(RecvError::Disconnected));
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.shared.flavor.pop(FOREVER).map_err(outcome::recv)
    }

    /// Takes the oldest item if that takes no waiting.
    ///
    /// # Errors
    /// [`TryRecvError`].
    ///
    /// ```
    /// use antiphon::error::TryRecvError;
    ///
    /// let (_sender, receiver) = antiphon::comm::channel::bounded::<u32>(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.flavor.pop(Patience::Try).map_err(outcome::try_recv)
    }

    /// Takes the oldest item, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// ```
    /// let (_sender, receiver) = antiphon::comm::channel::unbounded::<u32>();
    /// assert!(receiver.recv_timeout(std::time::Duration::from_millis(1)).is_err());
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, TimedRecvError> {
        self.recv_until(clock::deadline_after(timeout))
    }

    /// Takes the oldest item, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedRecvError`].
    ///
    /// ```
    /// let (sender, receiver) = antiphon::comm::channel::unbounded();
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.recv_deadline(std::time::Instant::now()), Ok(7));
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, TimedRecvError> {
        self.recv_until(clock::deadline_at(deadline))
    }

    fn recv_until(&self, deadline: Deadline) -> Result<T, TimedRecvError> {
        let begin = Instant::now();
        self.shared.flavor.pop(Patience::Until(Some(deadline))).map_err(|error| {
            outcome::timed_recv(error, || Timeout::new("an item of a channel", begin.elapsed()))
        })
    }

    /// The items until all senders are gone. Waits for each.
    ///
    /// ```
    /// let (sender, receiver) = antiphon::comm::channel::unbounded();
    /// (1..=3).for_each(|n| sender.send(n).unwrap());
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<u32>(), 6);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// The items that are there now. Waits for none.
    ///
    /// ```
    /// let (sender, receiver) = antiphon::comm::channel::unbounded();
    /// (1..=3).for_each(|n| sender.send(n).unwrap());
    /// assert_eq!(receiver.try_iter().count(), 3);
    /// ```
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    end_methods!();
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        one_more(&self.shared.senders);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        one_more(&self.shared.receivers);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // AcqRel: what the other ends did comes before the end of the channel.
        if self.shared.senders.fetch_sub(1, AcqRel) == 1 {
            self.shared.flavor.no_senders();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // AcqRel: as above.
        if self.shared.receivers.fetch_sub(1, AcqRel) == 1 {
            self.shared.flavor.no_receivers();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}
