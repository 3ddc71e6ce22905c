//! Something that is done once in a space, though the one who does it may die.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::RawOnce;
use antiphon_core::sync::once::Turn;
use antiphon_core::wait::{Deadline, Wait, WaitError};
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::death::Death;
use crate::error::{BeingRun, TimedOnceError, WouldDeadlock};
use crate::space::Space;
use crate::space::entry::{Entry, Line, NO_PARAMS, spec};
use crate::space::handle::{Openable, handle};

/// A function that is run to its end once, by one of all who want it run.
///
/// When the one who runs it dies or panics, the next one runs it, and is told. What the function did happens before
/// every return of [`call_once`](Self::call_once).
#[derive(Clone)]
pub struct Once {
    entry: Entry,
    line: NonNull<Line<RawOnce>>,
}

// SAFETY: the line is made of atomics in memory that `entry` keeps.
unsafe impl Send for Once {}
// SAFETY: as above.
unsafe impl Sync for Once {}

impl Space {
    /// Opens the once `name`, creating it if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let setup = space.once("setup")?;
    /// let mut runs = 0;
    /// setup.call_once(|_| runs += 1)?;
    /// setup.call_once(|_| runs += 1)?;
    /// assert_eq!(runs, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn once(&self, name: &str) -> Result<Once, Error> {
        self.open_object(name, [0; 4], Location::caller(), |_| {})
    }
}

impl Openable for Once {
    fn spec(_: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        Ok(spec::<()>(Kind::Once, NO_PARAMS, size_of::<Line<RawOnce>>()))
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

handle!(Once);

impl Once {
    fn line(&self) -> &Line<RawOnce> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// Runs `f` unless it has been run to its end, and waits while another one runs it. `f` is told of the
    /// death of one who has run it before, but not to the end.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called from within `f`.
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce(Option<&Death>)) -> Result<(), WouldDeadlock> {
        if self.is_completed() {
            return Ok(());
        }
        self.call(Location::caller(), None, f).map_err(|_| WouldDeadlock)
    }

    /// The same, unless another one runs it now; one that is gone is no hindrance.
    ///
    /// # Errors
    /// [`BeingRun`], also when called from within `f`.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let setup = space.once("setup-tried")?;
    /// let mut runs = 0;
    /// setup.try_call_once(|_| runs += 1)?;
    /// setup.try_call_once(|_| runs += 1)?;
    /// assert_eq!(runs, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_call_once(&self, f: impl FnOnce(Option<&Death>)) -> Result<(), BeingRun> {
        let turn = self.line().raw.try_begin(&self.entry.wait()).ok_or(BeingRun)?;
        self.take(turn, Location::caller(), f);
        Ok(())
    }

    /// The same, waiting no longer than `timeout` while another one runs it. How long `f` itself takes is its own business.
    ///
    /// # Errors
    /// [`TimedOnceError::TimedOut`], which says who runs it; [`TimedOnceError::WouldDeadlock`] when called from within `f`.
    ///
    /// ```
    /// use antiphon::error::TimedOnceError;
    /// use std::time::Duration;
    ///
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let setup = space.once("setup-in-time")?;
    /// setup.call_once(|_| {
    ///     std::thread::scope(|s| {
    ///         s.spawn(|| {
    ///             let late = setup.call_once_timeout(Duration::from_millis(10), |_| ());
    ///             assert!(matches!(late, Err(TimedOnceError::TimedOut(_))));
    ///         });
    ///     });
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn call_once_timeout(
        &self,
        timeout: Duration,
        f: impl FnOnce(Option<&Death>),
    ) -> Result<(), TimedOnceError> {
        self.call(Location::caller(), Some(clock::deadline_after(timeout)), f)
    }

    /// The same, until `deadline`.
    ///
    /// # Errors
    /// As [`call_once_timeout`](Self::call_once_timeout).
    #[track_caller]
    pub fn call_once_deadline(
        &self,
        deadline: Instant,
        f: impl FnOnce(Option<&Death>),
    ) -> Result<(), TimedOnceError> {
        self.call(Location::caller(), Some(clock::deadline_at(deadline)), f)
    }

    fn call(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
        f: impl FnOnce(Option<&Death>),
    ) -> Result<(), TimedOnceError> {
        let Line { record, raw } = self.line();
        let noted = self.entry.noted(caller, deadline, Some(record));
        if self.entry.is_mine(raw.owner(), record) {
            return Err(TimedOnceError::WouldDeadlock);
        }
        match raw.begin(&noted, deadline) {
            Ok(turn) => {
                self.take(turn, caller, f);
                Ok(())
            }
            Err(WaitError::WouldDeadlock) => Err(TimedOnceError::WouldDeadlock),
            Err(_) => {
                let holder = raw.owner().map(|owner| (owner, record));
                Err(TimedOnceError::TimedOut(self.entry.timeout(&noted, holder)))
            }
        }
    }

    /// Runs `f` if it is the caller's turn.
    fn take(&self, turn: Turn, caller: &'static Location<'static>, f: impl FnOnce(Option<&Death>)) {
        let Turn::Yours(gone) = turn else { return };
        let record = &self.line().record;
        let death = gone.map(|gone| self.entry.bury(gone, Some(record), None));
        let token = self.entry.begin(record, self.entry.site(caller));
        let unfinished = GiveUp { once: self, owner: self.entry.wait().me(), token };
        f(death.as_deref());
        // A child that `f` has forked comes by here too, but it is its parent's turn.
        if unfinished.is_ours() {
            unfinished.end();
            std::mem::forget(unfinished);
            self.line().raw.finish(&self.entry.wait());
        }
    }

    /// Whether it has been done.
    pub fn is_completed(&self) -> bool {
        self.line().raw.is_done()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

/// Leaves it to the next when the function unwinds.
struct GiveUp<'a> {
    once: &'a Once,
    owner: Owner,
    token: u64,
}

impl GiveUp<'_> {
    fn is_ours(&self) -> bool {
        self.once.entry.wait().is(self.owner)
    }

    /// The record ends.
    fn end(&self) {
        let Line { record, raw } = self.once.line();
        if raw.is_contended() {
            self.once.entry.note_held(record, self.token);
        }
        record.end();
    }
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.is_ours() {
            self.end();
            self.once.line().raw.give_up(&self.once.entry.wait());
        }
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("name", &self.name())
            .field("completed", &self.is_completed())
            .finish()
    }
}
