//! Something that is done once in a space, though the one who does it may die.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;

use antiphon_core::owner::Owner;
use antiphon_core::sync::RawOnce;
use antiphon_core::sync::once::Turn;
use antiphon_core::wait::Wait;
use antiphon_place::{Error, Kind, Spec};

use crate::death::Death;
use crate::error::WouldDeadlock;
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
        let Line { record, raw } = self.line();
        if raw.is_done() {
            return Ok(());
        }
        let site = self.entry.site(Location::caller());
        let noted = self.entry.noted(site, None, Some(record));
        if self.entry.is_mine(raw.owner(), record) {
            return Err(WouldDeadlock);
        }
        match raw.begin(&noted, None) {
            Ok(Turn::Done) => Ok(()),
            Ok(Turn::Yours(gone)) => {
                let death = gone.map(|gone| self.entry.bury(gone, Some(record), None));
                self.entry.begin(record, site);
                let unfinished = GiveUp { once: self, owner: noted.me() };
                f(death.as_deref());
                // A child that `f` has forked comes by here too, but it is its parent's turn.
                if unfinished.is_ours() {
                    std::mem::forget(unfinished);
                    record.end();
                    raw.finish(&noted);
                }
                Ok(())
            }
            Err(_) => Err(WouldDeadlock),
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
}

impl GiveUp<'_> {
    fn is_ours(&self) -> bool {
        self.once.entry.wait().is(self.owner)
    }
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.is_ours() {
            self.once.line().record.end();
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
