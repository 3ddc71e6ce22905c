//! Waiting for permits.

use crate::space::{Permit, Semaphore};
use crate::wait::operation::FromFn;
use crate::wait::{Async, Operation};

impl Semaphore {
    /// Waits for a permit and takes it.
    ///
    /// ```
    /// let slots = antiphon::Space::open("threads:doc")?.semaphore("slots-async", 1)?;
    /// let permit = smol::block_on(slots.acquire_async());
    /// assert_eq!(slots.available(), 0);
    /// # drop(permit);
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn acquire_async(&self) -> Async<impl Operation<Output = Permit<'_>> + Send + '_> {
        self.acquire_many_async(1)
    }

    /// Waits until `n` permits are there and takes them all at once.
    ///
    /// # Panics
    /// When `n` is more than can be taken at once (255), or more than the semaphore can ever have.
    pub fn acquire_many_async(
        &self,
        n: u64,
    ) -> Async<impl Operation<Output = Permit<'_>> + Send + '_> {
        self.check(n);
        FromFn::new(
            move |look| {
                let space = &self.entry.space.registration;
                look.there(space, |w| self.raw().acquire(n, self.held(), w, None)).ok()?;
                Some(self.permit(n))
            },
            // Permits of the dead are not seen before they are asked for.
            || true,
        )
    }
}
