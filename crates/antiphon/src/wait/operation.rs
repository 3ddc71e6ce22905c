//! An operation that may have to wait, as something to attempt again and again.

use std::fmt;
use std::pin::Pin;
use std::task::Waker;

use antiphon_core::attempt::Attempt;
use antiphon_core::wait::{Wait, Word};
use antiphon_sys::rolls::Watch;
use antiphon_sys::threads::Tasks;

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

/// Where an operation is watched from, and who is told.
#[doc(hidden)]
#[derive(Debug)]
pub struct Look<'a> {
    spot: Pin<&'a Spot>,
    /// Nobody when the attempt is all there is.
    waker: Option<&'a Waker>,
}

/// The place of one operation on the rolls.
#[derive(Default)]
pub(super) struct Spot {
    watch: Watch,
}

impl<'a> Look<'a> {
    /// Whoever waits is told by `waker`.
    #[inline]
    pub(super) fn waking(spot: Pin<&'a Spot>, waker: &'a Waker) -> Self {
        Self { spot, waker: Some(waker) }
    }

    /// Nobody waits.
    #[inline]
    pub(super) fn once(spot: Pin<&'a Spot>) -> Self {
        Self { spot, waker: None }
    }

    /// The outside for an attempt of a task of this process.
    #[inline]
    pub(crate) fn here(&self) -> impl Wait + '_ {
        Attempt::new(&Tasks, |word: &Word, expected, _| self.watch(word, expected))
    }

    #[cold]
    fn watch(&self, word: &Word, expected: u32) -> bool {
        match self.waker {
            Some(waker) => self.spot.watch().start(word, expected, waker),
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
        self.watch.is_on()
    }

    /// Watches no more.
    #[inline]
    pub(super) fn stop(&self) {
        self.watch.stop();
    }
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spot").field("on", &self.is_on()).finish()
    }
}
