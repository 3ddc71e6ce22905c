//! A latch in a space.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawLatch;
use antiphon_core::sync::latch::MAX_COUNT;
use antiphon_core::wait::Deadline;
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::error::Timeout;
use crate::space::Space;
use crate::space::entry::{Entry, Line, param, spec};
use crate::space::handle::{Openable, handle};

/// A door that opens, for good, when it has been counted down to zero.
///
/// What was done before counting down happens before the return of the waits. A count is nobody's: one who dies before
/// counting down leaves the door closed, one who dies after has counted.
#[derive(Clone)]
pub struct Latch {
    pub(in crate::space) entry: Entry,
    line: NonNull<Line<RawLatch>>,
}

// SAFETY: the line is made of atomics in memory that `entry` keeps.
unsafe impl Send for Latch {}
// SAFETY: as above.
unsafe impl Sync for Latch {}

impl Space {
    /// Opens the latch `name`, creating it with `count` if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created with another count, and
    /// [`Error::BadParameter`] for too large a one.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let ready = space.latch("workers-ready", 2)?;
    /// ready.count_down(1);
    /// assert!(!ready.is_open());
    /// ready.count_down(1);
    /// ready.wait();
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn latch(&self, name: &str, count: u32) -> Result<Latch, Error> {
        self.open_object(name, [count.into(), 0, 0, 0], Location::caller(), |body| {
            let line = Line { raw: RawLatch::new(count), ..Line::default() };
            // SAFETY: the body begins with a line, and nobody else sees it yet.
            unsafe { body.cast().write(line) };
        })
    }
}

impl Openable for Latch {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let count = params[0];
        if count > MAX_COUNT.into() {
            return Err(Error::BadParameter {
                what: "the count of a latch",
                rule: format!("at most {MAX_COUNT}"),
                found: count.to_string(),
            });
        }
        Ok(spec::<()>(Kind::Latch, param("count", count), size_of::<Line<RawLatch>>()))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put a line there.
        let line = unsafe { entry.at(0) };
        Self { entry, line }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(Latch);

impl Latch {
    pub(in crate::space) fn raw(&self) -> &RawLatch {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { &self.line.as_ref().raw }
    }

    /// Counts down by `n`, or to zero if fewer are left; returns what was left before.
    pub fn count_down(&self, n: u32) -> u32 {
        self.raw().count_down(n, &self.entry.wait())
    }

    /// What is left to count.
    pub fn count(&self) -> u32 {
        self.raw().count()
    }

    /// Whether nothing is left to count.
    pub fn is_open(&self) -> bool {
        self.count() == 0
    }

    /// Waits until it is open.
    #[track_caller]
    pub fn wait(&self) {
        let forever = self.wait_until(Location::caller(), None);
        debug_assert!(forever.is_ok());
    }

    /// Waits until it is open, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`].
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Timeout> {
        self.wait_until(Location::caller(), Some(clock::deadline_after(timeout)))
    }

    /// Waits until it is open, no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`].
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), Timeout> {
        self.wait_until(Location::caller(), Some(clock::deadline_at(deadline)))
    }

    fn wait_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Result<(), Timeout> {
        let noted = self.entry.noted(caller, deadline, None);
        self.raw().wait(&noted, deadline).map_err(|_| self.entry.timeout(&noted, None))
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").field("name", &self.name()).field("count", &self.count()).finish()
    }
}
