//! A value in a space that is written once, though the one who makes it may die.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::{RawOnce, Turn};
use antiphon_core::wait::{Deadline, Wait, WaitError};
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::death::Death;
use crate::error::{Timeout, WouldDeadlock};
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, NO_PARAMS, spec};
use crate::space::handle::{Openable, handle};
use crate::space::plain::Plain;

/// A plain value that is written once by one of all who want it, and read by everybody.
///
/// When the one who makes it dies or panics, the next one makes it, and is told. Making the value happens before every
/// return that gives it.
pub struct OnceValue<T> {
    entry: Entry,
    line: NonNull<Line<RawOnce>>,
    value: NonNull<T>,
    _value: PhantomData<T>,
}

impl<T> Clone for OnceValue<T> {
    /// Another way to the same value.
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), ..*self }
    }
}

// SAFETY: the value is copied, never shared; `once` says when.
unsafe impl<T: Send> Send for OnceValue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for OnceValue<T> {}

impl Space {
    /// Opens the once-written value `name`, creating it unwritten if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let seed = space.once_value::<u64>("seed")?;
    /// assert_eq!(seed.get(), None);
    /// assert_eq!(seed.get_or_init(|_| 42)?, 42);
    /// assert_eq!(seed.set(43), Err(43));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn once_value<T: Plain>(&self, name: &str) -> Result<OnceValue<T>, Error> {
        self.open_object(name, [0; 4], Location::caller(), |_| {})
    }
}

impl<T: Plain> Openable for OnceValue<T> {
    fn spec(_: &Space, _: [u64; 4]) -> Result<Spec, Error> {
        const { assert!(align_of::<T>() <= BEHIND) };
        Ok(spec::<T>(Kind::OnceValue, NO_PARAMS, BEHIND + size_of::<T>()))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put them there; a line is made of atomics, a plain value may be any bytes.
        let (line, value) = unsafe { (entry.at(0), entry.at(BEHIND)) };
        Self { entry, line, value, _value: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(OnceValue<T: Plain>);

impl<T> OnceValue<T> {
    #[inline]
    fn line(&self) -> &Line<RawOnce> {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { self.line.as_ref() }
    }

    /// Whether it is written.
    pub fn is_written(&self) -> bool {
        self.line().raw.is_done()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

impl<T: Plain> OnceValue<T> {
    /// The value, if it is written.
    #[inline]
    pub fn get(&self) -> Option<T> {
        // SAFETY: a plain value may be any bytes, and nobody writes any more.
        self.is_written().then(|| unsafe { self.value.read() })
    }

    /// The value, made by `make` if nobody has made it. Waits while another makes it. `make` is told of the death of one
    /// who had begun to make it.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called from within `make`.
    #[track_caller]
    pub fn get_or_init(&self, make: impl FnOnce(Option<&Death>) -> T) -> Result<T, WouldDeadlock> {
        let caller = Location::caller();
        loop {
            if let Some(value) = self.get() {
                return Ok(value);
            }
            let Line { record, raw } = self.line();
            let noted = self.entry.noted(caller, None, Some(record));
            if self.entry.is_mine(raw.owner(), record) {
                return Err(WouldDeadlock);
            }
            let Turn::Yours(gone) = raw.begin(&noted, None).map_err(|_| WouldDeadlock)? else {
                continue;
            };
            let death = gone.map(|gone| self.entry.bury(gone, Some(record), None));
            self.entry.begin(record, self.entry.site(caller));
            let unfinished = GiveUp { line: self.line(), entry: &self.entry, owner: noted.me() };
            let value = make(death.as_deref());
            // In a child that `make` has forked the turn is its parent's.
            if unfinished.is_ours() {
                std::mem::forget(unfinished);
                // SAFETY: it is our turn to write, and nobody reads before it is finished.
                unsafe { self.value.write(std::ptr::read(&value)) };
                record.end();
                raw.finish(&noted);
            }
            return Ok(value);
        }
    }

    /// Writes the value, unless it is written. Waits while another makes it.
    ///
    /// # Errors
    /// The given value: another is written, or this thread is about to write it.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        let _ = self.get_or_init(|_| value.take().expect("it is made once"));
        value.map_or(Ok(()), Err)
    }

    /// Waits until another has written the value.
    ///
    /// # Errors
    /// [`WouldDeadlock`] when called by the one who is making it.
    #[track_caller]
    pub fn wait(&self) -> Result<T, WouldDeadlock> {
        self.wait_until(Location::caller(), None).map_err(|_| WouldDeadlock)
    }

    /// Waits until another has written the value, no longer than `timeout`.
    ///
    /// # Errors
    /// [`Timeout`], also when called by the one who is making it.
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<T, Timeout> {
        self.wait_until(Location::caller(), Some(clock::deadline_after(timeout)))
    }

    /// Waits until another has written the value, no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<T, Timeout> {
        self.wait_until(Location::caller(), Some(clock::deadline_at(deadline)))
    }

    fn wait_until(
        &self,
        caller: &'static Location<'static>,
        deadline: Option<Deadline>,
    ) -> Result<T, Timeout> {
        let Line { record, raw } = self.line();
        let noted = self.entry.noted(caller, deadline, None);
        let mine = self.entry.is_mine(raw.owner(), record);
        let waited = if mine { Err(WaitError::WouldDeadlock) } else { raw.wait(&noted, deadline) };
        let holder = || raw.owner().map(|owner| (owner, record));
        waited.map_err(|_| self.entry.timeout(&noted, holder()))?;
        // SAFETY: as in `get`.
        Ok(unsafe { self.value.read() })
    }
}

/// Leaves it to the next when the function unwinds.
struct GiveUp<'a> {
    line: &'a Line<RawOnce>,
    entry: &'a Entry,
    owner: Owner,
}

impl GiveUp<'_> {
    fn is_ours(&self) -> bool {
        self.entry.wait().is(self.owner)
    }
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.is_ours() {
            self.line.record.end();
            self.line.raw.give_up(&self.entry.wait());
        }
    }
}

impl<T> fmt::Debug for OnceValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceValue")
            .field("name", &self.name())
            .field("written", &self.is_written())
            .finish()
    }
}
