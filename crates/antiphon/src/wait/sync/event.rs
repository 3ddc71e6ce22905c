//! Waiting for an event.

use antiphon_core::sync::event::Start;

use crate::sync::Event;
use crate::wait::operation::{Look, Operation, Sealed};
use crate::wait::task::Async;

/// Until an event is set. See [`Event::wait_async`].
#[derive(Debug)]
pub struct EventWait<'a> {
    event: &'a Event,
    /// What was found at the first look: a setting since then counts, even if it is over.
    start: Option<Start>,
}

impl Event {
    /// Waits until it is set, or has been set since the first look, even if it is clear again.
    ///
    /// ```
    /// # let executor = smol::Executor::new();
    /// let event = antiphon::sync::Event::new();
    /// smol::block_on(async {
    ///     let ((), ()) = smol::future::zip(event.wait_async(), async { event.set() }).await;
    /// });
    /// ```
    #[inline]
    pub fn wait_async(&self) -> Async<EventWait<'_>> {
        Async::new(EventWait { event: self, start: None })
    }
}

impl Sealed for EventWait<'_> {}

impl Operation for EventWait<'_> {
    type Output = ();

    #[inline]
    fn attempt(&mut self, look: &Look<'_>) -> Option<()> {
        let raw = &self.event.raw;
        if self.start.is_none() {
            self.start = raw.begin();
        }
        if let Some(start) = self.start {
            raw.wait_since(start, &look.here(), None).ok()?;
        }
        self.start = None;
        Some(())
    }

    fn seems_ready(&self) -> bool {
        match self.start {
            Some(start) => self.event.raw.is_set_since(start),
            None => self.event.is_set(),
        }
    }
}
