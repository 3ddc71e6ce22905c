//! An event in a space.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawEvent;
use antiphon_core::wait::Deadline;
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::error::Timeout;
use crate::space::Space;
use crate::space::entry::{Entry, Line, NO_PARAMS, spec};
use crate::space::handle::{Openable, handle};

/// A flag that anybody sets and clears, and that all can wait for.
///
/// [`set`](Self::set) happens before the return of the waits that it ends. A death changes nothing: the flag stays as it was.
#[derive(Clone)]
pub struct Event {
    pub(in crate::space) entry: Entry,
    line: NonNull<Line<RawEvent>>,
}

// SAFETY: the line is made of atomics in memory that `entry` keeps.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Space {
    /// Opens the event `name`, creating it cleared if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let ready = space.event("ready")?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| ready.set());
    ///     ready.wait();
    /// });
    /// assert!(ready.is_set());
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn event(&self, name: &str) -> Result<Event, Error> {
        self.open_object(name, [0; 4], Location::caller(), |_| {})
    }
}

impl Openable for Event {
    fn spec(_: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        Ok(spec::<()>(Kind::Event, NO_PARAMS, size_of::<Line<RawEvent>>()))
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

handle!(Event);

impl Event {
    pub(in crate::space) fn raw(&self) -> &RawEvent {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { &self.line.as_ref().raw }
    }

    /// Sets it: everybody who waits goes on, even if it is cleared at once.
    pub fn set(&self) {
        self.raw().set(&self.entry.wait());
    }

    /// Clears it: from now on, waits wait.
    pub fn clear(&self) {
        self.raw().clear();
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.raw().is_set()
    }

    /// Waits until it is set.
    #[track_caller]
    pub fn wait(&self) {
        let forever = self.wait_until(Location::caller(), || None);
        debug_assert!(forever.is_ok());
    }

    /// Waits until it is set, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`].
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Timeout> {
        self.wait_until(Location::caller(), || Some(clock::deadline_after(timeout)))
    }

    /// Waits until it is set, no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Timeout`].
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), Timeout> {
        self.wait_until(Location::caller(), || Some(clock::deadline_at(deadline)))
    }

    fn wait_until(
        &self,
        caller: &'static Location<'static>,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<(), Timeout> {
        if self.is_set() {
            return Ok(());
        }
        let deadline = deadline();
        let noted = self.entry.noted(caller, deadline, None);
        self.raw().wait(&noted, deadline).map_err(|_| self.entry.timeout(&noted, None))
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("name", &self.name()).field("set", &self.is_set()).finish()
    }
}
