//! Waiting for an event.

use crate::space::Event;
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation};

impl Event {
    /// Waits until it is set, or has been set since the first look, even if it is clear again.
    ///
    /// ```
    /// let ready = antiphon::Space::open("threads:doc")?.event("ready-async")?;
    /// smol::block_on(async {
    ///     smol::future::zip(ready.wait_async(), async { ready.set() }).await;
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn wait_async(&self) -> Async<impl Operation<Output = ()> + Send + '_> {
        let mut start = None;
        FromFn::new(
            move |look| {
                let raw = self.raw();
                if start.is_none() {
                    start = raw.begin();
                }
                if let Some(start) = start {
                    let space = &self.entry.space.registration;
                    look.there(space, |w| raw.wait_since(start, w, None)).ok()?;
                }
                start = None;
                Some(())
            },
            || self.is_set(),
        )
    }
}
