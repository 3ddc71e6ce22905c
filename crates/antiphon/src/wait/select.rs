//! Waiting for the first of several things.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use antiphon_core::wait::Deadline;
use antiphon_sys::{clock, threads};

use super::far::{Listener, Watched};
use super::operation::{Look, Operation, Spot};
use super::parker::Parker;
use super::task::Async;
use crate::error::Timeout;

/// Waits for whichever of several operations can be done first, and does that one and no other.
///
/// Each choice is an operation (what a method ending in `_async` returns) and what to make of its result. The one that is
/// done is *done*: an item that was got is handed to its closure, a lock is held by its guard; of the others nothing was taken.
/// When several could be done, they take turns, unless the select is [`biased`](Self::biased).
///
/// A select may be used again and again: getting from a queue or waiting for an event stays a choice, a put is one until it is done.
///
/// It consumes nobody's wake, so it may stand beside threads and tasks that wait for the same things.
///
/// ```
/// use antiphon::comm::{Queue, Shutdown};
/// use antiphon::sync::Event;
/// use antiphon::wait::Select;
///
/// let (orders, stop) = (Queue::bounded(10), Event::new());
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         orders.put("tea").unwrap();
///         orders.put("cake").unwrap();
///     });
///     let mut served = Vec::new();
///     let mut next = Select::new()
///         .on(orders.get_async(), |order| order.ok())
///         .on(stop.wait_async(), |()| None);
///     while let Some(order) = next.wait() {
///         served.push(order);
///         if served.len() == 2 {
///             stop.set();
///         }
///     }
///     assert_eq!(served, ["tea", "cake"]);
/// });
/// ```
#[must_use = "it does nothing until it is waited for"]
pub struct Select<'a, R> {
    arms: Vec<Pin<Box<dyn Arm<R> + 'a>>>,
    /// Where the next round begins.
    turn: usize,
    biased: bool,
    /// A choice may begin what others notice, and has to give it up when another one is done.
    holds: bool,
    listener: Listener,
    /// Whom the watches tell that outlast a wait.
    parker: Option<(Arc<Parker>, Waker)>,
}

/// A choice.
trait Arm<R> {
    fn seems_ready(&self) -> bool;
    fn is_on(&self) -> bool;
    /// What is left to the select to look at.
    fn watched(&self) -> Option<Watched>;
    /// The select has found that it changed.
    fn forget_watched(&self);
    /// Is watched no more, and has begun nothing.
    fn rest(self: Pin<&mut Self>);
    /// Attempts it; if that comes to nothing it is watched, as `how` says.
    fn attempt(self: Pin<&mut Self>, how: How<'_>) -> Option<R>;
}

/// What becomes of an attempt in vain.
#[derive(Clone, Copy)]
enum How<'w> {
    /// Nothing.
    Once,
    /// It is watched; the waker is told, but of a space's words the caller has to hear by itself.
    Listening(&'w Waker),
    /// It is watched, and the waker is told.
    Waking(&'w Waker),
}

struct Choice<O, F> {
    // Before the operation, so that nobody watches what is gone.
    spot: Spot,
    operation: O,
    then: F,
}

impl<R, O: Operation, F: FnMut(O::Output) -> R> Arm<R> for Choice<O, F> {
    fn seems_ready(&self) -> bool {
        self.operation.seems_ready()
    }

    fn is_on(&self) -> bool {
        self.spot.is_on()
    }

    fn watched(&self) -> Option<Watched> {
        self.spot.watched()
    }

    fn forget_watched(&self) {
        self.spot.forget_watched();
    }

    fn rest(self: Pin<&mut Self>) {
        self.spot.stop();
        // SAFETY: the operation is never pinned.
        unsafe { self.get_unchecked_mut() }.operation.rest();
    }

    fn attempt(self: Pin<&mut Self>, how: How<'_>) -> Option<R> {
        // SAFETY: the spot stays where it is; nothing else is ever pinned.
        let (spot, operation, then) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&this.spot), &mut this.operation, &mut this.then)
        };
        let look = match how {
            How::Once => Look::once(spot),
            How::Listening(waker) => Look::listening(spot, waker),
            How::Waking(waker) => Look::waking(spot, waker),
        };
        let output = operation.attempt(&look)?;
        spot.stop();
        Some(then(output))
    }
}

impl<'a, R> Select<'a, R> {
    /// A select without choices.
    pub const fn new() -> Self {
        Self {
            arms: Vec::new(),
            turn: 0,
            biased: false,
            holds: false,
            listener: Listener::new(),
            parker: None,
        }
    }

