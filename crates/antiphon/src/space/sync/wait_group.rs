//! Waiting until nobody is at it any more, in a space.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::RawWaitGroup;
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::error::Timeout;
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, NO_PARAMS, spec};
use crate::space::handle::{Openable, handle};

/// A group that can be waited for until nobody is in it.
///
/// Everybody who takes part [enters](Self::enter) and leaves by dropping the [`Share`]. The shares of a process that dies come
/// back: who waits goes on. What was done before leaving happens before the return of the waits that it ends. To hand a
/// share on to another process, let that one enter before this one leaves. A group can be used again and again.
#[derive(Clone)]
pub struct WaitGroup {
    entry: Entry,
    line: NonNull<Line<RawWaitGroup>>,
    shares: NonNull<[AtomicU64]>,
}

// SAFETY: it is made of atomics in memory that `entry` keeps.
unsafe impl Send for WaitGroup {}
// SAFETY: as above.
unsafe impl Sync for WaitGroup {}

impl Space {
    /// Opens the wait group `name`, creating it with nobody in it if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let work = space.wait_group("work")?;
    /// let share = work.enter();
    /// assert_eq!(work.shares(), 1);
    /// drop(share);
    /// work.wait();
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn wait_group(&self, name: &str) -> Result<WaitGroup, Error> {
        self.open_object(name, [0; 4], Location::caller(), |_| {})
    }
}

impl Openable for WaitGroup {
    fn spec(space: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        Ok(spec::<()>(Kind::WaitGroup, NO_PARAMS, BEHIND + space.slots() * 8))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put a line there.
        let line = unsafe { entry.at(0) };
        let shares = entry.words();
        Self { entry, line, shares }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(WaitGroup);

impl WaitGroup {
    fn raw(&self) -> &RawWaitGroup {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { &self.line.as_ref().raw }
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: inside the object that `entry` keeps; atomics may be any bytes.
        unsafe { self.shares.as_ref() }
    }

    /// Takes part until the share is dropped, on whatever thread of this process.
    ///
    /// # Panics
    /// If this process has 2³¹ shares, which takes forgotten ones.
    pub fn enter(&self) -> Share {
        let wait = self.entry.wait();
        let entered = self.raw().enter(self.words(), 1, &wait);
        assert!(entered, "too many shares of a wait group (were some forgotten?)");
        Share { group: self.clone(), owner: wait.me() }
    }

    /// Waits until nobody who lives takes part.
    #[track_caller]
    pub fn wait(&self) {
        let forever = self.wait_until(Location::caller(), None);
        debug_assert!(forever.is_ok());
    }

    /// Waits until nobody who lives takes part, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`].
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Timeout> {
        self.wait_until(Location::caller(), Some(clock::deadline_after(timeout)))
    }

    /// Waits until nobody who lives takes part, no longer than until `deadline`.
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
        let waited = self.raw().wait(self.words(), &noted, deadline);
        waited.map_err(|_| self.entry.timeout(&noted, None))
    }

    /// Whether nobody who lives takes part: [`wait`](Self::wait) that does not wait.
    pub fn is_empty(&self) -> bool {
        self.raw().is_empty(self.words(), &self.entry.wait())
    }

    /// How many shares there are, those of the dead that nobody has missed yet included.
    pub fn shares(&self) -> u64 {
        self.raw().shares(self.words())
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("name", &self.name())
            .field("shares", &self.shares())
            .finish()
    }
}

/// Takes part in a [`WaitGroup`] until it is dropped, or its process ends.
#[must_use = "dropping the share leaves the group at once"]
pub struct Share {
    group: WaitGroup,
    owner: Owner,
}

impl Drop for Share {
    fn drop(&mut self) {
        let (group, wait) = (&self.group, self.group.entry.wait());
        // In a forked child the share is its parent's.
        if wait.is(self.owner) {
            group.raw().leave(group.words(), 1, &wait);
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("group", &self.group).finish()
    }
}
