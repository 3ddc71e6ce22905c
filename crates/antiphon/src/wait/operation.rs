//! An operation that may have to wait, as something to attempt again and again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Waker;

use antiphon_core::attempt::Attempt;
use antiphon_core::wait::{Wait, Word};
use antiphon_place::Registration;
use antiphon_sys::rolls::Watch;
use antiphon_sys::threads::Tasks;

use super::far::{Ticket, Watched};
use super::task::Async;
use crate::space::wait::SpaceWait;

/// What can be awaited, and be one of the choices of a [`Select`](super::Select): the methods that end in `_async` return
/// one, wrapped in [`Async`](super::Async).
///
/// It can be completed again and again, as far as that makes sense: getting from a queue gives item after item, while a put is
/// done once. Implemented by this crate only.
pub trait Operation: Sealed {
    /// What it gives.
    type Output;

    /// Completes it if that takes no waiting, or else has it watched and returns `None`; then nothing was taken.
    #[doc(hidden)]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Self::Output>;

    /// Whether an attempt is worth the while. Looks, and writes nothing; may be wrong for a moment.
    #[doc(hidden)]
    fn seems_ready(&self) -> bool;

    /// Whether it may begin something that others notice before it is done.
    #[doc(hidden)]
    const HOLDS: bool = false;

    /// Gives that up.
    #[doc(hidden)]
    fn rest(&mut self) {}
}

/// Keeps [`Operation`] to this crate.
#[doc(hidden)]
pub trait Sealed {}

/// An operation from what it attempts, and whether that is worth the while.
pub(crate) struct FromFn<T, A, R> {
    attempt: A,
    seems_ready: R,
    _output: PhantomData<fn() -> T>,
}

impl<T, A: FnMut(&Look<'_>) -> Option<T>, R: Fn() -> bool> FromFn<T, A, R> {
    pub(crate) fn new(attempt: A, seems_ready: R) -> Async<Self> {
        Async::new(Self { attempt, seems_ready, _output: PhantomData })
    }
}

impl<T, A, R> Sealed for FromFn<T, A, R> {}

impl<T, A: FnMut(&Look<'_>) -> Option<T>, R: Fn() -> bool> Operation for FromFn<T, A, R> {
    type Output = T;

    fn attempt(&mut self, look: &Look<'_>) -> Option<T> {
        (self.attempt)(look)
    }

    fn seems_ready(&self) -> bool {
        (self.seems_ready)()
    }
}

/// Where an operation is watched from, and who is told.
#[doc(hidden)]
#[derive(Debug)]
pub struct Look<'a> {
    spot: Pin<&'a Spot>,
    /// Nobody when the attempt is all there is.
    waker: Option<&'a Waker>,
    /// The caller listens to the bells of spaces itself.
    listens: bool,
}

/// The place of one operation on the rolls.
#[derive(Default)]
pub(super) struct Spot {
    watch: Watch,
    ticket: RefCell<Ticket>,
    /// What its owner, who listens itself, has to look at.
    watched: Cell<Option<Watched>>,
}

/// An attempt for an object of a space.
pub(crate) type There<'x> = Attempt<'x, SpaceWait<'x>, &'x dyn Fn(&Word, u32, u32) -> bool>;

impl<'a> Look<'a> {
    /// Whoever waits is told by `waker`.
    #[inline]
    pub(super) fn waking(spot: Pin<&'a Spot>, waker: &'a Waker) -> Self {
        Self { spot, waker: Some(waker), listens: false }
    }

    /// Whoever waits is told by `waker`, or listens to bells itself.
    #[inline]
    pub(super) fn listening(spot: Pin<&'a Spot>, waker: &'a Waker) -> Self {
        Self { spot, waker: Some(waker), listens: true }
    }

    /// Nobody waits.
    #[inline]
    pub(super) fn once(spot: Pin<&'a Spot>) -> Self {
        Self { spot, waker: None, listens: false }
    }

    /// The outside for an attempt of a task of this process.
    #[inline]
    pub(crate) fn here(&self) -> impl Wait + '_ {
        Attempt::new(&Tasks, |word: &Word, expected, _| self.watch(word, expected))
    }

    /// Attempts something in a space, which outlives the operation.
    #[inline]
    pub(crate) fn there<R>(
        &self,
        space: &Registration,
        attempt: impl FnOnce(&There<'_>) -> R,
    ) -> R {
        let watch = |word: &Word, expected: u32, epoch: u32| {
            if space.is_shared() {
                self.watch_far(Watched::new(space, word, expected, epoch))
            } else {
                self.watch(word, expected)
            }
        };
        attempt(&Attempt::new(&SpaceWait::new(space), &watch))
    }

    #[cold]
    fn watch(&self, word: &Word, expected: u32) -> bool {
        match self.waker {
            Some(waker) => self.spot.watch().start(word, expected, waker),
            None => true,
        }
    }

    #[cold]
    fn watch_far(&self, watched: Watched) -> bool {
        match self.waker {
            Some(_) if self.listens => {
                self.spot.watched.set(Some(watched));
                true
            }
            // SAFETY: the operation borrows the object, which keeps both; and the spot is dropped, or stopped, before it.
            Some(waker) => unsafe { self.spot.ticket.borrow_mut().start(watched, waker) },
            None => true,
        }
    }
}

impl Spot {
    fn watch(self: Pin<&Self>) -> Pin<&Watch> {
        // SAFETY: the watch is pinned with the spot: it is a field that never moves out, and `Spot` has no `Drop` of its own.
        unsafe { self.map_unchecked(|spot| &spot.watch) }
    }

    /// Whether it is watched from here, and nobody has told since.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.watch.is_on() || self.watched.get().is_some() || self.ticket.borrow().is_on()
    }

    /// What the owner has to look at, who listens.
    #[inline]
    pub(super) fn watched(&self) -> Option<Watched> {
        self.watched.get()
    }

    /// The owner has found that it changed.
    pub(super) fn forget_watched(&self) {
        self.watched.set(None);
    }

    /// Watches no more.
    #[inline]
    pub(super) fn stop(&self) {
        self.watch.stop();
        self.ticket.borrow_mut().stop();
        self.watched.set(None);
    }
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spot").field("on", &self.is_on()).finish()
    }
}