    /// Adds a choice: when `operation` is the one that is done, the select returns what `then` makes of its result.
    ///
    /// ```
    /// use antiphon::sync::Semaphore;
    /// use antiphon::wait::Select;
    ///
    /// let (seats, beds) = (Semaphore::new(0), Semaphore::new(1));
    /// let place = Select::new()
    ///     .on(seats.acquire_async(), |permit| ("seat", permit))
    ///     .on(beds.acquire_async(), |permit| ("bed", permit))
    ///     .wait();
    /// assert_eq!(place.0, "bed");
    /// ```
    pub fn on<O: Operation + 'a>(
        mut self,
        operation: Async<O>,
        then: impl FnMut(O::Output) -> R + 'a,
    ) -> Self {
        let operation = operation.into_operation();
        self.holds |= O::HOLDS;
        self.arms.push(Box::pin(Choice { spot: Spot::default(), operation, then }));
        self
    }

    /// When several can be done, the one that was added first is.
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use antiphon::wait::Select;
    ///
    /// let (urgent, usual) = (Queue::bounded(2), Queue::bounded(2));
    /// usual.put(1).unwrap();
    /// urgent.put(2).unwrap();
    /// let mut next = Select::new()
    ///     .on(urgent.get_async(), Result::unwrap)
    ///     .on(usual.get_async(), Result::unwrap)
    ///     .biased();
    /// assert_eq!((next.wait(), next.wait()), (2, 1));
    /// ```
    pub fn biased(mut self) -> Self {
        self.biased = true;
        self
    }

    /// Waits until one can be done, and does it.
    ///
    /// Without choices, or when all that is left are puts that were done, this never returns.
    ///
    /// ```
    /// use antiphon::sync::Event;
    /// use antiphon::wait::Select;
    ///
    /// let (tea, coffee) = (Event::new(), Event::new());
    /// coffee.set();
    /// let ready = Select::new()
    ///     .on(tea.wait_async(), |()| "tea")
    ///     .on(coffee.wait_async(), |()| "coffee")
    ///     .wait();
    /// assert_eq!(ready, "coffee");
    /// ```
    pub fn wait(&mut self) -> R {
        loop {
            // Without a deadline it ends with a value.
            if let Some(value) = self.wait_until(None) {
                return value;
            }
        }
    }

    /// Does one that takes no waiting, if there is one.
    ///
    /// ```
    /// use antiphon::sync::Event;
    /// use antiphon::wait::Select;
    ///
    /// let event = Event::new();
    /// let mut select = Select::new().on(event.wait_async(), |()| true);
    /// assert_eq!(select.try_wait(), None);
    /// event.set();
    /// assert_eq!(select.try_wait(), Some(true));
    /// ```
    pub fn try_wait(&mut self) -> Option<R> {
        let begin = self.next_turn();
        self.try_from(begin)
    }

    /// Waits no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`]; nothing was done.
    ///
    /// ```
    /// use antiphon::comm::Queue;
    /// use antiphon::wait::Select;
    /// use std::time::Duration;
    ///
    /// let queue = Queue::<u32>::bounded(1);
    /// let mut select = Select::new().on(queue.get_async(), Result::unwrap);
    /// assert!(select.wait_timeout(Duration::from_millis(1)).is_err());
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<R, Timeout> {
        self.wait_timed(clock::deadline_after(timeout))
    }

    /// Waits no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`]; nothing was done.
    ///
    /// ```
    /// use antiphon::sync::Latch;
    /// use antiphon::wait::Select;
    ///
    /// let latch = Latch::new(1);
    /// let mut select = Select::new().on(latch.wait_async(), |()| ());
    /// assert!(select.wait_deadline(std::time::Instant::now()).is_err());
    /// ```
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<R, Timeout> {
        self.wait_timed(clock::deadline_at(deadline))
    }

    fn wait_timed(&mut self, deadline: Deadline) -> Result<R, Timeout> {
        let begin = Instant::now();
        let what = self.arms.len();
        self.wait_until(Some(deadline))
            .ok_or_else(|| Timeout::new(format!("one of {what} things"), begin.elapsed()))
    }

    /// [`wait`](Self::wait) as a future. It may be dropped, and the select used again.
    ///
    /// ```
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
    /// #             return value;
    /// #         }
    /// #     }
    /// # }
    /// # block_on(async {
    /// use antiphon::comm::Queue;
    /// use antiphon::wait::Select;
    ///
    /// let (a, b) = (Queue::bounded(1), Queue::bounded(1));
    /// b.put(7).unwrap();
    /// let mut select =
    ///     Select::new().on(a.get_async(), Result::unwrap).on(b.get_async(), Result::unwrap);
    /// assert_eq!(select.wait_async().await, 7);
    /// # });
    /// ```
    pub fn wait_async(&mut self) -> Selecting<'_, 'a, R> {
        self.rest();
        let begin = self.next_turn();
        Selecting { select: self, begin }
    }

    fn next_turn(&mut self) -> usize {
        let turn = self.turn;
        if !self.biased {
            self.turn = if turn + 1 < self.arms.len() { turn + 1 } else { 0 };
        }
        turn
    }

    /// The arms from the `begin`th on, and then those before it.
    fn round(&mut self, begin: usize) -> impl Iterator<Item = &mut Pin<Box<dyn Arm<R> + 'a>>> {
        let (before, from) = self.arms.split_at_mut(begin);
        from.iter_mut().chain(before)
    }

    fn try_from(&mut self, begin: usize) -> Option<R> {
        self.round(begin)
            .filter(|arm| arm.seems_ready())
            .find_map(|arm| arm.as_mut().attempt(How::Once))
    }

    /// Repeatedly: attempt what is not watched, and have it watched; sleep until told.
    ///
    /// What is watched after a wait stays watched until the next: only what was told has to be looked at again.
    fn wait_until(&mut self, deadline: Option<Deadline>) -> Option<R> {
        let begin = self.next_turn();
        let mut turn = 0;
        loop {
            if let Some(value) = self.try_from(begin) {
                return Some(value);
            }
            if !threads::linger(turn) {
                break;
            }
            turn += 1;
        }
        self.sleep(begin, deadline)
    }

    #[cold]
    fn sleep(&mut self, begin: usize, deadline: Option<Deadline>) -> Option<R> {
        let (parker, waker) = self
            .parker
            .get_or_insert_with(|| {
                let parker = Parker::new();
                (parker.clone(), parker.into())
            })
            .clone();
        let mut patient = true;
        loop {
            parker.reset();
            let done = self
                .round(begin)
                .filter(|arm| !arm.is_on())
                .find_map(|arm| arm.as_mut().attempt(How::Listening(&waker)));
            if done.is_some() || !patient {
                if self.holds {
                    self.rest();
                }
                return done;
            }
            // What became ready at the last moment is done all the same.
            patient = if self.arms.iter().any(|arm| arm.watched().is_some()) {
                self.listen(&parker, deadline)
            } else {
                parker.park(deadline)
            };
        }
    }

    /// Sleeps until told, or until a word has changed that is watched in a space. False: the deadline has passed.
    #[cold]
    fn listen(&mut self, parker: &Parker, deadline: Option<Deadline>) -> bool {
        let mut patient = true;
        loop {
            let (word, quiet) = parker.word();
            // SAFETY: the choices borrow their objects, which keep the spaces.
            unsafe {
                self.listener.arm(self.arms.iter().filter_map(|arm| arm.watched()), word, quiet)
            };
            let mut changed = parker.is_told();
            for arm in &self.arms {
                // SAFETY: as above.
                if arm.watched().is_some_and(|watched| unsafe { watched.has_changed() }) {
                    arm.forget_watched();
                    changed = true;
                }
            }
            if changed || !patient {
                return changed;
            }
            self.listener.sleep(deadline);
            // SAFETY: as above.
            unsafe { self.listener.look() };
            patient = deadline.is_none_or(|deadline| clock::now() < deadline.0);
        }
    }

    fn rest(&mut self) {
        self.arms.iter_mut().for_each(|arm| arm.as_mut().rest());
    }
}

impl<R> Default for Select<'_, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("choices", &self.arms.len())
            .field("biased", &self.biased)
            .finish_non_exhaustive()
    }
}

/// See [`Select::wait_async`].
#[must_use = "it does nothing until it is awaited"]
pub struct Selecting<'s, 'a, R> {
    select: &'s mut Select<'a, R>,
    begin: usize,
}

impl<R> Future for Selecting<'_, '_, R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let begin = self.begin;
        let waker = context.waker();
        let done =
            self.select.round(begin).find_map(|arm| arm.as_mut().attempt(How::Waking(waker)));
        done.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<R> Drop for Selecting<'_, '_, R> {
    fn drop(&mut self) {
        // Its waker is not the one that a wait would be told by.
        self.select.rest();
    }
}

impl<R> fmt::Debug for Selecting<'_, '_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Selecting").field(&self.select).finish()
    }
}
