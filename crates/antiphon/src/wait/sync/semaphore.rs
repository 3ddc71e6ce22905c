//! Waiting for permits.

use crate::sync::{Permit, Semaphore};
use crate::wait::operation::{Look, Operation, Sealed};
use crate::wait::task::Async;

/// Until permits are there. See [`Semaphore::acquire_async`].
#[derive(Debug)]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    n: u64,
}

impl Semaphore {
    /// Waits for a permit and takes it.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(1);
    /// smol::block_on(async {
    ///     let permit = slots.acquire_async().await;
    ///     assert_eq!(slots.available(), 0);
    ///     drop(permit);
    /// });
    /// ```
    #[inline]
    pub fn acquire_async(&self) -> Async<Acquire<'_>> {
        self.acquire_many_async(1)
    }

    /// Waits until `n` permits are there and takes them all at once.
    ///
    /// # Panics
    /// When there can never be so many.
    ///
    /// ```
    /// let slots = antiphon::sync::Semaphore::new(3);
    /// smol::block_on(async {
    ///     assert_eq!(slots.acquire_many_async(2).await.permits(), 2);
    /// });
    /// ```
    #[inline]
    pub fn acquire_many_async(&self, n: u64) -> Async<Acquire<'_>> {
        self.check(n);
        Async::new(Acquire { semaphore: self, n })
    }
}

impl Sealed for Acquire<'_> {}

impl<'a> Operation for Acquire<'a> {
    type Output = Permit<'a>;

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<Permit<'a>> {
        self.semaphore.raw.acquire(self.n, &[], &look.here(), None).ok()?;
        Some(self.semaphore.permit(self.n))
    }

    fn seems_ready(&self) -> bool {
        self.semaphore.available() >= self.n
    }
}
