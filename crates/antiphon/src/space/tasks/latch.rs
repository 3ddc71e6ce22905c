//! Waiting for a latch.

use crate::space::Latch;
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation};

impl Latch {
    /// Waits until it is open.
    ///
    /// ```
    /// let ready = antiphon::Space::open("threads:doc")?.latch("ready-async", 1)?;
    /// ready.count_down(1);
    /// smol::block_on(ready.wait_async());
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn wait_async(&self) -> Async<impl Operation<Output = ()> + Send + '_> {
        FromFn::new(
            |look| look.there(&self.entry.space.registration, |w| self.raw().wait(w, None)).ok(),
            || self.raw().count() == 0,
        )
    }
}
