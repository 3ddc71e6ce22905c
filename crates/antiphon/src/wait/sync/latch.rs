//! Waiting for a latch.

use crate::sync::Latch;
use crate::wait::operation::{Look, Operation, Sealed};
use crate::wait::task::Async;

/// Until a latch is open. See [`Latch::wait_async`].
#[derive(Debug)]
pub struct LatchWait<'a> {
    latch: &'a Latch,
}

impl Latch {
    /// Waits until it is open.
    ///
    /// ```
    /// let latch = antiphon::sync::Latch::new(1);
    /// smol::block_on(async {
    ///     smol::future::zip(latch.wait_async(), async { latch.count_down(1) }).await;
    /// });
    /// ```
    #[inline]
    pub fn wait_async(&self) -> Async<LatchWait<'_>> {
        Async::new(LatchWait { latch: self })
    }
}

impl Sealed for LatchWait<'_> {}

impl Operation for LatchWait<'_> {
    type Output = ();

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<()> {
        self.latch.raw.wait(&look.here(), None).ok()
    }

    fn seems_ready(&self) -> bool {
        self.latch.is_open()
    }
}
